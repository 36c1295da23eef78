/* Convolution with any kernel, stride and zero padding, in three dimensions or fewer: a dimension
 * with kernel 1, stride 1 and no padding is only counted through, so that a stack of slices is a
 * volume whose planes do not see each other.
 *
 *   y[o][c] = Σ_i Σ_k weight[c][i][k] · x[stride·o − pad + k][i]
 *
 * x: [D][H][W][inputs], y: willis_convolution_extent() × [outputs], weight:
 * [outputs][inputs][kz][ky][kx]. The data gradient is PyTorch's transposed convolution: there y is
 * what goes in, and [outputs][inputs] are its inputs and outputs.
 *
 * Variants compute the same; willis_convolution_plan() takes the first that this processor and the
 * shape allow. Same bits for any number of threads. Arrays of one call must not overlap. */
#ifndef WILLIS_NN_CONVOLUTION_H
#define WILLIS_NN_CONVOLUTION_H

#include "nn/tensor.h"

#include <stdbool.h>

struct willis_convolution;

/* One way to compute it. `scratch` is aligned to a cache line, its contents free between calls. */
struct willis_convolution_variant {
  const char *name;
  unsigned features; /* enum willis_cpu_feature bits it needs */
  bool (*fits)(const struct willis_convolution *c);
  /* For any of the calls below, with willis_parallel_threads() threads. */
  size_t (*scratch_bytes)(const struct willis_convolution *c);
  void (*forward)(const struct willis_convolution *c, const float *x, const float *weight, float *y,
                  void *scratch);
  void (*backward_data)(const struct willis_convolution *c, const float *d_y, const float *weight,
                        float *d_x, void *scratch);
  void (*backward_weight)(const struct willis_convolution *c, const float *x, const float *d_y,
                          float *d_weight, void *scratch);
};

struct willis_convolution {
  struct willis_extent extent; /* of x */
  int inputs, outputs;         /* channels */
  struct willis_stencil stencil;
  const struct willis_convolution_variant *variant;
};

/* What x's extent becomes: (edge + 2·pad − kernel) / stride + 1. */
struct willis_extent willis_convolution_extent(const struct willis_convolution *c);

/* Chooses the variant; returns what each of the three calls needs as scratch. */
size_t willis_convolution_plan(struct willis_convolution *c);
void willis_convolution_forward(const struct willis_convolution *c, const float *x,
                                const float *weight, float *y, void *scratch);
/* d_x is overwritten. */
void willis_convolution_backward_data(const struct willis_convolution *c, const float *d_y,
                                      const float *weight, float *d_x, void *scratch);
/* d_weight is overwritten: d_weight[c][i][k] = Σ_o d_y[o][c] · x[stride·o − pad + k][i]. */
void willis_convolution_backward_weight(const struct willis_convolution *c, const float *x,
                                        const float *d_y, float *d_weight, void *scratch);

/* The loops of the definition, with sums in double; any shape. */
extern const struct willis_convolution_variant willis_convolution_plain;
/* convolution_avx2.c: gathered patches and matrix products; any shape. */
extern const struct willis_convolution_variant willis_convolution_patches_avx2;
/* convolution_avx2.c: 3×3×3, stride 1, padding 1 by conv3d_avx2.h, where the channels suit it. */
extern const struct willis_convolution_variant willis_convolution_winograd_avx2;

#endif
