/* Small matrix products on AVX2 and FMA, or AVX-512, for tiles that stay in a core's cache.
 * Row-major, `…_stride` floats from row to row. One thread; sums in float, in the order of the
 * summed index.
 */
#ifndef WILLIS_NN_GEMM_AVX2_H
#define WILLIS_NN_GEMM_AVX2_H

#include <stddef.h>

/* Columns that are packed together: b as [outputs/16][depth][16], aligned to 32 bytes. */
enum { WILLIS_GEMM_PANEL = 16 };

struct willis_gemm_kernels {
  /* c[r][o] = start[o] + Σ_k a[r][k]·b[k][o] for r < rows, k < depth, o < outputs (a multiple of
   * 16); b packed. */
  void (*product)(ptrdiff_t rows, const float *a, ptrdiff_t a_stride, int depth,
                  const float *packed, const float *start, int outputs, float *c,
                  ptrdiff_t c_stride);
  /* c[i][o] += Σ_r a[r][i]·b[r][o] for i < inputs (a multiple of 4), o < outputs (a multiple of
   * 16); c: [inputs][outputs]. */
  void (*transposed)(ptrdiff_t rows, const float *a, ptrdiff_t a_stride, int inputs, const float *b,
                     ptrdiff_t b_stride, int outputs, float *c);
};
extern const struct willis_gemm_kernels willis_gemm_kernels_avx2;
extern const struct willis_gemm_kernels willis_gemm_kernels_avx512; /* with the same bits */
/* The widest that this processor has. */
const struct willis_gemm_kernels *willis_gemm(void);

/* The same two for 8 outputs: b is [depth][8], c: [rows][8] or [inputs][8], inputs a multiple of 8,
 * b and c without gaps. */
void willis_gemm8_avx2(ptrdiff_t rows, const float *a, ptrdiff_t a_stride, int depth,
                       const float *b, const float *start, float *c);
void willis_gemm8_transposed_avx2(ptrdiff_t rows, const float *a, ptrdiff_t a_stride, int inputs,
                                  const float *b, float *c);

#endif
