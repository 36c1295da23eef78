/* Rows are worked on in chunks that stay in a core's cache: for each tap, the pairs of the chunk
 * that are there, then one product of picked rows. The gradient of data is the same with the
 * table's adjoint and transposed weights; that of weights takes one tap a job. */
#include "nn/sparse_conv.h"

#include "nn/pairs.h"

#include <string.h>

enum { CHUNK = 256 };

struct pair_room {
  int32_t from[CHUNK], to[CHUNK];
};

/* The pairs of rows [begin, end) at one tap, `to` counted from `base`. */
static struct willis_pairs pick(const struct willis_taps *table, ptrdiff_t begin, ptrdiff_t end,
                                int tap, struct pair_room *room) {
  ptrdiff_t count = 0;
  for (ptrdiff_t i = begin; i < end; i++) {
    int32_t j = table->index ? table->index[i * table->taps + tap] : (int32_t)i;
    room->from[count] = j;
    room->to[count] = (int32_t)i;
    count += j >= 0;
  }
  return (struct willis_pairs){count, room->from, room->to};
}

ptrdiff_t willis_sparse_conv_scratch(const struct willis_sparse_conv *conv) {
  return (ptrdiff_t)conv->inputs * conv->outputs * conv->taps;
}

/* The products of all taps with weights packed tap by tap. */
static void gather(const struct willis_taps *table, const float *x, int inputs, const float *packed,
                   int outputs, const float *bias, bool add, float *y) {
  const struct willis_pair_kernels *kernels = willis_pair_kernels(outputs);
  const ptrdiff_t tap_size = (ptrdiff_t)inputs * outputs;
#pragma omp parallel for schedule(dynamic, 1)
  for (ptrdiff_t begin = 0; begin < table->rows; begin += CHUNK) {
    ptrdiff_t end = begin + CHUNK < table->rows ? begin + CHUNK : table->rows;
    struct pair_room room;
    for (ptrdiff_t i = begin * outputs; i < end * outputs && !add; i++) y[i] = 0;
    for (ptrdiff_t i = begin; i < end && bias; i++)
      for (int o = 0; o < outputs; o++) y[i * outputs + o] += bias[o];
    for (int t = 0; t < table->taps; t++) {
      struct willis_pairs pairs = pick(table, begin, end, t, &room);
      kernels->product(&pairs, x, inputs, inputs, packed + t * tap_size, outputs, y, outputs);
    }
  }
}

void willis_sparse_conv_forward(const struct willis_sparse_conv *conv,
                                const struct willis_taps *table, const float *x,
                                const float *weight, const float *bias, bool add, float *y,
                                float *scratch) {
  const int T = conv->taps, I = conv->inputs, O = conv->outputs;
  const ptrdiff_t k_stride = conv->transposed ? (ptrdiff_t)O * T : T;
  const ptrdiff_t o_stride = conv->transposed ? T : (ptrdiff_t)I * T;
#pragma omp parallel for schedule(static)
  for (int t = 0; t < T; t++)
    willis_pairs_pack(I, O, weight + t, k_stride, o_stride, scratch + (ptrdiff_t)t * I * O);
  gather(table, x, I, scratch, O, bias, add, y);
}

void willis_sparse_conv_backward_data(const struct willis_sparse_conv *conv,
                                      const struct willis_taps *table, const float *d_y,
                                      const float *weight, bool add, float *d_x, float *scratch) {
  const int T = conv->taps, I = conv->inputs, O = conv->outputs;
  const ptrdiff_t k_stride = conv->transposed ? (ptrdiff_t)O * T : T;
  const ptrdiff_t o_stride = conv->transposed ? T : (ptrdiff_t)I * T;
#pragma omp parallel for schedule(static)
  for (int t = 0; t < T; t++)
    willis_pairs_pack(O, I, weight + (table->mirrored ? T - 1 - t : t), o_stride, k_stride,
                      scratch + (ptrdiff_t)t * I * O);
  gather(table->adjoint, d_y, O, scratch, I, NULL, add, d_x);
}

void willis_sparse_conv_backward_weight(const struct willis_sparse_conv *conv,
                                        const struct willis_taps *table, const float *x,
                                        const float *d_y, float *d_weight, float *d_bias,
                                        float *scratch) {
  const int T = conv->taps, I = conv->inputs, O = conv->outputs;
  const struct willis_pair_kernels *kernels = willis_pair_kernels(O);
#pragma omp parallel for schedule(dynamic, 1)
  for (int t = 0; t < T; t++) {
    float *d_w = scratch + (ptrdiff_t)t * I * O;
    memset(d_w, 0, (size_t)I * (size_t)O * sizeof *d_w);
    for (ptrdiff_t begin = 0; begin < table->rows; begin += CHUNK) {
      ptrdiff_t end = begin + CHUNK < table->rows ? begin + CHUNK : table->rows;
      struct pair_room room;
      struct willis_pairs pairs = pick(table, begin, end, t, &room);
      kernels->outer(&pairs, x, I, I, d_y, O, O, d_w);
    }
    for (int k = 0; k < I; k++)
      for (int o = 0; o < O; o++) {
        ptrdiff_t at = conv->transposed ? ((ptrdiff_t)k * O + o) * T : ((ptrdiff_t)o * I + k) * T;
        d_weight[at + t] = d_w[(ptrdiff_t)k * O + o];
      }
  }
  for (int o = 0; o < O; o++) d_bias[o] = 0;
  for (ptrdiff_t i = 0; i < table->rows; i++)
    for (int o = 0; o < O; o++) d_bias[o] += d_y[i * O + o];
}
