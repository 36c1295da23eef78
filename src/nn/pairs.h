/* Products of small matrices with rows that a list picks: what every sparse layer is made of. A
 * pair p reads row from[p] of one array and works on row to[p] of another; `…_stride` floats lie
 * from row to row. One thread; sums in float, in the order of the pairs. */
#ifndef WILLIS_NN_PAIRS_H
#define WILLIS_NN_PAIRS_H

#include <stddef.h>
#include <stdint.h>

enum { WILLIS_PAIRS_PANEL = 24 };

struct willis_pairs {
  ptrdiff_t count;
  const int32_t *from, *to;
};

struct willis_pair_kernels {
  /* y[to][o] += Σ_k x[from][k]·w[k][o], k < inputs, o < outputs; w as willis_pairs_pack() has it.
   * A row of y comes once among the pairs. */
  void (*product)(const struct willis_pairs *pairs, const float *x, ptrdiff_t x_stride, int inputs,
                  const float *packed, int outputs, float *y, ptrdiff_t y_stride);
  /* d_w[k][o] += Σ_p x[from][k]·d_y[to][o]; d_w: [inputs][outputs], plain rows. */
  void (*outer)(const struct willis_pairs *pairs, const float *x, ptrdiff_t x_stride, int inputs,
                const float *d_y, ptrdiff_t y_stride, int outputs, float *d_w);
};
extern const struct willis_pair_kernels willis_pairs_plain;
/* Outputs in multiples of 8; both with the same bits. */
extern const struct willis_pair_kernels willis_pairs_avx2;
extern const struct willis_pair_kernels willis_pairs_avx512;
/* The best ones for this processor and so many outputs. */
const struct willis_pair_kernels *willis_pair_kernels(int outputs);

/* w[k·k_stride + o·o_stride] into panels of 24 outputs (the last may be narrower), each
 * [inputs][width]: inputs·outputs floats. */
void willis_pairs_pack(int inputs, int outputs, const float *w, ptrdiff_t k_stride,
                       ptrdiff_t o_stride, float *packed);

#endif
