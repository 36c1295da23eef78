/* Batch normalisation by its definition. A thread owns a piece of the channels, 16 of them because
 * that is a cache line, and walks all voxels in order: no partial sums to combine. */
#include "nn/batch_norm.h"

#include <math.h>

enum { PIECE = 16 };

static int piece_end(int first, int channels) {
  return first + PIECE < channels ? first + PIECE : channels;
}

void willis_batch_norm_add(ptrdiff_t count, int channels, const float *x, const double *centre,
                           double *sum) {
#pragma omp parallel for schedule(dynamic, 1)
  for (int first = 0; first < channels; first += PIECE) {
    int n = piece_end(first, channels) - first;
    double part[PIECE];
    for (int c = 0; c < n; c++) part[c] = sum[first + c];
    for (ptrdiff_t p = 0; p < count; p++)
      for (int c = 0; c < n; c++) {
        double d = x[p * channels + first + c];
        if (centre) {
          d -= centre[first + c];
          d *= d;
        }
        part[c] += d;
      }
    for (int c = 0; c < n; c++) sum[first + c] = part[c];
  }
}

void willis_batch_norm_statistics(ptrdiff_t count, int channels, const float *x, double *mean,
                                  double *variance) {
  for (int c = 0; c < channels; c++) mean[c] = variance[c] = 0;
  willis_batch_norm_add(count, channels, x, NULL, mean);
  for (int c = 0; c < channels; c++) mean[c] /= (double)count;
  willis_batch_norm_add(count, channels, x, mean, variance);
  for (int c = 0; c < channels; c++) variance[c] /= (double)count;
}

static double inverse_sd(double variance) {
  return 1 / sqrt(variance + WILLIS_BATCH_NORM_EPSILON);
}

void willis_batch_norm_forward(ptrdiff_t count, int channels, const float *x, const double *mean,
                               const double *variance, const float *gamma, const float *beta,
                               float *y) {
#pragma omp parallel for schedule(dynamic, 1)
  for (int first = 0; first < channels; first += PIECE)
    for (int c = first; c < piece_end(first, channels); c++) {
      double scale = gamma[c] * inverse_sd(variance[c]);
      for (ptrdiff_t p = 0; p < count; p++)
        y[p * channels + c] = (float)((x[p * channels + c] - mean[c]) * scale + beta[c]);
    }
}

/* A channel's way back: what it sums, and what it does with the sums. */
struct channel {
  const float *x, *d_y; /* its first value; the next voxel's is `stride` further */
  ptrdiff_t stride;
  double mean, variance;
};

static void add_channel(const struct channel *k, ptrdiff_t count, double *sum, double *product) {
  double s = *sum, q = *product;
  for (ptrdiff_t p = 0; p < count; p++) {
    double d = k->d_y[p * k->stride];
    s += d;
    q += d * (k->x[p * k->stride] - k->mean);
  }
  *sum = s;
  *product = q;
}

static void apply_channel(const struct channel *k, ptrdiff_t total, ptrdiff_t count, double gamma,
                          double sum, double product, float *d_x) {
  double isd = inverse_sd(k->variance), offset = sum / (double)total;
  double slope = product * isd * isd / (double)total;
  for (ptrdiff_t p = 0; p < count; p++) {
    const ptrdiff_t at = p * k->stride;
    d_x[at] = (float)(gamma * isd * (k->d_y[at] - offset - slope * (k->x[at] - k->mean)));
  }
}

void willis_batch_norm_backward_add(ptrdiff_t count, int channels, const float *x,
                                    const double *mean, const float *d_y, double *sum,
                                    double *product) {
#pragma omp parallel for schedule(dynamic, PIECE)
  for (int c = 0; c < channels; c++) {
    struct channel k = {x + c, d_y + c, channels, mean[c], 0};
    add_channel(&k, count, &sum[c], &product[c]);
  }
}

void willis_batch_norm_backward_apply(ptrdiff_t total, ptrdiff_t count, int channels,
                                      const float *x, const double *mean, const double *variance,
                                      const float *gamma, const double *sum, const double *product,
                                      const float *d_y, float *d_x) {
#pragma omp parallel for schedule(dynamic, PIECE)
  for (int c = 0; c < channels; c++) {
    struct channel k = {x + c, d_y + c, channels, mean[c], variance[c]};
    apply_channel(&k, total, count, gamma[c], sum[c], product[c], d_x + c);
  }
}

void willis_batch_norm_backward_finish(int channels, const double *variance, const double *sum,
                                       const double *product, float *d_gamma, float *d_beta) {
  for (int c = 0; c < channels; c++) {
    d_beta[c] = (float)sum[c];
    d_gamma[c] = (float)(product[c] * inverse_sd(variance[c]));
  }
}

void willis_batch_norm_backward(ptrdiff_t count, int channels, const float *x, const double *mean,
                                const double *variance, const float *gamma, const float *d_y,
                                float *d_x, float *d_gamma, float *d_beta) {
#pragma omp parallel for schedule(dynamic, PIECE)
  for (int c = 0; c < channels; c++) {
    struct channel k = {x + c, d_y + c, channels, mean[c], variance[c]};
    double sum = 0, product = 0;
    add_channel(&k, count, &sum, &product);
    apply_channel(&k, count, count, gamma[c], sum, product, d_x + c);
    d_beta[c] = (float)sum;
    d_gamma[c] = (float)(product * inverse_sd(variance[c]));
  }
}

void willis_batch_norm_track(ptrdiff_t count, int channels, const double *mean,
                             const double *variance, float *running_mean, float *running_variance) {
  const double m = WILLIS_BATCH_NORM_MOMENTUM;
  double unbiased = count > 1 ? (double)count / (double)(count - 1) : 1;
  for (int c = 0; c < channels; c++) {
    running_mean[c] = (float)((1 - m) * running_mean[c] + m * mean[c]);
    running_variance[c] = (float)((1 - m) * running_variance[c] + m * variance[c] * unbiased);
  }
}
