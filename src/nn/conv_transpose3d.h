/* 2×2×2 transposed convolution, stride 2: every input voxel fills a block of its own.
 *
 *   y[2p + k][o] = bias[o] + Σ_i x[p][i] · weight[i][o][k]
 *
 * x: [D][H][W][inputs], y: [2D][2H][2W][outputs], weight: [inputs][outputs][2][2][2] (kz, ky, kx),
 * bias: [outputs]; `extent` is that of x. Sums in double, results rounded once; the same bits for
 * any number of threads. Arrays of one call must not overlap. */
#ifndef WILLIS_NN_CONV_TRANSPOSE3D_H
#define WILLIS_NN_CONV_TRANSPOSE3D_H

#include "nn/tensor.h"

enum { WILLIS_CONV_TRANSPOSE3D_TAPS = 8 };

struct willis_conv_transpose3d_shape {
  struct willis_extent extent; /* of x */
  int inputs, outputs;         /* channels */
};

void willis_conv_transpose3d_forward(const struct willis_conv_transpose3d_shape *shape,
                                     const float *x, const float *weight, const float *bias,
                                     float *y);
/* d_x[p][i] = Σ_o Σ_k d_y[2p + k][o] · weight[i][o][k]. Overwritten. */
void willis_conv_transpose3d_backward_data(const struct willis_conv_transpose3d_shape *shape,
                                           const float *d_y, const float *weight, float *d_x);
/* d_weight[i][o][k] = Σ_p x[p][i] · d_y[2p + k][o], d_bias[o] = Σ d_y[·][o]. Overwritten. */
void willis_conv_transpose3d_backward_weight(const struct willis_conv_transpose3d_shape *shape,
                                             const float *x, const float *d_y, float *d_weight,
                                             float *d_bias);
/* The same for planes that come in slabs, in order; the same bits. shape->extent is that of the
 * slab; sum: willis_conv_transpose3d_sum_count() doubles that are zero at first. */
ptrdiff_t willis_conv_transpose3d_sum_count(const struct willis_conv_transpose3d_shape *shape);
void willis_conv_transpose3d_backward_weight_add(const struct willis_conv_transpose3d_shape *shape,
                                                 const float *x, const float *d_y, double *sum);
void willis_conv_transpose3d_backward_weight_finish(
    const struct willis_conv_transpose3d_shape *shape, const double *sum, float *d_weight,
    float *d_bias);

#endif
