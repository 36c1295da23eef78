/* Maximum over 2×2×2 windows, stride 2.
 *
 * x: [D][H][W][channels] with even edges, y: [D/2][H/2][W/2][channels]; argmax, shaped like y, is
 * the window's position k = (kz·2 + ky)·2 + kx of the maximum, the first in this order when there
 * are several, as in PyTorch. */
#ifndef WILLIS_NN_MAX_POOL_H
#define WILLIS_NN_MAX_POOL_H

#include "nn/tensor.h"

#include <stdint.h>

enum { WILLIS_POOL_WINDOW = 8 };

/* Index of the window's position k in x's extent, for the pooled voxel (z, y, x). */
static inline ptrdiff_t willis_pool_source(struct willis_extent e, ptrdiff_t z, ptrdiff_t y,
                                           ptrdiff_t x, int k) {
  return ((2 * z + (k >> 2)) * e.height + 2 * y + (k >> 1 & 1)) * e.width + 2 * x + (k & 1);
}

void willis_max_pool_forward(struct willis_extent extent, int channels, const float *x, float *y,
                             uint8_t *argmax);
/* d_x is overwritten: d_y at the maximum, 0 elsewhere. */
void willis_max_pool_backward(struct willis_extent extent, int channels, const uint8_t *argmax,
                              const float *d_y, float *d_x);

#endif
