/* The encoder block on Winograd kernels, without a pass over its large tensors between the layers.
 *
 * Normalisation is an affine map of each channel and ReLU is monotonous, so both commute with the
 * maximum: y = relu(scale·extreme + shift), where `extreme` is the window's raw maximum, or its
 * minimum where scale < 0. The kernel hands over extreme, its position, and the channel sums that
 * give mean and variance.
 *
 * Backward, with d the gradient that passed ReLU, n the voxels and x̂ the normalised raw value,
 *   d_beta = Σd,  d_gamma = Σ d·x̂(extreme),
 *   d_raw = scale · (d at the extreme − d_beta/n − x̂·d_gamma/n)
 * is an affine map of raw plus a sparse term. The weight gradient forms it while it reads raw
 * (struct willis_conv3d_scatter) and leaves it in raw's place for the data gradient. */
#include "base/cpu.h"
#include "nn/batch_norm.h"
#include "nn/conv3d_avx2.h"
#include "nn/encoder_block.h"
#include "nn/max_pool.h"

#include <math.h>
#include <string.h>

/* Pooled voxels whose sums are made by one thread at a time. */
enum { CHUNK = 1024 };

/* block->channels: CHANNEL_ARRAYS × [outputs]. */
enum channel_array { SCALE, SHIFT, LEVEL, SLOPE, CHANNEL_ARRAYS };

static float *channel(const struct willis_encoder_block *block, enum channel_array which) {
  return block->channels + (ptrdiff_t)which * block->shape.outputs;
}

static ptrdiff_t pooled_voxels(const struct willis_encoder_block *block) {
  return willis_extent_count(block->shape.extent) / WILLIS_POOL_WINDOW;
}

static ptrdiff_t chunk_count(const struct willis_encoder_block *block) {
  return (pooled_voxels(block) + CHUNK - 1) / CHUNK;
}

static void plan(struct willis_encoder_block *block, struct willis_arena *arena) {
  const ptrdiff_t outputs = block->shape.outputs, pooled = pooled_voxels(block) * outputs;
  block->mean = willis_arena_take(arena, outputs, sizeof *block->mean);
  block->variance = willis_arena_take(arena, outputs, sizeof *block->variance);
  block->channels = willis_arena_take(arena, CHANNEL_ARRAYS * outputs, sizeof *block->channels);
  if (!block->training) return;
  block->raw = willis_arena_take(arena, pooled * WILLIS_POOL_WINDOW, sizeof *block->raw);
  block->extreme = willis_arena_take(arena, pooled, sizeof *block->extreme);
  block->argmax = willis_arena_take(arena, pooled, sizeof *block->argmax);
}

static void plan_scratch(struct willis_encoder_block *block, struct willis_arena *arena) {
  const struct willis_conv3d_shape *shape = &block->shape;
  const ptrdiff_t outputs = shape->outputs, pooled = pooled_voxels(block) * outputs;
  /* Weights going forward; in the backward pass also the sums of their gradient, which are more. */
  block->packed = willis_arena_take(arena,
                                    block->training ? willis_conv3d_avx2_sum_count(shape)
                                                    : willis_conv3d_avx2_packed_count(shape),
                                    sizeof *block->packed);
  block->scratch = willis_arena_take(
      arena, (ptrdiff_t)willis_conv3d_avx2_scratch_bytes(shape, shape->extent.depth), 1);
  ptrdiff_t chunks = block->training ? chunk_count(block) : 1;
  block->sums = willis_arena_take(arena, chunks * 2 * outputs, sizeof *block->sums);
  if (block->training) return;
  block->extreme = willis_arena_take(arena, pooled, sizeof *block->extreme);
  block->argmax = willis_arena_take(arena, pooled, sizeof *block->argmax);
}

/* Mean and variance of raw from the sums of raw − bias. */
static void batch_statistics(struct willis_encoder_block *block, const float *bias,
                             const double *sum, const double *square) {
  const double n = (double)willis_extent_count(block->shape.extent);
  for (int c = 0; c < block->shape.outputs; c++) {
    double offset = sum[c] / n;
    block->mean[c] = bias[c] + offset;
    block->variance[c] = fmax(square[c] / n - offset * offset, 0);
  }
}

static void affine_map(struct willis_encoder_block *block,
                       const struct willis_block_parameters *p) {
  for (int c = 0; c < block->shape.outputs; c++) {
    double scale = p->gamma[c] / sqrt(block->variance[c] + WILLIS_BATCH_NORM_EPSILON);
    channel(block, SCALE)[c] = (float)scale;
    channel(block, SHIFT)[c] = (float)(p->beta[c] - block->mean[c] * scale);
  }
}

static void running_statistics(struct willis_encoder_block *block,
                               const struct willis_block_parameters *p) {
  for (int c = 0; c < block->shape.outputs; c++) {
    block->mean[c] = p->running_mean[c];
    block->variance[c] = p->running_variance[c];
  }
}

static inline float activated(float scale, float extreme, float shift) {
  float value = scale * extreme + shift;
  return value <= 0 ? 0 : value;
}

/* y = relu(scale·extreme + shift) for pooled voxels; y may be extreme. */
static void activate(const struct willis_encoder_block *block, ptrdiff_t voxels,
                     const float *extreme, float *y) {
  const int outputs = block->shape.outputs;
  const float *scale = channel(block, SCALE), *shift = channel(block, SHIFT);
#pragma omp parallel for schedule(static)
  for (ptrdiff_t v = 0; v < voxels; v++)
    for (int c = 0; c < outputs; c++)
      y[v * outputs + c] = activated(scale[c], extreme[v * outputs + c], shift[c]);
}

static void forward(struct willis_encoder_block *block, const struct willis_block_parameters *p,
                    const float *x, float *y) {
  const struct willis_conv3d_shape *shape = &block->shape;
  const int outputs = shape->outputs;
  const ptrdiff_t depth = shape->extent.depth;
  double *sum = block->sums, *square = sum + outputs;
  memset(sum, 0, 2 * (size_t)outputs * sizeof *sum);
  willis_conv3d_avx2_pack_forward(shape, p->weight, block->packed);
  struct willis_conv3d_pooled pooled = {.sign = p->gamma,
                                        .extreme = block->extreme,
                                        .argmax = block->argmax,
                                        .sum = block->training ? sum : NULL,
                                        .square = block->training ? square : NULL};
  struct willis_conv3d_planes planes = {.data = x, .begin = 0, .end = depth};
  willis_conv3d_avx2_forward(shape, planes, block->packed, p->bias, 0, depth, block->raw, &pooled,
                             block->scratch);
  if (block->training)
    batch_statistics(block, p->bias, sum, square);
  else
    running_statistics(block, p);
  affine_map(block, p);
  activate(block, pooled_voxels(block), block->extreme, y);
}

static void plan_slabs(struct willis_encoder_block *block, ptrdiff_t planes,
                       struct willis_arena *arena) {
  const struct willis_conv3d_shape *shape = &block->shape;
  const struct willis_extent half = willis_extent_half(shape->extent);
  const ptrdiff_t pooled = planes * half.height * half.width * shape->outputs;
  plan(block, arena);
  block->packed =
      willis_arena_take(arena, willis_conv3d_avx2_packed_count(shape), sizeof *block->packed);
  block->scratch =
      willis_arena_take(arena, (ptrdiff_t)willis_conv3d_avx2_infer_scratch_bytes(shape), 1);
  block->argmax = willis_arena_take(arena, pooled, sizeof *block->argmax);
}

static void start_slabs(struct willis_encoder_block *block,
                        const struct willis_block_parameters *p) {
  running_statistics(block, p);
  affine_map(block, p);
  willis_conv3d_avx2_pack_forward(&block->shape, p->weight, block->packed);
}

static void slab(struct willis_encoder_block *block, const struct willis_block_parameters *p,
                 struct willis_planes x, ptrdiff_t begin, ptrdiff_t end, float *y) {
  const struct willis_extent half = willis_extent_half(block->shape.extent);
  struct willis_conv3d_pooled pooled = {.sign = p->gamma, .extreme = y, .argmax = block->argmax};
  struct willis_conv3d_planes planes = {.data = x.data, .begin = x.begin, .end = x.end};
  willis_conv3d_avx2_forward(&block->shape, planes, block->packed, p->bias, 2 * begin, 2 * end,
                             NULL, &pooled, block->scratch);
  activate(block, (end - begin) * half.height * half.width, y, y);
}

/* Over pooled voxels [begin, end): d ← 0 where ReLU was shut; sum[c] = Σd, product[c] = Σ
 * d·extreme; then d ← scale·d. */
static void sum_chunk(const struct willis_encoder_block *block, const float *y, float *d,
                      ptrdiff_t begin, ptrdiff_t end, double *sum, double *product) {
  const int outputs = block->shape.outputs;
  const float *scale = channel(block, SCALE), *extreme = block->extreme;
  for (int c = 0; c < outputs; c++) sum[c] = product[c] = 0;
  for (ptrdiff_t v = begin; v < end; v++)
    for (int c = 0; c < outputs; c++) {
      const ptrdiff_t at = v * outputs + c;
      float open = y[at] > 0 ? d[at] : 0;
      sum[c] += (double)open;
      product[c] += (double)open * (double)extreme[at];
      d[at] = scale[c] * open;
    }
}

/* What the scatter needs, and the gradients of gamma and beta, from the sums of chunks. */
static void channel_gradient(struct willis_encoder_block *block, const double *sums,
                             const struct willis_block_parameters *gradient) {
  const ptrdiff_t chunks = chunk_count(block);
  const int outputs = block->shape.outputs;
  const double n = (double)willis_extent_count(block->shape.extent);
  for (int c = 0; c < outputs; c++) {
    double sum = 0, product = 0;
    for (ptrdiff_t k = 0; k < chunks; k++) {
      sum += sums[k * 2 * outputs + c];
      product += sums[(k * 2 + 1) * outputs + c];
    }
    double inverse_sd = 1 / sqrt(block->variance[c] + WILLIS_BATCH_NORM_EPSILON);
    double d_gamma = (product - block->mean[c] * sum) * inverse_sd;
    double scale = channel(block, SCALE)[c], slope = -scale * d_gamma / n * inverse_sd;
    gradient->beta[c] = (float)sum;
    gradient->gamma[c] = (float)d_gamma;
    /* The mean takes the bias away again: its gradient is zero. */
    gradient->bias[c] = 0;
    channel(block, SLOPE)[c] = (float)slope;
    channel(block, LEVEL)[c] = (float)(-scale * sum / n - slope * block->mean[c]);
  }
}

static void normalisation_gradient(struct willis_encoder_block *block, const float *y, float *d_y,
                                   const struct willis_block_parameters *gradient) {
  const ptrdiff_t chunks = chunk_count(block), pooled = pooled_voxels(block);
  const int outputs = block->shape.outputs;
#pragma omp parallel for schedule(dynamic, 1)
  for (ptrdiff_t k = 0; k < chunks; k++) {
    ptrdiff_t begin = k * CHUNK, end = begin + CHUNK < pooled ? begin + CHUNK : pooled;
    double *sum = block->sums + k * 2 * outputs;
    sum_chunk(block, y, d_y, begin, end, sum, sum + outputs);
  }
  channel_gradient(block, block->sums, gradient);
}

static void backward(struct willis_encoder_block *block, const struct willis_block_parameters *p,
                     const float *x, const float *y, float *d_y,
                     const struct willis_block_parameters *gradient, float *d_x) {
  const struct willis_conv3d_shape *shape = &block->shape;
  const ptrdiff_t depth = shape->extent.depth;
  normalisation_gradient(block, y, d_y, gradient);
  struct willis_conv3d_scatter scatter = {.level = channel(block, LEVEL),
                                          .slope = channel(block, SLOPE),
                                          .d_pooled = d_y,
                                          .argmax = block->argmax,
                                          .dense = d_x ? block->raw : NULL};
  struct willis_conv3d_planes input = {.data = x, .begin = 0, .end = depth};
  struct willis_conv3d_planes d_raw = {block->raw, 0, depth, &scatter};
  willis_conv3d_avx2_backward_weight_start(shape, block->packed);
  willis_conv3d_avx2_backward_weight_add(shape, input, d_raw, 0, depth, block->packed,
                                         block->scratch);
  willis_conv3d_avx2_backward_weight_finish(shape, block->packed, gradient->weight);
  if (!d_x) return;
  d_raw.scatter = NULL;
  willis_conv3d_avx2_pack_backward(shape, p->weight, block->packed);
  willis_conv3d_avx2_backward_data(shape, d_raw, block->packed, 0, depth, d_x, block->scratch);
}

/* ---- training by slabs: what is kept is `extreme`, and later the gradient at it ---- */

static double *chunk_sums(const struct willis_encoder_block *block) {
  return block->sums + (ptrdiff_t)2 * block->shape.outputs;
}

static void plan_passes(struct willis_encoder_block *block, ptrdiff_t planes,
                        struct willis_arena *arena) {
  (void)planes;
  const ptrdiff_t outputs = block->shape.outputs;
  block->mean = willis_arena_take(arena, outputs, sizeof *block->mean);
  block->variance = willis_arena_take(arena, outputs, sizeof *block->variance);
  block->channels = willis_arena_take(arena, CHANNEL_ARRAYS * outputs, sizeof *block->channels);
  block->packed = willis_arena_take(arena, willis_conv3d_avx2_packed_count(&block->shape),
                                    sizeof *block->packed);
  block->sums =
      willis_arena_take(arena, (chunk_count(block) + 1) * 2 * outputs, sizeof *block->sums);
}

static ptrdiff_t slab_pooled(const struct willis_encoder_block *block, ptrdiff_t planes) {
  const struct willis_extent half = willis_extent_half(block->shape.extent);
  return planes / 2 * half.height * half.width * block->shape.outputs;
}

static void plan_forward(struct willis_encoder_block *block, ptrdiff_t planes,
                         struct willis_arena *arena) {
  block->scratch = willis_arena_take(
      arena, (ptrdiff_t)willis_conv3d_avx2_scratch_bytes(&block->shape, planes), 1);
  block->argmax = willis_arena_take(arena, slab_pooled(block, planes), sizeof *block->argmax);
}

static void plan_backward(struct willis_encoder_block *block, ptrdiff_t planes,
                          struct willis_arena *arena) {
  const struct willis_conv3d_shape *shape = &block->shape;
  const ptrdiff_t pooled = slab_pooled(block, planes);
  block->scratch_back =
      willis_arena_take(arena, (ptrdiff_t)willis_conv3d_avx2_scratch_bytes(shape, planes), 1);
  block->packed_back =
      willis_arena_take(arena, willis_conv3d_avx2_packed_count(shape), sizeof(float));
  block->weight_sum = willis_arena_take(arena, willis_conv3d_avx2_sum_count(shape), sizeof(float));
  block->slab_extreme = willis_arena_take(arena, pooled, sizeof(float));
  block->slab_argmax = willis_arena_take(arena, pooled, 1);
}

static void start_passes(struct willis_encoder_block *block,
                         const struct willis_block_parameters *p) {
  const ptrdiff_t count = (chunk_count(block) + 1) * 2 * block->shape.outputs;
  memset(block->sums, 0, (size_t)count * sizeof *block->sums);
  willis_conv3d_avx2_pack_forward(&block->shape, p->weight, block->packed);
}

static void forward_planes(struct willis_encoder_block *block,
                           const struct willis_block_parameters *p, int pass,
                           struct willis_planes x, ptrdiff_t begin, ptrdiff_t end, float *kept) {
  (void)pass;
  struct willis_conv3d_pooled pooled = {.sign = p->gamma,
                                        .extreme = kept,
                                        .argmax = block->stored_argmax ? block->stored_argmax
                                                                       : block->argmax,
                                        .sum = block->sums,
                                        .square = block->sums + block->shape.outputs};
  struct willis_conv3d_planes planes = {.data = x.data, .begin = x.begin, .end = x.end};
  willis_conv3d_avx2_forward(&block->shape, planes, block->packed, p->bias, begin, end,
                             block->stored_raw, &pooled, block->scratch);
}

static void finish_forward(struct willis_encoder_block *block,
                           const struct willis_block_parameters *p, int pass) {
  (void)pass;
  batch_statistics(block, p->bias, block->sums, block->sums + block->shape.outputs);
  affine_map(block, p);
}

static void output(const struct willis_encoder_block *block, ptrdiff_t voxels, const float *kept,
                   float *y) {
  const int outputs = block->shape.outputs;
  const float *scale = channel(block, SCALE), *shift = channel(block, SHIFT);
  for (ptrdiff_t v = 0; v < voxels; v++)
    for (int c = 0; c < outputs; c++)
      y[v * outputs + c] = activated(scale[c], kept[v * outputs + c], shift[c]);
}

/* sum_chunk() for `voxels` voxels, whose sums go on; the gradient replaces the extreme. */
static void add_to_chunk(const struct willis_encoder_block *block, ptrdiff_t voxels,
                         const float *d_y, float *kept, double *sum, double *product) {
  const int outputs = block->shape.outputs;
  const float *scale = channel(block, SCALE), *shift = channel(block, SHIFT);
  for (ptrdiff_t v = 0; v < voxels; v++)
    for (int c = 0; c < outputs; c++) {
      const ptrdiff_t at = v * outputs + c;
      float open = activated(scale[c], kept[at], shift[c]) > 0 ? d_y[at] : 0;
      sum[c] += (double)open;
      product[c] += (double)open * (double)kept[at];
      kept[at] = scale[c] * open;
    }
}

static void take_gradient(struct willis_encoder_block *block, ptrdiff_t begin, ptrdiff_t end,
                          const float *d_y, float *kept) {
  const struct willis_extent half = willis_extent_half(block->shape.extent);
  const ptrdiff_t plane = half.height * half.width, first = begin * plane, last = end * plane;
  const ptrdiff_t outputs = block->shape.outputs;
#pragma omp parallel for schedule(dynamic, 1)
  for (ptrdiff_t k = first / CHUNK; k <= (last - 1) / CHUNK; k++) {
    ptrdiff_t from = k * CHUNK > first ? k * CHUNK : first;
    ptrdiff_t to = (k + 1) * CHUNK < last ? (k + 1) * CHUNK : last;
    double *sum = chunk_sums(block) + k * 2 * outputs;
    add_to_chunk(block, to - from, d_y + (from - first) * outputs, kept + (from - first) * outputs,
                 sum, sum + outputs);
  }
}

static void start_backward(struct willis_encoder_block *block,
                           const struct willis_block_parameters *p, int pass,
                           const struct willis_block_parameters *gradient) {
  (void)pass;
  channel_gradient(block, chunk_sums(block), gradient);
  willis_conv3d_avx2_pack_backward(&block->shape, p->weight, block->packed_back);
  willis_conv3d_avx2_backward_weight_start(&block->shape, block->weight_sum);
}

static void backward_planes(struct willis_encoder_block *block,
                            const struct willis_block_parameters *p, int pass,
                            struct willis_planes x, ptrdiff_t begin, ptrdiff_t end, const float *d,
                            struct willis_pooled_planes pooled_planes, float *d_raw) {
  (void)pass;
  (void)pooled_planes;
  const struct willis_conv3d_shape *shape = &block->shape;
  struct willis_conv3d_pooled pooled = {
      .sign = p->gamma, .extreme = block->slab_extreme, .argmax = block->slab_argmax};
  struct willis_conv3d_planes input = {.data = x.data, .begin = x.begin, .end = x.end};
  if (!block->stored_argmax)
    willis_conv3d_avx2_forward(shape, input, block->packed, p->bias, begin, end, d_raw, &pooled,
                               block->scratch_back);
  struct willis_conv3d_scatter scatter = {.level = channel(block, LEVEL),
                                          .slope = channel(block, SLOPE),
                                          .d_pooled = d,
                                          .argmax = block->stored_argmax ? block->stored_argmax
                                                                         : block->slab_argmax,
                                          .dense = d_raw};
  struct willis_conv3d_planes planes = {d_raw, begin, end, &scatter};
  willis_conv3d_avx2_backward_weight_add(shape, input, planes, begin, end, block->weight_sum,
                                         block->scratch_back);
}

static void finish_backward(struct willis_encoder_block *block,
                            const struct willis_block_parameters *p, int pass,
                            const struct willis_block_parameters *gradient) {
  (void)p;
  (void)pass;
  willis_conv3d_avx2_backward_weight_finish(&block->shape, block->weight_sum, gradient->weight);
}

static void input_gradient(struct willis_encoder_block *block,
                           const struct willis_block_parameters *p, struct willis_planes d_raw,
                           ptrdiff_t begin, ptrdiff_t end, float *d_x) {
  (void)p;
  struct willis_conv3d_planes planes = {.data = d_raw.data, .begin = d_raw.begin, .end = d_raw.end};
  willis_conv3d_avx2_backward_data(&block->shape, planes, block->packed_back, begin, end, d_x,
                                   block->scratch_back);
}

static const struct willis_block_passes passes = {
    .forward_passes = 1,
    .backward_passes = 1,
    .reach = 1,
    .takes_stored = true,
    .plan = plan_passes,
    .plan_forward = plan_forward,
    .plan_backward = plan_backward,
    .start = start_passes,
    .forward = forward_planes,
    .finish = finish_forward,
    .output = output,
    .take_gradient = take_gradient,
    .start_backward = start_backward,
    .backward = backward_planes,
    .finish_backward = finish_backward,
    .input_gradient = input_gradient,
};

const struct willis_encoder_block_variant willis_encoder_block_avx2 = {
    .name = "avx2",
    .features = WILLIS_CPU_AVX2,
    .fits = willis_conv3d_avx2_fits,
    .plan = plan,
    .plan_scratch = plan_scratch,
    .forward = forward,
    .backward = backward,
    .plan_slabs = plan_slabs,
    .start_slabs = start_slabs,
    .slab = slab,
    .passes = &passes,
};
