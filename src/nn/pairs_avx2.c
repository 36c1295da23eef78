/* Register tiles of 4 rows × 24 outputs (6 × 16, 8 × 8 for what is left): twelve accumulators keep
 * both FMA units busy while rows are picked from anywhere. */
#include "nn/pairs.h"

#include <immintrin.h>

enum { LANES = 8, MOST_VECTORS = WILLIS_PAIRS_PANEL / LANES, MOST_ROWS = 8 };

#define INLINE static inline __attribute__((always_inline))

/* Rows and vectors are constants wherever this is used, so that the sums stay in registers. */
INLINE void product_tile(const int rows, const int vectors, const int32_t *from, const int32_t *to,
                         const float *x, ptrdiff_t x_stride, int inputs, const float *w, float *y,
                         ptrdiff_t y_stride) {
  __m256 sum[MOST_ROWS][MOST_VECTORS];
  const float *row[MOST_ROWS];
#pragma GCC unroll 8
  for (int r = 0; r < rows; r++) {
    row[r] = x + from[r] * x_stride;
#pragma GCC unroll 3
    for (int v = 0; v < vectors; v++) sum[r][v] = _mm256_loadu_ps(y + to[r] * y_stride + v * LANES);
  }
  for (int k = 0; k < inputs; k++, w += vectors * LANES) {
    __m256 b[MOST_VECTORS];
#pragma GCC unroll 3
    for (int v = 0; v < vectors; v++) b[v] = _mm256_loadu_ps(w + v * LANES);
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) {
      const __m256 value = _mm256_broadcast_ss(row[r] + k);
#pragma GCC unroll 3
      for (int v = 0; v < vectors; v++) sum[r][v] = _mm256_fmadd_ps(value, b[v], sum[r][v]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 3
    for (int v = 0; v < vectors; v++) _mm256_storeu_ps(y + to[r] * y_stride + v * LANES, sum[r][v]);
}

#define PRODUCT(rows, vectors)                                                                     \
  static void product_##rows##_##vectors(const struct willis_pairs *pairs, const float *x,         \
                                         ptrdiff_t x_stride, int inputs, const float *w, float *y, \
                                         ptrdiff_t y_stride) {                                     \
    ptrdiff_t p = 0;                                                                               \
    for (; p + (rows) <= pairs->count; p += (rows))                                                \
      product_tile(rows, vectors, pairs->from + p, pairs->to + p, x, x_stride, inputs, w, y,       \
                   y_stride);                                                                      \
    for (; p < pairs->count; p++)                                                                  \
      product_tile(1, vectors, pairs->from + p, pairs->to + p, x, x_stride, inputs, w, y,          \
                   y_stride);                                                                      \
  }
PRODUCT(4, 3)
PRODUCT(6, 2)
PRODUCT(8, 1)

static void product(const struct willis_pairs *pairs, const float *x, ptrdiff_t x_stride,
                    int inputs, const float *packed, int outputs, float *y, ptrdiff_t y_stride) {
  for (int first = 0; first < outputs; first += WILLIS_PAIRS_PANEL) {
    const float *w = packed + (ptrdiff_t)first * inputs;
    if (outputs - first >= 3 * LANES)
      product_4_3(pairs, x, x_stride, inputs, w, y + first, y_stride);
    else if (outputs - first == 2 * LANES)
      product_6_2(pairs, x, x_stride, inputs, w, y + first, y_stride);
    else
      product_8_1(pairs, x, x_stride, inputs, w, y + first, y_stride);
  }
}

INLINE void outer_tile(const int inputs, const int vectors, const struct willis_pairs *pairs,
                       const float *x, ptrdiff_t x_stride, const float *d_y, ptrdiff_t y_stride,
                       float *d_w, int outputs) {
  __m256 sum[MOST_ROWS][MOST_VECTORS];
#pragma GCC unroll 8
  for (int k = 0; k < inputs; k++)
#pragma GCC unroll 3
    for (int v = 0; v < vectors; v++)
      sum[k][v] = _mm256_loadu_ps(d_w + (ptrdiff_t)k * outputs + v * LANES);
  for (ptrdiff_t p = 0; p < pairs->count; p++) {
    const float *a = x + pairs->from[p] * x_stride, *from = d_y + pairs->to[p] * y_stride;
    __m256 b[MOST_VECTORS];
#pragma GCC unroll 3
    for (int v = 0; v < vectors; v++) b[v] = _mm256_loadu_ps(from + v * LANES);
#pragma GCC unroll 8
    for (int k = 0; k < inputs; k++) {
      const __m256 value = _mm256_broadcast_ss(a + k);
#pragma GCC unroll 3
      for (int v = 0; v < vectors; v++) sum[k][v] = _mm256_fmadd_ps(value, b[v], sum[k][v]);
    }
  }
#pragma GCC unroll 8
  for (int k = 0; k < inputs; k++)
#pragma GCC unroll 3
    for (int v = 0; v < vectors; v++)
      _mm256_storeu_ps(d_w + (ptrdiff_t)k * outputs + v * LANES, sum[k][v]);
}

#define OUTER(rows, vectors)                                                                       \
  static void outer_##rows##_##vectors(const struct willis_pairs *pairs, const float *x,           \
                                       ptrdiff_t x_stride, int inputs, const float *d_y,           \
                                       ptrdiff_t y_stride, float *d_w, int outputs) {              \
    int k = 0;                                                                                     \
    for (; k + (rows) <= inputs; k += (rows))                                                      \
      outer_tile(rows, vectors, pairs, x + k, x_stride, d_y, y_stride,                             \
                 d_w + (ptrdiff_t)k * outputs, outputs);                                           \
    for (; k < inputs; k++)                                                                        \
      outer_tile(1, vectors, pairs, x + k, x_stride, d_y, y_stride, d_w + (ptrdiff_t)k * outputs,  \
                 outputs);                                                                         \
  }
OUTER(4, 3)
OUTER(6, 2)
OUTER(8, 1)

static void outer(const struct willis_pairs *pairs, const float *x, ptrdiff_t x_stride, int inputs,
                  const float *d_y, ptrdiff_t y_stride, int outputs, float *d_w) {
  for (int first = 0; first < outputs; first += WILLIS_PAIRS_PANEL) {
    if (outputs - first >= 3 * LANES)
      outer_4_3(pairs, x, x_stride, inputs, d_y + first, y_stride, d_w + first, outputs);
    else if (outputs - first == 2 * LANES)
      outer_6_2(pairs, x, x_stride, inputs, d_y + first, y_stride, d_w + first, outputs);
    else
      outer_8_1(pairs, x, x_stride, inputs, d_y + first, y_stride, d_w + first, outputs);
  }
}

const struct willis_pair_kernels willis_pairs_avx2 = {product, outer};
