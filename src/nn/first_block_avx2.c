/* The encoder block for one input channel in a single pass: its full-size output, 32 values a
 * voxel, never exists.
 *
 * Mean and variance of the convolution w·P + bias follow from the moments of the patches P
 * (patch_moments_avx2.h): mean = w·m + bias, variance = wᵀCw. With them known, scale = gamma/sd
 * goes into the weights, and pooling, which commutes with what follows, takes the plain maximum:
 *
 *   y = relu( max over the window of (scale·w)·P + shift ),  shift = beta − scale·(w·m)
 *
 * Backward, with d the gradient that passed ReLU, over the windows' argmax:
 *   S = Σ d·P,  d_beta = Σ d,  d_gamma = (w·S − w·m·d_beta)/sd,
 *   d_w = scale · (S − d_beta·m − d_gamma/sd · Cw),
 * a sparse gather and two terms from the moments (the normalisation's own gradient). */
#include "base/cpu.h"
#include "base/parallel.h"
#include "nn/batch_norm.h"
#include "nn/encoder_block.h"
#include "nn/first_block_row_avx2.h"
#include "nn/max_pool.h"
#include "nn/patch_moments_avx2.h"

#include <math.h>
#include <omp.h>
#include <string.h>

enum {
  MOST_OUTPUTS = 64,
  LINES = 16,    /* rows of x around a row of windows: 4 slabs × 4 rows */
  TAPS = 40,     /* a patch as 9 rows of 4, then a 1, then zeros */
  ONE = 36,      /* where the 1 stands: its product with d sums d */
  FLUSH_ROWS = 4 /* rows of windows summed in float before they go to double */
};

/* Where tap k stands in a patch of TAPS. */
static int tap_place(int k) {
  return k / 3 * 4 + k % 3;
}

static bool fits(const struct willis_conv3d_shape *shape) {
  const struct willis_extent e = shape->extent;
  return shape->inputs == 1 && shape->outputs % GROUP == 0 && shape->outputs <= MOST_OUTPUTS &&
         e.width % RUN == 0 && e.height % 2 == 0 && e.depth % 2 == 0;
}

static ptrdiff_t line_stride(const struct willis_encoder_block *block) {
  return (block->shape.extent.width + 2 * BORDER + LANES - 1) / LANES * LANES;
}

static void plan(struct willis_encoder_block *block, struct willis_arena *arena) {
  const ptrdiff_t outputs = block->shape.outputs;
  const ptrdiff_t pooled = willis_extent_count(block->shape.extent) / WILLIS_POOL_WINDOW * outputs;
  block->mean = willis_arena_take(arena, outputs, sizeof *block->mean);
  block->variance = willis_arena_take(arena, outputs, sizeof *block->variance);
  if (!block->training) return;
  block->argmax = willis_arena_take(arena, pooled, sizeof *block->argmax);
  block->moments = willis_arena_take(arena, 1, sizeof(struct willis_patch_moments));
}

static void plan_scratch(struct willis_encoder_block *block, struct willis_arena *arena) {
  const ptrdiff_t outputs = block->shape.outputs, threads = willis_parallel_threads();
  block->packed = willis_arena_take(arena, outputs * WILLIS_PATCH, sizeof *block->packed);
  block->channels = willis_arena_take(arena, outputs, sizeof *block->channels);
  block->activation =
      willis_arena_take(arena, threads * LINES * line_stride(block), sizeof *block->activation);
  if (!block->training) return;
  ptrdiff_t moments = willis_patch_moments_scratch_count(block->shape.extent);
  ptrdiff_t gather = block->shape.extent.depth / 2 * outputs * TAPS;
  block->sums = willis_arena_take(arena, moments > gather ? moments : gather, sizeof *block->sums);
}

/* The rows of x around window row (z, y), zero beyond the volume: line 4·j + i is row 2y + i − 1 of
 * slab 2z + j − 1, its value 0 at BORDER. Returns this thread's lines. */
static float *load_lines(const struct willis_encoder_block *block, struct willis_planes x,
                         ptrdiff_t z, ptrdiff_t y) {
  const struct willis_extent e = block->shape.extent;
  const ptrdiff_t stride = line_stride(block);
  float *lines = block->activation + omp_get_thread_num() * LINES * stride;
  for (int l = 0; l < LINES; l++) {
    float *line = lines + l * stride;
    ptrdiff_t slab = 2 * z + l / 4 - 1, row = 2 * y + l % 4 - 1;
    memset(line, 0, (size_t)stride * sizeof *line);
    if (slab >= x.begin && slab < x.end && row >= 0 && row < e.height)
      memcpy(line + BORDER, x.data + ((slab - x.begin) * e.height + row) * e.width,
             (size_t)e.width * sizeof *line);
  }
  return lines;
}

/* From the moments of the patches. */
static void statistics(struct willis_encoder_block *block,
                       const struct willis_block_parameters *p) {
  const struct willis_patch_moments *moments = (struct willis_patch_moments *)block->moments;
  for (int c = 0; c < block->shape.outputs; c++) {
    const float *w = p->weight + c * WILLIS_PATCH;
    double mean = p->bias[c], variance = 0;
    for (int a = 0; a < WILLIS_PATCH; a++) {
      mean += (double)w[a] * moments->mean[a];
      double row = 0;
      for (int b = 0; b < WILLIS_PATCH; b++) row += moments->covariance[a][b] * (double)w[b];
      variance += (double)w[a] * row;
    }
    block->mean[c] = mean;
    block->variance[c] = fmax(variance, 0);
  }
}

/* block->packed: [outputs/GROUP][27][GROUP] of scale·weight; block->channels: shift. */
static void pack(struct willis_encoder_block *block, const struct willis_block_parameters *p) {
  for (int c = 0; c < block->shape.outputs; c++) {
    double scale = p->gamma[c] / sqrt(block->variance[c] + WILLIS_BATCH_NORM_EPSILON);
    block->channels[c] = (float)(p->beta[c] + (p->bias[c] - block->mean[c]) * scale);
    for (int k = 0; k < WILLIS_PATCH; k++)
      block->packed[((c / GROUP) * WILLIS_PATCH + k) * GROUP + c % GROUP] =
          (float)(scale * (double)p->weight[c * WILLIS_PATCH + k]);
  }
}

static void running_statistics(struct willis_encoder_block *block,
                               const struct willis_block_parameters *p) {
  for (int c = 0; c < block->shape.outputs; c++) {
    block->mean[c] = p->running_mean[c];
    block->variance[c] = p->running_variance[c];
  }
}

/* y: planes [begin, end). */
static void pool_planes(struct willis_encoder_block *block, struct willis_planes x, ptrdiff_t begin,
                        ptrdiff_t end, float *y) {
  const struct willis_extent half = willis_extent_half(block->shape.extent);
  const int outputs = block->shape.outputs;
  const bool wide = willis_cpu_features() & WILLIS_CPU_AVX512;
#pragma omp parallel for schedule(dynamic, 4)
  for (ptrdiff_t row = 0; row < (end - begin) * half.height; row++) {
    const float *lines = load_lines(block, x, begin + row / half.height, row % half.height);
    const ptrdiff_t at = row * half.width * outputs;
    (wide ? willis_first_block_row_avx512
          : first_block_row)(lines, line_stride(block), half.width, outputs, block->packed,
                             block->channels, y + at, block->argmax ? block->argmax + at : NULL);
  }
}

static struct willis_planes whole(const struct willis_encoder_block *block, const float *x) {
  return (struct willis_planes){x, 0, block->shape.extent.depth};
}

static void forward(struct willis_encoder_block *block, const struct willis_block_parameters *p,
                    const float *x, float *y) {
  if (block->training) {
    willis_patch_moments(block->shape.extent, x, (struct willis_patch_moments *)block->moments,
                         block->sums);
    statistics(block, p);
  } else
    running_statistics(block, p);
  pack(block, p);
  pool_planes(block, whole(block, x), 0, block->shape.extent.depth / 2, y);
}

static void plan_slabs(struct willis_encoder_block *block, ptrdiff_t planes,
                       struct willis_arena *arena) {
  (void)planes;
  plan(block, arena);
  plan_scratch(block, arena);
}

static void start_slabs(struct willis_encoder_block *block,
                        const struct willis_block_parameters *p) {
  running_statistics(block, p);
  pack(block, p);
}

static void slab(struct willis_encoder_block *block, const struct willis_block_parameters *p,
                 struct willis_planes x, ptrdiff_t begin, ptrdiff_t end, float *y) {
  (void)p;
  pool_planes(block, x, begin, end, y);
}

/* The eight patches of the window at x as TAPS floats each. */
static inline void window_patches(const float *lines, ptrdiff_t stride, ptrdiff_t x,
                                  float patch[WILLIS_POOL_WINDOW][TAPS]) {
  for (int k = 0; k < WILLIS_POOL_WINDOW; k++)
    for (int r = 0; r < 9; r++) {
      const float *line = lines + (((k >> 2) + r / 3) * 4 + (k >> 1 & 1) + r % 3) * stride;
      _mm_store_ps(patch[k] + 4 * r, _mm_loadu_ps(line + BORDER - 1 + x + (k & 1)));
    }
}

/* sum[c] += d·patch for the open channels of one window. */
static inline void gather_window(const float patch[WILLIS_POOL_WINDOW][TAPS], int outputs,
                                 const float *y, const float *d_y, const uint8_t *argmax,
                                 float (*sum)[TAPS]) {
  for (int c = 0; c < outputs; c++) {
    if (!(y[c] > 0)) continue;
    const __m256 d = _mm256_broadcast_ss(d_y + c);
    const float *from = patch[argmax[c]];
#pragma GCC unroll 5
    for (int t = 0; t < TAPS; t += LANES)
      _mm256_store_ps(sum[c] + t,
                      _mm256_fmadd_ps(d, _mm256_load_ps(from + t), _mm256_load_ps(sum[c] + t)));
  }
}

/* S of one slab of windows, whose y, argmax and gradient are given, into total[outputs][TAPS]. */
static void gather_slab(const struct willis_encoder_block *block, struct willis_planes x,
                        struct willis_pooled_planes pooled, const float *d_y, ptrdiff_t z,
                        double *total) {
  const struct willis_extent half = willis_extent_half(block->shape.extent);
  const int outputs = block->shape.outputs;
  _Alignas(32) float sum[MOST_OUTPUTS][TAPS], patch[WILLIS_POOL_WINDOW][TAPS];
  memset(sum, 0, sizeof sum);
  memset(patch, 0, sizeof patch);
  for (int k = 0; k < WILLIS_POOL_WINDOW; k++) patch[k][ONE] = 1;
  memset(total, 0, (size_t)outputs * TAPS * sizeof *total);
  for (ptrdiff_t row = 0; row < half.height; row++) {
    const float *lines = load_lines(block, x, z, row);
    for (ptrdiff_t v = 0; v < half.width; v++) {
      ptrdiff_t at = (row * half.width + v) * outputs;
      window_patches(lines, line_stride(block), 2 * v, patch);
      gather_window(patch, outputs, pooled.y + at, d_y + at, pooled.argmax + at, sum);
    }
    if ((row + 1) % FLUSH_ROWS && row + 1 < half.height) continue;
    for (int c = 0; c < outputs; c++)
      for (int t = 0; t < TAPS; t++) total[c * TAPS + t] += (double)sum[c][t];
    memset(sum, 0, sizeof sum);
  }
}

/* The gradients of one channel from S (gathered[TAPS]). */
static void channel_gradient(const struct willis_encoder_block *block,
                             const struct willis_block_parameters *p, int c, const double *gathered,
                             const struct willis_block_parameters *gradient) {
  const struct willis_patch_moments *moments = (const struct willis_patch_moments *)block->moments;
  const float *w = p->weight + c * WILLIS_PATCH;
  const double inverse_sd = 1 / sqrt(block->variance[c] + WILLIS_BATCH_NORM_EPSILON);
  const double d_beta = gathered[ONE];
  double centred[WILLIS_PATCH], d_gamma = 0;
  for (int k = 0; k < WILLIS_PATCH; k++) {
    centred[k] = gathered[tap_place(k)] - d_beta * moments->mean[k];
    d_gamma += (double)w[k] * centred[k] * inverse_sd;
  }
  for (int k = 0; k < WILLIS_PATCH; k++) {
    double spread = 0;
    for (int b = 0; b < WILLIS_PATCH; b++) spread += moments->covariance[k][b] * (double)w[b];
    gradient->weight[c * WILLIS_PATCH + k] =
        (float)(p->gamma[c] * inverse_sd * (centred[k] - d_gamma * inverse_sd * spread));
  }
  gradient->gamma[c] = (float)d_gamma;
  gradient->beta[c] = (float)d_beta;
  /* The mean takes the bias away again: its gradient is zero. */
  gradient->bias[c] = 0;
}

/* Planes [begin, end) of windows. */
static void gather(struct willis_encoder_block *block, struct willis_planes x,
                   struct willis_pooled_planes pooled, const float *d_y, ptrdiff_t begin,
                   ptrdiff_t end) {
  const struct willis_extent half = willis_extent_half(block->shape.extent);
  const ptrdiff_t plane = half.height * half.width * block->shape.outputs;
#pragma omp parallel for schedule(dynamic, 1)
  for (ptrdiff_t z = begin; z < end; z++) {
    const ptrdiff_t at = (z - begin) * plane;
    struct willis_pooled_planes slab = {pooled.y + at, pooled.argmax + at};
    gather_slab(block, x, slab, d_y + at, z, block->sums + z * block->shape.outputs * TAPS);
  }
}

static void finish_gather(struct willis_encoder_block *block,
                          const struct willis_block_parameters *p,
                          const struct willis_block_parameters *gradient) {
  const ptrdiff_t slabs = block->shape.extent.depth / 2, size = block->shape.outputs * TAPS;
  for (ptrdiff_t z = 1; z < slabs; z++)
    for (ptrdiff_t i = 0; i < size; i++) block->sums[i] += block->sums[z * size + i];
  for (int c = 0; c < block->shape.outputs; c++)
    channel_gradient(block, p, c, block->sums + c * TAPS, gradient);
}

static void backward(struct willis_encoder_block *block, const struct willis_block_parameters *p,
                     const float *x, const float *y, float *d_y,
                     const struct willis_block_parameters *gradient, float *d_x) {
  (void)d_x;
  gather(block, whole(block, x), (struct willis_pooled_planes){y, block->argmax}, d_y, 0,
         block->shape.extent.depth / 2);
  finish_gather(block, p, gradient);
}

/* ---- training by slabs: forward only the moments, backward the gather ---- */

static void plan_passes(struct willis_encoder_block *block, ptrdiff_t planes,
                        struct willis_arena *arena) {
  (void)planes;
  const ptrdiff_t outputs = block->shape.outputs;
  block->mean = willis_arena_take(arena, outputs, sizeof *block->mean);
  block->variance = willis_arena_take(arena, outputs, sizeof *block->variance);
  block->moments = willis_arena_take(arena, 1, sizeof(struct willis_patch_moments));
  plan_scratch(block, arena);
}

static void plan_nothing(struct willis_encoder_block *block, ptrdiff_t planes,
                         struct willis_arena *arena) {
  (void)block;
  (void)planes;
  (void)arena;
}

static void start_passes(struct willis_encoder_block *block,
                         const struct willis_block_parameters *p) {
  (void)p;
  block->argmax = NULL;
}

static void forward_planes(struct willis_encoder_block *block,
                           const struct willis_block_parameters *p, int pass,
                           struct willis_planes x, ptrdiff_t begin, ptrdiff_t end, float *kept) {
  (void)p;
  (void)pass;
  (void)kept;
  willis_patch_moments_add(block->shape.extent, x, begin, end, block->sums);
}

static void finish_forward(struct willis_encoder_block *block,
                           const struct willis_block_parameters *p, int pass) {
  (void)pass;
  willis_patch_moments_finish(block->shape.extent, block->sums,
                              (struct willis_patch_moments *)block->moments);
  statistics(block, p);
  pack(block, p);
}

static void start_backward(struct willis_encoder_block *block,
                           const struct willis_block_parameters *p, int pass,
                           const struct willis_block_parameters *gradient) {
  (void)block;
  (void)p;
  (void)pass;
  (void)gradient;
}

static void backward_planes(struct willis_encoder_block *block,
                            const struct willis_block_parameters *p, int pass,
                            struct willis_planes x, ptrdiff_t begin, ptrdiff_t end, const float *d,
                            struct willis_pooled_planes pooled, float *d_raw) {
  (void)p;
  (void)pass;
  (void)d_raw;
  gather(block, x, pooled, d, begin / 2, end / 2);
}

static void finish_backward(struct willis_encoder_block *block,
                            const struct willis_block_parameters *p, int pass,
                            const struct willis_block_parameters *gradient) {
  (void)pass;
  finish_gather(block, p, gradient);
}

static const struct willis_block_passes passes = {
    .forward_passes = 1,
    .backward_passes = 1,
    .reach = 2,
    .plan = plan_passes,
    .plan_forward = plan_nothing,
    .plan_backward = plan_nothing,
    .start = start_passes,
    .forward = forward_planes,
    .finish = finish_forward,
    .start_backward = start_backward,
    .backward = backward_planes,
    .finish_backward = finish_backward,
};

const struct willis_encoder_block_variant willis_first_block_avx2 = {
    .name = "first avx2",
    .features = WILLIS_CPU_AVX2,
    .fits = fits,
    .plan = plan,
    .plan_scratch = plan_scratch,
    .forward = forward,
    .backward = backward,
    .plan_slabs = plan_slabs,
    .start_slabs = start_slabs,
    .slab = slab,
    .passes = &passes,
};
