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
    if (!d->training) continue;
    ptrdiff_t count = voxels(d, b) * outputs;
    d->raw[b] = willis_arena_take(arena, count, sizeof *d->raw[b]);
    d->activation[b] = willis_arena_take(arena, count, sizeof *d->activation[b]);
  }
}

static void plain_plan_scratch(struct willis_decoder *d, struct willis_arena *arena) {
  for (int b = 0; b < 2; b++) {
    ptrdiff_t count = voxels(d, b) * d->shape[b].outputs;
    if (d->training)
      d->d_activation[b] = willis_arena_take(arena, count, sizeof *d->d_activation[b]);
    else
      d->raw[b] = d->activation[b] = willis_arena_take(arena, count, sizeof *d->raw[b]);
  }
}

static void plain_forward(struct willis_decoder *d, const struct willis_block_parameters *p,
                          const float *x, float *logit) {
  for (int b = 0; b < 2; b++) {
    const int outputs = d->shape[b].outputs;
    willis_conv_transpose3d_forward(&d->shape[b], x, p[b].weight, p[b].bias, d->raw[b]);
    if (d->training)
      willis_batch_norm_statistics(voxels(d, b), outputs, d->raw[b], d->mean[b], d->variance[b]);
    else
      for (int c = 0; c < outputs; c++) {
        d->mean[b][c] = p[b].running_mean[c];
        d->variance[b][c] = p[b].running_variance[c];
      }
    willis_batch_norm_forward(voxels(d, b), outputs, d->raw[b], d->mean[b], d->variance[b],
                              p[b].gamma, p[b].beta, d->activation[b]);
    willis_relu_forward(voxels(d, b) * outputs, d->activation[b], d->activation[b]);
    x = d->activation[b];
  }
  willis_conv_transpose3d_forward(&d->shape[2], x, p[2].weight, p[2].bias, logit);
}

static void plain_backward(struct willis_decoder *d, const struct willis_block_parameters *p,
                           const float *x, float *d_logit,
                           const struct willis_block_parameters *gradient, float *d_x) {
  const float *const input[] = {x, d->activation[0], d->activation[1]};
  float *const d_input[] = {d_x, d->d_activation[0], d->d_activation[1]};
  const float *d_y = d_logit;
  for (int b = WILLIS_DECODER_BLOCKS - 1; b >= 0; b--) {
    willis_conv_transpose3d_backward_weight(&d->shape[b], input[b], d_y, gradient[b].weight,
                                            gradient[b].bias);
    willis_conv_transpose3d_backward_data(&d->shape[b], d_y, p[b].weight, d_input[b]);
    d_y = d_input[b];
    if (b == 0) break;
    const int before = b - 1, outputs = d->shape[before].outputs;
    float *g = d_input[b];
    willis_relu_backward(voxels(d, before) * outputs, input[b], g, g);
    willis_batch_norm_backward(voxels(d, before), outputs, d->raw[before], d->mean[before],
                               d->variance[before], p[before].gamma, g, g, gradient[before].gamma,
                               gradient[before].beta);
  }
}

const struct willis_decoder_variant willis_decoder_plain = {
    .name = "plain",
    .fits = plain_fits,
    .plan = plain_plan,
    .plan_scratch = plain_plan_scratch,
    .forward = plain_forward,
    .backward = plain_backward,
};

static const struct willis_decoder_variant *const variants[] = {
#ifdef WILLIS_HAVE_AVX2
    &willis_decoder_avx2,
#endif
    &willis_decoder_plain,
};

void willis_decoder_plan(struct willis_decoder *decoder, struct willis_extent extent,
                         const int width[WILLIS_DECODER_BLOCKS], bool training,
                         struct willis_arena *arena) {
  *decoder = (struct willis_decoder){.training = training};
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

void willis_decoder_backward(struct willis_decoder *decoder,
                             const struct willis_block_parameters p[WILLIS_DECODER_BLOCKS],
                             const float *x, float *d_logit,
                             const struct willis_block_parameters gradient[WILLIS_DECODER_BLOCKS],
                             float *d_x) {
  decoder->variant->backward(decoder, p, x, d_logit, gradient, d_x);
}
