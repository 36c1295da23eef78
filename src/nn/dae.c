/* The denoising autoencoder of the paper, 1→32→64→128 channels down and 128→64→32→1 up (M7). Only
 * how the parts join: each part knows its own arithmetic. */
#include "nn/dae.h"

#include "nn/decoder.h"
#include "nn/encoder_block.h"

enum { ENCODERS = WILLIS_DAE_ENCODERS, LAYERS = ENCODERS + WILLIS_DECODER_BLOCKS };

static const struct willis_layer layers[LAYERS] = {
    {"enc1", WILLIS_LAYER_CONV3D, 1, 32, true, WILLIS_STENCIL(3, 1, 1)},
    {"enc2", WILLIS_LAYER_CONV3D, 32, 64, true, WILLIS_STENCIL(3, 1, 1)},
    {"enc3", WILLIS_LAYER_CONV3D, 64, 128, true, WILLIS_STENCIL(3, 1, 1)},
    {"dec1", WILLIS_LAYER_CONV_TRANSPOSE3D, 128, 64, true, WILLIS_STENCIL(2, 2, 0)},
    {"dec2", WILLIS_LAYER_CONV_TRANSPOSE3D, 64, 32, true, WILLIS_STENCIL(2, 2, 0)},
    {"dec3", WILLIS_LAYER_CONV_TRANSPOSE3D, 32, 1, false, WILLIS_STENCIL(2, 2, 0)},
};

struct dae_plan {
  struct willis_encoder_block encoder[ENCODERS];
  struct willis_decoder decoder;
  float *activation[ENCODERS];   /* what encoder e puts out */
  float *d_activation[ENCODERS]; /* its gradient */
};

static void plan_parts(struct dae_plan *dae, struct willis_extent extent, bool training,
                       struct willis_arena *arena) {
  *dae = (struct dae_plan){0};
  for (int e = 0; e < ENCODERS; e++) {
    struct willis_conv3d_shape shape = {extent, layers[e].inputs, layers[e].outputs};
    willis_encoder_block_plan(&dae->encoder[e], &shape, training, arena);
    extent = willis_extent_half(extent);
    ptrdiff_t count = willis_extent_count(extent) * layers[e].outputs;
    dae->activation[e] = willis_arena_take(arena, count, sizeof(float));
    if (training) dae->d_activation[e] = willis_arena_take(arena, count, sizeof(float));
  }
  int width[WILLIS_DECODER_BLOCKS];
  for (int b = 0; b < WILLIS_DECODER_BLOCKS; b++) width[b] = layers[ENCODERS + b].inputs;
  willis_decoder_plan(&dae->decoder, extent, width,
                      training ? WILLIS_DECODER_STORE : WILLIS_DECODER_INFER, arena);
  /* One part works at a time: they share their scratch memory. */
  size_t mark = arena->used;
  for (int e = 0; e < ENCODERS; e++) {
    willis_encoder_block_plan_scratch(&dae->encoder[e], arena);
    willis_arena_rewind(arena, mark);
  }
  willis_decoder_plan_scratch(&dae->decoder, arena);
  willis_arena_rewind(arena, mark);
}

static void dae_plan(void *plan, struct willis_extent extent, struct willis_arena *arena) {
  plan_parts(plan, extent, false, arena);
}

static const float *encode(struct dae_plan *dae, const struct willis_block_parameters *p,
                           const float *x) {
  for (int e = 0; e < ENCODERS; e++) {
    willis_encoder_block_forward(&dae->encoder[e], &p[e], x, dae->activation[e]);
    x = dae->activation[e];
  }
  return x;
}

static void dae_forward(void *plan, const struct willis_block_parameters *p, const float *x,
                        float *logit) {
  struct dae_plan *dae = plan;
  willis_decoder_forward(&dae->decoder, p + ENCODERS, encode(dae, p, x), logit);
}

/* ---- training that stores ---- */

static size_t store_bytes(void) {
  return sizeof(struct dae_plan);
}

static void store_plan(void *plan, struct willis_extent extent, struct willis_arena *arena) {
  plan_parts(plan, extent, true, arena);
}

static enum willis_status store_gradient(void *plan, const struct willis_block_parameters *p,
                                         const struct willis_sample *sample, double *loss,
                                         const struct willis_block_parameters *gradient,
                                         struct willis_error *err) {
  (void)err;
  struct dae_plan *dae = plan;
  const int last = ENCODERS - 1;
  const ptrdiff_t points = willis_extent_count(dae->decoder.shape[0].extent);
  struct willis_decoder_input input = {.x = encode(dae, p, sample->x)};
  struct willis_decoder_goal goal = {sample->target, sample->focal};
  *loss = willis_decoder_gradient(&dae->decoder, p + ENCODERS, &input, &goal, gradient + ENCODERS);
  willis_decoder_input_gradient(&dae->decoder, p + ENCODERS, 0, points, dae->d_activation[last]);
  for (int e = last; e >= 0; e--)
    willis_encoder_block_backward(
        &dae->encoder[e], &p[e], e > 0 ? dae->activation[e - 1] : sample->x, dae->activation[e],
        dae->d_activation[e], &gradient[e], e > 0 ? dae->d_activation[e - 1] : NULL);
  return WILLIS_OK;
}

struct willis_batch_statistics willis_dae_statistics(const struct willis_encoder_block *encoder,
                                                     const struct willis_decoder *decoder,
                                                     int layer) {
  if (layer < ENCODERS) {
    const struct willis_encoder_block *block = &encoder[layer];
    return (struct willis_batch_statistics){willis_extent_count(block->shape.extent), block->mean,
                                            block->variance};
  }
  int b = layer - ENCODERS;
  ptrdiff_t count = willis_extent_count(decoder->shape[b].extent) * WILLIS_CONV_TRANSPOSE3D_TAPS;
  return (struct willis_batch_statistics){count, decoder->mean[b], decoder->variance[b]};
}

static struct willis_batch_statistics store_statistics(const void *plan, int layer) {
  const struct dae_plan *dae = plan;
  return willis_dae_statistics(dae->encoder, &dae->decoder, layer);
}

static const struct willis_training_method store = {
    .plan_bytes = store_bytes,
    .plan = store_plan,
    .gradient = store_gradient,
    .statistics = store_statistics,
};

const struct willis_architecture willis_dae = {
    .name = "dae",
    .layer = layers,
    .layer_count = LAYERS,
    .multiple = 8,
    .plan_bytes = sizeof(struct dae_plan),
    .plan = dae_plan,
    .forward = dae_forward,
    .slabs_bytes = willis_dae_slabs_bytes,
    .plan_slabs = willis_dae_plan_slabs,
    .infer_slabs = willis_dae_infer_slabs,
    .training =
        {[WILLIS_TRAINING_STORE] = &store, [WILLIS_TRAINING_RECOMPUTE] = &willis_dae_recompute},
    .training_half = {[WILLIS_TRAINING_STORE] = &willis_dae_half_store,
                      [WILLIS_TRAINING_RECOMPUTE] = &willis_dae_half_recompute},
};
