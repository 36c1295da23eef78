/* The fast decoder: memory, forward pass, and the pieces that both directions use
 * (decoder_avx2.h). Mean and variance of u2 = a1·w + b2, for column w of W2, follow from the
 * moments of a1: mean = w·m + b2 and, about it, variance = wᵀCw; a channel has eight columns. */
#include "nn/decoder_avx2.h"

#include "base/cpu.h"
#include "base/parallel.h"
#include "nn/batch_norm.h"
#include "nn/gemm_avx2.h"

#include <immintrin.h>
#include <math.h>
#include <omp.h>
#include <string.h>

enum { TAPS = WILLIS_DECODER_TAPS, POINTS = WILLIS_DECODER_POINTS, LANES = 8 };

static int width(const struct willis_decoder *d, int b) {
  return d->shape[b].inputs;
}

ptrdiff_t willis_decoder_point_count(const struct willis_decoder *d) {
  return willis_extent_count(d->shape[0].extent);
}

/* Points of a job: whole tiles, the same for any number of threads. */
static ptrdiff_t job_points(const struct willis_decoder *d) {
  ptrdiff_t tiles = (willis_decoder_point_count(d) + POINTS - 1) / POINTS;
  return (tiles + WILLIS_DECODER_JOBS - 1) / WILLIS_DECODER_JOBS * POINTS;
}

static bool fits(const int w[WILLIS_DECODER_BLOCKS]) {
  for (int b = 0; b < WILLIS_DECODER_BLOCKS; b++)
    if (w[b] % WILLIS_GEMM_PANEL || w[b] > WILLIS_DECODER_MOST_WIDTH) return false;
  return true;
}

ptrdiff_t willis_decoder_job_sum_count(const struct willis_decoder *d) {
  const ptrdiff_t w1 = width(d, 1), w2 = width(d, 2), columns = TAPS * w2;
  const ptrdiff_t counts[] = {w1 * w1 + w1, 2 * TAPS * w1,
                              w1 * columns + columns + w2 * TAPS + TAPS};
  ptrdiff_t most = 0;
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
    if (most < counts[i]) most = counts[i];
  return most;
}

static ptrdiff_t tile_floats(const struct willis_decoder *d) {
  const ptrdiff_t w0 = width(d, 0), w1 = width(d, 1), w2 = width(d, 2);
  const ptrdiff_t a1 = TAPS * POINTS * w1, a2 = TAPS * TAPS * POINTS * w2;
  const ptrdiff_t z = TAPS * TAPS * TAPS * POINTS;
  const ptrdiff_t sums = (willis_decoder_job_sum_count(d) + LANES - 1) / LANES * LANES;
  return WILLIS_DECODER_BLOCK * (w0 + w1) + 4 * a1 + 2 * a2 + 2 * z + sums;
}

struct willis_decoder_tile willis_decoder_tile_of(const struct willis_decoder *d) {
  const ptrdiff_t w0 = width(d, 0), w1 = width(d, 1), w2 = width(d, 2);
  struct willis_decoder_tile t = {.loss = 0};
  t.x = d->buffers.threads + omp_get_thread_num() * tile_floats(d);
  t.u1 = t.x + WILLIS_DECODER_BLOCK * w0;
  t.d1 = t.u1 + TAPS * POINTS * w1;
  t.tap = t.d1 + TAPS * POINTS * w1;
  t.a1 = t.tap + WILLIS_DECODER_BLOCK * w1;
  t.t1 = t.a1 + TAPS * POINTS * w1;
  t.a2 = t.t1 + TAPS * POINTS * w1;
  t.d2 = t.a2 + TAPS * TAPS * POINTS * w2;
  t.z = t.d2 + TAPS * TAPS * POINTS * w2;
  t.t = t.z + TAPS * TAPS * TAPS * POINTS;
  t.sums = t.t + TAPS * TAPS * TAPS * POINTS;
  return t;
}

static void plan(struct willis_decoder *d, struct willis_arena *arena) {
  for (int b = 0; b < 2; b++) {
    const int outputs = d->shape[b].outputs;
    d->mean[b] = willis_arena_take(arena, outputs, sizeof *d->mean[b]);
    d->variance[b] = willis_arena_take(arena, outputs, sizeof *d->variance[b]);
  }
}

static float *take_floats(struct willis_arena *arena, ptrdiff_t count) {
  return willis_arena_take(arena, count, sizeof(float));
}

static void plan_scratch(struct willis_decoder *d, struct willis_arena *arena) {
  const ptrdiff_t w0 = width(d, 0), w1 = width(d, 1), w2 = width(d, 2);
  const ptrdiff_t columns1 = TAPS * w1, columns2 = TAPS * w2;
  struct willis_decoder_buffers b = {0};
  b.packed1 = take_floats(arena, w0 * columns1);
  b.start1 = take_floats(arena, columns1);
  b.packed2 = take_floats(arena, w1 * columns2);
  b.start2 = take_floats(arena, columns2);
  b.packed3 = take_floats(arena, w2 * TAPS);
  b.start3 = take_floats(arena, TAPS);
  b.scale1 = take_floats(arena, w1);
  b.shift1 = take_floats(arena, w1);
  b.scale2 = take_floats(arena, w2);
  b.shift2 = take_floats(arena, w2);
  b.threads = take_floats(arena, willis_parallel_threads() * tile_floats(d));
  if (d->use != WILLIS_DECODER_INFER) {
    const ptrdiff_t count = willis_decoder_point_count(d) * columns1;
    if (d->use == WILLIS_DECODER_STORE) b.u1 = take_floats(arena, count);
    if (d->half)
      b.half1 = willis_arena_take(arena, count, sizeof *b.half1);
    else
      b.d1 = take_floats(arena, count);
    b.a1_sum = willis_arena_take(arena, w1, sizeof *b.a1_sum);
    b.a1_gram = willis_arena_take(arena, w1 * w1, sizeof *b.a1_gram);
    b.job_loss = willis_arena_take(arena, WILLIS_DECODER_JOBS, sizeof *b.job_loss);
    b.back1 = take_floats(arena, w0 * columns1);
    b.back2 = take_floats(arena, w1 * columns2);
    b.back3 = take_floats(arena, w2 * TAPS);
    b.back_gram = take_floats(arena, w1 * w1);
    b.back_start = take_floats(arena, w1);
    b.zero = take_floats(arena, w0 + w1 + w2);
    b.job_sums = willis_arena_take(arena, WILLIS_DECODER_JOBS * willis_decoder_job_sum_count(d),
                                   sizeof *b.job_sums);
    b.tap_sums = take_floats(arena, w0 * columns1);
    b.tap_totals = willis_arena_take(arena, w0 * columns1, sizeof *b.tap_totals);
    b.centre1 = take_floats(arena, w1);
  }
  d->buffers = b;
}

static void flush(struct willis_decoder_tile *tile, ptrdiff_t count, double *sum) {
  for (ptrdiff_t i = 0; i < count; i++) {
    sum[i] += (double)tile->sums[i];
    tile->sums[i] = 0;
  }
}

/* Returns the job's loss. */
static double run_job(const struct willis_decoder *d, const struct willis_decoder_pass *pass,
                      ptrdiff_t begin, ptrdiff_t end, double *sum) {
  struct willis_decoder_tile tile = willis_decoder_tile_of(d);
  const ptrdiff_t count = pass->sum_count;
  if (count) {
    memset(sum, 0, (size_t)count * sizeof *sum);
    memset(tile.sums, 0, (size_t)count * sizeof *tile.sums);
  }
  for (ptrdiff_t at = begin, done = 1; at < end; at += POINTS, done++) {
    pass->body(d, &tile, at, at + POINTS < end ? at + POINTS : end, pass->context);
    if (done % WILLIS_DECODER_FLUSH == 0 || at + POINTS >= end) flush(&tile, count, sum);
  }
  return tile.loss;
}

double willis_decoder_run(const struct willis_decoder *d, const struct willis_decoder_pass *pass) {
  const ptrdiff_t points = willis_decoder_point_count(d), size = job_points(d);
  const ptrdiff_t jobs = (points + size - 1) / size, count = pass->sum_count;
  double *sums = d->buffers.job_sums, *job_loss = d->buffers.job_loss, loss = 0;
#pragma omp parallel for schedule(dynamic, 1)
  for (ptrdiff_t j = 0; j < jobs; j++) {
    ptrdiff_t end = j * size + size < points ? j * size + size : points;
    double job = run_job(d, pass, j * size, end, count ? sums + j * count : NULL);
    if (job_loss) job_loss[j] = job;
  }
#pragma omp parallel for schedule(static)
  for (ptrdiff_t i = 0; i < count; i++)
    for (ptrdiff_t j = 1; j < jobs; j++) sums[i] += sums[j * count + i];
  for (ptrdiff_t j = 0; job_loss && j < jobs; j++) loss += job_loss[j];
  return loss;
}

/* y = relu(scale·x + shift) over rows of `channels`. */
static void affine_relu(ptrdiff_t rows, int channels, const float *scale, const float *shift,
                        const float *x, float *y) {
  for (ptrdiff_t r = 0; r < rows; r++)
    for (int c = 0; c < channels; c++) {
      float value = x[r * channels + c] * scale[c] + shift[c];
      y[r * channels + c] = value <= 0 ? 0 : value;
    }
}

static void relu(ptrdiff_t count, float *x) {
  for (ptrdiff_t i = 0; i < count; i++) x[i] = x[i] <= 0 ? 0 : x[i];
}

const float *willis_decoder_x(const struct willis_decoder *d, struct willis_decoder_tile *tile,
                              ptrdiff_t begin, ptrdiff_t end) {
  const struct willis_decoder_input *input = d->input;
  if (input->x) return input->x + begin * width(d, 0);
  input->read(input->context, begin, end, tile->x);
  return tile->x;
}

/* u1 of points [begin, end). */
static float *make_u1(const struct willis_decoder *d, struct willis_decoder_tile *tile,
                      ptrdiff_t begin, ptrdiff_t end) {
  const struct willis_decoder_buffers *b = &d->buffers;
  const int w0 = width(d, 0), columns = TAPS * width(d, 1);
  float *u1 = b->u1 ? b->u1 + begin * columns : tile->u1;
  willis_gemm()->product(end - begin, willis_decoder_x(d, tile, begin, end), w0, w0, b->packed1,
                         b->start1, columns, u1, columns);
  return u1;
}

const float *willis_decoder_activate1(const struct willis_decoder *d,
                                      struct willis_decoder_tile *tile, ptrdiff_t begin,
                                      ptrdiff_t end) {
  const struct willis_decoder_buffers *b = &d->buffers;
  const int w1 = width(d, 1);
  const float *u1 = b->u1 ? b->u1 + begin * TAPS * w1 : make_u1(d, tile, begin, end);
  affine_relu((end - begin) * TAPS, w1, b->scale1, b->shift1, u1, tile->a1);
  return u1;
}

void willis_decoder_activate2(const struct willis_decoder *d, struct willis_decoder_tile *tile,
                              ptrdiff_t points) {
  const struct willis_decoder_buffers *b = &d->buffers;
  const int columns = TAPS * width(d, 2);
  willis_gemm()->product(points * TAPS, tile->a1, width(d, 1), width(d, 1), b->packed2, b->start2,
                         columns, tile->a2, columns);
  relu(points * TAPS * columns, tile->a2);
}

void willis_decoder_logits(const struct willis_decoder *d, struct willis_decoder_tile *tile,
                           ptrdiff_t points) {
  const struct willis_decoder_buffers *b = &d->buffers;
  const int w2 = width(d, 2);
  willis_gemm8_avx2(points * TAPS * TAPS, tile->a2, w2, w2, b->packed3, b->start3, tile->z);
}

ptrdiff_t willis_decoder_place(struct willis_extent points, ptrdiff_t p, int r) {
  const int k1 = r / TAPS, k2 = r % TAPS;
  const ptrdiff_t height = 8 * points.height, w = 8 * points.width;
  ptrdiff_t z = 8 * (p / (points.height * points.width)) + 4 * (k1 >> 2) + 2 * (k2 >> 2);
  ptrdiff_t y = 8 * (p / points.width % points.height) + 4 * (k1 >> 1 & 1) + 2 * (k2 >> 1 & 1);
  ptrdiff_t x = 8 * (p % points.width) + 4 * (k1 & 1) + 2 * (k2 & 1);
  return (z * height + y) * w + x;
}

static void scatter(const struct willis_decoder *d, const float *z, ptrdiff_t begin, ptrdiff_t end,
                    float *logit) {
  const struct willis_extent e = d->shape[0].extent;
  const ptrdiff_t row = 8 * e.width, slab = 8 * e.height * row;
  for (ptrdiff_t p = begin; p < end; p++)
    for (int r = 0; r < TAPS * TAPS; r++, z += TAPS) {
      float *to = logit + willis_decoder_place(e, p, r);
      memcpy(to, z, 2 * sizeof *z);
      memcpy(to + row, z + 2, 2 * sizeof *z);
      memcpy(to + slab, z + 4, 2 * sizeof *z);
      memcpy(to + slab + row, z + 6, 2 * sizeof *z);
    }
}

/* Weights [inputs][outputs][8] as packed columns tap·outputs + o, and their starts, each channel
 * mapped to scale·(…) + shift (null: as it is). */
static void pack(const struct willis_conv_transpose3d_shape *s, const float *weight,
                 const float *scale, const float *shift, float *packed, float *start) {
  const int panel = WILLIS_GEMM_PANEL;
  for (int i = 0; i < s->inputs; i++)
    for (int o = 0; o < s->outputs; o++)
      for (int k = 0; k < TAPS; k++) {
        const int column = k * s->outputs + o;
        float w = weight[((ptrdiff_t)i * s->outputs + o) * TAPS + k];
        packed[((ptrdiff_t)(column / panel) * s->inputs + i) * panel + column % panel] =
            scale ? w * scale[o] : w;
        start[column] = shift[o];
      }
}

static void pack_last(const struct willis_decoder *d, const struct willis_block_parameters *p) {
  const struct willis_decoder_buffers *b = &d->buffers;
  memcpy(b->packed3, p->weight, (size_t)width(d, 2) * TAPS * sizeof *b->packed3);
  for (int k = 0; k < TAPS; k++) b->start3[k] = p->bias[0];
}

/* scale and shift of relu(scale·u + shift) for block `which`; with a bias that is not in u. */
static void affine_map(const struct willis_decoder *d, int which,
                       const struct willis_block_parameters *p, const float *bias, float *scale,
                       float *shift) {
  for (int c = 0; c < d->shape[which].outputs; c++) {
    double s = p->gamma[c] / sqrt(d->variance[which][c] + WILLIS_BATCH_NORM_EPSILON);
    scale[c] = (float)s;
    shift[c] = (float)(p->beta[c] + ((bias ? bias[c] : 0) - d->mean[which][c]) * s);
  }
}

/* u1, with the sums and sums of squares of its columns. */
static void first_product_tile(const struct willis_decoder *d, struct willis_decoder_tile *tile,
                               ptrdiff_t begin, ptrdiff_t end, void *context) {
  (void)context;
  const int columns = TAPS * width(d, 1);
  const float *u1 = make_u1(d, tile, begin, end), *start = d->buffers.start1;
  for (ptrdiff_t r = 0; r < end - begin; r++)
    for (int j = 0; j < columns; j++) {
      float offset = u1[r * columns + j] - start[j];
      tile->sums[j] += offset;
      tile->sums[columns + j] += offset * offset;
    }
}

static void first_statistics(struct willis_decoder *d, const struct willis_block_parameters *p) {
  const int w1 = width(d, 1), columns = TAPS * w1;
  willis_decoder_run(d, &(struct willis_decoder_pass){first_product_tile, NULL, 2 * columns});
  const double n = (double)willis_decoder_point_count(d) * TAPS, *sums = d->buffers.job_sums;
  for (int c = 0; c < w1; c++) {
    double sum = 0, square = 0;
    for (int k = 0; k < TAPS; k++) {
      sum += sums[k * w1 + c];
      square += sums[columns + k * w1 + c];
    }
    d->mean[0][c] = p->bias[c] + sum / n;
    d->variance[0][c] = fmax(square / n - sum / n * (sum / n), 0);
  }
}

static void moments_tile(const struct willis_decoder *d, struct willis_decoder_tile *tile,
                         ptrdiff_t begin, ptrdiff_t end, void *context) {
  (void)context;
  const int w1 = width(d, 1);
  const ptrdiff_t rows = (end - begin) * TAPS;
  willis_decoder_activate1(d, tile, begin, end);
  willis_gemm()->transposed(rows, tile->a1, w1, w1, tile->a1, w1, w1, tile->sums);
  float *sum = tile->sums + w1 * w1;
  for (ptrdiff_t r = 0; r < rows; r++)
    for (int c = 0; c < w1; c++) sum[c] += tile->a1[r * w1 + c];
}

/* mean and variance of u2's channel o from a1's moments. */
static void second_channel(struct willis_decoder *d, const struct willis_block_parameters *p,
                           int o) {
  const struct willis_decoder_buffers *b = &d->buffers;
  const int w1 = width(d, 1), w2 = width(d, 2);
  const double rows = (double)willis_decoder_point_count(d) * TAPS;
  double mean = 0, column_mean[TAPS] = {0}, variance = 0;
  for (int k = 0; k < TAPS; k++) {
    for (int i = 0; i < w1; i++)
      column_mean[k] += (double)p->weight[(i * w2 + o) * TAPS + k] * b->a1_sum[i] / rows;
    mean += column_mean[k] / TAPS;
  }
  for (int k = 0; k < TAPS; k++) {
    double square = 0;
    for (int i = 0; i < w1; i++) {
      double row = 0;
      for (int j = 0; j < w1; j++)
        row += (b->a1_gram[i * w1 + j] - b->a1_sum[i] / rows * b->a1_sum[j]) *
               (double)p->weight[(j * w2 + o) * TAPS + k];
      square += (double)p->weight[(i * w2 + o) * TAPS + k] * row;
    }
    double apart = column_mean[k] - mean;
    variance += (square / rows + apart * apart) / TAPS;
  }
  d->mean[1][o] = p->bias[o] + mean;
  d->variance[1][o] = fmax(variance, 0);
}

static void second_statistics(struct willis_decoder *d, const struct willis_block_parameters *p) {
  const struct willis_decoder_buffers *b = &d->buffers;
  const ptrdiff_t w1 = width(d, 1);
  willis_decoder_run(d, &(struct willis_decoder_pass){moments_tile, NULL, w1 * w1 + w1});
  memcpy(b->a1_gram, b->job_sums, (size_t)(w1 * w1) * sizeof *b->a1_gram);
  memcpy(b->a1_sum, b->job_sums + w1 * w1, (size_t)w1 * sizeof *b->a1_sum);
#pragma omp parallel for schedule(static)
  for (int o = 0; o < width(d, 2); o++) second_channel(d, p, o);
}

struct inference {
  const float *x;
  float *logit;
};

static void infer_tile(const struct willis_decoder *d, struct willis_decoder_tile *tile,
                       ptrdiff_t begin, ptrdiff_t end, void *context) {
  const struct inference *run = context;
  const struct willis_decoder_buffers *b = &d->buffers;
  const int w0 = width(d, 0), columns = TAPS * width(d, 1);
  const ptrdiff_t points = end - begin;
  willis_gemm()->product(points, run->x + begin * w0, w0, w0, b->packed1, b->start1, columns,
                         tile->a1, columns);
  relu(points * columns, tile->a1);
  willis_decoder_activate2(d, tile, points);
  willis_decoder_logits(d, tile, points);
  scatter(d, tile->z, begin, end, run->logit);
}

/* scale and shift of the first block in training, where u1 holds its bias. */
static void first_map(const struct willis_decoder *d, const struct willis_block_parameters *p) {
  const struct willis_decoder_buffers *b = &d->buffers;
  affine_map(d, 0, p, NULL, b->scale1, b->shift1);
  for (int c = 0; c < width(d, 1); c++) b->centre1[c] = (float)d->mean[0][c];
}

static void second_map(const struct willis_decoder *d, const struct willis_block_parameters *p) {
  const struct willis_decoder_buffers *b = &d->buffers;
  affine_map(d, 1, p, p->bias, b->scale2, b->shift2);
  pack(&d->shape[1], p->weight, b->scale2, b->shift2, b->packed2, b->start2);
}

void willis_decoder_prepare(struct willis_decoder *d,
                            const struct willis_block_parameters p[WILLIS_DECODER_BLOCKS]) {
  const struct willis_decoder_buffers *b = &d->buffers;
  pack(&d->shape[0], p[0].weight, NULL, p[0].bias, b->packed1, b->start1);
  first_statistics(d, &p[0]);
  first_map(d, &p[0]);
  second_statistics(d, &p[1]);
  second_map(d, &p[1]);
  pack_last(d, &p[2]);
  memset(b->zero, 0, (size_t)(width(d, 0) + width(d, 1) + width(d, 2)) * sizeof *b->zero);
}

static void forward(struct willis_decoder *d,
                    const struct willis_block_parameters p[WILLIS_DECODER_BLOCKS], const float *x,
                    float *logit) {
  struct willis_decoder_buffers *b = &d->buffers;
  for (int block = 0; block < 2; block++)
    for (int c = 0; c < d->shape[block].outputs; c++) {
      d->mean[block][c] = p[block].running_mean[c];
      d->variance[block][c] = p[block].running_variance[c];
    }
  affine_map(d, 0, &p[0], p[0].bias, b->scale1, b->shift1);
  pack(&d->shape[0], p[0].weight, b->scale1, b->shift1, b->packed1, b->start1);
  second_map(d, &p[1]);
  pack_last(d, &p[2]);
  struct inference run = {x, logit};
  willis_decoder_run(d, &(struct willis_decoder_pass){infer_tile, &run, 0});
}

const struct willis_decoder_variant willis_decoder_avx2 = {
    .name = "avx2",
    .features = WILLIS_CPU_AVX2,
    .fits = fits,
    .plan = plan,
    .plan_scratch = plan_scratch,
    .forward = forward,
    .gradient = willis_decoder_gradient_avx2,
    .input_gradient = willis_decoder_input_gradient_avx2,
};
