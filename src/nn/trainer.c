/* Training steps: forward with batch statistics, focal loss, backward, and, when every number is
 * finite, Adam and the running statistics (M8, M9). */
#include "base/error.h"
#include "base/parallel.h"
#include "nn/adam.h"
#include "nn/batch_norm.h"
#include "nn/hull_net.h"
#include "nn/network.h"
#include "nn/overlap_loss.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

struct willis_trainer {
  struct willis_network *network;
  struct willis_trainer_options options;
  struct willis_extent extent;
  uint64_t steps;
  struct willis_loss_scale loss_scale;
  int threads;       /* that the plan has scratch memory for */
  bool has_gradient; /* of a step whose update has not been made */
  void *plan;
  struct willis_arena step_arena; /* what the plan takes */
  struct willis_arena arena;
  /* In the arena: */
  struct willis_block_parameters *blocks, *gradient_blocks; /* [layer_count] */
  float *gradient, *moment1, *moment2;                      /* [parameter_count] */
};

struct willis_trainer_options willis_trainer_defaults(void) {
  return (struct willis_trainer_options){.alpha = 0.5,
                                         .gamma = 0.2,
                                         .learning_rate = 1e-3,
                                         .beta1 = 0.9,
                                         .beta2 = 0.999,
                                         .epsilon = 1e-8};
}

static const struct willis_training_method *method_of(const struct willis_trainer *t) {
  const struct willis_architecture *a = t->network->architecture;
  return t->options.precision == WILLIS_PRECISION_F16 ? a->training_half[t->options.plan]
                                                      : a->training[t->options.plan];
}

static size_t plan_bytes_of(const struct willis_trainer *t) {
  const struct willis_architecture *a = t->network->architecture;
  return a->sparse ? a->plan_bytes : method_of(t)->plan_bytes();
}

/* A sparse network plans each step anew. */
static void plan_step(struct willis_trainer *t, struct willis_arena *arena) {
  if (!t->network->architecture->sparse) method_of(t)->plan(t->plan, t->extent, arena);
}

static enum willis_status check_options(const struct willis_network *network,
                                        const struct willis_trainer_options *o,
                                        struct willis_extent *extent, struct willis_error *err) {
  const bool sparse = network->architecture->sparse;
  *extent = (struct willis_extent){0};
  enum willis_status status =
      sparse ? WILLIS_OK : willis_network_extent(network, o->size, extent, err);
  if (status != WILLIS_OK) return status;
  if (!sparse &&
      (extent->width != o->size[0] || extent->height != o->size[1] || extent->depth != o->size[2]))
    return willis_fail(err, WILLIS_INVALID_ARGUMENT,
                       "training takes edges that are multiples of %td, not %td×%td×%td",
                       network->architecture->multiple, o->size[0], o->size[1], o->size[2]);
  if (!(o->alpha >= 0 && o->alpha <= 1) || !(o->gamma >= 0 && isfinite(o->gamma)))
    return willis_fail(err, WILLIS_INVALID_ARGUMENT,
                       "focal loss takes alpha in [0,1] and gamma >= 0, not %g and %g", o->alpha,
                       o->gamma);
  if (!(o->learning_rate >= 0 && isfinite(o->learning_rate)) || !(o->beta1 >= 0 && o->beta1 < 1) ||
      !(o->beta2 >= 0 && o->beta2 < 1) || !(o->epsilon > 0))
    return willis_fail(err, WILLIS_INVALID_ARGUMENT,
                       "Adam takes rate >= 0, betas in [0,1) and epsilon > 0, not %g, %g, %g, %g",
                       o->learning_rate, o->beta1, o->beta2, o->epsilon);
  if ((unsigned)o->plan >= WILLIS_TRAINING_PLANS)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "there is no training plan %d", (int)o->plan);
  if ((unsigned)o->precision >= WILLIS_PRECISIONS)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "there is no precision %d", (int)o->precision);
  if (o->precision == WILLIS_PRECISION_F16 && !network->architecture->training_half[o->plan])
    return willis_fail(err, WILLIS_UNSUPPORTED, "network %s cannot be trained with 16 bits",
                       network->architecture->name);
  if (!sparse && !network->architecture->training[o->plan])
    return willis_fail(err, WILLIS_UNSUPPORTED, "network %s cannot be trained %s",
                       network->architecture->name,
                       o->plan == WILLIS_TRAINING_RECOMPUTE ? "by recomputing" : "alone");
  return WILLIS_OK;
}

/* ---- the loss's scale ---- */

static const double largest_scale = 0x1p60;
enum { GOOD_STEPS = 200 };

/* The gradient of the mean's logits is smaller than that of one voxel's by the number of voxels. */
static double first_scale(enum willis_precision precision, struct willis_extent extent) {
  if (precision == WILLIS_PRECISION_F32) return 1;
  return fmin(exp2(floor(log2((double)willis_extent_count(extent)))), largest_scale);
}

struct willis_loss_scale willis_trainer_loss_scale(const struct willis_trainer *trainer) {
  return trainer->loss_scale;
}

void willis_trainer_set_loss_scale(struct willis_trainer *trainer, double scale) {
  trainer->loss_scale.scale = scale;
  trainer->loss_scale.good = 0;
}

static void step_went_well(struct willis_loss_scale *s) {
  if (++s->good < GOOD_STEPS) return;
  s->good = 0;
  s->scale = fmin(2 * s->scale, largest_scale);
}

/* ---- memory ---- */

static void plan_buffers(struct willis_trainer *t, struct willis_arena *arena) {
  const struct willis_architecture *a = t->network->architecture;
  const ptrdiff_t parameters = t->network->parameter_count;
  t->blocks = willis_arena_take(arena, a->layer_count, sizeof *t->blocks);
  t->gradient_blocks = willis_arena_take(arena, a->layer_count, sizeof *t->gradient_blocks);
  t->gradient = willis_arena_take(arena, parameters, sizeof *t->gradient);
  t->moment1 = willis_arena_take(arena, parameters, sizeof *t->moment1);
  t->moment2 = willis_arena_take(arena, parameters, sizeof *t->moment2);
}

/* Everything but the arena, whose size is learned. */
static enum willis_status trainer_prepare(struct willis_network *network,
                                          const struct willis_trainer_options *options,
                                          struct willis_trainer **trainer, size_t *bytes,
                                          size_t *step_bytes, struct willis_error *err) {
  struct willis_trainer *t = NULL;
  struct willis_extent extent;
  enum willis_status status = check_options(network, options, &extent, err);
  if (status != WILLIS_OK) return status;
  t = willis_take_zeroed(1, sizeof *t);
  if (!t) return willis_fail_memory(err, "a trainer", 1, sizeof *t);
  *trainer = t;
  t->network = network;
  t->options = *options;
  t->extent = extent;
  t->loss_scale.scale = first_scale(options->precision, extent);
  t->threads = willis_parallel_threads();
  const size_t plan_bytes = plan_bytes_of(t);
  t->plan = willis_take_zeroed(1, plan_bytes);
  if (!t->plan) return willis_fail_memory(err, "a trainer's plan", 1, plan_bytes);
  struct willis_arena counting = {0};
  plan_buffers(t, &counting);
  *bytes = counting.peak;
  counting = (struct willis_arena){0};
  plan_step(t, &counting);
  *step_bytes = counting.peak;
  return WILLIS_OK;
}

enum willis_status willis_training_bytes(const struct willis_network *network,
                                         const struct willis_trainer_options *options,
                                         size_t *bytes, struct willis_error *err) {
  struct willis_trainer *t = NULL;
  size_t step_bytes = 0;
  /* Planning reads the network and keeps the pointer only in a trainer that is gone below. */
  enum willis_status status =
      trainer_prepare((struct willis_network *)network, options, &t, bytes, &step_bytes, err);
  if (status == WILLIS_OK) *bytes += step_bytes + sizeof *t + plan_bytes_of(t);
  willis_trainer_destroy(t);
  return status;
}

enum willis_status willis_trainer_create(struct willis_network *network,
                                         const struct willis_trainer_options *options,
                                         struct willis_trainer **trainer,
                                         struct willis_error *err) {
  *trainer = NULL;
  struct willis_trainer *t = NULL;
  size_t bytes = 0, step_bytes = 0;
  enum willis_status status = trainer_prepare(network, options, &t, &bytes, &step_bytes, err);
  if (status != WILLIS_OK) goto out;
  status = willis_arena_init(&t->arena, bytes, err);
  if (status == WILLIS_OK) status = willis_arena_init(&t->step_arena, step_bytes, err);
  if (status != WILLIS_OK) goto out;
  plan_buffers(t, &t->arena);
  plan_step(t, &t->step_arena);
  willis_network_blocks(network, network->parameters, network->statistics, t->blocks);
  willis_network_blocks(network, t->gradient, NULL, t->gradient_blocks);
  memset(t->moment1, 0, (size_t)network->parameter_count * sizeof *t->moment1);
  memset(t->moment2, 0, (size_t)network->parameter_count * sizeof *t->moment2);
  *trainer = t;
  t = NULL;
out:
  willis_trainer_destroy(t);
  return status;
}

void willis_trainer_destroy(struct willis_trainer *trainer) {
  if (!trainer) return;
  willis_arena_release(&trainer->step_arena);
  willis_arena_release(&trainer->arena);
  willis_release(trainer->plan);
  willis_release(trainer);
}

/* Beyond this the second moment, which holds squares, would overflow. */
static const float gradient_most = 1e18f;

static bool all_within(const float *value, ptrdiff_t count, float most) {
  for (ptrdiff_t i = 0; i < count; i++)
    if (!(fabsf(value[i]) <= most)) return false;
  return true;
}

/* The running statistics are floats. */
static const double statistic_most = 1e37;

/* The first layer whose batch statistics are not finite or do not fit; null if there is none. What
 * comes after it may be finite all the same: ReLU makes 0 of NaN, batch norm small ones of large.
 */
static const char *broken_layer(const struct willis_trainer *t) {
  const struct willis_architecture *a = t->network->architecture;
  for (int l = 0; l < a->layer_count; l++) {
    if (!a->layer[l].normalised) continue;
    struct willis_batch_statistics s = method_of(t)->statistics(t->plan, l);
    for (int c = 0; c < a->layer[l].outputs; c++)
      if (!(fabs(s.mean[c]) <= statistic_most) || !(s.variance[c] <= statistic_most))
        return a->layer[l].name;
  }
  return NULL;
}

static enum willis_status check_gradient(const struct willis_trainer *t, struct willis_error *err) {
  const struct willis_network *n = t->network;
  for (int i = 0; i < n->tensor_count; i++)
    if (n->tensor[i].learned &&
        !all_within(t->gradient + n->tensor[i].offset, n->tensor[i].count, gradient_most))
      return willis_fail(err, WILLIS_NUMERIC,
                         "step %" PRIu64 ": the gradient of %s is NaN, infinite or beyond %g",
                         t->steps + 1, n->tensor[i].name, (double)gradient_most);
  return WILLIS_OK;
}

/* Weights, batch statistics, loss. */
static enum willis_status check_forward(const struct willis_trainer *t, double loss,
                                        struct willis_error *err) {
  const struct willis_network *n = t->network;
  const struct willis_architecture *a = n->architecture;
  for (int i = 0; i < n->tensor_count; i++)
    if (n->tensor[i].learned &&
        !all_within(n->parameters + n->tensor[i].offset, n->tensor[i].count, FLT_MAX))
      return willis_fail(err, WILLIS_NUMERIC, "step %" PRIu64 ": %s is NaN or infinite",
                         t->steps + 1, n->tensor[i].name);
  const char *broken = broken_layer(t);
  if (!broken && isfinite(loss)) return WILLIS_OK;
  return willis_fail(err, WILLIS_NUMERIC,
                     "step %" PRIu64 ": the loss is %g; the first layer that broke is %s",
                     t->steps + 1, loss, broken ? broken : a->layer[a->layer_count - 1].name);
}

static enum willis_status compute_gradient(struct willis_trainer *t, struct willis_sample *sample,
                                           double *loss, struct willis_error *err) {
  const double count = (double)willis_extent_count(t->extent);
  t->has_gradient = false;
  if (t->network->architecture->sparse)
    return willis_fail(err, WILLIS_UNSUPPORTED, "network %s does not learn from volumes",
                       t->network->architecture->name);
  sample->focal =
      (struct willis_focal){t->options.alpha, t->options.gamma, t->loss_scale.scale / count};
  enum willis_status status =
      method_of(t)->gradient(t->plan, t->blocks, sample, loss, t->gradient_blocks, err);
  if (status != WILLIS_OK) return status;
  *loss /= count;
  status = check_forward(t, *loss, err);
  if (status != WILLIS_OK) return status;
  const bool scaled = t->options.precision == WILLIS_PRECISION_F16;
  const float back = (float)(1 / t->loss_scale.scale);
  for (ptrdiff_t i = 0; scaled && i < t->network->parameter_count; i++) t->gradient[i] *= back;
  /* Whether a scaled gradient broke is for the update to see, when ranks have added theirs. */
  if (!scaled) status = check_gradient(t, err);
  t->has_gradient = status == WILLIS_OK;
  return status;
}

static enum willis_status with_own_threads(struct willis_trainer *t, struct willis_sample *sample,
                                           double *loss, struct willis_error *err) {
  const int threads = willis_parallel_threads();
  if (threads > t->threads) willis_parallel_set_threads(t->threads);
  enum willis_status status = compute_gradient(t, sample, loss, err);
  if (threads > t->threads) willis_parallel_set_threads(threads);
  return status;
}

enum willis_status willis_trainer_gradient(struct willis_trainer *trainer, const float *x,
                                           const float *target, double *loss,
                                           struct willis_error *err) {
  struct willis_sample sample = {.x = x, .target.values = target};
  return with_own_threads(trainer, &sample, loss, err);
}

static enum willis_status read_planes(ptrdiff_t begin, ptrdiff_t end, float *x, void *context,
                                      struct willis_error *err) {
  const struct willis_plane_source *source = context;
  return source->read(begin, end, x, source->context, err);
}

enum willis_status willis_trainer_step_planes(struct willis_trainer *trainer,
                                              const struct willis_plane_source *x,
                                              const unsigned char *target, double *loss,
                                              struct willis_error *err) {
  struct willis_plane_source source = *x;
  struct willis_sample sample = {.read = read_planes, .context = &source, .target.bits = target};
  if (trainer->options.plan != WILLIS_TRAINING_RECOMPUTE)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT,
                       "training from planes takes the plan that recomputes");
  enum willis_status status = with_own_threads(trainer, &sample, loss, err);
  return status == WILLIS_OK ? willis_trainer_update(trainer, err) : status;
}

enum willis_status willis_trainer_update(struct willis_trainer *trainer, struct willis_error *err) {
  struct willis_trainer *t = trainer;
  struct willis_network *n = t->network;
  if (!t->has_gradient)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "step %" PRIu64 " has no gradient to go by",
                       t->steps + 1);
  enum willis_status status = check_gradient(t, err);
  if (status != WILLIS_OK && t->loss_scale.scale < 2) return status;
  t->steps++;
  t->has_gradient = false;
  if (status != WILLIS_OK) {
    t->loss_scale.scale /= 2;
    t->loss_scale.good = 0;
    t->loss_scale.skipped++;
    return WILLIS_OK;
  }
  const struct willis_adam adam = {t->options.learning_rate, t->options.beta1, t->options.beta2,
                                   t->options.epsilon};
  willis_adam_step(&adam, t->steps - t->loss_scale.skipped, n->parameter_count, t->gradient,
                   t->moment1, t->moment2, n->parameters);
  for (int l = 0; l < n->architecture->layer_count; l++) {
    if (!n->architecture->layer[l].normalised) continue;
    struct willis_batch_statistics s = method_of(t)->statistics(t->plan, l);
    willis_batch_norm_track(s.count, n->architecture->layer[l].outputs, s.mean, s.variance,
                            t->blocks[l].running_mean, t->blocks[l].running_variance);
    n->counter[l].value++;
  }
  if (t->options.precision == WILLIS_PRECISION_F16) step_went_well(&t->loss_scale);
  /* Who recomputes wants the memory for other things between steps. */
  if (t->options.plan == WILLIS_TRAINING_RECOMPUTE) willis_arena_forget(&t->step_arena);
  return WILLIS_OK;
}

enum willis_status willis_trainer_step(struct willis_trainer *trainer, const float *x,
                                       const float *target, double *loss,
                                       struct willis_error *err) {
  enum willis_status status = willis_trainer_gradient(trainer, x, target, loss, err);
  return status == WILLIS_OK ? willis_trainer_update(trainer, err) : status;
}

static enum willis_status plan_lesson(struct willis_trainer *t,
                                      const struct willis_hull_lesson *lesson,
                                      struct willis_error *err) {
  struct willis_arena counting = {0};
  willis_hull_plan(t->plan, &lesson->input, true, &counting);
  if (counting.peak > t->step_arena.size) {
    willis_arena_release(&t->step_arena);
    enum willis_status status = willis_arena_init(&t->step_arena, counting.peak, err);
    if (status != WILLIS_OK) return status;
  }
  willis_arena_rewind(&t->step_arena, 0);
  willis_hull_plan(t->plan, &lesson->input, true, &t->step_arena);
  return WILLIS_OK;
}

/* One odd head should not throw the network far. */
static void shorten(float *gradient, ptrdiff_t count) {
  double squares = 0;
  for (ptrdiff_t i = 0; i < count; i++) squares += (double)gradient[i] * (double)gradient[i];
  if (!(squares > 1)) return;
  const float factor = (float)(1 / sqrt(squares));
  for (ptrdiff_t i = 0; i < count; i++) gradient[i] *= factor;
}

enum willis_status willis_trainer_hull_step(struct willis_trainer *trainer,
                                            const struct willis_hull_lesson *lesson, double *loss,
                                            struct willis_error *err) {
  struct willis_trainer *t = trainer;
  struct willis_hull_plan *plan = t->plan;
  t->has_gradient = false;
  enum willis_status status = plan_lesson(t, lesson, err);
  if (status != WILLIS_OK) return status;
  willis_hull_forward(plan, t->blocks, &lesson->input);
  *loss = willis_overlap_loss_gradient(lesson->input.views.rows, plan->logit, lesson->target,
                                       lesson->missed, plan->logit);
  if (!isfinite(*loss))
    return willis_fail(err, WILLIS_NUMERIC, "step %" PRIu64 ": the loss is %g", t->steps + 1,
                       *loss);
  willis_hull_backward(plan, t->blocks, &lesson->input, t->gradient_blocks);
  status = check_gradient(t, err);
  if (status != WILLIS_OK) return status;
  shorten(t->gradient, t->network->parameter_count);
  t->has_gradient = true;
  return willis_trainer_update(t, err);
}

float *willis_trainer_gradient_block(struct willis_trainer *trainer) {
  return trainer->gradient;
}

uint64_t willis_trainer_steps(const struct willis_trainer *trainer) {
  return trainer->steps;
}

void willis_trainer_set_learning_rate(struct willis_trainer *trainer, double rate) {
  trainer->options.learning_rate = rate;
}

/* The state in one order for size, export and import: steps, counters, with 16 bits the loss's
 * scale, then four blocks. */
enum { STATE_BLOCKS = 4 };

struct state_block {
  float *values;
  size_t bytes;
};

static void state_blocks(const struct willis_trainer *t, struct state_block block[STATE_BLOCKS]) {
  const struct willis_network *n = t->network;
  const size_t parameters = (size_t)n->parameter_count * sizeof(float);
  block[0] = (struct state_block){n->parameters, parameters};
  block[1] = (struct state_block){n->statistics, (size_t)n->statistics_count * sizeof(float)};
  block[2] = (struct state_block){t->moment1, parameters};
  block[3] = (struct state_block){t->moment2, parameters};
}

static size_t scale_bytes(const struct willis_trainer *t) {
  return t->options.precision == WILLIS_PRECISION_F16 ? sizeof t->loss_scale : 0;
}

static size_t state_head_bytes(const struct willis_trainer *t) {
  return sizeof(uint64_t) + (size_t)t->network->architecture->layer_count * sizeof(int64_t) +
         scale_bytes(t);
}

size_t willis_trainer_state_bytes(const struct willis_trainer *trainer) {
  struct state_block block[STATE_BLOCKS];
  state_blocks(trainer, block);
  size_t bytes = state_head_bytes(trainer);
  for (int b = 0; b < STATE_BLOCKS; b++) bytes += block[b].bytes;
  return bytes;
}

void willis_trainer_state_export(const struct willis_trainer *trainer, void *block) {
  const struct willis_network *n = trainer->network;
  unsigned char *to = block;
  memcpy(to, &trainer->steps, sizeof trainer->steps);
  to += sizeof trainer->steps;
  for (int l = 0; l < n->architecture->layer_count; l++, to += sizeof(int64_t))
    memcpy(to, &n->counter[l].value, sizeof(int64_t));
  memcpy(to, &trainer->loss_scale, scale_bytes(trainer));
  to += scale_bytes(trainer);
  struct state_block piece[STATE_BLOCKS];
  state_blocks(trainer, piece);
  for (int b = 0; b < STATE_BLOCKS; to += piece[b].bytes, b++)
    memcpy(to, piece[b].values, piece[b].bytes);
}

enum willis_status willis_trainer_state_import(struct willis_trainer *trainer, const void *block,
                                               size_t size, struct willis_error *err) {
  const struct willis_network *n = trainer->network;
  const unsigned char *from = block;
  if (size != willis_trainer_state_bytes(trainer))
    return willis_fail(err, WILLIS_MISMATCH,
                       "a training state of %zu bytes does not fit network %s, which has %zu", size,
                       n->architecture->name, willis_trainer_state_bytes(trainer));
  for (size_t at = state_head_bytes(trainer); at < size; at += sizeof(float)) {
    float value;
    memcpy(&value, from + at, sizeof value);
    if (!isfinite(value))
      return willis_fail(err, WILLIS_NUMERIC, "a training state has NaN or infinity at byte %zu",
                         at);
  }
  struct willis_loss_scale scale = trainer->loss_scale;
  memcpy(&scale, from + state_head_bytes(trainer) - scale_bytes(trainer), scale_bytes(trainer));
  if (!(scale.scale >= 1 && scale.scale <= largest_scale))
    return willis_fail(err, WILLIS_NUMERIC, "a training state's loss scale is %g", scale.scale);
  memcpy(&trainer->steps, from, sizeof trainer->steps);
  from += sizeof trainer->steps;
  for (int l = 0; l < n->architecture->layer_count; l++, from += sizeof(int64_t))
    memcpy(&n->counter[l].value, from, sizeof(int64_t));
  memcpy(&trainer->loss_scale, from, scale_bytes(trainer));
  from += scale_bytes(trainer);
  struct state_block piece[STATE_BLOCKS];
  state_blocks(trainer, piece);
  for (int b = 0; b < STATE_BLOCKS; from += piece[b].bytes, b++)
    memcpy(piece[b].values, from, piece[b].bytes);
  trainer->has_gradient = false;
  return WILLIS_OK;
}
