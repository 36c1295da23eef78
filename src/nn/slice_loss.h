/* The losses of a generator and a discriminator of slices (Isola et al. 2017), each a mean over
 * `count` values with its gradient. Sums in double over fixed chunks in order. */
#ifndef WILLIS_NN_SLICE_LOSS_H
#define WILLIS_NN_SLICE_LOSS_H

#include <stddef.h>

/* Binary cross entropy of logits against one target for all, 1 (real) or 0 (made):
 * mean max(z,0) − z·t + log(1 + e^−|z|); d_logit = weight·(σ(z) − t)/count, overwritten. */
double willis_bce_loss_gradient(ptrdiff_t count, const float *logit, double target, double weight,
                                float *d_logit);
/* mean |y − target|; adds weight·sign(y − target)/count to d_y. */
double willis_l1_loss_gradient(ptrdiff_t count, const float *y, const float *target, double weight,
                               float *d_y);

#endif
