/* A block of tiles of the Winograd convolution: transformed, multiplied, transformed back. Written
 * once for vectors of lanes_avx2.h; conv3d_avx2.c and conv3d_avx512.c compile it. */
#ifndef WILLIS_NN_CONV3D_BLOCK_AVX2_H
#define WILLIS_NN_CONV3D_BLOCK_AVX2_H

#include "nn/winograd_tile_avx2.h"

enum {
  ROWS = PARTS == 1 ? 12 : 6, /* of a product held in registers */
  BLOCK = 12,                 /* tiles: V of 32 channels and M of SPAN are 0.5 MB */
  SPAN = GROUP,               /* outputs */
  PART = 64,                  /* inputs */
  STAGGER = GROUP             /* keeps the frequencies off the same cache sets */
};

WINOGRAD_INLINE ptrdiff_t least(ptrdiff_t a, ptrdiff_t b) {
  return a < b ? a : b;
}

/* m[t][0..GROUP) = Σ_i v[t][i]·u[i][0..GROUP) for `rows` tiles t. Long sums are made of parts of
 * PART terms, which halves their rounding error at 128 inputs. */
WINOGRAD_INLINE void multiply_rows(int rows, const float *v, ptrdiff_t inputs, const float *u,
                                   float *m, ptrdiff_t m_stride) {
  for (ptrdiff_t part = 0; part < inputs; part += PART) {
    ptrdiff_t end = least(inputs, part + PART);
    lanes sum[ROWS][PARTS];
    for (int r = 0; r < rows; r++)
      for (int h = 0; h < PARTS; h++) sum[r][h] = lanes_zero();
    _Pragma("GCC unroll 8") for (ptrdiff_t i = part; i < end; i++) {
      lanes w[PARTS];
      for (int h = 0; h < PARTS; h++) w[h] = lanes_load(u + i * GROUP + h * LANES);
      _Pragma("GCC unroll 12") for (int r = 0; r < rows; r++) {
        lanes a = lanes_all(v[r * inputs + i]);
        for (int h = 0; h < PARTS; h++) sum[r][h] = lanes_fmadd(a, w[h], sum[r][h]);
      }
    }
    _Pragma("GCC unroll 12") for (int r = 0; r < rows; r++) for (int h = 0; h < PARTS; h++) {
      float *to = m + r * m_stride + h * LANES;
      if (part) sum[r][h] = lanes_add(lanes_load(to), sum[r][h]);
      lanes_store(to, sum[r][h]);
    }
  }
}

/* The number of rows is a constant in each, so that the sums stay in registers. */
#define MULTIPLY_ROWS(rows)                                                                        \
  case rows:                                                                                       \
    multiply_rows(rows, v, inputs, u, m, m_stride);                                                \
    break;

#ifdef __AVX512F__
/* Twelve rows apart by a distance known only at run time would take more registers for addresses
 * than there are: it is a constant where `inputs` is. Up to three rows are multiplied for nothing,
 * since V and M have room for BLOCK of them. */
WINOGRAD_INLINE void multiply_wide(ptrdiff_t tiles, const float *v, const ptrdiff_t inputs,
                                   const float *u, float *m, ptrdiff_t m_stride) {
  switch ((tiles + 3) / 4 * 4) {
    MULTIPLY_ROWS(12)
    MULTIPLY_ROWS(8)
    MULTIPLY_ROWS(4)
  }
}

WINOGRAD_INLINE void multiply(ptrdiff_t tiles, const float *v, ptrdiff_t inputs, const float *u,
                              float *m, ptrdiff_t m_stride) {
  switch (inputs) {
  case 32:
    multiply_wide(tiles, v, 32, u, m, m_stride);
    break;
  case 64:
    multiply_wide(tiles, v, 64, u, m, m_stride);
    break;
  case 128:
    multiply_wide(tiles, v, 128, u, m, m_stride);
    break;
  default:
    multiply_wide(tiles, v, inputs, u, m, m_stride);
  }
}
#else
WINOGRAD_INLINE void multiply(ptrdiff_t tiles, const float *v, ptrdiff_t inputs, const float *u,
                              float *m, ptrdiff_t m_stride) {
  for (; tiles >= ROWS; tiles -= ROWS, v += ROWS * inputs, m += ROWS * m_stride)
    multiply_rows(ROWS, v, inputs, u, m, m_stride);
  switch (tiles) {
    MULTIPLY_ROWS(5)
    MULTIPLY_ROWS(4)
    MULTIPLY_ROWS(3)
    MULTIPLY_ROWS(2)
    MULTIPLY_ROWS(1)
  default:
    break;
  }
}
#endif
#undef MULTIPLY_ROWS

/* What a pass over the tiles needs to know. */
struct pass {
  struct tile_source source;
  struct tile_grid grid;
  ptrdiff_t inputs, outputs;
  const float *packed, *bias;
  float *y; /* planes [grid.begin, grid.end); or null */
  const struct willis_conv3d_pooled *pooled;
};

/* A finished tile: 4×4×4 pixels of GROUP channels at (z, y, x), and how much of it is inside. */
struct finished {
  float value[TILE][TILE][TILE][GROUP];
  ptrdiff_t z, y, x, depth, height, width, channel;
};

/* Sums of one tile in single precision, of tiles in double. */
WINOGRAD_INLINE void add_sums(const struct finished *tile, double *sum, double *square) {
  for (int half = 0; half < GROUP; half += LANES) {
    lanes s = lanes_zero(), q = lanes_zero();
    for (ptrdiff_t i = 0; i < tile->depth; i++)
      for (ptrdiff_t j = 0; j < tile->height; j++)
        for (ptrdiff_t k = 0; k < tile->width; k++) {
          lanes v = lanes_load(tile->value[i][j][k] + half);
          s = lanes_add(s, v);
          q = lanes_fmadd(v, v, q);
        }
    for (int c = 0; c < LANES; c++) {
      sum[half + c] += (double)s[c];
      square[half + c] += (double)q[c];
    }
  }
}

WINOGRAD_INLINE void add_bias(struct finished *tile, const float *bias) {
  for (int half = 0; half < GROUP; half += LANES) {
    const lanes b = lanes_load_any(bias + tile->channel + half);
    float *pixel = &tile->value[0][0][0][half];
    for (int i = 0; i < TILE * TILE * TILE; i++, pixel += GROUP)
      lanes_store(pixel, lanes_add(lanes_load(pixel), b));
  }
}

WINOGRAD_INLINE void store_tile(const struct pass *p, const struct finished *tile) {
  ptrdiff_t height = p->source.height, width = p->source.width;
  for (ptrdiff_t i = 0; i < tile->depth; i++)
    for (ptrdiff_t j = 0; j < tile->height; j++) {
      ptrdiff_t line = (tile->z + i - p->grid.begin) * height + tile->y + j;
      float *to = p->y + (line * width + tile->x) * p->outputs + tile->channel;
      for (ptrdiff_t k = 0; k < tile->width; k++, to += p->outputs) {
        const float *from = tile->value[i][j][k];
        for (int half = 0; half < GROUP; half += LANES)
          lanes_stream(to + half, lanes_load(from + half));
      }
    }
}

/* Extreme and its position of LANES channels of the window at (i, j, k) of the tile. `flip` holds
 * the sign bit of channels whose minimum is wanted. A NaN shows in the sums. */
WINOGRAD_INLINE lanes window_extreme(const struct finished *tile, ptrdiff_t i, ptrdiff_t j,
                                     ptrdiff_t k, int half, lanes flip, lanes_int *position) {
  lanes best = lanes_xor(lanes_load(tile->value[i][j][k] + half), flip);
  *position = lanes_no_position();
  _Pragma("GCC unroll 8") for (int n = 1; n < 8; n++) {
    const float *from = tile->value[i + (n >> 2)][j + (n >> 1 & 1)][k + (n & 1)] + half;
    lanes_keep_larger(lanes_xor(lanes_load(from), flip), n, &best, position);
  }
  return lanes_xor(best, flip);
}

WINOGRAD_INLINE void pool_tile(const struct pass *p, const struct finished *tile) {
  const struct willis_conv3d_pooled *pooled = p->pooled;
  ptrdiff_t height = p->source.height / 2, width = p->source.width / 2;
  lanes flip[PARTS];
  for (int h = 0; h < PARTS; h++)
    flip[h] = lanes_sign_if_negative(lanes_load_any(pooled->sign + tile->channel + h * LANES));
  for (ptrdiff_t i = 0; i < tile->depth; i += 2)
    for (ptrdiff_t j = 0; j < tile->height; j += 2)
      for (ptrdiff_t k = 0; k < tile->width; k += 2) {
        ptrdiff_t line = (tile->z + i - p->grid.begin) / 2 * height + (tile->y + j) / 2;
        ptrdiff_t at = (line * width + (tile->x + k) / 2) * p->outputs + tile->channel;
        lanes_int position[PARTS];
        for (int h = 0; h < PARTS; h++)
          lanes_store_any(pooled->extreme + at + h * LANES,
                          window_extreme(tile, i, j, k, h * LANES, flip[h], &position[h]));
        lanes_store_bytes(pooled->argmax + at, position);
      }
}

WINOGRAD_INLINE void finish_tile(const struct pass *p, const float *m, ptrdiff_t frequency_stride,
                                 ptrdiff_t z, ptrdiff_t y, ptrdiff_t x, ptrdiff_t channel,
                                 double *sums) {
  _Alignas(64) struct finished tile;
  tile.z = z, tile.y = y, tile.x = x, tile.channel = channel;
  tile.depth = least(TILE, p->grid.end - z);
  tile.height = least(TILE, p->source.height - y);
  tile.width = least(TILE, p->source.width - x);
  tile_output(m, frequency_stride, &tile.value[0][0][0][0]);
  if (sums) add_sums(&tile, sums + channel, sums + p->outputs + channel);
  if (p->bias) add_bias(&tile, p->bias);
  if (p->y) store_tile(p, &tile);
  if (p->pooled) pool_tile(p, &tile);
}

/* Puts out a block and meanwhile asks for the voxels of one to come. */
WINOGRAD_INLINE void conv3d_block(const struct pass *p, struct tile_block block,
                                  struct tile_block next, double *sums, float *v) {
  ptrdiff_t first = block.first, last = block.last;
  ptrdiff_t v_stride = BLOCK * p->inputs + STAGGER;
  float *m = v + FREQUENCIES * v_stride;
  ptrdiff_t z = p->grid.begin + block.layer * TILE, columns = p->grid.columns;
  for (ptrdiff_t t = first; t < last; t++)
    for (ptrdiff_t c = 0; c < p->inputs; c += GROUP)
      tile_input(&p->source, z - 1, t / columns * TILE - 1, t % columns * TILE - 1, c,
                 v + (t - first) * p->inputs + c, v_stride);
  if (sums) memset(sums, 0, sizeof(double) * 2 * (size_t)p->outputs);
  for (ptrdiff_t span = 0; span < p->outputs; span += SPAN) {
    ptrdiff_t width = least(SPAN, p->outputs - span), m_stride = BLOCK * width + STAGGER;
    const float *u = p->packed + span * FREQUENCIES * p->inputs;
    for (ptrdiff_t f = 0; f < FREQUENCIES; f++) {
      if (!span) tile_fetch(&p->source, &p->grid, &next, f, 1);
      for (ptrdiff_t o = 0; o < width; o += GROUP, u += GROUP * p->inputs)
        multiply(last - first, v + f * v_stride, p->inputs, u, m + f * m_stride + o, width);
    }
    for (ptrdiff_t t = first; t < last; t++)
      for (ptrdiff_t o = 0; o < width; o += GROUP)
        finish_tile(p, m + (t - first) * width + o, m_stride, z, t / columns * TILE,
                    t % columns * TILE, span + o, sums);
  }
  _mm_sfence(); /* the streamed tiles are seen by whoever waits for this thread */
}

/* conv3d_block() as conv3d_avx512.c has it. */
void willis_conv3d_block_avx512(const struct pass *p, struct tile_block block,
                                struct tile_block next, double *sums, float *v);

#endif
