/* A row of windows of the first block: convolution, maximum, shift, ReLU. Written once for vectors
 * of lanes_avx2.h; first_block_avx2.c and first_block_avx512.c compile it. */
#ifndef WILLIS_NN_FIRST_BLOCK_ROW_AVX2_H
#define WILLIS_NN_FIRST_BLOCK_ROW_AVX2_H

#include "nn/lanes_avx2.h"
#include "nn/patch_moments_avx2.h"

#include <stddef.h>

enum {
  GROUP = 16, /* channels whose weights lie together */
  RUN = 4,    /* voxels along x that are made at a time */
  BORDER = 8, /* floats before a line's first value; the last of them is padding */
  MOST_PARTS = 2,
  PARTS_OF_GROUP = GROUP / LANES
};

/* Floats from a vector of weights to the next one's: half a group, or a group. */
#define PART_STEP (PARTS_OF_GROUP == 1 ? WILLIS_PATCH * GROUP : LANES)

/* RUN voxels × `parts` vectors of channels of the convolution, from the lines of their row (`row` =
 * 0…3: which of the window's four rows), starting at x. weight: [27][GROUP] for each group. */
LANES_INLINE void convolve(const int parts, const float *lines, ptrdiff_t stride, int row,
                           ptrdiff_t x, const float *weight, lanes sum[RUN][MOST_PARTS]) {
  for (int i = 0; i < RUN; i++)
    for (int h = 0; h < parts; h++) sum[i][h] = lanes_zero();
  for (int k = 0; k < 9; k++) {
    const float *line = lines + ((row / 2 + k / 3) * 4 + row % 2 + k % 3) * stride + BORDER - 1 + x;
    for (int kx = 0; kx < 3; kx++, weight += GROUP) {
      lanes w[MOST_PARTS];
      for (int h = 0; h < parts; h++) w[h] = lanes_load(weight + h * PART_STEP);
#pragma GCC unroll 4
      for (int i = 0; i < RUN; i++) {
        lanes value = lanes_all(line[kx + i]);
        for (int h = 0; h < parts; h++) sum[i][h] = lanes_fmadd(value, w[h], sum[i][h]);
      }
    }
  }
}

/* RUN/2 windows × `parts` vectors of channels. */
LANES_INLINE void pool_run(const int parts, const float *lines, ptrdiff_t stride, ptrdiff_t x,
                           const float *weight, const float *shift, int outputs, float *y,
                           uint8_t *argmax) {
  lanes best[RUN / 2][MOST_PARTS];
  lanes_int where[RUN / 2][MOST_PARTS];
  for (int i = 0; i < RUN / 2; i++)
    for (int h = 0; h < MOST_PARTS; h++) {
      best[i][h] = lanes_zero();
      where[i][h] = lanes_no_position();
    }
  for (int row = 0; row < 4; row++) {
    lanes sum[RUN][MOST_PARTS];
    convolve(parts, lines, stride, row, x, weight, sum);
    for (int i = 0; i < RUN; i++)
      for (int h = 0; h < parts; h++) {
        if (row == 0 && i % 2 == 0)
          best[i / 2][h] = sum[i][h];
        else
          lanes_keep_larger(sum[i][h], row * 2 + i % 2, &best[i / 2][h], &where[i / 2][h]);
      }
  }
  for (int i = 0; i < RUN / 2; i++) {
    /* Rectified so that NaN stays. */
    for (int h = 0; h < parts; h++)
      lanes_store(y + i * outputs + h * LANES,
                  lanes_rectify(lanes_add(best[i][h], lanes_load(shift + h * LANES))));
    for (int h = 0; argmax && h < parts; h += PARTS_OF_GROUP)
      lanes_store_bytes(argmax + i * outputs + h * LANES, &where[i][h]);
  }
}

/* `width` windows. packed: [outputs/GROUP][27][GROUP]; shift: [outputs]; y and argmax (or null):
 * [width][outputs]. */
LANES_INLINE void first_block_row(const float *lines, ptrdiff_t stride, ptrdiff_t width,
                                  int outputs, const float *packed, const float *shift, float *y,
                                  uint8_t *argmax) {
  for (ptrdiff_t v = 0; v < width; v += RUN / 2, y += RUN / 2 * outputs) {
    int c = 0;
    for (; c + MOST_PARTS * LANES <= outputs; c += MOST_PARTS * LANES)
      pool_run(MOST_PARTS, lines, stride, 2 * v, packed + c * WILLIS_PATCH, shift + c, outputs,
               y + c, argmax ? argmax + v * outputs + c : NULL);
    for (; c < outputs; c += LANES) /* a group alone, of AVX-512 */
      pool_run(1, lines, stride, 2 * v, packed + c * WILLIS_PATCH, shift + c, outputs, y + c,
               argmax ? argmax + v * outputs + c : NULL);
  }
}

/* first_block_row() as first_block_avx512.c has it. */
void willis_first_block_row_avx512(const float *lines, ptrdiff_t stride, ptrdiff_t width,
                                   int outputs, const float *packed, const float *shift, float *y,
                                   uint8_t *argmax);

#endif
