/* Shapes inside the network. The letters of this room: C channels, D H W voxels along z, y, x.
 *
 * Activations are channels-last, x[((z·H + y)·W + x)·C + c]: a z-slab is contiguous, and a tensor
 * of one channel is a plain volume with x fastest. Weights keep PyTorch's shapes, row-major, so
 * that a parameter block and a file hold the same numbers in the same order. */
#ifndef WILLIS_NN_TENSOR_H
#define WILLIS_NN_TENSOR_H

#include <stddef.h>

/* Voxels along z, y, x. */
struct willis_extent {
  ptrdiff_t depth, height, width;
};

static inline ptrdiff_t willis_extent_count(struct willis_extent e) {
  return e.depth * e.height * e.width;
}
/* Half of every edge: what pooling by 2 leaves. */
static inline struct willis_extent willis_extent_half(struct willis_extent e) {
  return (struct willis_extent){e.depth / 2, e.height / 2, e.width / 2};
}
static inline struct willis_extent willis_extent_double(struct willis_extent e) {
  return (struct willis_extent){e.depth * 2, e.height * 2, e.width * 2};
}

/* Planes [begin, end) along z of a tensor, from `data` on. */
struct willis_planes {
  const float *data;
  ptrdiff_t begin, end;
};

/* What a convolution looks at, along z, y, x. */
struct willis_stencil {
  int kernel[3], stride[3], pad[3];
};
/* The same along every edge, and within slices that do not see each other. */
#define WILLIS_STENCIL(k, s, p)                                                                    \
  {                                                                                                \
    {k, k, k}, {s, s, s}, {                                                                        \
      p, p, p                                                                                      \
    }                                                                                              \
  }
#define WILLIS_SLICE_STENCIL(k, s, p)                                                              \
  {                                                                                                \
    {1, k, k}, {1, s, s}, {                                                                        \
      0, p, p                                                                                      \
    }                                                                                              \
  }
static inline int willis_stencil_taps(const struct willis_stencil *w) {
  return w->kernel[0] * w->kernel[1] * w->kernel[2];
}

#endif
