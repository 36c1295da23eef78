/* Focal loss, written so that no logit is too large for it.
 *
 * With z the logit and t the target, dq/dz = (1−2t)·p(1−p) and dBCE/dz = p − t give
 *   dL/dz = α_t · q^γ · ( γ(1−2t)·p(1−p)/q·BCE + p − t ).
 * For t = 0 or 1 the quotient p(1−p)/q is 1−p or p: it never divides by a vanishing q. */
#include "nn/loss.h"

#include "base/parallel.h"

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

struct focal {
  const float *logit, *target;
  double alpha, gamma, scale;
  float *d_logit;
};

static double focal_value(const struct focal *f, double z, double t, double *d_z) {
  double e = exp(-fabs(z)), small = e / (1 + e), large = 1 / (1 + e);
  double p = z >= 0 ? large : small, not_p = z >= 0 ? small : large;
  double bce = fmax(z, 0) - z * t + log1p(e);
  double q = p * (1 - t) + not_p * t;
  double weight = (f->alpha * t + (1 - f->alpha) * (1 - t)) * pow(q, f->gamma);
  double quotient = t == 1 ? p : t == 0 ? not_p : p * not_p / q;
  *d_z = weight * (f->gamma * (1 - 2 * t) * quotient * bce + p - t);
  return weight * bce;
}

static void focal_chunk(ptrdiff_t begin, ptrdiff_t end, double *sum, void *context) {
  const struct focal *f = context;
  for (ptrdiff_t i = begin; i < end; i++) {
    double d_z;
    sum[0] += focal_value(f, f->logit[i], f->target[i], &d_z);
    if (f->d_logit) f->d_logit[i] = (float)(d_z * f->scale);
  }
}

double willis_focal_sum(const struct willis_focal *focal, ptrdiff_t count, const float *logit,
                        const float *target, float *d_logit) {
  enum { CHUNK = 4096 };
  struct focal f = {logit, target, focal->alpha, focal->gamma, focal->scale, d_logit};
  double total[WILLIS_PARALLEL_SUMS];
  willis_parallel_sum(count, CHUNK, 1, focal_chunk, &f, total);
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
