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

const struct willis_encoder_block_variant willis_encoder_block_plain = {
    .name = "plain",
    .fits = plain_fits,
    .plan = plain_plan,
    .plan_scratch = plain_plan_scratch,
    .forward = plain_forward,
    .backward = plain_backward,
};

/* Best first; the plain one fits everything. */
static const struct willis_encoder_block_variant *const variants[] = {
#ifdef WILLIS_HAVE_AVX2
    &willis_first_block_avx2,
    &willis_encoder_block_avx2,
#endif
    &willis_encoder_block_plain,
};

void willis_encoder_block_plan(struct willis_encoder_block *block,
                               const struct willis_conv3d_shape *shape, bool training,
                               struct willis_arena *arena) {
  *block = (struct willis_encoder_block){.shape = *shape, .training = training};
  const struct willis_encoder_block_variant *const *v = variants;
  while ((willis_cpu_features() & (*v)->features) != (*v)->features || !(*v)->fits(shape)) v++;
  block->variant = *v;
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
