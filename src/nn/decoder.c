/* The decoder composed of its single layers, and the choice among its variants. */
#include "nn/decoder.h"

#include "base/cpu.h"
#include "nn/batch_norm.h"
#include "nn/relu.h"

#include <string.h>

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

/* Planes of points that are worked on at a time. */
static ptrdiff_t slab_planes(const struct willis_decoder *d) {
  return d->use == WILLIS_DECODER_RECOMPUTE ? 1 : d->shape[0].extent.depth;
}

/* Voxels of a plane of points after block b. */
static ptrdiff_t plane_voxels(const struct willis_decoder *d, int b) {
  return voxels(d, b) / d->shape[0].extent.depth;
}

static void plain_plan_scratch(struct willis_decoder *d, struct willis_arena *arena) {
  const bool training = d->use != WILLIS_DECODER_INFER;
  const ptrdiff_t planes = slab_planes(d);
  for (int b = 0; b < 2; b++) {
    ptrdiff_t count = planes * plane_voxels(d, b) * d->shape[b].outputs;
    d->raw[b] = d->activation[b] = willis_arena_take(arena, count, sizeof *d->raw[b]);
    if (!training) continue;
    d->activation[b] = willis_arena_take(arena, count, sizeof *d->activation[b]);
    d->d_activation[b] = willis_arena_take(arena, count, sizeof *d->d_activation[b]);
    d->sum[b] = willis_arena_take(arena, 2 * d->shape[b].outputs, sizeof *d->sum[b]);
  }
  if (!training) return;
  d->logit = willis_arena_take(arena, planes * plane_voxels(d, 2), sizeof *d->logit);
  d->target = willis_arena_take(arena, plane_voxels(d, 2), sizeof *d->target);
  ptrdiff_t most = 0;
  for (int b = 0; b < WILLIS_DECODER_BLOCKS; b++) {
    ptrdiff_t count = willis_conv_transpose3d_sum_count(&d->shape[b]);
    if (most < count) most = count;
  }
  d->weight_sum = willis_arena_take(arena, most, sizeof *d->weight_sum);
  d->x = willis_arena_take(
      arena, planes * plane_voxels(d, 0) / WILLIS_CONV_TRANSPOSE3D_TAPS * d->shape[0].inputs,
      sizeof *d->x);
}

static void plain_forward(struct willis_decoder *d, const struct willis_block_parameters *p,
                          const float *x, float *logit) {
  for (int b = 0; b < 2; b++) {
    const int outputs = d->shape[b].outputs;
    willis_conv_transpose3d_forward(&d->shape[b], x, p[b].weight, p[b].bias, d->raw[b]);
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

/* ---- training: a slab goes through stages, as far as a pass wants it ----
 *
 * Sums go over the voxels in their order. A slab that is all there is keeps its stages from pass to
 * pass; others go through them again in each. */
enum stage {
  NOTHING,
  RAW0,
  ACTIVATION0,
  RAW1,
  ACTIVATION1,
  D_LOGIT,
  D_RELU1,
  D_RAW1,
  D_RELU0,
  D_RAW0
};

struct plain_slab {
  struct willis_decoder *d;
  const struct willis_block_parameters *p;
  ptrdiff_t begin, end; /* planes of points */
  struct willis_conv_transpose3d_shape shape[WILLIS_DECODER_BLOCKS];
  ptrdiff_t count[WILLIS_DECODER_BLOCKS]; /* voxels after a block */
  const float *x;
  double loss;
};

static struct plain_slab slab_at(struct willis_decoder *d, const struct willis_block_parameters *p,
                                 ptrdiff_t begin) {
  const ptrdiff_t depth = d->shape[0].extent.depth, end = begin + slab_planes(d);
  struct plain_slab s = {.d = d, .p = p, .begin = begin, .end = end < depth ? end : depth};
  for (int b = 0; b < WILLIS_DECODER_BLOCKS; b++) {
    s.shape[b] = d->shape[b];
    s.shape[b].extent.depth = (s.end - begin) << b;
    s.count[b] = willis_extent_count(s.shape[b].extent) * WILLIS_CONV_TRANSPOSE3D_TAPS;
  }
  const struct willis_extent e = d->shape[0].extent;
  const ptrdiff_t plane = e.height * e.width;
  if (d->input->x)
    s.x = d->input->x + begin * plane * d->shape[0].inputs;
  else {
    d->input->read(d->input->context, begin * plane, s.end * plane, d->x);
    s.x = d->x;
  }
  return s;
}

static void make_raw(struct plain_slab *s, int b) {
  willis_conv_transpose3d_forward(&s->shape[b], b ? s->d->activation[b - 1] : s->x, s->p[b].weight,
                                  s->p[b].bias, s->d->raw[b]);
}

static void make_activation(struct plain_slab *s, int b) {
  struct willis_decoder *d = s->d;
  const int outputs = d->shape[b].outputs;
  willis_batch_norm_forward(s->count[b], outputs, d->raw[b], d->mean[b], d->variance[b],
                            s->p[b].gamma, s->p[b].beta, d->activation[b]);
  willis_relu_forward(s->count[b] * outputs, d->activation[b], d->activation[b]);
}

static void make_d_logit(struct plain_slab *s) {
  struct willis_decoder *d = s->d;
  const ptrdiff_t plane = plane_voxels(d, 2);
  willis_conv_transpose3d_forward(&s->shape[2], d->activation[1], s->p[2].weight, s->p[2].bias,
                                  d->logit);
  s->loss = 0;
  for (ptrdiff_t z = s->begin; z < s->end; z++) {
    float *logit = d->logit + (z - s->begin) * plane;
    willis_target_read(&d->goal->target, z * plane, plane, d->target);
    s->loss += willis_focal_sum(&d->goal->focal, plane, logit, d->target, logit);
  }
}

/* The gradient that passed the ReLU after block b, whose reader's gradient is d_y. */
static void make_d_relu(struct plain_slab *s, int b, const float *d_y) {
  struct willis_decoder *d = s->d;
  float *g = d->d_activation[b];
  willis_conv_transpose3d_backward_data(&s->shape[b + 1], d_y, s->p[b + 1].weight, g);
  willis_relu_backward(s->count[b] * d->shape[b].outputs, d->activation[b], g, g);
}

static void make_d_raw(struct plain_slab *s, int b) {
  struct willis_decoder *d = s->d;
  const int outputs = d->shape[b].outputs;
  float *g = d->d_activation[b];
  willis_batch_norm_backward_apply(voxels(d, b), s->count[b], outputs, d->raw[b], d->mean[b],
                                   d->variance[b], s->p[b].gamma, d->sum[b], d->sum[b] + outputs, g,
                                   g);
}

static void make(struct plain_slab *s, enum stage want) {
  struct willis_decoder *d = s->d;
  const bool whole = s->end - s->begin == d->shape[0].extent.depth;
  for (enum stage stage = whole ? d->stage + 1 : RAW0; stage <= want; stage++) switch (stage) {
    case NOTHING:
      break;
    case RAW0:
    case RAW1:
      make_raw(s, stage == RAW1);
      break;
    case ACTIVATION0:
    case ACTIVATION1:
      make_activation(s, stage == ACTIVATION1);
      break;
    case D_LOGIT:
      make_d_logit(s);
      break;
    case D_RELU1:
      make_d_relu(s, 1, d->logit);
      break;
    case D_RELU0:
      make_d_relu(s, 0, d->d_activation[1]);
      break;
    case D_RAW1:
    case D_RAW0:
      make_d_raw(s, stage == D_RAW1);
      break;
    }
  if (whole) d->stage = want;
}

/* Mean or, with a centre, variance of block b's output. */
static void plain_moment(struct willis_decoder *d, const struct willis_block_parameters *p, int b,
                         const double *centre, double *moment) {
  const int outputs = d->shape[b].outputs;
  for (int c = 0; c < outputs; c++) moment[c] = 0;
  for (ptrdiff_t z = 0; z < d->shape[0].extent.depth; z += slab_planes(d)) {
    struct plain_slab s = slab_at(d, p, z);
    make(&s, b ? RAW1 : RAW0);
    willis_batch_norm_add(s.count[b], outputs, d->raw[b], centre, moment);
  }
  for (int c = 0; c < outputs; c++) moment[c] /= (double)voxels(d, b);
}

/* The weights of block b, and the sums of the normalisation before it. Returns the loss. */
static double plain_weights(struct willis_decoder *d, const struct willis_block_parameters *p,
                            int b, const struct willis_block_parameters *gradient) {
  static const enum stage wanted[] = {D_RAW0, D_RELU0, D_RELU1};
  const float *const d_y[] = {d->d_activation[0], d->d_activation[1], d->logit};
  const ptrdiff_t count = willis_conv_transpose3d_sum_count(&d->shape[b]);
  const int before = b - 1, outputs = b ? d->shape[before].outputs : 0;
  double loss = 0;
  memset(d->weight_sum, 0, (size_t)count * sizeof *d->weight_sum);
  for (int c = 0; c < 2 * outputs; c++) d->sum[before][c] = 0;
  for (ptrdiff_t z = 0; z < d->shape[0].extent.depth; z += slab_planes(d)) {
    struct plain_slab s = slab_at(d, p, z);
    make(&s, wanted[b]);
    loss += s.loss;
    willis_conv_transpose3d_backward_weight_add(&s.shape[b], b ? d->activation[before] : s.x,
                                                d_y[b], d->weight_sum);
    if (b)
      willis_batch_norm_backward_add(s.count[before], outputs, d->raw[before], d->mean[before],
                                     d->d_activation[before], d->sum[before],
                                     d->sum[before] + outputs);
  }
  willis_conv_transpose3d_backward_weight_finish(&d->shape[b], d->weight_sum, gradient[b].weight,
                                                 gradient[b].bias);
  if (b)
    willis_batch_norm_backward_finish(outputs, d->variance[before], d->sum[before],
                                      d->sum[before] + outputs, gradient[before].gamma,
                                      gradient[before].beta);
  return loss;
}

static double plain_gradient(struct willis_decoder *d, const struct willis_block_parameters *p,
                             const struct willis_decoder_input *input,
                             const struct willis_decoder_goal *goal,
                             const struct willis_block_parameters *gradient) {
  d->input = input;
  d->goal = goal;
  d->stage = NOTHING;
  for (int b = 0; b < 2; b++) {
    plain_moment(d, p, b, NULL, d->mean[b]);
    plain_moment(d, p, b, d->mean[b], d->variance[b]);
  }
  double loss = plain_weights(d, p, 2, gradient);
  (void)plain_weights(d, p, 1, gradient);
  (void)plain_weights(d, p, 0, gradient);
  return loss;
}

static void plain_input_gradient(struct willis_decoder *d, const struct willis_block_parameters *p,
                                 ptrdiff_t begin, ptrdiff_t end, float *d_x) {
  const struct willis_extent e = d->shape[0].extent;
  const ptrdiff_t plane = e.height * e.width;
  for (ptrdiff_t z = begin / plane; z < end / plane; z += slab_planes(d)) {
    struct plain_slab s = slab_at(d, p, z);
    make(&s, D_RAW0);
    willis_conv_transpose3d_backward_data(&s.shape[0], d->d_activation[0], p[0].weight,
                                          d_x + (z * plane - begin) * d->shape[0].inputs);
  }
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
  /* The last variant fits everything.
   * NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
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
