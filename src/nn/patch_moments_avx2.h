/* First and second moments of the zero-padded 3×3×3 patches of a volume, P[p][k] = x[p + k − 1]:
 *
 *   mean[a] = Σ_p P[p][a] / N,  covariance[a][b] = Σ_p P[p][a]·P[p][b] / N − mean[a]·mean[b]
 *
 * They give mean and variance of any linear map of patches (a convolution of one channel) without
 * computing it. Products with the same distance b − a differ only at the faces, so 63 sums do for
 * 27×27. Same bits for any number of threads. */
#ifndef WILLIS_NN_PATCH_MOMENTS_AVX2_H
#define WILLIS_NN_PATCH_MOMENTS_AVX2_H

#include "nn/conv3d.h"

enum { WILLIS_PATCH = WILLIS_CONV3D_TAPS };

struct willis_patch_moments {
  double mean[WILLIS_PATCH];
  double covariance[WILLIS_PATCH][WILLIS_PATCH];
};

/* Doubles of scratch. */
ptrdiff_t willis_patch_moments_scratch_count(struct willis_extent extent);
/* x: [D][H][W], all edges ≥ 2. */
void willis_patch_moments(struct willis_extent extent, const float *x,
                          struct willis_patch_moments *moments, double *scratch);

/* The same from slabs, in any cut: the scratch keeps what planes [begin, end) give, of which and of
 * two planes more x holds those that the volume has. */
void willis_patch_moments_add(struct willis_extent extent, struct willis_planes x, ptrdiff_t begin,
                              ptrdiff_t end, double *scratch);
/* When all planes have been added. */
void willis_patch_moments_finish(struct willis_extent extent, const double *scratch,
                                 struct willis_patch_moments *moments);

#endif
