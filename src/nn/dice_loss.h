/* Soft Dice loss on logits (Milletari et al. 2016): with p = σ(z) and targets t in [0,1],
 *
 *   L = 1 − (2·Σ p·t + 1) / (Σ p + Σ t + 1)
 *
 * The ones keep empty volumes finite. */
#ifndef WILLIS_NN_DICE_LOSS_H
#define WILLIS_NN_DICE_LOSS_H

#include <stddef.h>

/* Returns L; adds weight·dL/dz to d_logit, which is not logit. Sums in double over fixed chunks in
 * order. */
double willis_dice_loss_gradient(ptrdiff_t count, const float *logit, const float *target,
                                 double weight, float *d_logit);

#endif
