/* Cross entropy that no logit is too large for, and the mean absolute difference. */
#include "nn/slice_loss.h"

#include "base/parallel.h"

#include <math.h>

enum { CHUNK = 4096 };

struct loss {
  const float *y, *target;
  double real, scale;
  float *d_y;
};

static void bce_chunk(ptrdiff_t begin, ptrdiff_t end, double *sum, void *context) {
  const struct loss *l = context;
  for (ptrdiff_t i = begin; i < end; i++) {
    double z = l->y[i], e = exp(-fabs(z));
    sum[0] += fmax(z, 0) - z * l->real + log1p(e);
    l->d_y[i] = (float)(l->scale * ((z >= 0 ? 1 / (1 + e) : e / (1 + e)) - l->real));
  }
}

double willis_bce_loss_gradient(ptrdiff_t count, const float *logit, double target, double weight,
                                float *d_logit) {
  struct loss l = {logit, NULL, target, weight / (double)count, d_logit};
  double total[WILLIS_PARALLEL_SUMS];
  willis_parallel_sum(count, CHUNK, 1, bce_chunk, &l, total);
  return total[0] / (double)count;
}

static void l1_chunk(ptrdiff_t begin, ptrdiff_t end, double *sum, void *context) {
  const struct loss *l = context;
  for (ptrdiff_t i = begin; i < end; i++) {
    double d = (double)l->y[i] - (double)l->target[i];
    sum[0] += fabs(d);
    l->d_y[i] += (float)(d > 0 ? l->scale : d < 0 ? -l->scale : 0);
  }
}

double willis_l1_loss_gradient(ptrdiff_t count, const float *y, const float *target, double weight,
                               float *d_y) {
  struct loss l = {y, target, 0, weight / (double)count, d_y};
  double total[WILLIS_PARALLEL_SUMS];
  willis_parallel_sum(count, CHUNK, 1, l1_chunk, &l, total);
  return total[0] / (double)count;
}
