/* Batch normalisation by its definition. A thread owns a piece of the channels, 16 of them because
 * that is a cache line, and walks all voxels in order: no partial sums to combine. */
#include "nn/batch_norm.h"

#include <math.h>

enum { PIECE = 16 };

static int piece_end(int first, int channels) {
  return first + PIECE < channels ? first + PIECE : channels;
}

void willis_batch_norm_statistics(ptrdiff_t count, int channels, const float *x, double *mean,
                                  double *variance) {
#pragma omp parallel for schedule(dynamic, 1)
  for (int first = 0; first < channels; first += PIECE) {
    int n = piece_end(first, channels) - first;
    double sum[PIECE] = {0}, square[PIECE] = {0};
    for (ptrdiff_t p = 0; p < count; p++)
      for (int c = 0; c < n; c++) sum[c] += x[p * channels + first + c];
    for (int c = 0; c < n; c++) sum[c] /= (double)count;
    for (ptrdiff_t p = 0; p < count; p++)
      for (int c = 0; c < n; c++) {
        double d = x[p * channels + first + c] - sum[c];
        square[c] += d * d;
      }
    for (int c = 0; c < n; c++) {
      mean[first + c] = sum[c];
      variance[first + c] = square[c] / (double)count;
    }
  }
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

void willis_batch_norm_backward(ptrdiff_t count, int channels, const float *x, const double *mean,
                                const double *variance, const float *gamma, const float *d_y,
                                float *d_x, float *d_gamma, float *d_beta) {
#pragma omp parallel for schedule(dynamic, 1)
  for (int first = 0; first < channels; first += PIECE)
    for (int c = first; c < piece_end(first, channels); c++) {
      double isd = inverse_sd(variance[c]), sum = 0, product = 0;
      for (ptrdiff_t p = 0; p < count; p++) {
        double d = d_y[p * channels + c];
        sum += d;
        product += d * (x[p * channels + c] - mean[c]);
      }
      product *= isd;
      d_beta[c] = (float)sum;
      d_gamma[c] = (float)product;
      double offset = sum / (double)count, slope = product * isd / (double)count;
      for (ptrdiff_t p = 0; p < count; p++) {
        ptrdiff_t at = p * channels + c;
        d_x[at] = (float)(gamma[c] * isd * (d_y[at] - offset - slope * (x[at] - mean[c])));
      }
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
