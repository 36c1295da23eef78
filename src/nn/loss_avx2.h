/* The focal loss of loss.h on AVX2 and FMA, four voxels at a time in double precision. Call only
 * where willis_cpu_features() has WILLIS_CPU_AVX2. */
#ifndef WILLIS_NN_LOSS_AVX2_H
#define WILLIS_NN_LOSS_AVX2_H

#include "nn/loss.h"

/* The sum over the voxels, and d_logit (may be null, may be logit) = scale · its gradient, within
 * 1e-14 of plain loops. A voxel's d_logit does not depend on its neighbours. One thread. */
double willis_focal_sum_avx2(const struct willis_focal *focal, ptrdiff_t count, const float *logit,
                             const float *target, float *d_logit);

#endif
