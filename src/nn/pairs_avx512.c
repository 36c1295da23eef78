/* The register tiles of pairs_avx2.c with vectors of 16 and twice the registers: two panels of 24
 * outputs are three vectors, one is a vector and a half. Every sum is the same chain of FMAs over
 * the same index in the same order, so the bits are those of AVX2. */
#include "nn/pairs.h"

#include <immintrin.h>

enum {
  LANES = 16,
  PANEL = WILLIS_PAIRS_PANEL,
  PAIR = 2 * PANEL,
  MOST_VECTORS = PAIR / LANES,
  MOST_ROWS = 8
};

#define INLINE static inline __attribute__((always_inline))
#define ONES(width) ((__mmask16)((width) >= LANES ? 0xffff : (1 << (width)) - 1))

/* Of `width` floats at p those of vector v; width is a constant wherever this is used. */
INLINE __m512 load(const int width, const float *p, int v) {
  return width - v * LANES >= LANES ? _mm512_loadu_ps(p + v * LANES)
                                    : _mm512_maskz_loadu_ps(ONES(width - v * LANES), p + v * LANES);
}
INLINE void store(const int width, float *p, int v, __m512 value) {
  if (width - v * LANES >= LANES)
    _mm512_storeu_ps(p + v * LANES, value);
  else
    _mm512_mask_storeu_ps(p + v * LANES, ONES(width - v * LANES), value);
}

/* Packed weights of one input: one panel, or two that lie `next` floats apart. */
INLINE __m512 weights(const int width, const float *w, ptrdiff_t next, int v) {
  if (width != PAIR) return load(width, w, v);
  if (v == 0) return _mm512_loadu_ps(w);
  if (v == 2) return _mm512_loadu_ps(w + next + LANES / 2);
  return _mm512_insertf32x8(_mm512_castps256_ps512(_mm256_loadu_ps(w + LANES)),
                            _mm256_loadu_ps(w + next), 1);
}

INLINE void product_tile(const int rows, const int width, const int32_t *from, const int32_t *to,
                         const float *x, ptrdiff_t x_stride, int inputs, const float *w, float *y,
                         ptrdiff_t y_stride) {
  const int vectors = (width + LANES - 1) / LANES, step = width < PANEL ? width : PANEL;
  __m512 sum[MOST_ROWS][MOST_VECTORS];
  const float *row[MOST_ROWS];
#pragma GCC unroll 8
  for (int r = 0; r < rows; r++) {
    row[r] = x + from[r] * x_stride;
#pragma GCC unroll 3
    for (int v = 0; v < vectors; v++) sum[r][v] = load(width, y + to[r] * y_stride, v);
  }
  const ptrdiff_t next = (ptrdiff_t)PANEL * inputs;
  for (int k = 0; k < inputs; k++, w += step) {
    __m512 b[MOST_VECTORS];
#pragma GCC unroll 3
    for (int v = 0; v < vectors; v++) b[v] = weights(width, w, next, v);
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) {
      const __m512 value = _mm512_set1_ps(row[r][k]);
#pragma GCC unroll 3
      for (int v = 0; v < vectors; v++) sum[r][v] = _mm512_fmadd_ps(value, b[v], sum[r][v]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 3
    for (int v = 0; v < vectors; v++) store(width, y + to[r] * y_stride, v, sum[r][v]);
}

#define PRODUCT(width)                                                                             \
  static void product_##width(const struct willis_pairs *pairs, const float *x,                    \
                              ptrdiff_t x_stride, int inputs, const float *w, float *y,            \
                              ptrdiff_t y_stride) {                                                \
    ptrdiff_t p = 0;                                                                               \
    for (; p + MOST_ROWS <= pairs->count; p += MOST_ROWS)                                          \
      product_tile(MOST_ROWS, width, pairs->from + p, pairs->to + p, x, x_stride, inputs, w, y,    \
                   y_stride);                                                                      \
    for (; p + 2 <= pairs->count; p += 2)                                                          \
      product_tile(2, width, pairs->from + p, pairs->to + p, x, x_stride, inputs, w, y, y_stride); \
    if (p < pairs->count)                                                                          \
      product_tile(1, width, pairs->from + p, pairs->to + p, x, x_stride, inputs, w, y, y_stride); \
  }
PRODUCT(48)
PRODUCT(24)
PRODUCT(16)
PRODUCT(8)

INLINE void outer_tile(const int inputs, const int width, const struct willis_pairs *pairs,
                       const float *x, ptrdiff_t x_stride, const float *d_y, ptrdiff_t y_stride,
                       float *d_w, int outputs) {
  const int vectors = (width + LANES - 1) / LANES;
  __m512 sum[MOST_ROWS][MOST_VECTORS];
#pragma GCC unroll 8
  for (int k = 0; k < inputs; k++)
#pragma GCC unroll 3
    for (int v = 0; v < vectors; v++) sum[k][v] = load(width, d_w + (ptrdiff_t)k * outputs, v);
  for (ptrdiff_t p = 0; p < pairs->count; p++) {
    const float *a = x + pairs->from[p] * x_stride, *from = d_y + pairs->to[p] * y_stride;
    __m512 b[MOST_VECTORS];
#pragma GCC unroll 3
    for (int v = 0; v < vectors; v++) b[v] = load(width, from, v);
#pragma GCC unroll 8
    for (int k = 0; k < inputs; k++) {
      const __m512 value = _mm512_set1_ps(a[k]);
#pragma GCC unroll 3
      for (int v = 0; v < vectors; v++) sum[k][v] = _mm512_fmadd_ps(value, b[v], sum[k][v]);
    }
  }
#pragma GCC unroll 8
  for (int k = 0; k < inputs; k++)
#pragma GCC unroll 3
    for (int v = 0; v < vectors; v++) store(width, d_w + (ptrdiff_t)k * outputs, v, sum[k][v]);
}

#define OUTER(width)                                                                               \
  static void outer_##width(const struct willis_pairs *pairs, const float *x, ptrdiff_t x_stride,  \
                            int inputs, const float *d_y, ptrdiff_t y_stride, float *d_w,          \
                            int outputs) {                                                         \
    int k = 0;                                                                                     \
    for (; k + MOST_ROWS <= inputs; k += MOST_ROWS)                                                \
      outer_tile(MOST_ROWS, width, pairs, x + k, x_stride, d_y, y_stride,                          \
                 d_w + (ptrdiff_t)k * outputs, outputs);                                           \
    for (; k < inputs; k++)                                                                        \
      outer_tile(1, width, pairs, x + k, x_stride, d_y, y_stride, d_w + (ptrdiff_t)k * outputs,    \
                 outputs);                                                                         \
  }
OUTER(48)
OUTER(24)
OUTER(16)
OUTER(8)

/* The widest first. What is left below a panel is a panel of its own, and 40 is 24 and 16. */
static const struct {
  int width;
  void (*product)(const struct willis_pairs *, const float *, ptrdiff_t, int, const float *,
                  float *, ptrdiff_t);
  void (*outer)(const struct willis_pairs *, const float *, ptrdiff_t, int, const float *,
                ptrdiff_t, float *, int);
} tiles[] = {
    {PAIR, product_48, outer_48},
    {PANEL, product_24, outer_24},
    {16, product_16, outer_16},
    {8, product_8, outer_8},
};

static int tile_for(int outputs) {
  int t = 0;
  while (tiles[t].width > outputs) t++;
  return t;
}

static void product(const struct willis_pairs *pairs, const float *x, ptrdiff_t x_stride,
                    int inputs, const float *packed, int outputs, float *y, ptrdiff_t y_stride) {
  for (int first = 0; first < outputs;) {
    const int t = tile_for(outputs - first);
    tiles[t].product(pairs, x, x_stride, inputs, packed + (ptrdiff_t)first * inputs, y + first,
                     y_stride);
    first += tiles[t].width;
  }
}

static void outer(const struct willis_pairs *pairs, const float *x, ptrdiff_t x_stride, int inputs,
                  const float *d_y, ptrdiff_t y_stride, int outputs, float *d_w) {
  for (int first = 0; first < outputs;) {
    const int t = tile_for(outputs - first);
    tiles[t].outer(pairs, x, x_stride, inputs, d_y + first, y_stride, d_w + first, outputs);
    first += tiles[t].width;
  }
}

const struct willis_pair_kernels willis_pairs_avx512 = {product, outer};
