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

/* What is summed for one output channel and some of the inputs, whose channels are contiguous. */
struct piece {
  const struct willis_conv3d_shape *shape;
  struct willis_planes x, d_y;
  int output, first, count;
  double sum[WILLIS_CONV3D_TAPS][PIECE];
};

static void add_piece(struct piece *w, ptrdiff_t begin, ptrdiff_t end) {
  const struct willis_conv3d_shape *s = w->shape;
  const struct willis_extent e = s->extent;
  for (ptrdiff_t vz = begin; vz < end; vz++)
    for (ptrdiff_t vy = 0; vy < e.height; vy++)
      for (ptrdiff_t vx = 0; vx < e.width; vx++) {
        const ptrdiff_t voxel = ((vz - w->d_y.begin) * e.height + vy) * e.width + vx;
        double g = w->d_y.data[voxel * s->outputs + w->output];
        for (int tap = 0; tap < WILLIS_CONV3D_TAPS; tap++) {
          ptrdiff_t z = vz + tap / 9 - 1, y = vy + tap / 3 % 3 - 1, x = vx + tap % 3 - 1;
          if (z < 0 || z >= e.depth || y < 0 || y >= e.height || x < 0 || x >= e.width) continue;
          const ptrdiff_t from = ((z - w->x.begin) * e.height + y) * e.width + x;
          const float *at = w->x.data + from * s->inputs + w->first;
          for (int i = 0; i < w->count; i++) w->sum[tap][i] += g * (double)at[i];
        }
      }
}

static double add_bias(const struct willis_conv3d_shape *s, struct willis_planes d_y,
                       ptrdiff_t begin, ptrdiff_t end, int output, double sum) {
  const ptrdiff_t plane = s->extent.height * s->extent.width;
  for (ptrdiff_t p = (begin - d_y.begin) * plane; p < (end - d_y.begin) * plane; p++)
    sum += d_y.data[p * s->outputs + output];
  return sum;
}

/* Into sums of [outputs][inputs][taps] and [outputs], or, where those are null, to the end. */
static void weight_gradient(const struct willis_conv3d_shape *shape, struct willis_planes x,
                            struct willis_planes d_y, ptrdiff_t begin, ptrdiff_t end, double *sum,
                            float *d_weight, float *d_bias) {
  const ptrdiff_t weights = (ptrdiff_t)shape->outputs * shape->inputs * WILLIS_CONV3D_TAPS;
#pragma omp parallel for schedule(dynamic, 1)
  for (int o = 0; o < shape->outputs; o++) {
    for (int first = 0; first < shape->inputs; first += PIECE) {
      int left = shape->inputs - first, count = left < PIECE ? left : PIECE;
      struct piece w = {
          .shape = shape, .x = x, .d_y = d_y, .output = o, .first = first, .count = count};
      const ptrdiff_t at = ((ptrdiff_t)o * shape->inputs + first) * WILLIS_CONV3D_TAPS;
      for (int i = 0; sum && i < count; i++)
        for (int tap = 0; tap < WILLIS_CONV3D_TAPS; tap++)
          w.sum[tap][i] = sum[at + i * WILLIS_CONV3D_TAPS + tap];
      add_piece(&w, begin, end);
      for (int i = 0; i < count; i++)
        for (int tap = 0; tap < WILLIS_CONV3D_TAPS; tap++)
          if (sum)
            sum[at + i * WILLIS_CONV3D_TAPS + tap] = w.sum[tap][i];
          else // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): given where `sum` is not
            d_weight[at + i * WILLIS_CONV3D_TAPS + tap] = (float)w.sum[tap][i];
    }
    double bias = add_bias(shape, d_y, begin, end, o, sum ? sum[weights + o] : 0);
    if (sum)
      sum[weights + o] = bias;
    else // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): given where `sum` is not
      d_bias[o] = (float)bias;
  }
}

void willis_conv3d_backward_weight(const struct willis_conv3d_shape *shape, const float *x,
                                   const float *d_y, float *d_weight, float *d_bias) {
  const ptrdiff_t depth = shape->extent.depth;
  weight_gradient(shape, (struct willis_planes){x, 0, depth}, (struct willis_planes){d_y, 0, depth},
                  0, depth, NULL, d_weight, d_bias);
}

ptrdiff_t willis_conv3d_sum_count(const struct willis_conv3d_shape *shape) {
  return (ptrdiff_t)shape->outputs * (shape->inputs * WILLIS_CONV3D_TAPS + 1);
}

void willis_conv3d_backward_weight_add(const struct willis_conv3d_shape *shape,
                                       struct willis_planes x, struct willis_planes d_y,
                                       ptrdiff_t begin, ptrdiff_t end, double *sum) {
  weight_gradient(shape, x, d_y, begin, end, sum, NULL, NULL);
}

void willis_conv3d_backward_weight_finish(const struct willis_conv3d_shape *shape,
                                          const double *sum, float *d_weight, float *d_bias) {
  const ptrdiff_t weights = (ptrdiff_t)shape->outputs * shape->inputs * WILLIS_CONV3D_TAPS;
  for (ptrdiff_t i = 0; i < weights; i++) d_weight[i] = (float)sum[i];
  for (int o = 0; o < shape->outputs; o++) d_bias[o] = (float)sum[weights + o];
}
