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

#endif
