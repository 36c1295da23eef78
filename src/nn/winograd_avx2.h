/* Winograd's F(4, 3) in one dimension on AVX2 vectors, and the layout shared by the convolution
 * kernels. Four outputs y_j = Σ_k g_k d_{j+k} from six inputs d:
 *
 *   y = Aᵀ[(G g) ⊙ (Bᵀ d)],   and transposed   d_g = Gᵀ[(Bᵀ d) ⊙ (A d_y)].
 *
 * A tile is 4×4×4 outputs and 6×6×6 inputs; its transform has 216 frequencies, numbered
 * (z·6 + y)·6 + x. Interpolation points 0, ±3/4, ±3/2, ∞: their rounding error is half of that of
 * the usual 0, ±1, ±2, ∞. (Lavin and Gray, "Fast algorithms for convolutional neural networks",
 * CVPR 2016; points after Barabasz et al., "Error analysis and improving the accuracy of Winograd
 * convolution", ACM TOMS 2020.) */
#ifndef WILLIS_NN_WINOGRAD_AVX2_H
#define WILLIS_NN_WINOGRAD_AVX2_H

#include <immintrin.h>
#include <stddef.h>

enum {
  TILE = 4,          /* outputs along an edge */
  PATCH = 6,         /* inputs, and frequencies, along an edge */
  FREQUENCIES = 216, /* PATCH³ */
  GROUP = 16,        /* channels handled together: one cache line */
  ROWS = 6           /* rows of a product held in registers */
};

#define WINOGRAD_INLINE static inline __attribute__((always_inline))

/* G, [frequency][tap]. */
static const double winograd_g[PATCH][3] = {{64. / 81., 0, 0},
                                            {-128. / 243., -32. / 81., -8. / 27.},
                                            {-128. / 243., 32. / 81., -8. / 27.},
                                            {32. / 243., 16. / 81., 8. / 27.},
                                            {32. / 243., -16. / 81., 8. / 27.},
                                            {0, 0, 1}};

#define WINOGRAD_P 0.75f
#define WINOGRAD_Q 1.5f
#define WINOGRAD_PP (WINOGRAD_P * WINOGRAD_P)
#define WINOGRAD_QQ (WINOGRAD_Q * WINOGRAD_Q)

/* r = Bᵀ d: row i holds the coefficients of Π_{j≠i} (t − p_j). */
WINOGRAD_INLINE void winograd_input(const __m256 d[PATCH], __m256 r[PATCH]) {
  const __m256 p = _mm256_set1_ps(WINOGRAD_P), q = _mm256_set1_ps(WINOGRAD_Q);
  const __m256 pp = _mm256_set1_ps(WINOGRAD_PP), qq = _mm256_set1_ps(WINOGRAD_QQ);
  const __m256 sum = _mm256_set1_ps(WINOGRAD_PP + WINOGRAD_QQ);
  const __m256 product = _mm256_set1_ps(WINOGRAD_PP * WINOGRAD_QQ);
  __m256 even_p = _mm256_fnmadd_ps(qq, d[2], d[4]), odd_p = _mm256_fnmadd_ps(qq, d[1], d[3]);
  __m256 even_q = _mm256_fnmadd_ps(pp, d[2], d[4]), odd_q = _mm256_fnmadd_ps(pp, d[1], d[3]);
  r[0] = _mm256_fmadd_ps(product, d[0], _mm256_fnmadd_ps(sum, d[2], d[4]));
  r[1] = _mm256_fmadd_ps(p, odd_p, even_p);
  r[2] = _mm256_fnmadd_ps(p, odd_p, even_p);
  r[3] = _mm256_fmadd_ps(q, odd_q, even_q);
  r[4] = _mm256_fnmadd_ps(q, odd_q, even_q);
  r[5] = _mm256_fmadd_ps(product, d[1], _mm256_fnmadd_ps(sum, d[3], d[5]));
}

/* y = Aᵀ m: powers of the points; ∞ meets the highest power only. */
WINOGRAD_INLINE void winograd_output(const __m256 m[PATCH], __m256 y[TILE]) {
  const __m256 p = _mm256_set1_ps(WINOGRAD_P), q = _mm256_set1_ps(WINOGRAD_Q);
  const __m256 pp = _mm256_set1_ps(WINOGRAD_PP), qq = _mm256_set1_ps(WINOGRAD_QQ);
  const __m256 ppp = _mm256_set1_ps(WINOGRAD_PP * WINOGRAD_P);
  const __m256 qqq = _mm256_set1_ps(WINOGRAD_QQ * WINOGRAD_Q);
  __m256 even_p = _mm256_add_ps(m[1], m[2]), odd_p = _mm256_sub_ps(m[1], m[2]);
  __m256 even_q = _mm256_add_ps(m[3], m[4]), odd_q = _mm256_sub_ps(m[3], m[4]);
  y[0] = _mm256_add_ps(m[0], _mm256_add_ps(even_p, even_q));
  y[1] = _mm256_fmadd_ps(q, odd_q, _mm256_mul_ps(p, odd_p));
  y[2] = _mm256_fmadd_ps(qq, even_q, _mm256_mul_ps(pp, even_p));
  y[3] = _mm256_fmadd_ps(qqq, odd_q, _mm256_fmadd_ps(ppp, odd_p, m[5]));
}

/* r = A y: the transpose of winograd_output(). */
WINOGRAD_INLINE void winograd_gradient(const __m256 y[TILE], __m256 r[PATCH]) {
  const __m256 p = _mm256_set1_ps(WINOGRAD_P), q = _mm256_set1_ps(WINOGRAD_Q);
  const __m256 pp = _mm256_set1_ps(WINOGRAD_PP), qq = _mm256_set1_ps(WINOGRAD_QQ);
  __m256 even_p = _mm256_fmadd_ps(pp, y[2], y[0]), odd_p = _mm256_fmadd_ps(pp, y[3], y[1]);
  __m256 even_q = _mm256_fmadd_ps(qq, y[2], y[0]), odd_q = _mm256_fmadd_ps(qq, y[3], y[1]);
  r[0] = y[0];
  r[1] = _mm256_fmadd_ps(p, odd_p, even_p);
  r[2] = _mm256_fnmadd_ps(p, odd_p, even_p);
  r[3] = _mm256_fmadd_ps(q, odd_q, even_q);
  r[4] = _mm256_fnmadd_ps(q, odd_q, even_q);
  r[5] = y[3];
}

/* The same from memory to memory for GROUP channels: strides in floats between inputs and between
 * results; `from` and `to` may be the same. */
#define WINOGRAD_PASS(name, inputs, results)                                                       \
  WINOGRAD_INLINE void name##_pass(const float *from, ptrdiff_t from_stride, float *to,            \
                                   ptrdiff_t to_stride) {                                          \
    for (int half = 0; half < GROUP; half += 8) {                                                  \
      __m256 in[inputs], out[results];                                                             \
      _Pragma("GCC unroll 6") for (int i = 0; i < (inputs); i++) in[i] =                           \
          _mm256_loadu_ps(from + i * from_stride + half);                                          \
      name(in, out);                                                                               \
      _Pragma("GCC unroll 6") for (int i = 0; i < (results); i++)                                  \
          _mm256_storeu_ps(to + i * to_stride + half, out[i]);                                     \
    }                                                                                              \
  }
WINOGRAD_PASS(winograd_input, PATCH, PATCH)
WINOGRAD_PASS(winograd_output, PATCH, TILE)
WINOGRAD_PASS(winograd_gradient, TILE, PATCH)
#undef WINOGRAD_PASS

#endif
