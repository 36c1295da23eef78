/* Focal loss, written so that no logit is too large for it.
 *
 * With z the logit and t the target, dq/dz = (1−2t)·p(1−p) and dBCE/dz = p − t give
 *   dL/dz = α_t · q^γ · ( γ(1−2t)·p(1−p)/q·BCE + p − t ).
 * For t = 0 or 1 the quotient p(1−p)/q is 1−p or p: it never divides by a vanishing q; and p − t is
 * p or −(1−p), which loses no digits. */
#include "nn/loss.h"

#include "base/cpu.h"
#include "base/parallel.h"
#include "nn/loss_avx2.h"

#include <willis/network.h>

#include <math.h>
#include <string.h>

void willis_target_read(const struct willis_target *target, ptrdiff_t begin, ptrdiff_t count,
                        float *values) {
  if (target->values)
    memcpy(values, target->values + begin, (size_t)count * sizeof *values);
  else
    for (ptrdiff_t i = 0; i < count; i++)
      values[i] = (float)(target->bits[(begin + i) >> 3] >> ((begin + i) & 7) & 1);
}

double willis_focal_value(const struct willis_focal *focal, double z, double t, double *d_z) {
  double e = exp(-fabs(z)), small = e / (1 + e), large = 1 / (1 + e);
  double p = z >= 0 ? large : small, not_p = z >= 0 ? small : large;
  double bce = fmax(z, 0) - z * t + log1p(e);
  double q = p * (1 - t) + not_p * t;
  double weight = (focal->alpha * t + (1 - focal->alpha) * (1 - t)) * pow(q, focal->gamma);
  double quotient = t == 1 ? p : t == 0 ? not_p : p * not_p / q;
  double beyond = t == 1 ? -not_p : p - t;
  *d_z = weight * (focal->gamma * (1 - 2 * t) * quotient * bce + beyond);
  return weight * bce;
}

static double plain_sum(const struct willis_focal *focal, ptrdiff_t count, const float *logit,
                        const float *target, float *d_logit) {
  double sum = 0;
  for (ptrdiff_t i = 0; i < count; i++) {
    double d_z;
    sum += willis_focal_value(focal, (double)logit[i], (double)target[i], &d_z);
    if (d_logit) d_logit[i] = (float)(d_z * focal->scale);
  }
  return sum;
}

struct pieces {
  const struct willis_focal *focal;
  const float *logit, *target;
  float *d_logit;
  double (*sum)(const struct willis_focal *, ptrdiff_t, const float *, const float *, float *);
};

static void add_piece(ptrdiff_t begin, ptrdiff_t end, double *sum, void *context) {
  const struct pieces *p = context;
  sum[0] += p->sum(p->focal, end - begin, p->logit + begin, p->target + begin,
                   p->d_logit ? p->d_logit + begin : NULL);
}

double willis_focal_sum(const struct willis_focal *focal, ptrdiff_t count, const float *logit,
                        const float *target, float *d_logit) {
  enum { CHUNK = 4096 };
  struct pieces pieces = {focal, logit, target, d_logit, plain_sum};
  double total[WILLIS_PARALLEL_SUMS];
#ifdef WILLIS_HAVE_AVX2
  if (willis_cpu_features() & WILLIS_CPU_AVX2) pieces.sum = willis_focal_sum_avx2;
#endif
  willis_parallel_sum(count, CHUNK, 1, add_piece, &pieces, total);
  return total[0];
}

double willis_focal_loss_gradient(ptrdiff_t count, const float *logit, const float *target,
                                  double alpha, double gamma, float *d_logit) {
  const struct willis_focal focal = {alpha, gamma, 1.0 / (double)count};
  return willis_focal_sum(&focal, count, logit, target, d_logit) * focal.scale;
}

double willis_focal_loss(ptrdiff_t count, const float *logit, const float *target, double alpha,
                         double gamma) {
  return willis_focal_loss_gradient(count, logit, target, alpha, gamma, NULL);
}
