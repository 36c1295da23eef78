/* Register tiles of 8 × 32: two panels side by side, so that a value that is spread over a vector
 * is used twice. Every sum is the chain of FMAs of gemm_avx2.c, and has its bits. */
#include "nn/gemm_avx2.h"

#include <immintrin.h>

enum { LANES = WILLIS_GEMM_PANEL, PANELS = 2, ROWS = 8 };

#define INLINE static inline __attribute__((always_inline))

/* Rows and panels are constants wherever this is used, so that the sums stay in registers. */
INLINE void tile(const int rows, const int panels, const float *a, ptrdiff_t a_stride, int depth,
                 const float *b, const float *start, float *c, ptrdiff_t c_stride) {
  __m512 sum[ROWS][PANELS];
  const float *row[ROWS];
#pragma GCC unroll 8
  for (int r = 0; r < rows; r++) {
    row[r] = a + r * a_stride;
    for (int p = 0; p < panels; p++) sum[r][p] = _mm512_loadu_ps(start + p * LANES);
  }
  const float *next = b + (ptrdiff_t)depth * LANES;
  for (int k = 0; k < depth; k++) {
    __m512 w[PANELS];
    w[0] = _mm512_loadu_ps(b + (ptrdiff_t)k * LANES);
    if (panels > 1) w[1] = _mm512_loadu_ps(next + (ptrdiff_t)k * LANES);
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) {
      const __m512 value = _mm512_set1_ps(row[r][k]);
      for (int p = 0; p < panels; p++) sum[r][p] = _mm512_fmadd_ps(value, w[p], sum[r][p]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < rows; r++)
    for (int p = 0; p < panels; p++) _mm512_storeu_ps(c + r * c_stride + p * LANES, sum[r][p]);
}

#define TILE(rows, panels)                                                                         \
  static void tile_##rows##_##panels(const float *a, ptrdiff_t a_stride, int depth,                \
                                     const float *b, const float *start, float *c,                 \
                                     ptrdiff_t c_stride) {                                         \
    tile(rows, panels, a, a_stride, depth, b, start, c, c_stride);                                 \
  }
TILE(1, 1)
TILE(2, 1)
TILE(4, 1)
TILE(8, 1)
TILE(1, 2)
TILE(2, 2)
TILE(4, 2)
TILE(8, 2)

static void (*const tiles[PANELS][4])(const float *, ptrdiff_t, int, const float *, const float *,
                                      float *, ptrdiff_t) = {
    {tile_1_1, tile_2_1, tile_4_1, tile_8_1}, {tile_1_2, tile_2_2, tile_4_2, tile_8_2}};

static void product(ptrdiff_t rows, const float *a, ptrdiff_t a_stride, int depth,
                    const float *packed, const float *start, int outputs, float *c,
                    ptrdiff_t c_stride) {
  for (int o = 0, panels; o < outputs; o += panels * LANES) {
    panels = outputs - o > LANES ? 2 : 1;
    for (ptrdiff_t r = 0; r < rows;) {
      int size = 3; /* the largest power of two that is left */
      while (rows - r < 1 << size) size--;
      tiles[panels - 1][size](a + r * a_stride, a_stride, depth, packed + (ptrdiff_t)o * depth,
                              start + o, c + r * c_stride + o, c_stride);
      r += 1 << size;
    }
  }
}

INLINE void transposed_tile(const int inputs, const int panels, ptrdiff_t rows, const float *a,
                            ptrdiff_t a_stride, const float *b, ptrdiff_t b_stride, float *c,
                            int outputs) {
  __m512 sum[ROWS][PANELS];
#pragma GCC unroll 8
  for (int i = 0; i < inputs; i++)
    for (int p = 0; p < panels; p++)
      sum[i][p] = _mm512_loadu_ps(c + (ptrdiff_t)i * outputs + p * LANES);
  for (ptrdiff_t r = 0; r < rows; r++, a += a_stride, b += b_stride) {
    __m512 w[PANELS];
    for (int p = 0; p < panels; p++) w[p] = _mm512_loadu_ps(b + p * LANES);
#pragma GCC unroll 8
    for (int i = 0; i < inputs; i++) {
      const __m512 value = _mm512_set1_ps(a[i]);
      for (int p = 0; p < panels; p++) sum[i][p] = _mm512_fmadd_ps(value, w[p], sum[i][p]);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < inputs; i++)
    for (int p = 0; p < panels; p++)
      _mm512_storeu_ps(c + (ptrdiff_t)i * outputs + p * LANES, sum[i][p]);
}

/* Inputs come in fours. */
INLINE void transposed_panels(const int panels, ptrdiff_t rows, const float *a, ptrdiff_t a_stride,
                              int inputs, const float *b, ptrdiff_t b_stride, float *c,
                              int outputs) {
  int i = 0;
  for (; i + ROWS <= inputs; i += ROWS)
    transposed_tile(ROWS, panels, rows, a + i, a_stride, b, b_stride, c + (ptrdiff_t)i * outputs,
                    outputs);
  if (i < inputs)
    transposed_tile(ROWS / 2, panels, rows, a + i, a_stride, b, b_stride,
                    c + (ptrdiff_t)i * outputs, outputs);
}

static void product_transposed(ptrdiff_t rows, const float *a, ptrdiff_t a_stride, int inputs,
                               const float *b, ptrdiff_t b_stride, int outputs, float *c) {
  int o = 0;
  for (; o + PANELS * LANES <= outputs; o += PANELS * LANES)
    transposed_panels(PANELS, rows, a, a_stride, inputs, b + o, b_stride, c + o, outputs);
  if (o < outputs) transposed_panels(1, rows, a, a_stride, inputs, b + o, b_stride, c + o, outputs);
}

const struct willis_gemm_kernels willis_gemm_kernels_avx512 = {product, product_transposed};
