/* The convolution of conv3d.h on AVX2 and FMA by Winograd F(4×4×4, 3×3×3): an eighth of the
 * multiplications. Extents are free, channel counts multiples of 16. Results differ from exact ones
 * by about 1.5e-6 of their root mean square.
 *
 * Every function works on slabs: planes [begin, end) along z of a tensor of shape->extent. Inputs
 * must hold every plane of the volume within one plane of what is asked for; beyond the volume is
 * zero. Slabs that begin at multiples of 4, taken in order, give the same bits as the whole volume
 * at once; so does any number of threads.
 *
 * Nothing is allocated. Arrays of floats and `scratch` are aligned to a cache line (huge pages
 * help); scratch is free between calls. Arrays of one call must not overlap. Call only where
 * willis_cpu_features() has WILLIS_CPU_AVX2. */
#ifndef WILLIS_NN_CONV3D_AVX2_H
#define WILLIS_NN_CONV3D_AVX2_H

#include "nn/conv3d.h"

#include <stdbool.h>
#include <stdint.h>

/* True where the channel counts suit these kernels. */
bool willis_conv3d_avx2_fits(const struct willis_conv3d_shape *shape);
/* Enough for any function of this header on slabs of at most `planes` planes, with
 * willis_parallel_threads() threads. */
size_t willis_conv3d_avx2_scratch_bytes(const struct willis_conv3d_shape *shape, ptrdiff_t planes);
/* Enough for willis_conv3d_avx2_forward() without sums, on slabs of any height. */
size_t willis_conv3d_avx2_infer_scratch_bytes(const struct willis_conv3d_shape *shape);

/* Weights in the transformed domain, willis_conv3d_avx2_packed_count() floats, for forward or for
 * the data gradient; packed once, used for any number of slabs. */
ptrdiff_t willis_conv3d_avx2_packed_count(const struct willis_conv3d_shape *shape);
void willis_conv3d_avx2_pack_forward(const struct willis_conv3d_shape *shape, const float *weight,
                                     float *packed);
void willis_conv3d_avx2_pack_backward(const struct willis_conv3d_shape *shape, const float *weight,
                                      float *packed);

/* Turns an array a into the gradient that reaches a convolution's output through batch
 * normalisation, ReLU and max pooling, formed while it is read:
 *
 *   d_y[p][c] = level[c] + slope[c]·a[p][c] + (p is its window's argmax[c] ? d_pooled[c] : 0)
 *
 * level, slope: [channels]. d_pooled, argmax: [planes/2][H/2][W/2][channels] over the same planes
 * as a; argmax as in max_pool.h. begin and end of the planes and H, W are even. */
struct willis_conv3d_scatter {
  const float *level, *slope;
  const float *d_pooled;
  const uint8_t *argmax;
  /* Null, or where the weight gradient leaves d_y of the planes whose share it adds; shaped like a,
   * and it may be a itself. The data gradient, which reads every voxel three times, then does
   * better with plain planes of that. */
  float *dense;
};

/* Planes [begin, end) of a tensor: data[(((z − begin)·H + y)·W + x)·C + c]. */
struct willis_conv3d_planes {
  const float *data;
  ptrdiff_t begin, end;
  const struct willis_conv3d_scatter *scatter; /* null: the data as they are */
};

/* What the layers after a convolution need of it; H, W, begin and end are even. */
struct willis_conv3d_pooled {
  const float *sign; /* [outputs]; a channel's extreme is its maximum where ≥ 0, else its minimum */
  float *extreme;    /* [(end − begin)/2][H/2][W/2][outputs], over 2×2×2 windows of y */
  uint8_t *argmax;   /* shaped like extreme: the window's position of it, as in max_pool.h */
  double *sum;       /* [outputs]: adds Σ (y − bias); null: not wanted */
  double *square;    /* [outputs]: adds Σ (y − bias)²; null with sum */
};

/* y: planes [begin, end) of the outputs. With `pooled`, fills that too, and y may be null. x has no
 * scatter. */
void willis_conv3d_avx2_forward(const struct willis_conv3d_shape *shape,
                                struct willis_conv3d_planes x, const float *packed,
                                const float *bias, ptrdiff_t begin, ptrdiff_t end, float *y,
                                const struct willis_conv3d_pooled *pooled, void *scratch);
/* d_x: planes [begin, end) of the gradient of the inputs, overwritten. */
void willis_conv3d_avx2_backward_data(const struct willis_conv3d_shape *shape,
                                      struct willis_conv3d_planes d_y, const float *packed,
                                      ptrdiff_t begin, ptrdiff_t end, float *d_x, void *scratch);

/* Weight gradient in three steps, so that it can be summed over slabs. `sum` keeps
 * willis_conv3d_avx2_sum_count() floats, 2 to 8 times packed_count(), in the transformed domain. */
ptrdiff_t willis_conv3d_avx2_sum_count(const struct willis_conv3d_shape *shape);
void willis_conv3d_avx2_backward_weight_start(const struct willis_conv3d_shape *shape, float *sum);
/* Adds the share of planes [begin, end) of d_y; x as for forward. */
void willis_conv3d_avx2_backward_weight_add(const struct willis_conv3d_shape *shape,
                                            struct willis_conv3d_planes x,
                                            struct willis_conv3d_planes d_y, ptrdiff_t begin,
                                            ptrdiff_t end, float *sum, void *scratch);
/* d_weight [outputs][inputs][3][3][3], overwritten. */
void willis_conv3d_avx2_backward_weight_finish(const struct willis_conv3d_shape *shape,
                                               const float *sum, float *d_weight);

#endif
