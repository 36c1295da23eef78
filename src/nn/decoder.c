/* The decoder composed of its single layers, and the choice among its variants. */
#include "nn/decoder.h"

#include "base/cpu.h"
#include "nn/batch_norm.h"
#include "nn/relu.h"

/* Voxels that block b puts out. */
static ptrdiff_t voxels(const struct willis_decoder *d, int b) {
  return willis_extent_count(d->shape[b].extent) * WILLIS_CONV_TRANSPOSE3D_TAPS;
}

static bool plain_fits(const int width[WILLIS_DECODER_BLOCKS]) {
  (void)width;
  return true;
}

static void plain_plan(struct willis_decoder *d, struct willis_arena *arena) {
  for (int b = 0; b < 2; b++) {
    const int outputs = d->shape[b].outputs;
    d->mean[b] = willis_arena_take(arena, outputs, sizeof *d->mean[b]);
    d->variance[b] = willis_arena_take(arena, outputs, sizeof *d->variance[b]);
  }
}

static void plain_plan_scratch(struct willis_decoder *d, struct willis_arena *arena) {
  const bool training = d->use != WILLIS_DECODER_INFER;
  for (int b = 0; b < 2; b++) {
    ptrdiff_t count = voxels(d, b) * d->shape[b].outputs;
    d->raw[b] = d->activation[b] = willis_arena_take(arena, count, sizeof *d->raw[b]);
    if (!training) continue;
    d->activation[b] = willis_arena_take(arena, count, sizeof *d->activation[b]);
    d->d_activation[b] = willis_arena_take(arena, count, sizeof *d->d_activation[b]);
  }
  if (!training) return;
  d->logit = willis_arena_take(arena, voxels(d, 2), sizeof *d->logit);
  d->target = willis_arena_take(arena, voxels(d, 2), sizeof *d->target);
}

static void plain_block(struct willis_decoder *d, const struct willis_block_parameters *p, int b,
                        const float *x) {
  const int outputs = d->shape[b].outputs;
  willis_conv_transpose3d_forward(&d->shape[b], x, p->weight, p->bias, d->raw[b]);
  if (d->use != WILLIS_DECODER_INFER)
    willis_batch_norm_statistics(voxels(d, b), outputs, d->raw[b], d->mean[b], d->variance[b]);
  else
    for (int c = 0; c < outputs; c++) {
      d->mean[b][c] = p->running_mean[c];
      d->variance[b][c] = p->running_variance[c];
    }
  willis_batch_norm_forward(voxels(d, b), outputs, d->raw[b], d->mean[b], d->variance[b], p->gamma,
                            p->beta, d->activation[b]);
  willis_relu_forward(voxels(d, b) * outputs, d->activation[b], d->activation[b]);
}

static void plain_forward(struct willis_decoder *d, const struct willis_block_parameters *p,
                          const float *x, float *logit) {
  plain_block(d, &p[0], 0, x);
  plain_block(d, &p[1], 1, d->activation[0]);
  willis_conv_transpose3d_forward(&d->shape[2], d->activation[1], p[2].weight, p[2].bias, logit);
}

static double plain_gradient(struct willis_decoder *d, const struct willis_block_parameters *p,
                             const struct willis_decoder_input *input,
                             const struct willis_decoder_goal *goal,
                             const struct willis_block_parameters *gradient) {
  plain_forward(d, p, input->x, d->logit);
  willis_target_read(&goal->target, 0, voxels(d, 2), d->target);
  double loss = willis_focal_sum(&goal->focal, voxels(d, 2), d->logit, d->target, d->logit);
  const float *const from[] = {input->x, d->activation[0], d->activation[1]};
  const float *d_y = d->logit;
  for (int b = WILLIS_DECODER_BLOCKS - 1; b >= 0; b--) {
    willis_conv_transpose3d_backward_weight(&d->shape[b], from[b], d_y, gradient[b].weight,
                                            gradient[b].bias);
    if (b == 0) break;
    const int before = b - 1, outputs = d->shape[before].outputs;
    float *g = d->d_activation[before];
    willis_conv_transpose3d_backward_data(&d->shape[b], d_y, p[b].weight, g);
    willis_relu_backward(voxels(d, before) * outputs, from[b], g, g);
    willis_batch_norm_backward(voxels(d, before), outputs, d->raw[before], d->mean[before],
                               d->variance[before], p[before].gamma, g, g, gradient[before].gamma,
                               gradient[before].beta);
    d_y = g;
  }
  return loss;
}

static void plain_input_gradient(struct willis_decoder *d, const struct willis_block_parameters *p,
                                 ptrdiff_t begin, ptrdiff_t end, float *d_x) {
  const struct willis_extent e = d->shape[0].extent;
  const ptrdiff_t plane = e.height * e.width;
  struct willis_conv_transpose3d_shape part = d->shape[0];
  part.extent.depth = (end - begin) / plane;
  willis_conv_transpose3d_backward_data(
      &part, d->d_activation[0] + begin * WILLIS_CONV_TRANSPOSE3D_TAPS * part.outputs, p[0].weight,
      d_x);
}

const struct willis_decoder_variant willis_decoder_plain = {
    .name = "plain",
    .fits = plain_fits,
    .plan = plain_plan,
    .plan_scratch = plain_plan_scratch,
    .forward = plain_forward,
    .gradient = plain_gradient,
    .input_gradient = plain_input_gradient,
};

static const struct willis_decoder_variant *const variants[] = {
#ifdef WILLIS_HAVE_AVX2
    &willis_decoder_avx2,
#endif
    &willis_decoder_plain,
};

void willis_decoder_plan(struct willis_decoder *decoder, struct willis_extent extent,
                         const int width[WILLIS_DECODER_BLOCKS], enum willis_decoder_use use,
                         struct willis_arena *arena) {
  *decoder = (struct willis_decoder){.use = use};
  for (int b = 0; b < WILLIS_DECODER_BLOCKS; b++) {
    int outputs = b + 1 < WILLIS_DECODER_BLOCKS ? width[b + 1] : 1;
    decoder->shape[b] = (struct willis_conv_transpose3d_shape){extent, width[b], outputs};
    extent = willis_extent_double(extent);
  }
  const struct willis_decoder_variant *const *v = variants;
  while ((willis_cpu_features() & (*v)->features) != (*v)->features || !(*v)->fits(width)) v++;
  decoder->variant = *v;
  decoder->variant->plan(decoder, arena);
}

void willis_decoder_plan_scratch(struct willis_decoder *decoder, struct willis_arena *arena) {
  decoder->variant->plan_scratch(decoder, arena);
}

void willis_decoder_forward(struct willis_decoder *decoder,
                            const struct willis_block_parameters p[WILLIS_DECODER_BLOCKS],
                            const float *x, float *logit) {
  decoder->variant->forward(decoder, p, x, logit);
}

double willis_decoder_gradient(struct willis_decoder *decoder,
                               const struct willis_block_parameters p[WILLIS_DECODER_BLOCKS],
                               const struct willis_decoder_input *input,
                               const struct willis_decoder_goal *goal,
                               const struct willis_block_parameters gradient[3]) {
  return decoder->variant->gradient(decoder, p, input, goal, gradient);
}

void willis_decoder_input_gradient(struct willis_decoder *decoder,
                                   const struct willis_block_parameters p[WILLIS_DECODER_BLOCKS],
                                   ptrdiff_t begin, ptrdiff_t end, float *d_x) {
  decoder->variant->input_gradient(decoder, p, begin, end, d_x);
}
