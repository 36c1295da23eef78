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

void willis_conv_transpose3d_backward_weight(const struct willis_conv_transpose3d_shape *shape,
                                             const float *x, const float *d_y, float *d_weight,
                                             float *d_bias) {
  ptrdiff_t voxels = willis_extent_count(shape->extent);
#pragma omp parallel for schedule(dynamic, 1)
  for (int o = 0; o < shape->outputs; o++) {
    double bias = 0;
    for (int first = 0; first < shape->inputs; first += PIECE) {
      int count = shape->inputs - first < PIECE ? shape->inputs - first : PIECE;
      double sum[TAPS][PIECE] = {{0}};
      for (ptrdiff_t p = 0; p < voxels; p++)
        for (int k = 0; k < TAPS; k++) {
          double g = d_y[block_voxel(shape->extent, p, k) * shape->outputs + o];
          if (first == 0) bias += g;
          for (int i = 0; i < count; i++) sum[k][i] += g * (double)x[p * shape->inputs + first + i];
        }
      for (int i = 0; i < count; i++)
        for (int k = 0; k < TAPS; k++)
          d_weight[((ptrdiff_t)(first + i) * shape->outputs + o) * TAPS + k] = (float)sum[k][i];
    }
    d_bias[o] = (float)bias;
  }
}
