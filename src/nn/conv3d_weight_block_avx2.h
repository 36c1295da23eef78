/* A block of tiles of the Winograd weight gradient. Written once for vectors of lanes_avx2.h;
 * conv3d_weight_avx2.c and conv3d_weight_avx512.c compile it. */
#ifndef WILLIS_NN_CONV3D_WEIGHT_BLOCK_AVX2_H
#define WILLIS_NN_CONV3D_WEIGHT_BLOCK_AVX2_H

#include "nn/winograd_tile_avx2.h"

enum {
  ROWS = PARTS == 1 ? 16 : 6, /* of a product held in registers */
  BLOCK = 24,                 /* tiles */
  FETCHED = 4096, /* products of channels up to which fetching ahead pays: the sums of wider layers
                     are too large for the second-level cache and need the memory themselves */
  STAGGER = GROUP /* keeps the frequencies off the same cache sets */
};

/* sum[i][0..GROUP) += Σ_t v[t][i]·g[t][0..GROUP) for `rows` inputs i; the block is summed first,
 * so that long volumes lose no digits. */
WINOGRAD_INLINE void accumulate_rows(int rows, ptrdiff_t tiles, const float *v, ptrdiff_t inputs,
                                     const float *g, ptrdiff_t outputs, float *sum) {
  lanes part[ROWS][PARTS];
  for (int r = 0; r < rows; r++)
    for (int h = 0; h < PARTS; h++) part[r][h] = lanes_zero();
  _Pragma("GCC unroll 4") for (ptrdiff_t t = 0; t < tiles; t++) {
    lanes w[PARTS];
    for (int h = 0; h < PARTS; h++) w[h] = lanes_load(g + t * outputs + h * LANES);
    _Pragma("GCC unroll 16") for (int r = 0; r < rows; r++) {
      lanes a = lanes_all(v[t * inputs + r]);
      for (int h = 0; h < PARTS; h++) part[r][h] = lanes_fmadd(a, w[h], part[r][h]);
    }
  }
  _Pragma("GCC unroll 16") for (int r = 0; r < rows; r++) for (int h = 0; h < PARTS; h++) {
    float *to = sum + r * outputs + h * LANES;
    lanes_store(to, lanes_add(lanes_load(to), part[r][h]));
  }
}

/* Inputs come in groups of 16: rows of 16, or of 6 and at most two of 4. */
WINOGRAD_INLINE void accumulate(ptrdiff_t tiles, const float *v, ptrdiff_t inputs, const float *g,
                                ptrdiff_t outputs, float *sum) {
  ptrdiff_t fours = PARTS == 1 ? 0 : (ROWS - inputs % ROWS) % ROWS / 2;
  for (ptrdiff_t o = 0; o < outputs; o += GROUP) {
    ptrdiff_t i = 0;
    for (; i < inputs - 4 * fours; i += ROWS)
      accumulate_rows(ROWS, tiles, v + i, inputs, g + o, outputs, sum + i * outputs + o);
    for (; i < inputs; i += 4)
      accumulate_rows(4, tiles, v + i, inputs, g + o, outputs, sum + i * outputs + o);
  }
}

/* What to take the tiles from. */
struct slab {
  struct tile_source x, d_y;
  struct tile_grid grid;
};

/* Adds a block and meanwhile asks for the voxels of the one that this thread takes next. */
WINOGRAD_INLINE void conv3d_weight_block(const struct slab *s, struct tile_block block,
                                         struct tile_block next, float *sum, float *v) {
  ptrdiff_t inputs = s->x.channels, outputs = s->d_y.channels, columns = s->grid.columns;
  ptrdiff_t v_stride = BLOCK * inputs + STAGGER, g_stride = BLOCK * outputs + STAGGER;
  ptrdiff_t z = s->grid.begin + block.layer * TILE, first = block.first, last = block.last;
  float *g = v + FREQUENCIES * v_stride;
  for (ptrdiff_t t = first; t < last; t++)
    for (ptrdiff_t c = 0; c < inputs; c += GROUP)
      tile_input(&s->x, z - 1, t / columns * TILE - 1, t % columns * TILE - 1, c,
                 v + (t - first) * inputs + c, v_stride);
  for (ptrdiff_t t = first; t < last; t++)
    for (ptrdiff_t c = 0; c < outputs; c += GROUP)
      tile_gradient(&s->d_y, z, t / columns * TILE, t % columns * TILE, c,
                    g + (t - first) * outputs + c, g_stride);
  for (ptrdiff_t f = 0; f < FREQUENCIES; f++) {
    if (inputs * outputs <= FETCHED) {
      tile_fetch(&s->x, &s->grid, &next, f, 1);
      tile_fetch(&s->d_y, &s->grid, &next, f, 0);
    }
    accumulate(last - first, v + f * v_stride, inputs, g + f * g_stride, outputs,
               sum + f * inputs * outputs);
  }
}

/* conv3d_weight_block() as conv3d_weight_avx512.c has it. */
void willis_conv3d_weight_block_avx512(const struct slab *s, struct tile_block block,
                                       struct tile_block next, float *sum, float *v);

#endif
