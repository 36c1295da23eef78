/* Register tiles: 6 × 16 for products, 4 × 16 for transposed ones; 12 or 8 accumulators keep both
 * FMA units busy, and every load is used several times. */
#include "nn/gemm_avx2.h"

#include "base/cpu.h"

#include <immintrin.h>

enum { LANES = 8, ROWS = 6, INPUTS = 4 };

#define INLINE static inline __attribute__((always_inline))

INLINE void tile(const int rows, const float *a, ptrdiff_t a_stride, int depth, const float *b,
                 const float *start, float *c, ptrdiff_t c_stride) {
  __m256 sum[ROWS][2];
  for (int r = 0; r < rows; r++) {
    sum[r][0] = _mm256_loadu_ps(start);
    sum[r][1] = _mm256_loadu_ps(start + LANES);
  }
  for (int k = 0; k < depth; k++, b += WILLIS_GEMM_PANEL) {
    const __m256 b0 = _mm256_load_ps(b), b1 = _mm256_load_ps(b + LANES);
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++) {
      const __m256 value = _mm256_broadcast_ss(a + r * a_stride + k);
      sum[r][0] = _mm256_fmadd_ps(value, b0, sum[r][0]);
      sum[r][1] = _mm256_fmadd_ps(value, b1, sum[r][1]);
    }
  }
  for (int r = 0; r < rows; r++) {
    _mm256_storeu_ps(c + r * c_stride, sum[r][0]);
    _mm256_storeu_ps(c + r * c_stride + LANES, sum[r][1]);
  }
}

/* The number of rows is a constant in each, so that the sums stay in registers. */
#define TILE(rows)                                                                                 \
  static void tile_##rows(const float *a, ptrdiff_t a_stride, int depth, const float *b,           \
                          const float *start, float *c, ptrdiff_t c_stride) {                      \
    tile(rows, a, a_stride, depth, b, start, c, c_stride);                                         \
  }
TILE(1)
TILE(2)
TILE(3)
TILE(4)
TILE(5)
TILE(6)

static void (*const tiles[ROWS + 1])(const float *, ptrdiff_t, int, const float *, const float *,
                                     float *, ptrdiff_t) = {NULL,   tile_1, tile_2, tile_3,
                                                            tile_4, tile_5, tile_6};

static void product(ptrdiff_t rows, const float *a, ptrdiff_t a_stride, int depth,
                    const float *packed, const float *start, int outputs, float *c,
                    ptrdiff_t c_stride) {
  for (int o = 0; o < outputs; o += WILLIS_GEMM_PANEL)
    for (ptrdiff_t r = 0; r < rows; r += ROWS)
      tiles[rows - r < ROWS ? rows - r : ROWS](a + r * a_stride, a_stride, depth,
                                               packed + (ptrdiff_t)o * depth, start + o,
                                               c + r * c_stride + o, c_stride);
}

static void product_transposed(ptrdiff_t rows, const float *a, ptrdiff_t a_stride, int inputs,
                               const float *b, ptrdiff_t b_stride, int outputs, float *c) {
  for (int o = 0; o < outputs; o += WILLIS_GEMM_PANEL)
    for (int i = 0; i < inputs; i += INPUTS) {
      __m256 sum[INPUTS][2];
      for (int j = 0; j < INPUTS; j++) {
        sum[j][0] = _mm256_loadu_ps(c + (ptrdiff_t)(i + j) * outputs + o);
        sum[j][1] = _mm256_loadu_ps(c + (ptrdiff_t)(i + j) * outputs + o + LANES);
      }
      for (ptrdiff_t r = 0; r < rows; r++) {
        const __m256 b0 = _mm256_loadu_ps(b + r * b_stride + o);
        const __m256 b1 = _mm256_loadu_ps(b + r * b_stride + o + LANES);
#pragma GCC unroll 4
        for (int j = 0; j < INPUTS; j++) {
          const __m256 value = _mm256_broadcast_ss(a + r * a_stride + i + j);
          sum[j][0] = _mm256_fmadd_ps(value, b0, sum[j][0]);
          sum[j][1] = _mm256_fmadd_ps(value, b1, sum[j][1]);
        }
      }
      for (int j = 0; j < INPUTS; j++) {
        _mm256_storeu_ps(c + (ptrdiff_t)(i + j) * outputs + o, sum[j][0]);
        _mm256_storeu_ps(c + (ptrdiff_t)(i + j) * outputs + o + LANES, sum[j][1]);
      }
    }
}

const struct willis_gemm_kernels willis_gemm_kernels_avx2 = {product, product_transposed};

const struct willis_gemm_kernels *willis_gemm(void) {
  return willis_cpu_features() & WILLIS_CPU_AVX512 ? &willis_gemm_kernels_avx512
                                                   : &willis_gemm_kernels_avx2;
}

void willis_gemm8_avx2(ptrdiff_t rows, const float *a, ptrdiff_t a_stride, int depth,
                       const float *b, const float *start, float *c) {
  enum { AT_ONCE = 8 };
  const __m256 first = _mm256_loadu_ps(start);
  ptrdiff_t r = 0;
  for (; r + AT_ONCE <= rows; r += AT_ONCE) {
    __m256 sum[AT_ONCE];
    for (int j = 0; j < AT_ONCE; j++) sum[j] = first;
    for (int k = 0; k < depth; k++) {
      const __m256 w = _mm256_loadu_ps(b + k * LANES);
#pragma GCC unroll 8
      for (int j = 0; j < AT_ONCE; j++)
        sum[j] = _mm256_fmadd_ps(_mm256_broadcast_ss(a + (r + j) * a_stride + k), w, sum[j]);
    }
    for (int j = 0; j < AT_ONCE; j++) _mm256_storeu_ps(c + (r + j) * LANES, sum[j]);
  }
  for (; r < rows; r++) {
    __m256 sum = first;
    for (int k = 0; k < depth; k++)
      sum = _mm256_fmadd_ps(_mm256_broadcast_ss(a + r * a_stride + k),
                            _mm256_loadu_ps(b + k * LANES), sum);
    _mm256_storeu_ps(c + r * LANES, sum);
  }
}

void willis_gemm8_transposed_avx2(ptrdiff_t rows, const float *a, ptrdiff_t a_stride, int inputs,
                                  const float *b, float *c) {
  enum { AT_ONCE = 8 };
  for (int i = 0; i < inputs; i += AT_ONCE) {
    __m256 sum[AT_ONCE];
    for (int j = 0; j < AT_ONCE; j++) sum[j] = _mm256_loadu_ps(c + (i + j) * LANES);
    for (ptrdiff_t r = 0; r < rows; r++) {
      const __m256 value = _mm256_loadu_ps(b + r * LANES);
#pragma GCC unroll 8
      for (int j = 0; j < AT_ONCE; j++)
        sum[j] = _mm256_fmadd_ps(_mm256_broadcast_ss(a + r * a_stride + i + j), value, sum[j]);
    }
    for (int j = 0; j < AT_ONCE; j++) _mm256_storeu_ps(c + (i + j) * LANES, sum[j]);
  }
}
