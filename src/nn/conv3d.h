/* 3×3×3 convolution, stride 1, zero padding 1, forward and backward (plain loops).
 *
 *   y[p][o] = bias[o] + Σ_i Σ_k weight[o][i][k] · x[p + k − 1][i]
 *
 * x: [D][H][W][inputs], y: [D][H][W][outputs], weight: [outputs][inputs][3][3][3] (kz, ky, kx),
 * bias: [outputs]. Any positive extent. Sums in double, results rounded once; the same bits for any
 * number of threads. Arrays of one call must not overlap. */
#ifndef WILLIS_NN_CONV3D_H
#define WILLIS_NN_CONV3D_H

#include "nn/tensor.h"

enum { WILLIS_CONV3D_TAPS = 27 };

struct willis_conv3d_shape {
  struct willis_extent extent;
  int inputs, outputs; /* channels */
};

void willis_conv3d_forward(const struct willis_conv3d_shape *shape, const float *x,
                           const float *weight, const float *bias, float *y);
/* d_x is overwritten: d_x[p][i] = Σ_o Σ_k weight[o][i][k] · d_y[p − k + 1][o]. */
void willis_conv3d_backward_data(const struct willis_conv3d_shape *shape, const float *d_y,
                                 const float *weight, float *d_x);
/* d_weight and d_bias are overwritten: d_weight[o][i][k] = Σ_p d_y[p][o] · x[p + k − 1][i],
 * d_bias[o] = Σ_p d_y[p][o]. */
void willis_conv3d_backward_weight(const struct willis_conv3d_shape *shape, const float *x,
                                   const float *d_y, float *d_weight, float *d_bias);

/* The same for planes that come in slabs, in order; the same bits. Adds the share of planes
 * [begin, end) of d_y to sum, willis_conv3d_sum_count() doubles that are zero at first; x holds one
 * plane more on either side, as far as the volume has them. */
ptrdiff_t willis_conv3d_sum_count(const struct willis_conv3d_shape *shape);
void willis_conv3d_backward_weight_add(const struct willis_conv3d_shape *shape,
                                       struct willis_planes x, struct willis_planes d_y,
                                       ptrdiff_t begin, ptrdiff_t end, double *sum);
void willis_conv3d_backward_weight_finish(const struct willis_conv3d_shape *shape,
                                          const double *sum, float *d_weight, float *d_bias);

/* Variants in other files (conv3d_avx2.h) take the same arguments and `void *scratch` of
 * willis_conv3d_…_scratch_bytes(shape) bytes, aligned to a cache line, contents free. */

#endif
