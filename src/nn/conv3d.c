/* 3×3×3 convolution by its definition. Forward and data gradient are one loop: the second is the
 * first with the roles of the channels exchanged and the taps reversed. */
#include "nn/conv3d.h"

enum { PIECE = 16 };

/* One loop for both directions: which weight multiplies channel `from` into channel `to` at tap k.
 */
struct correlation {
  struct willis_extent extent;
  int from, to; /* channels */
  const float *weight;
  ptrdiff_t from_stride, to_stride;
  int reversed;      /* taps k ↦ 26 − k */
  const float *bias; /* of `to`, or null */
};

static float weight_at(const struct correlation *c, int from, int to, int tap) {
  return c->weight[from * c->from_stride + to * c->to_stride + (c->reversed ? 26 - tap : tap)];
}

/* sum[j] += Σ over taps and channels, for `count` voxels from (z, y, x). */
static void correlate_piece(const struct correlation *c, const float *x, ptrdiff_t vz, ptrdiff_t vy,
                            ptrdiff_t vx, int count, int to, double *sum) {
  const struct willis_extent e = c->extent;
  for (int tap = 0; tap < WILLIS_CONV3D_TAPS; tap++) {
    ptrdiff_t z = vz + tap / 9 - 1, y = vy + tap / 3 % 3 - 1, left = vx + tap % 3 - 1;
    if (z < 0 || z >= e.depth || y < 0 || y >= e.height) continue;
    ptrdiff_t begin = left < 0 ? -left : 0;
    ptrdiff_t end = left + count > e.width ? e.width - left : count;
    const float *row = x + ((z * e.height + y) * e.width + left) * c->from;
    for (int from = 0; from < c->from; from++) {
      double w = weight_at(c, from, to, tap);
      for (ptrdiff_t j = begin; j < end; j++) sum[j] += w * (double)row[j * c->from + from];
    }
  }
}

static void correlate(const struct correlation *c, const float *x, float *y) {
  const struct willis_extent e = c->extent;
#pragma omp parallel for collapse(2) schedule(dynamic, 1)
  for (ptrdiff_t vz = 0; vz < e.depth; vz++)
    for (ptrdiff_t vy = 0; vy < e.height; vy++) {
      float *row = y + (vz * e.height + vy) * e.width * c->to;
      for (ptrdiff_t vx = 0; vx < e.width; vx += PIECE) {
        int count = e.width - vx < PIECE ? (int)(e.width - vx) : PIECE;
        for (int to = 0; to < c->to; to++) {
          double sum[PIECE];
          for (int j = 0; j < count; j++) sum[j] = c->bias ? c->bias[to] : 0;
          correlate_piece(c, x, vz, vy, vx, count, to, sum);
          for (int j = 0; j < count; j++) row[(vx + j) * c->to + to] = (float)sum[j];
        }
      }
    }
}

void willis_conv3d_forward(const struct willis_conv3d_shape *shape, const float *x,
                           const float *weight, const float *bias, float *y) {
  struct correlation c = {.extent = shape->extent,
                          .from = shape->inputs,
                          .to = shape->outputs,
                          .weight = weight,
                          .from_stride = WILLIS_CONV3D_TAPS,
                          .to_stride = (ptrdiff_t)shape->inputs * WILLIS_CONV3D_TAPS,
                          .bias = bias};
  correlate(&c, x, y);
}

void willis_conv3d_backward_data(const struct willis_conv3d_shape *shape, const float *d_y,
                                 const float *weight, float *d_x) {
  struct correlation c = {.extent = shape->extent,
                          .from = shape->outputs,
                          .to = shape->inputs,
                          .weight = weight,
                          .from_stride = (ptrdiff_t)shape->inputs * WILLIS_CONV3D_TAPS,
                          .to_stride = WILLIS_CONV3D_TAPS,
                          .reversed = 1};
  correlate(&c, d_y, d_x);
}

/* d_weight[o][first … first+count)[·] for one output channel; the channels of x are contiguous. */
static void weight_gradient_piece(const struct willis_conv3d_shape *s, const float *x,
                                  const float *d_y, int o, int first, int count, float *d_weight) {
  const struct willis_extent e = s->extent;
  double sum[WILLIS_CONV3D_TAPS][PIECE] = {{0}};
  for (ptrdiff_t vz = 0; vz < e.depth; vz++)
    for (ptrdiff_t vy = 0; vy < e.height; vy++)
      for (ptrdiff_t vx = 0; vx < e.width; vx++) {
        double g = d_y[((vz * e.height + vy) * e.width + vx) * s->outputs + o];
        for (int tap = 0; tap < WILLIS_CONV3D_TAPS; tap++) {
          ptrdiff_t z = vz + tap / 9 - 1, y = vy + tap / 3 % 3 - 1, xx = vx + tap % 3 - 1;
          if (z < 0 || z >= e.depth || y < 0 || y >= e.height || xx < 0 || xx >= e.width) continue;
          const float *at = x + ((z * e.height + y) * e.width + xx) * s->inputs + first;
          for (int i = 0; i < count; i++) sum[tap][i] += g * (double)at[i];
        }
      }
  for (int i = 0; i < count; i++)
    for (int tap = 0; tap < WILLIS_CONV3D_TAPS; tap++)
      d_weight[((ptrdiff_t)o * s->inputs + first + i) * WILLIS_CONV3D_TAPS + tap] =
          (float)sum[tap][i];
}

void willis_conv3d_backward_weight(const struct willis_conv3d_shape *shape, const float *x,
                                   const float *d_y, float *d_weight, float *d_bias) {
  ptrdiff_t voxels = willis_extent_count(shape->extent);
#pragma omp parallel for schedule(dynamic, 1)
  for (int o = 0; o < shape->outputs; o++) {
    for (int first = 0; first < shape->inputs; first += PIECE) {
      int count = shape->inputs - first < PIECE ? shape->inputs - first : PIECE;
      weight_gradient_piece(shape, x, d_y, o, first, count, d_weight);
    }
    double sum = 0;
    for (ptrdiff_t p = 0; p < voxels; p++) sum += d_y[p * shape->outputs + o];
    d_bias[o] = (float)sum;
  }
}
