/* The fast decoder, backward (names as in decoder_avx2.h).
 *
 * With d2 the gradient that passed the second ReLU, û2 = (u2 − mean2)/sd2 and n2 the rows of u2's
 * channels, normalisation gives
 *   d_u2 = scale2 · (d2 − d_beta2/n2 − û2 · d_gamma2/n2).
 * û2 is an affine map of a1, so the products with it follow from the moments of a1 and from
 * A = a1ᵀ·d2, and one pass over d2 is enough:
 *   d_gamma2 = (Σ_columns W2∘A + (b2 − mean2)·d_beta2)/sd2
 *   d_W2 = scale2 · (A − d_beta2/n2 · Σa1 − d_gamma2/(n2·sd2) · (a1ᵀa1·W2 + (b2 − mean2)·Σa1))
 *   d_a1 = (scale2·d2)·W2ᵀ − start − a1·Q,   Q = W2·diag(scale2·d_gamma2/(n2·sd2))·W2ᵀ.
 * The first block is smaller and u1 is stored, so there d_u1 is simply formed. Biases before a
 * normalisation have zero gradient: the mean takes them away again. */
#include "nn/decoder_avx2.h"

#include "nn/batch_norm.h"
#include "nn/gemm_avx2.h"
#include "nn/half.h"

#include <math.h>
#include <string.h>

enum { TAPS = WILLIS_DECODER_TAPS, PANEL = WILLIS_GEMM_PANEL };

/* What normalisation's own gradient needs of the channels of u2. */
struct second_gradient {
  const struct willis_block_parameters *p;
  const double *product, *column_sum;      /* A [w1][8·w2], Σ d2 [8·w2] */
  double level[WILLIS_DECODER_MOST_WIDTH]; /* scale2 · d_beta2/n2 */
  double slope[WILLIS_DECODER_MOST_WIDTH]; /* scale2 · d_gamma2/(n2·sd2) */
};

static double inverse_sd(double variance) {
  return 1 / sqrt(variance + WILLIS_BATCH_NORM_EPSILON);
}

static int width(const struct willis_decoder *d, int b) {
  return d->shape[b].inputs;
}

/* Weight of input i into column tap·outputs + o. */
static double weight_at(const struct willis_conv_transpose3d_shape *s, const float *weight, int i,
                        int column) {
  return weight[((ptrdiff_t)i * s->outputs + column % s->outputs) * TAPS + column / s->outputs];
}

/* Wᵀ packed: [inputs/16][8·outputs][16], columns mapped by scale (null: 1). */
static void pack_back(const struct willis_conv_transpose3d_shape *s, const float *weight,
                      const float *scale, float *packed) {
  const int columns = TAPS * s->outputs;
#pragma omp parallel for schedule(static)
  for (int i = 0; i < s->inputs; i++)
    for (int j = 0; j < columns; j++)
      packed[((ptrdiff_t)(i / PANEL) * columns + j) * PANEL + i % PANEL] =
          (float)weight_at(s, weight, i, j) * (scale ? scale[j % s->outputs] : 1);
}

/* d1 of points [begin, end), to read or to write; ends with close_d1() where it was written. */
static float *open_d1(const struct willis_decoder *d, struct willis_decoder_tile *tile,
                      ptrdiff_t begin, ptrdiff_t end, bool read) {
  const struct willis_decoder_buffers *b = &d->buffers;
  const ptrdiff_t columns = (ptrdiff_t)TAPS * width(d, 1);
  if (b->d1) return b->d1 + begin * columns;
  if (read) willis_half_unpack((end - begin) * columns, b->half1 + begin * columns, tile->d1);
  return tile->d1;
}

static void close_d1(const struct willis_decoder *d, const struct willis_decoder_tile *tile,
                     ptrdiff_t begin, ptrdiff_t end) {
  const struct willis_decoder_buffers *b = &d->buffers;
  const ptrdiff_t columns = (ptrdiff_t)TAPS * width(d, 1);
  if (!b->d1) willis_half_pack((end - begin) * columns, tile->d1, b->half1 + begin * columns);
}

/* tile->t: the targets of the logits in tile->z. */
static void read_targets(const struct willis_decoder *d, const struct willis_target *target,
                         ptrdiff_t begin, ptrdiff_t end, float *t) {
  const struct willis_extent e = d->shape[0].extent;
  const ptrdiff_t row = 8 * e.width, slab = 8 * e.height * row;
  for (ptrdiff_t p = begin; p < end; p++)
    for (int r = 0; r < TAPS * TAPS; r++, t += TAPS) {
      const ptrdiff_t from = willis_decoder_place(e, p, r);
      willis_target_read(target, from, 2, t);
      willis_target_read(target, from + row, 2, t + 2);
      willis_target_read(target, from + slab, 2, t + 4);
      willis_target_read(target, from + slab + row, 2, t + 6);
    }
}

/* The logits, their loss and its gradient; d2, and the sums A, Σd2, d_W3, Σd_z; then
 * d1 ← (scale2·d2)·W2ᵀ. */
static void last_tile(const struct willis_decoder *d, struct willis_decoder_tile *tile,
                      ptrdiff_t begin, ptrdiff_t end, void *context) {
  (void)context;
  const struct willis_decoder_goal *goal = d->goal;
  const struct willis_decoder_buffers *b = &d->buffers;
  const int w1 = width(d, 1), w2 = width(d, 2), columns = TAPS * w2;
  const ptrdiff_t points = end - begin, rows = points * TAPS;
  float *product = tile->sums, *column_sum = product + w1 * columns;
  float *d_weight3 = column_sum + columns, *d_bias3 = d_weight3 + w2 * TAPS;
  willis_decoder_activate1(d, tile, begin, end);
  willis_decoder_activate2(d, tile, points);
  willis_decoder_logits(d, tile, points);
  read_targets(d, &goal->target, begin, end, tile->t);
  tile->loss += willis_focal_sum(&goal->focal, rows * TAPS * TAPS, tile->z, tile->t, tile->z);
  willis_gemm8_transposed_avx2(rows * TAPS, tile->a2, w2, w2, tile->z, d_weight3);
  for (ptrdiff_t r = 0; r < rows * TAPS; r++)
    for (int k = 0; k < TAPS; k++) d_bias3[k] += tile->z[r * TAPS + k];
  willis_gemm()->product(rows * TAPS, tile->z, TAPS, TAPS, b->back3, b->zero, w2, tile->d2, w2);
  for (ptrdiff_t r = 0; r < rows; r++)
    for (int j = 0; j < columns; j++) {
      const ptrdiff_t at = r * columns + j;
      tile->d2[at] = tile->a2[at] > 0 ? tile->d2[at] : 0;
      column_sum[j] += tile->d2[at];
    }
  willis_gemm()->transposed(rows, tile->a1, w1, w1, tile->d2, columns, columns, product);
  willis_gemm()->product(rows, tile->d2, columns, columns, b->back2, b->zero, w1,
                         open_d1(d, tile, begin, end, false), w1);
  close_d1(d, tile, begin, end);
}

static void last_gradient(const struct willis_decoder *d, const double *sums,
                          const struct willis_block_parameters *gradient) {
  const int w2 = width(d, 2);
  for (int i = 0; i < w2 * TAPS; i++) gradient->weight[i] = (float)sums[i];
  double bias = 0;
  for (int k = 0; k < TAPS; k++) bias += sums[w2 * TAPS + k];
  gradient->bias[0] = (float)bias;
}

/* gamma and beta of the second block, and the level and slope of its d_u2. */
static void second_channels(const struct willis_decoder *d, struct second_gradient *s,
                            const struct willis_block_parameters *gradient) {
  const int w1 = width(d, 1), w2 = width(d, 2), columns = TAPS * w2;
  const double n2 = (double)willis_decoder_point_count(d) * TAPS * TAPS;
  for (int o = 0; o < w2; o++) {
    const double isd = inverse_sd(d->variance[1][o]), scale = s->p->gamma[o] * isd;
    double d_beta = 0, product = 0;
    for (int j = o; j < columns; j += w2) {
      d_beta += s->column_sum[j];
      for (int i = 0; i < w1; i++)
        product += weight_at(&d->shape[1], s->p->weight, i, j) * s->product[i * columns + j];
    }
    double d_gamma = (product + (s->p->bias[o] - d->mean[1][o]) * d_beta) * isd;
    gradient->beta[o] = (float)d_beta;
    gradient->gamma[o] = (float)d_gamma;
    gradient->bias[o] = 0;
    s->level[o] = scale * d_beta / n2;
    s->slope[o] = scale * d_gamma / n2 * isd;
  }
}

static void second_weight(const struct willis_decoder *d, const struct second_gradient *s,
                          const struct willis_block_parameters *gradient) {
  const struct willis_decoder_buffers *b = &d->buffers;
  const int w1 = width(d, 1), w2 = width(d, 2), columns = TAPS * w2;
#pragma omp parallel for schedule(static)
  for (int i = 0; i < w1; i++)
    for (int j = 0; j < columns; j++) {
      const int o = j % w2;
      double u = (s->p->bias[o] - d->mean[1][o]) * b->a1_sum[i];
      for (int k = 0; k < w1; k++)
        u += b->a1_gram[i * w1 + k] * weight_at(&d->shape[1], s->p->weight, k, j);
      double scale = s->p->gamma[o] * inverse_sd(d->variance[1][o]);
      gradient->weight[((ptrdiff_t)i * w2 + o) * TAPS + j / w2] =
          (float)(scale * s->product[i * columns + j] - s->level[o] * b->a1_sum[i] -
                  s->slope[o] * u);
    }
}

/* back_gram = −Q packed, back_start = −start. */
static void second_back(const struct willis_decoder *d, const struct second_gradient *s) {
  const struct willis_decoder_buffers *b = &d->buffers;
  const int w1 = width(d, 1), w2 = width(d, 2), columns = TAPS * w2;
#pragma omp parallel for schedule(static)
  for (int i = 0; i < w1; i++) {
    double start = 0;
    for (int j = 0; j < columns; j++) {
      const int o = j % w2;
      start += weight_at(&d->shape[1], s->p->weight, i, j) *
               (s->level[o] + s->slope[o] * (s->p->bias[o] - d->mean[1][o]));
    }
    b->back_start[i] = (float)-start;
    for (int k = 0; k < w1; k++) {
      double q = 0;
      for (int j = 0; j < columns; j++)
        q += weight_at(&d->shape[1], s->p->weight, k, j) * s->slope[j % w2] *
             weight_at(&d->shape[1], s->p->weight, i, j);
      b->back_gram[((i / PANEL) * w1 + k) * PANEL + i % PANEL] = (float)-q;
    }
  }
}

/* d1 ← d_a1 where the first ReLU was open; the columns' sums of d1 and of d1·(u1 − b1). */
static void first_tile(const struct willis_decoder *d, struct willis_decoder_tile *tile,
                       ptrdiff_t begin, ptrdiff_t end, void *context) {
  (void)context;
  const struct willis_decoder_buffers *b = &d->buffers;
  const int w1 = width(d, 1);
  const ptrdiff_t rows = (end - begin) * TAPS;
  float *d1 = open_d1(d, tile, begin, end, true), *sum = tile->sums, *product = sum + w1;
  const float *u1 = willis_decoder_activate1(d, tile, begin, end);
  willis_gemm()->product(rows, tile->a1, w1, w1, b->back_gram, b->back_start, w1, tile->t1, w1);
  for (ptrdiff_t r = 0; r < rows; r++)
    for (int c = 0; c < w1; c++) {
      const ptrdiff_t at = r * w1 + c;
      d1[at] = tile->a1[at] > 0 ? d1[at] + tile->t1[at] : 0;
      sum[c] += d1[at];
      product[c] += d1[at] * (u1[at] - b->centre1[c]);
    }
  close_d1(d, tile, begin, end);
}

/* Per channel of u1: d_u1 = scale·d1 + level + slope·u1. */
struct first_gradient {
  const float *scale;
  float level[WILLIS_DECODER_MOST_WIDTH], slope[WILLIS_DECODER_MOST_WIDTH];
};

static void first_channels(const struct willis_decoder *d, const struct willis_block_parameters *p,
                           struct first_gradient *f,
                           const struct willis_block_parameters *gradient) {
  const int w1 = width(d, 1);
  const double n1 = (double)willis_decoder_point_count(d) * TAPS, *sums = d->buffers.job_sums;
  for (int c = 0; c < w1; c++) {
    const double isd = inverse_sd(d->variance[0][c]), scale = p->gamma[c] * isd;
    double d_beta = sums[c];
    double apart = d->mean[0][c] - (double)d->buffers.centre1[c];
    double d_gamma = (sums[w1 + c] - apart * d_beta) * isd;
    double slope = -scale * d_gamma / n1 * isd;
    gradient->beta[c] = (float)d_beta;
    gradient->gamma[c] = (float)d_gamma;
    gradient->bias[c] = 0;
    f->slope[c] = (float)slope;
    f->level[c] = (float)(-scale * d_beta / n1 - slope * d->mean[0][c]);
  }
}

/* d1 ← d_u1. */
static void normalised_tile(const struct willis_decoder *d, struct willis_decoder_tile *tile,
                            ptrdiff_t begin, ptrdiff_t end, void *context) {
  const struct first_gradient *f = context;
  const int w1 = width(d, 1);
  const float *u1 = willis_decoder_activate1(d, tile, begin, end);
  float *d1 = open_d1(d, tile, begin, end, true);
  for (ptrdiff_t r = 0; r < (end - begin) * TAPS; r++)
    for (int c = 0; c < w1; c++) {
      const ptrdiff_t at = r * w1 + c;
      d1[at] = f->scale[c] * d1[at] + f->level[c] + f->slope[c] * u1[at];
    }
  close_d1(d, tile, begin, end);
}

/* The columns of tap k of d1, points [begin, end), with their stride. */
static const float *tap_columns(const struct willis_decoder *d, struct willis_decoder_tile *tile,
                                int k, ptrdiff_t begin, ptrdiff_t end, ptrdiff_t *stride) {
  const struct willis_decoder_buffers *b = &d->buffers;
  const int w1 = width(d, 1), columns = TAPS * w1;
  const ptrdiff_t at = begin * columns + k * w1;
  *stride = b->d1 ? columns : w1;
  if (b->d1) return b->d1 + at;
  willis_half_unpack_rows(end - begin, w1, b->half1 + at, columns, tile->tap);
  return tile->tap;
}

/* d_W1 = xᵀ·d_u1. A thread owns the columns of one tap: no partial sums to combine. */
static void first_weight(const struct willis_decoder *d,
                         const struct willis_block_parameters *gradient) {
  enum { BLOCK = WILLIS_DECODER_BLOCK };
  const struct willis_decoder_buffers *b = &d->buffers;
  const ptrdiff_t points = willis_decoder_point_count(d);
  const int w0 = width(d, 0), w1 = width(d, 1);
  const ptrdiff_t count = (ptrdiff_t)w0 * w1;
#pragma omp parallel for schedule(dynamic, 1)
  for (int k = 0; k < TAPS; k++) {
    struct willis_decoder_tile tile = willis_decoder_tile_of(d);
    float *part = b->tap_sums + k * count;
    double *sum = b->tap_totals + k * count;
    memset(sum, 0, (size_t)count * sizeof *sum);
    for (ptrdiff_t at = 0; at < points; at += BLOCK) {
      const ptrdiff_t end = points - at < BLOCK ? points : at + BLOCK;
      ptrdiff_t stride;
      const float *d1 = tap_columns(d, &tile, k, at, end, &stride);
      memset(part, 0, (size_t)count * sizeof *part);
      willis_gemm()->transposed(end - at, willis_decoder_x(d, &tile, at, end), w0, w0, d1, stride,
                                w1, part);
      for (ptrdiff_t i = 0; i < count; i++) sum[i] += (double)part[i];
    }
    for (ptrdiff_t i = 0; i < count; i++) gradient->weight[i * TAPS + k] = (float)sum[i];
  }
}

double willis_decoder_gradient_avx2(struct willis_decoder *d,
                                    const struct willis_block_parameters p[WILLIS_DECODER_BLOCKS],
                                    const struct willis_decoder_input *input,
                                    const struct willis_decoder_goal *goal,
                                    const struct willis_block_parameters gradient[3]) {
  struct willis_decoder_buffers *b = &d->buffers;
  const ptrdiff_t w1 = width(d, 1), w2 = width(d, 2), columns = TAPS * w2;
  d->input = input;
  d->goal = goal;
  willis_decoder_prepare(d, p);
  pack_back(&d->shape[0], p[0].weight, NULL, b->back1);
  pack_back(&d->shape[1], p[1].weight, b->scale2, b->back2);
  pack_back(&d->shape[2], p[2].weight, NULL, b->back3);
  double loss = willis_decoder_run(
      d, &(struct willis_decoder_pass){last_tile, NULL, w1 * columns + columns + w2 * TAPS + TAPS});
  const double *sums = b->job_sums;
  struct second_gradient second = {.p = &p[1], .product = sums, .column_sum = sums + w1 * columns};
  last_gradient(d, sums + w1 * columns + columns, &gradient[2]);
  second_channels(d, &second, &gradient[1]);
  second_weight(d, &second, &gradient[1]);
  second_back(d, &second);
  willis_decoder_run(d, &(struct willis_decoder_pass){first_tile, NULL, 2 * w1});
  struct first_gradient first = {.scale = b->scale1};
  first_channels(d, &p[0], &first, &gradient[0]);
  willis_decoder_run(d, &(struct willis_decoder_pass){normalised_tile, &first, 0});
  first_weight(d, &gradient[0]);
  return loss;
}

/* d_x = d_u1·W1ᵀ. */
void willis_decoder_input_gradient_avx2(struct willis_decoder *d,
                                        const struct willis_block_parameters *p, ptrdiff_t begin,
                                        ptrdiff_t end, float *d_x) {
  enum { POINTS = WILLIS_DECODER_POINTS };
  (void)p;
  const struct willis_decoder_buffers *b = &d->buffers;
  const int w0 = width(d, 0), columns = TAPS * width(d, 1);
#pragma omp parallel for schedule(static)
  for (ptrdiff_t at = begin; at < end; at += POINTS) {
    struct willis_decoder_tile tile = willis_decoder_tile_of(d);
    const ptrdiff_t last = end - at < POINTS ? end : at + POINTS;
    willis_gemm()->product(last - at, open_d1(d, &tile, at, last, true), columns, columns, b->back1,
                           b->zero, w0, d_x + (at - begin) * w0, w0);
  }
}
