/* Transposed convolution by its definition. Kernel and stride are equal, so blocks of the output do
 * not overlap and each is a matrix product with one input voxel. */
#include "nn/conv_transpose3d.h"

enum { TAPS = WILLIS_CONV_TRANSPOSE3D_TAPS, PIECE = 16 };

/* Index in the doubled extent of block position k of input voxel p. */
static ptrdiff_t block_voxel(struct willis_extent e, ptrdiff_t p, int k) {
  ptrdiff_t z = p / (e.height * e.width), y = p / e.width % e.height, x = p % e.width;
  return ((2 * z + (k >> 2)) * 2 * e.height + 2 * y + (k >> 1 & 1)) * 2 * e.width + 2 * x + (k & 1);
}

void willis_conv_transpose3d_forward(const struct willis_conv_transpose3d_shape *shape,
                                     const float *x, const float *weight, const float *bias,
                                     float *y) {
  ptrdiff_t voxels = willis_extent_count(shape->extent);
#pragma omp parallel for schedule(static)
  for (ptrdiff_t p = 0; p < voxels; p++)
    for (int o = 0; o < shape->outputs; o++) {
      double sum[TAPS];
      for (int k = 0; k < TAPS; k++) sum[k] = bias[o];
      for (int i = 0; i < shape->inputs; i++) {
        double value = x[p * shape->inputs + i];
        const float *w = weight + ((ptrdiff_t)i * shape->outputs + o) * TAPS;
        for (int k = 0; k < TAPS; k++) sum[k] += value * (double)w[k];
      }
      for (int k = 0; k < TAPS; k++)
        y[block_voxel(shape->extent, p, k) * shape->outputs + o] = (float)sum[k];
    }
}

void willis_conv_transpose3d_backward_data(const struct willis_conv_transpose3d_shape *shape,
                                           const float *d_y, const float *weight, float *d_x) {
  ptrdiff_t voxels = willis_extent_count(shape->extent);
#pragma omp parallel for schedule(static)
  for (ptrdiff_t p = 0; p < voxels; p++)
    for (int i = 0; i < shape->inputs; i++) {
      double sum = 0;
      for (int k = 0; k < TAPS; k++) {
        const float *g = d_y + block_voxel(shape->extent, p, k) * shape->outputs;
        const float *w = weight + (ptrdiff_t)i * shape->outputs * TAPS + k;
        for (int o = 0; o < shape->outputs; o++) sum += (double)g[o] * (double)w[o * TAPS];
      }
      d_x[p * shape->inputs + i] = (float)sum;
    }
}

/* Adds to sum[tap][i] for inputs first … first + count of one output, and to its bias when these
 * are the first inputs. */
static void add_piece(const struct willis_conv_transpose3d_shape *shape, const float *x,
                      const float *d_y, int output, int first, int count, double sum[TAPS][PIECE],
                      double *bias) {
  ptrdiff_t voxels = willis_extent_count(shape->extent);
  for (ptrdiff_t p = 0; p < voxels; p++)
    for (int k = 0; k < TAPS; k++) {
      double g = d_y[block_voxel(shape->extent, p, k) * shape->outputs + output];
      if (first == 0) *bias += g;
      for (int i = 0; i < count; i++) sum[k][i] += g * (double)x[p * shape->inputs + first + i];
    }
}

/* Into sums of [inputs][outputs][taps] and [outputs], or, where those are null, to the end. */
static void weight_gradient(const struct willis_conv_transpose3d_shape *shape, const float *x,
                            const float *d_y, double *total, float *d_weight, float *d_bias) {
  const ptrdiff_t weights = (ptrdiff_t)shape->inputs * shape->outputs * TAPS;
#pragma omp parallel for schedule(dynamic, 1)
  for (int o = 0; o < shape->outputs; o++) {
    double bias = total ? total[weights + o] : 0;
    for (int first = 0; first < shape->inputs; first += PIECE) {
      int left = shape->inputs - first, count = left < PIECE ? left : PIECE;
      double sum[TAPS][PIECE] = {{0}};
      for (int i = 0; total && i < count; i++)
        for (int k = 0; k < TAPS; k++)
          sum[k][i] = total[((ptrdiff_t)(first + i) * shape->outputs + o) * TAPS + k];
      add_piece(shape, x, d_y, o, first, count, sum, &bias);
      for (int i = 0; i < count; i++)
        for (int k = 0; k < TAPS; k++) {
          const ptrdiff_t at = ((ptrdiff_t)(first + i) * shape->outputs + o) * TAPS + k;
          if (total)
            total[at] = sum[k][i];
          else // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): given where `total` is not
            d_weight[at] = (float)sum[k][i];
        }
    }
    if (total)
      total[weights + o] = bias;
    else // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): given where `total` is not
      d_bias[o] = (float)bias;
  }
}

void willis_conv_transpose3d_backward_weight(const struct willis_conv_transpose3d_shape *shape,
                                             const float *x, const float *d_y, float *d_weight,
                                             float *d_bias) {
  weight_gradient(shape, x, d_y, NULL, d_weight, d_bias);
}

ptrdiff_t willis_conv_transpose3d_sum_count(const struct willis_conv_transpose3d_shape *shape) {
  return (ptrdiff_t)shape->outputs * (shape->inputs * TAPS + 1);
}

void willis_conv_transpose3d_backward_weight_add(const struct willis_conv_transpose3d_shape *shape,
                                                 const float *x, const float *d_y, double *sum) {
  weight_gradient(shape, x, d_y, sum, NULL, NULL);
}

void willis_conv_transpose3d_backward_weight_finish(
    const struct willis_conv_transpose3d_shape *shape, const double *sum, float *d_weight,
    float *d_bias) {
  const ptrdiff_t weights = (ptrdiff_t)shape->inputs * shape->outputs * TAPS;
  for (ptrdiff_t i = 0; i < weights; i++) d_weight[i] = (float)sum[i];
  for (int o = 0; o < shape->outputs; o++) d_bias[o] = (float)sum[weights + o];
}
