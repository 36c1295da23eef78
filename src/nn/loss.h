/* Binary focal loss on logits (M8; Lin et al. 2017), mean over voxels, with its gradient.
 *
 *   L = mean α_t · q^γ · BCE,  q = 1 − p_t = p(1−t) + (1−p)t,  α_t = αt + (1−α)(1−t),  p = σ(z) */
#ifndef WILLIS_NN_LOSS_H
#define WILLIS_NN_LOSS_H

#include <stddef.h>
#include <stdint.h>

/* What logits are compared with, x fastest: values in [0,1], or, where those are null, one bit a
 * voxel, bit i mod 8 of byte i/8. */
struct willis_target {
  const float *values;
  const uint8_t *bits;
};
/* Voxels [begin, begin + count). */
void willis_target_read(const struct willis_target *target, ptrdiff_t begin, ptrdiff_t count,
                        float *values);

struct willis_focal {
  double alpha, gamma;
  double scale; /* of the gradient: 1 over the voxels of the mean */
};
/* Of one voxel, and its gradient (not scaled). */
double willis_focal_value(const struct willis_focal *focal, double logit, double target,
                          double *d_logit);
/* The sum over `count` voxels, and d_logit (may be null, may be logit) = scale · its gradient. Any
 * cut of a volume into calls gives the same d_logit; the sum is that of one fixed order. */
double willis_focal_sum(const struct willis_focal *focal, ptrdiff_t count, const float *logit,
                        const float *target, float *d_logit);
/* Returns the loss; d_logit (may be null, may be logit) is its gradient. Targets in [0,1]. Summed
 * in double over fixed chunks in order. */
double willis_focal_loss_gradient(ptrdiff_t count, const float *logit, const float *target,
                                  double alpha, double gamma, float *d_logit);

#endif
