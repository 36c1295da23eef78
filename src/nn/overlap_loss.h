/* The loss of sparse networks: binary cross-entropy, mean over the voxels that are decided about,
 * plus one minus a soft intersection over union in which true voxels that are not among them
 * (`missed`) count as missed:
 *   I = Σ p·t,  L = BCE + 1 − (I + 1)/(Σp + Σt + missed − I + 1),  p = σ(logit) */
#ifndef WILLIS_NN_OVERLAP_LOSS_H
#define WILLIS_NN_OVERLAP_LOSS_H

#include <stddef.h>

/* d_logit may be logit. Targets in [0,1]. Sums in double, in order. */
double willis_overlap_loss_gradient(ptrdiff_t count, const float *logit, const float *target,
                                    double missed, float *d_logit);

#endif
