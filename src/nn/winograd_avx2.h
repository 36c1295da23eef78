/* Winograd's F(4, 3) in one dimension on vectors of lanes_avx2.h, and the layout shared by the
 * convolution kernels. Four outputs y_j = Σ_k g_k d_{j+k} from six inputs d:
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

#include "nn/lanes_avx2.h"

#include <stddef.h>

enum {
  TILE = 4,          /* outputs along an edge */
  PATCH = 6,         /* inputs, and frequencies, along an edge */
  FREQUENCIES = 216, /* PATCH³ */
  GROUP = 16,        /* channels handled together: one cache line */
  PARTS = GROUP / LANES
};

#define WINOGRAD_INLINE LANES_INLINE

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
WINOGRAD_INLINE void winograd_input(const lanes d[PATCH], lanes r[PATCH]) {
  const lanes p = lanes_all(WINOGRAD_P), q = lanes_all(WINOGRAD_Q);
  const lanes pp = lanes_all(WINOGRAD_PP), qq = lanes_all(WINOGRAD_QQ);
  const lanes sum = lanes_all(WINOGRAD_PP + WINOGRAD_QQ);
  const lanes product = lanes_all(WINOGRAD_PP * WINOGRAD_QQ);
  lanes even_p = lanes_fnmadd(qq, d[2], d[4]), odd_p = lanes_fnmadd(qq, d[1], d[3]);
  lanes even_q = lanes_fnmadd(pp, d[2], d[4]), odd_q = lanes_fnmadd(pp, d[1], d[3]);
  r[0] = lanes_fmadd(product, d[0], lanes_fnmadd(sum, d[2], d[4]));
  r[1] = lanes_fmadd(p, odd_p, even_p);
  r[2] = lanes_fnmadd(p, odd_p, even_p);
  r[3] = lanes_fmadd(q, odd_q, even_q);
  r[4] = lanes_fnmadd(q, odd_q, even_q);
  r[5] = lanes_fmadd(product, d[1], lanes_fnmadd(sum, d[3], d[5]));
}

/* y = Aᵀ m: powers of the points; ∞ meets the highest power only. */
WINOGRAD_INLINE void winograd_output(const lanes m[PATCH], lanes y[TILE]) {
  const lanes p = lanes_all(WINOGRAD_P), q = lanes_all(WINOGRAD_Q);
  const lanes pp = lanes_all(WINOGRAD_PP), qq = lanes_all(WINOGRAD_QQ);
  const lanes ppp = lanes_all(WINOGRAD_PP * WINOGRAD_P);
  const lanes qqq = lanes_all(WINOGRAD_QQ * WINOGRAD_Q);
  lanes even_p = lanes_add(m[1], m[2]), odd_p = lanes_sub(m[1], m[2]);
  lanes even_q = lanes_add(m[3], m[4]), odd_q = lanes_sub(m[3], m[4]);
  y[0] = lanes_add(m[0], lanes_add(even_p, even_q));
  y[1] = lanes_fmadd(q, odd_q, lanes_mul(p, odd_p));
  y[2] = lanes_fmadd(qq, even_q, lanes_mul(pp, even_p));
  y[3] = lanes_fmadd(qqq, odd_q, lanes_fmadd(ppp, odd_p, m[5]));
}

/* r = A y: the transpose of winograd_output(). */
WINOGRAD_INLINE void winograd_gradient(const lanes y[TILE], lanes r[PATCH]) {
  const lanes p = lanes_all(WINOGRAD_P), q = lanes_all(WINOGRAD_Q);
  const lanes pp = lanes_all(WINOGRAD_PP), qq = lanes_all(WINOGRAD_QQ);
  lanes even_p = lanes_fmadd(pp, y[2], y[0]), odd_p = lanes_fmadd(pp, y[3], y[1]);
  lanes even_q = lanes_fmadd(qq, y[2], y[0]), odd_q = lanes_fmadd(qq, y[3], y[1]);
  r[0] = y[0];
  r[1] = lanes_fmadd(p, odd_p, even_p);
  r[2] = lanes_fnmadd(p, odd_p, even_p);
  r[3] = lanes_fmadd(q, odd_q, even_q);
  r[4] = lanes_fnmadd(q, odd_q, even_q);
  r[5] = y[3];
}

/* The same from memory to memory for GROUP channels: strides in floats between inputs and between
 * results; `from` and `to` may be the same. */
#define WINOGRAD_PASS(name, inputs, results)                                                       \
  WINOGRAD_INLINE void name##_pass(const float *from, ptrdiff_t from_stride, float *to,            \
                                   ptrdiff_t to_stride) {                                          \
    for (int half = 0; half < GROUP; half += LANES) {                                              \
      lanes in[inputs], out[results];                                                              \
      _Pragma("GCC unroll 6") for (int i = 0; i < (inputs); i++) in[i] =                           \
          lanes_load_any(from + i * from_stride + half);                                           \
      name(in, out);                                                                               \
      _Pragma("GCC unroll 6") for (int i = 0; i < (results); i++)                                  \
          lanes_store_any(to + i * to_stride + half, out[i]);                                      \
    }                                                                                              \
  }
WINOGRAD_PASS(winograd_input, PATCH, PATCH)
WINOGRAD_PASS(winograd_output, PATCH, TILE)
WINOGRAD_PASS(winograd_gradient, TILE, PATCH)
#undef WINOGRAD_PASS

#endif
