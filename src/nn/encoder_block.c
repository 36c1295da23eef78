/* The encoder block composed of its single layers, and the choice among its variants. */
#include "nn/encoder_block.h"

#include "base/cpu.h"
#include "nn/batch_norm.h"
#include "nn/max_pool.h"
#include "nn/relu.h"

#include <string.h>

static ptrdiff_t voxels(const struct willis_encoder_block *block) {
  return willis_extent_count(block->shape.extent);
}

static bool plain_fits(const struct willis_conv3d_shape *shape) {
  (void)shape;
  return true;
}

static void plain_plan(struct willis_encoder_block *block, struct willis_arena *arena) {
  const int outputs = block->shape.outputs;
  block->mean = willis_arena_take(arena, outputs, sizeof *block->mean);
  block->variance = willis_arena_take(arena, outputs, sizeof *block->variance);
  if (!block->training) return;
  ptrdiff_t count = voxels(block) * outputs;
  block->raw = willis_arena_take(arena, count, sizeof *block->raw);
  block->argmax = willis_arena_take(arena, count / WILLIS_POOL_WINDOW, sizeof *block->argmax);
}

static void plain_plan_scratch(struct willis_encoder_block *block, struct willis_arena *arena) {
  ptrdiff_t count = voxels(block) * block->shape.outputs;
  block->activation = willis_arena_take(arena, count, sizeof *block->activation);
  if (block->training) {
    block->d_activation = willis_arena_take(arena, count, sizeof *block->d_activation);
    return;
  }
  block->raw = willis_arena_take(arena, count, sizeof *block->raw);
  block->argmax = willis_arena_take(arena, count / WILLIS_POOL_WINDOW, sizeof *block->argmax);
}

static void plain_activate(struct willis_encoder_block *block,
                           const struct willis_block_parameters *p) {
  const int outputs = block->shape.outputs;
  willis_batch_norm_forward(voxels(block), outputs, block->raw, block->mean, block->variance,
                            p->gamma, p->beta, block->activation);
  willis_relu_forward(voxels(block) * outputs, block->activation, block->activation);
}

static void plain_forward(struct willis_encoder_block *block,
                          const struct willis_block_parameters *p, const float *x, float *y) {
  const int outputs = block->shape.outputs;
  willis_conv3d_forward(&block->shape, x, p->weight, p->bias, block->raw);
  if (block->training)
    willis_batch_norm_statistics(voxels(block), outputs, block->raw, block->mean, block->variance);
  else
    for (int c = 0; c < outputs; c++) {
      block->mean[c] = p->running_mean[c];
      block->variance[c] = p->running_variance[c];
    }
  plain_activate(block, p);
  willis_max_pool_forward(block->shape.extent, outputs, block->activation, y, block->argmax);
}

static void plain_backward(struct willis_encoder_block *block,
                           const struct willis_block_parameters *p, const float *x, const float *y,
                           float *d_y, const struct willis_block_parameters *gradient, float *d_x) {
  (void)y;
  const int outputs = block->shape.outputs;
  float *d_raw = block->d_activation;
  plain_activate(block, p);
  willis_max_pool_backward(block->shape.extent, outputs, block->argmax, d_y, d_raw);
  willis_relu_backward(voxels(block) * outputs, block->activation, d_raw, d_raw);
  willis_batch_norm_backward(voxels(block), outputs, block->raw, block->mean, block->variance,
                             p->gamma, d_raw, d_raw, gradient->gamma, gradient->beta);
  willis_conv3d_backward_weight(&block->shape, x, d_raw, gradient->weight, gradient->bias);
  if (d_x) willis_conv3d_backward_data(&block->shape, d_raw, p->weight, d_x);
}

/* Slabs: the convolution of all planes that are given, as if they were a volume, is right in those
 * that have their neighbours, and only these are used. */
enum { NEIGHBOURS = 2 };

static void plain_plan_slabs(struct willis_encoder_block *block, ptrdiff_t planes,
                             struct willis_arena *arena) {
  struct willis_encoder_block part = *block;
  ptrdiff_t most = 2 * planes + NEIGHBOURS;
  if (most < part.shape.extent.depth) part.shape.extent.depth = most;
  plain_plan(&part, arena);
  plain_plan_scratch(&part, arena);
  part.shape = block->shape;
  *block = part;
}

static void plain_start_slabs(struct willis_encoder_block *block,
                              const struct willis_block_parameters *p) {
  for (int c = 0; c < block->shape.outputs; c++) {
    block->mean[c] = p->running_mean[c];
    block->variance[c] = p->running_variance[c];
  }
}

static void plain_slab(struct willis_encoder_block *block, const struct willis_block_parameters *p,
                       struct willis_planes x, ptrdiff_t begin, ptrdiff_t end, float *y) {
  const int inputs = block->shape.inputs, outputs = block->shape.outputs;
  const struct willis_extent e = block->shape.extent;
  ptrdiff_t first = begin > 0 ? 2 * begin - 1 : 0;
  ptrdiff_t last = 2 * end < e.depth ? 2 * end + 1 : e.depth;
  struct willis_encoder_block part = *block;
  part.shape.extent.depth = last - first;
  willis_conv3d_forward(&part.shape, x.data + (first - x.begin) * e.height * e.width * inputs,
                        p->weight, p->bias, part.raw);
  plain_activate(&part, p);
  willis_max_pool_forward((struct willis_extent){2 * (end - begin), e.height, e.width}, outputs,
                          part.activation + (2 * begin - first) * e.height * e.width * outputs, y,
                          part.argmax);
}

/* ---- training by slabs: what is kept is y, and later its gradient ----
 *
 * Forward the mean, the variance, y; backward the sums of the normalisation, then all else. The
 * sums go over the voxels in their order, as those of the whole volume do. */
enum { MEAN, VARIANCE, OUTPUT, FORWARD_PASSES };
enum { SUMS, GRADIENTS, BACKWARD_PASSES };

static ptrdiff_t plane_voxels(const struct willis_encoder_block *block) {
  return block->shape.extent.height * block->shape.extent.width;
}

/* block->sums: two for each output, then those of the weights. */
static double *weight_sums(const struct willis_encoder_block *block) {
  return block->sums + (ptrdiff_t)2 * block->shape.outputs;
}

static void plain_plan_passes(struct willis_encoder_block *block, ptrdiff_t planes,
                              struct willis_arena *arena) {
  const int outputs = block->shape.outputs;
  const ptrdiff_t count = (planes + NEIGHBOURS) * plane_voxels(block) * outputs;
  block->mean = willis_arena_take(arena, outputs, sizeof *block->mean);
  block->variance = willis_arena_take(arena, outputs, sizeof *block->variance);
  block->sums = willis_arena_take(arena, 2 * outputs + willis_conv3d_sum_count(&block->shape),
                                  sizeof *block->sums);
  block->raw = willis_arena_take(arena, count, sizeof *block->raw);
  block->activation = willis_arena_take(arena, count, sizeof *block->activation);
  block->d_activation = willis_arena_take(arena, count, sizeof *block->d_activation);
  ptrdiff_t pooled = count / WILLIS_POOL_WINDOW;
  block->slab_extreme = willis_arena_take(arena, pooled, sizeof *block->slab_extreme);
  block->slab_argmax = willis_arena_take(arena, pooled, sizeof *block->slab_argmax);
}

static void plain_plan_nothing(struct willis_encoder_block *block, ptrdiff_t planes,
                               struct willis_arena *arena) {
  (void)block;
  (void)planes;
  (void)arena;
}

static void clear_sums(struct willis_encoder_block *block) {
  const int outputs = block->shape.outputs;
  for (int c = 0; c < 2 * outputs; c++) block->sums[c] = 0;
}

static void plain_start(struct willis_encoder_block *block,
                        const struct willis_block_parameters *p) {
  (void)p;
  clear_sums(block);
}

/* Planes [begin, end) of the convolution's output, in block->raw. */
static const float *raw_planes(struct willis_encoder_block *block,
                               const struct willis_block_parameters *p, struct willis_planes x,
                               ptrdiff_t begin, ptrdiff_t end) {
  const ptrdiff_t depth = block->shape.extent.depth, plane = plane_voxels(block);
  const ptrdiff_t first = begin > 0 ? begin - 1 : 0, last = end < depth ? end + 1 : depth;
  struct willis_conv3d_shape part = block->shape;
  part.extent.depth = last - first;
  willis_conv3d_forward(&part, x.data + (first - x.begin) * plane * part.inputs, p->weight, p->bias,
                        block->raw);
  return block->raw + (begin - first) * plane * part.outputs;
}

/* Their activation, pooled into y and block->slab_argmax. */
static void pool_raw(struct willis_encoder_block *block, const struct willis_block_parameters *p,
                     const float *raw, ptrdiff_t planes, float *y) {
  const int outputs = block->shape.outputs;
  const ptrdiff_t count = planes * plane_voxels(block);
  const struct willis_extent e = {planes, block->shape.extent.height, block->shape.extent.width};
  willis_batch_norm_forward(count, outputs, raw, block->mean, block->variance, p->gamma, p->beta,
                            block->activation);
  willis_relu_forward(count * outputs, block->activation, block->activation);
  willis_max_pool_forward(e, outputs, block->activation, y, block->slab_argmax);
}

static void plain_forward_planes(struct willis_encoder_block *block,
                                 const struct willis_block_parameters *p, int pass,
                                 struct willis_planes x, ptrdiff_t begin, ptrdiff_t end,
                                 float *kept) {
  if (pass == OUTPUT && !kept) return;
  const float *raw = raw_planes(block, p, x, begin, end);
  if (pass == OUTPUT)
    pool_raw(block, p, raw, end - begin, kept);
  else
    willis_batch_norm_add((end - begin) * plane_voxels(block), block->shape.outputs, raw,
                          pass == VARIANCE ? block->mean : NULL, block->sums);
}

static void plain_finish(struct willis_encoder_block *block,
                         const struct willis_block_parameters *p, int pass) {
  (void)p;
  double *const to[] = {block->mean, block->variance};
  if (pass == OUTPUT) return;
  for (int c = 0; c < block->shape.outputs; c++)
    to[pass][c] = block->sums[c] / (double)voxels(block);
  clear_sums(block);
}

static void plain_output(const struct willis_encoder_block *block, ptrdiff_t count,
                         const float *kept, float *y) {
  if (y != kept) memcpy(y, kept, (size_t)(count * block->shape.outputs) * sizeof *y);
}

static void plain_take_gradient(struct willis_encoder_block *block, ptrdiff_t begin, ptrdiff_t end,
                                const float *d_y, float *kept) {
  const ptrdiff_t plane = plane_voxels(block) / 4 * block->shape.outputs;
  memcpy(kept, d_y, (size_t)((end - begin) * plane) * sizeof *kept);
}

static void plain_start_backward(struct willis_encoder_block *block,
                                 const struct willis_block_parameters *p, int pass,
                                 const struct willis_block_parameters *gradient) {
  (void)p;
  (void)gradient;
  if (pass == SUMS) clear_sums(block);
  if (pass == GRADIENTS)
    memset(weight_sums(block), 0, (size_t)willis_conv3d_sum_count(&block->shape) * sizeof(double));
}

static void plain_backward_planes(struct willis_encoder_block *block,
                                  const struct willis_block_parameters *p, int pass,
                                  struct willis_planes x, ptrdiff_t begin, ptrdiff_t end,
                                  const float *d, struct willis_pooled_planes pooled,
                                  float *d_raw) {
  (void)pooled;
  const int outputs = block->shape.outputs;
  const ptrdiff_t count = (end - begin) * plane_voxels(block);
  const struct willis_extent e = {end - begin, block->shape.extent.height,
                                  block->shape.extent.width};
  double *sum = block->sums, *product = sum + outputs;
  if (!d_raw || pass == SUMS) d_raw = block->d_activation;
  const float *raw = raw_planes(block, p, x, begin, end);
  pool_raw(block, p, raw, end - begin, block->slab_extreme);
  willis_max_pool_backward(e, outputs, block->slab_argmax, d, d_raw);
  willis_relu_backward(count * outputs, block->activation, d_raw, d_raw);
  if (pass == SUMS) {
    willis_batch_norm_backward_add(count, outputs, raw, block->mean, d_raw, sum, product);
    return;
  }
  willis_batch_norm_backward_apply(voxels(block), count, outputs, raw, block->mean, block->variance,
                                   p->gamma, sum, product, d_raw, d_raw);
  willis_conv3d_backward_weight_add(&block->shape, x, (struct willis_planes){d_raw, begin, end},
                                    begin, end, weight_sums(block));
}

static void plain_finish_backward(struct willis_encoder_block *block,
                                  const struct willis_block_parameters *p, int pass,
                                  const struct willis_block_parameters *gradient) {
  (void)p;
  const int outputs = block->shape.outputs;
  if (pass == SUMS)
    willis_batch_norm_backward_finish(outputs, block->variance, block->sums, block->sums + outputs,
                                      gradient->gamma, gradient->beta);
  else
    willis_conv3d_backward_weight_finish(&block->shape, weight_sums(block), gradient->weight,
                                         gradient->bias);
}

/* The gradient of the planes that are there, as if they were a volume, is right in the inner ones.
 */
static void plain_input_gradient_planes(struct willis_encoder_block *block,
                                        const struct willis_block_parameters *p,
                                        struct willis_planes d_raw, ptrdiff_t begin, ptrdiff_t end,
                                        float *d_x) {
  const ptrdiff_t depth = block->shape.extent.depth, plane = plane_voxels(block);
  const ptrdiff_t first = begin > 0 ? begin - 1 : 0, last = end < depth ? end + 1 : depth;
  struct willis_conv3d_shape part = block->shape;
  part.extent.depth = last - first;
  willis_conv3d_backward_data(&part, d_raw.data + (first - d_raw.begin) * plane * part.outputs,
                              p->weight, block->activation);
  memcpy(d_x, block->activation + (begin - first) * plane * part.inputs,
         (size_t)((end - begin) * plane * part.inputs) * sizeof *d_x);
}

static const struct willis_block_passes plain_passes = {
    .forward_passes = FORWARD_PASSES,
    .backward_passes = BACKWARD_PASSES,
    .reach = 1,
    .plan = plain_plan_passes,
    .plan_forward = plain_plan_nothing,
    .plan_backward = plain_plan_nothing,
    .start = plain_start,
    .forward = plain_forward_planes,
    .finish = plain_finish,
    .output = plain_output,
    .take_gradient = plain_take_gradient,
    .start_backward = plain_start_backward,
    .backward = plain_backward_planes,
    .finish_backward = plain_finish_backward,
    .input_gradient = plain_input_gradient_planes,
};

const struct willis_encoder_block_variant willis_encoder_block_plain = {
    .name = "plain",
    .fits = plain_fits,
    .plan = plain_plan,
    .plan_scratch = plain_plan_scratch,
    .forward = plain_forward,
    .backward = plain_backward,
    .plan_slabs = plain_plan_slabs,
    .start_slabs = plain_start_slabs,
    .slab = plain_slab,
    .passes = &plain_passes,
};

/* Best first; the plain one fits everything. */
static const struct willis_encoder_block_variant *const variants[] = {
#ifdef WILLIS_HAVE_AVX2
    &willis_first_block_avx2,
    &willis_encoder_block_avx2,
#endif
    &willis_encoder_block_plain,
};

static void choose(struct willis_encoder_block *block, const struct willis_conv3d_shape *shape,
                   bool training) {
  *block = (struct willis_encoder_block){.shape = *shape, .training = training};
  const struct willis_encoder_block_variant *const *v = variants;
  /* The last variant fits everything.
   * NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
  while ((willis_cpu_features() & (*v)->features) != (*v)->features || !(*v)->fits(shape)) v++;
  block->variant = *v;
}

void willis_encoder_block_plan(struct willis_encoder_block *block,
                               const struct willis_conv3d_shape *shape, bool training,
                               struct willis_arena *arena) {
  choose(block, shape, training);
  block->variant->plan(block, arena);
}

void willis_encoder_block_plan_scratch(struct willis_encoder_block *block,
                                       struct willis_arena *arena) {
  block->variant->plan_scratch(block, arena);
}

void willis_encoder_block_forward(struct willis_encoder_block *block,
                                  const struct willis_block_parameters *p, const float *x,
                                  float *y) {
  block->variant->forward(block, p, x, y);
}

void willis_encoder_block_backward(struct willis_encoder_block *block,
                                   const struct willis_block_parameters *p, const float *x,
                                   const float *y, float *d_y,
                                   const struct willis_block_parameters *gradient, float *d_x) {
  block->variant->backward(block, p, x, y, d_y, gradient, d_x);
}

void willis_encoder_block_plan_slabs(struct willis_encoder_block *block,
                                     const struct willis_conv3d_shape *shape, ptrdiff_t planes,
                                     struct willis_arena *arena) {
  choose(block, shape, false);
  block->variant->plan_slabs(block, planes, arena);
}

void willis_encoder_block_start_slabs(struct willis_encoder_block *block,
                                      const struct willis_block_parameters *p) {
  block->variant->start_slabs(block, p);
}

void willis_encoder_block_slab(struct willis_encoder_block *block,
                               const struct willis_block_parameters *p, struct willis_planes x,
                               ptrdiff_t begin, ptrdiff_t end, float *y) {
  block->variant->slab(block, p, x, begin, end, y);
}

void willis_encoder_block_plan_passes(struct willis_encoder_block *block,
                                      const struct willis_conv3d_shape *shape, ptrdiff_t planes,
                                      struct willis_arena *arena) {
  choose(block, shape, true);
  block->variant->passes->plan(block, planes, arena);
}
