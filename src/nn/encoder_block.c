/* The encoder block composed of its single layers, and the choice among its variants. */
#include "nn/encoder_block.h"

#include "base/cpu.h"
#include "nn/batch_norm.h"
#include "nn/max_pool.h"
#include "nn/relu.h"

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
                                      const struct willis_conv3d_shape *shape,
                                      struct willis_arena *arena) {
  choose(block, shape, true);
  block->variant->passes->plan(block, arena);
}
