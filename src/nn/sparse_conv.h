/* Convolutions on lists of rows: a table says which row of x every tap of every row of y reads.
 *
 *   y[i][o] = bias[o] + Σ_t Σ_k x[index[i][t]][k] · w_t[k][o],   nothing where index < 0
 *
 * x: [rows of x][inputs], y: [rows][outputs]. Submanifold convolutions (Graham, Engelcke, van der
 * Maaten, CVPR 2018: taps at the neighbours that are there), strided ones (taps at a cell's
 * children), their transposes (a tap at the parent) and linear layers (one tap, the row itself) are
 * tables of this kind (lattice.h). The same bits for any number of threads. */
#ifndef WILLIS_NN_SPARSE_CONV_H
#define WILLIS_NN_SPARSE_CONV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct willis_taps {
  ptrdiff_t rows;
  int taps;
  const int32_t *index; /* [rows][taps], −1 for none; null: one tap, the row itself */
  /* The same table seen from x: row j's taps are the rows of y that read it, tap t there being tap
   * t here or, mirrored, taps−1−t. */
  const struct willis_taps *adjoint;
  bool mirrored;
};

/* Weights as PyTorch has them, [outputs][inputs][taps], or transposed [inputs][outputs][taps]. */
struct willis_sparse_conv {
  int inputs, outputs, taps;
  bool transposed;
};

/* Floats of scratch memory that each of the functions needs. */
ptrdiff_t willis_sparse_conv_scratch(const struct willis_sparse_conv *conv);
/* Adds to y when `add`. */
void willis_sparse_conv_forward(const struct willis_sparse_conv *conv,
                                const struct willis_taps *table, const float *x,
                                const float *weight, const float *bias, bool add, float *y,
                                float *scratch);
/* d_x[table->adjoint->rows][inputs]; adds when `add`. */
void willis_sparse_conv_backward_data(const struct willis_sparse_conv *conv,
                                      const struct willis_taps *table, const float *d_y,
                                      const float *weight, bool add, float *d_x, float *scratch);
void willis_sparse_conv_backward_weight(const struct willis_sparse_conv *conv,
                                        const struct willis_taps *table, const float *x,
                                        const float *d_y, float *d_weight, float *d_bias,
                                        float *scratch);

#endif
