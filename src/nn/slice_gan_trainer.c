/* Discriminator, then generator, as pix2pix does it: the generator's pictures are drawn once a step
 * and shown to the discriminator before and after it has learned. */
#include "nn/slice_gan_trainer.h"

#include "base/error.h"
#include "base/memory.h"
#include "nn/adam.h"
#include "nn/batch_norm.h"
#include "nn/network.h"
#include "nn/slice_gan.h"
#include "nn/slice_loss.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { LAYERS_MOST = 16, CONDITIONS = WILLIS_SLICE_CONDITIONS, SEEN = CONDITIONS + 1 };

/* A network while it learns. */
struct player {
  struct willis_network *network;
  struct willis_graph_plan plan;
  struct willis_block_parameters block[LAYERS_MOST], gradient_block[LAYERS_MOST];
  float *gradient, *moment1, *moment2; /* [parameters] */
};

struct willis_slice_gan_trainer {
  struct willis_slice_gan_options options;
  uint64_t steps;
  struct player generator, discriminator;
  struct willis_arena arena;
  /* In the arena: */
  float *drawn, *d_drawn; /* [slices][size][size] */
  float *seen, *d_seen;   /* [slices][size][size][3] */
  float *logit, *d_logit; /* a patch each */
  float *first_gradient;  /* of the discriminator, on real slices */
  float *before;          /* what the discriminator learns, from before the step */
  ptrdiff_t patches;
};

struct willis_slice_gan_options willis_slice_gan_defaults(void) {
  return (struct willis_slice_gan_options){
      .slices = 8, .size = 128, .l1 = 100, .learning_rate = 2e-4};
}

/* ---- set-up ---- */

static enum willis_status check(const struct willis_network *generator,
                                const struct willis_network *discriminator,
                                const struct willis_slice_gan_options *o,
                                struct willis_error *err) {
  if (generator->architecture != &willis_slice_generator ||
      discriminator->architecture != &willis_slice_discriminator)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT,
                       "expected a slice-generator and a slice-discriminator, not %s and %s",
                       generator->architecture->name, discriminator->architecture->name);
  if (o->slices < 1 || o->size < 1 || o->size % willis_slice_generator.multiple ||
      o->size > 1 << 14 || o->slices > 1 << 14)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT,
                       "%td slices of %td pixels: expected slices whose edge is a multiple of %td",
                       o->slices, o->size, willis_slice_generator.multiple);
  if (!(o->l1 >= 0 && isfinite(o->l1)) || !(o->learning_rate >= 0 && isfinite(o->learning_rate)))
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "L1 weight %g and rate %g: expected >= 0",
                       o->l1, o->learning_rate);
  return WILLIS_OK;
}

static void plan_player(struct player *p, const struct willis_graph *graph,
                        struct willis_extent extent, struct willis_arena *arena) {
  const ptrdiff_t count = p->network->parameter_count;
  p->gradient = willis_arena_take(arena, count, sizeof *p->gradient);
  p->moment1 = willis_arena_take(arena, count, sizeof *p->moment1);
  p->moment2 = willis_arena_take(arena, count, sizeof *p->moment2);
  willis_graph_plan(&p->plan, graph, extent, true, arena);
}

static void plan(struct willis_slice_gan_trainer *t, struct willis_arena *arena) {
  const struct willis_extent extent = {t->options.slices, t->options.size, t->options.size};
  const ptrdiff_t pixels = willis_extent_count(extent);
  plan_player(&t->generator, &willis_slice_generator_graph, extent, arena);
  plan_player(&t->discriminator, &willis_slice_discriminator_graph, extent, arena);
  const struct willis_graph_node *last =
      &t->discriminator.plan.node[willis_slice_discriminator_graph.row_count];
  t->patches = willis_extent_count(last->extent);
  t->drawn = willis_arena_take(arena, pixels, sizeof(float));
  t->d_drawn = willis_arena_take(arena, pixels, sizeof(float));
  t->seen = willis_arena_take(arena, pixels * SEEN, sizeof(float));
  t->d_seen = willis_arena_take(arena, pixels * SEEN, sizeof(float));
  t->logit = willis_arena_take(arena, t->patches, sizeof(float));
  t->d_logit = willis_arena_take(arena, t->patches, sizeof(float));
  const struct willis_network *d = t->discriminator.network;
  t->first_gradient = willis_arena_take(arena, d->parameter_count, sizeof(float));
  t->before = willis_arena_take(arena, 3 * d->parameter_count + d->statistics_count, sizeof(float));
}

static void start_player(struct player *p) {
  const size_t bytes = (size_t)p->network->parameter_count * sizeof(float);
  willis_network_blocks(p->network, p->network->parameters, p->network->statistics, p->block);
  willis_network_blocks(p->network, p->gradient, NULL, p->gradient_block);
  memset(p->moment1, 0, bytes);
  memset(p->moment2, 0, bytes);
}

enum willis_status willis_slice_gan_trainer_create(struct willis_network *generator,
                                                   struct willis_network *discriminator,
                                                   const struct willis_slice_gan_options *options,
                                                   struct willis_slice_gan_trainer **trainer,
                                                   struct willis_error *err) {
  *trainer = NULL;
  enum willis_status status = check(generator, discriminator, options, err);
  if (status) return status;
  struct willis_slice_gan_trainer *t = willis_take_zeroed(1, sizeof *t);
  if (!t) return willis_fail_memory(err, "a trainer of slices", 1, sizeof *t);
  t->options = *options;
  t->generator.network = generator;
  t->discriminator.network = discriminator;
  struct willis_arena counting = {0};
  plan(t, &counting);
  status = willis_arena_init(&t->arena, counting.peak, err);
  if (status) {
    willis_slice_gan_trainer_destroy(t);
    return status;
  }
  plan(t, &t->arena);
  start_player(&t->generator);
  start_player(&t->discriminator);
  *trainer = t;
  return WILLIS_OK;
}

void willis_slice_gan_trainer_destroy(struct willis_slice_gan_trainer *trainer) {
  if (!trainer) return;
  willis_arena_release(&trainer->arena);
  willis_release(trainer);
}

/* ---- a step ---- */

/* What the discriminator looks at: condition and picture, pixel by pixel. */
static void show(struct willis_slice_gan_trainer *t, const float *condition, const float *picture) {
  const ptrdiff_t pixels = t->options.slices * t->options.size * t->options.size;
#pragma omp parallel for schedule(static)
  for (ptrdiff_t i = 0; i < pixels; i++) {
    memcpy(t->seen + i * SEEN, condition + i * CONDITIONS, CONDITIONS * sizeof *condition);
    t->seen[i * SEEN + CONDITIONS] = picture[i];
  }
}

/* Its loss on what it is shown, and the gradient of `weight` times that. */
static double judge(struct willis_slice_gan_trainer *t, double target, double weight,
                    float *d_seen) {
  struct player *d = &t->discriminator;
  willis_graph_forward(&d->plan, d->block, t->seen, t->logit);
  double loss = willis_bce_loss_gradient(t->patches, t->logit, target, weight, t->d_logit);
  willis_graph_backward(&d->plan, d->block, t->seen, t->d_logit, d->gradient_block, d_seen);
  return loss;
}

static void track(struct player *p) {
  const struct willis_architecture *a = p->network->architecture;
  for (int l = 0; l < a->layer_count; l++) {
    if (!a->layer[l].normalised) continue;
    struct willis_batch_statistics s = willis_graph_statistics(&p->plan, l);
    willis_batch_norm_track(s.count, a->layer[l].outputs, s.mean, s.variance,
                            p->block[l].running_mean, p->block[l].running_variance);
  }
}

static enum willis_status update(const struct willis_slice_gan_trainer *t, struct player *p,
                                 struct willis_error *err) {
  const struct willis_network *n = p->network;
  for (ptrdiff_t i = 0; i < n->parameter_count; i++)
    if (!isfinite(p->gradient[i]))
      return willis_fail(err, WILLIS_NUMERIC,
                         "step %" PRIu64 ": the gradient of the %s is not finite", t->steps + 1,
                         n->architecture->name);
  const struct willis_adam adam = {t->options.learning_rate, 0.5, 0.999, 1e-8};
  willis_adam_step(&adam, t->steps + 1, n->parameter_count, p->gradient, p->moment1, p->moment2,
                   n->parameters);
  return WILLIS_OK;
}

static enum willis_status teach_discriminator(struct willis_slice_gan_trainer *t,
                                              const float *condition, const float *target,
                                              double *loss, struct willis_error *err) {
  struct player *d = &t->discriminator;
  const ptrdiff_t count = d->network->parameter_count;
  show(t, condition, target);
  double real = judge(t, 1, 0.5, NULL);
  memcpy(t->first_gradient, d->gradient, (size_t)count * sizeof *d->gradient);
  track(d);
  show(t, condition, t->drawn);
  *loss = 0.5 * (real + judge(t, 0, 0.5, NULL));
  for (ptrdiff_t i = 0; i < count; i++) d->gradient[i] += t->first_gradient[i];
  enum willis_status status = update(t, d, err);
  if (!status) track(d);
  return status;
}

static enum willis_status teach_generator(struct willis_slice_gan_trainer *t,
                                          const float *condition, const float *target,
                                          struct willis_slice_gan_loss *loss,
                                          struct willis_error *err) {
  struct player *g = &t->generator;
  const ptrdiff_t pixels = t->options.slices * t->options.size * t->options.size;
  loss->generator = judge(t, 1, 1, t->d_seen);
  for (ptrdiff_t i = 0; i < pixels; i++) t->d_drawn[i] = t->d_seen[i * SEEN + CONDITIONS];
  loss->l1 = willis_l1_loss_gradient(pixels, t->drawn, target, t->options.l1, t->d_drawn);
  willis_graph_backward(&g->plan, g->block, condition, t->d_drawn, g->gradient_block, NULL);
  enum willis_status status = update(t, g, err);
  if (!status) track(g);
  return status;
}

/* The discriminator has learned before the generator is looked at: what it was, to go back to. */
static void remember(struct willis_slice_gan_trainer *t, bool back) {
  struct player *d = &t->discriminator;
  const size_t parameters = (size_t)d->network->parameter_count;
  const struct {
    float *values;
    size_t count;
  } piece[] = {{d->network->parameters, parameters},
               {d->moment1, parameters},
               {d->moment2, parameters},
               {d->network->statistics, (size_t)d->network->statistics_count}};
  float *kept = t->before;
  for (size_t i = 0; i < sizeof piece / sizeof *piece; kept += piece[i].count, i++)
    memcpy(back ? piece[i].values : kept, back ? kept : piece[i].values,
           piece[i].count * sizeof(float));
}

/* Every step counts one batch for the generator and two for the discriminator. */
static void set_counters(struct willis_slice_gan_trainer *t) {
  const struct player *players[] = {&t->generator, &t->discriminator};
  for (int k = 0; k < 2; k++)
    for (int l = 0; l < players[k]->network->architecture->layer_count; l++)
      players[k]->network->counter[l].value = (k + 1) * (int64_t)t->steps;
}

enum willis_status willis_slice_gan_step(struct willis_slice_gan_trainer *t, const float *condition,
                                         const float *target, struct willis_slice_gan_loss *loss,
                                         struct willis_error *err) {
  struct player *g = &t->generator;
  g->plan.seed = t->options.seed;
  g->plan.step = t->steps;
  remember(t, false);
  willis_graph_forward(&g->plan, g->block, condition, t->drawn);
  enum willis_status status = teach_discriminator(t, condition, target, &loss->discriminator, err);
  if (!status) status = teach_generator(t, condition, target, loss, err);
  if (!status)
    t->steps++;
  else
    remember(t, true);
  set_counters(t);
  return status;
}

uint64_t willis_slice_gan_steps(const struct willis_slice_gan_trainer *trainer) {
  return trainer->steps;
}

void willis_slice_gan_set_learning_rate(struct willis_slice_gan_trainer *trainer, double rate) {
  trainer->options.learning_rate = rate;
}

size_t willis_slice_gan_training_bytes(const struct willis_network *generator,
                                       const struct willis_network *discriminator,
                                       const struct willis_slice_gan_options *options) {
  /* Networks are only read by a plan that counts. */
  struct willis_slice_gan_trainer t = {
      .options = *options,
      .generator.network = (struct willis_network *)(uintptr_t)generator,
      .discriminator.network = (struct willis_network *)(uintptr_t)discriminator};
  struct willis_arena counting = {0};
  plan(&t, &counting);
  return counting.peak + sizeof t;
}

/* ---- state ---- */

enum { STATE_BLOCKS = 8 };

struct state_block {
  void *values;
  size_t bytes;
};

static void state_blocks(const struct willis_slice_gan_trainer *t,
                         struct state_block block[STATE_BLOCKS]) {
  const struct player *players[] = {&t->generator, &t->discriminator};
  for (int k = 0; k < 2; k++) {
    const struct player *p = players[k];
    const size_t parameters = (size_t)p->network->parameter_count * sizeof(float);
    block[4 * k] = (struct state_block){p->network->parameters, parameters};
    block[4 * k + 1] = (struct state_block){p->network->statistics,
                                            (size_t)p->network->statistics_count * sizeof(float)};
    block[4 * k + 2] = (struct state_block){p->moment1, parameters};
    block[4 * k + 3] = (struct state_block){p->moment2, parameters};
  }
}

size_t willis_slice_gan_state_bytes(const struct willis_slice_gan_trainer *trainer) {
  struct state_block block[STATE_BLOCKS];
  state_blocks(trainer, block);
  size_t bytes = sizeof trainer->steps;
  for (int b = 0; b < STATE_BLOCKS; b++) bytes += block[b].bytes;
  return bytes;
}

void willis_slice_gan_state_export(const struct willis_slice_gan_trainer *trainer, void *block) {
  struct state_block piece[STATE_BLOCKS];
  unsigned char *to = block;
  state_blocks(trainer, piece);
  memcpy(to, &trainer->steps, sizeof trainer->steps);
  to += sizeof trainer->steps;
  for (int b = 0; b < STATE_BLOCKS; to += piece[b].bytes, b++)
    memcpy(to, piece[b].values, piece[b].bytes);
}

enum willis_status willis_slice_gan_state_import(struct willis_slice_gan_trainer *trainer,
                                                 const void *block, size_t size,
                                                 struct willis_error *err) {
  const unsigned char *from = block;
  if (size != willis_slice_gan_state_bytes(trainer))
    return willis_fail(err, WILLIS_MISMATCH, "a state of %zu bytes, expected %zu", size,
                       willis_slice_gan_state_bytes(trainer));
  for (size_t at = sizeof trainer->steps; at < size; at += sizeof(float)) {
    float value;
    memcpy(&value, from + at, sizeof value);
    if (!isfinite(value))
      return willis_fail(err, WILLIS_NUMERIC, "a state has NaN or infinity at byte %zu", at);
  }
  struct state_block piece[STATE_BLOCKS];
  state_blocks(trainer, piece);
  memcpy(&trainer->steps, from, sizeof trainer->steps);
  from += sizeof trainer->steps;
  for (int b = 0; b < STATE_BLOCKS; from += piece[b].bytes, b++)
    memcpy(piece[b].values, from, piece[b].bytes);
  set_counters(trainer);
  return WILLIS_OK;
}

/* ---- drawing ---- */

static enum willis_status plan_drawing(const struct willis_network *generator, ptrdiff_t slices,
                                       ptrdiff_t size, struct willis_graph_plan *plan,
                                       size_t *bytes, struct willis_error *err) {
  struct willis_arena counting = {0};
  const struct willis_extent extent = {slices, size, size};
  if (generator->architecture != &willis_slice_generator || slices < 1 || size < 1 ||
      size % willis_slice_generator.multiple || size > 1 << 14 || slices > 1 << 14)
    return willis_fail(
        err, WILLIS_INVALID_ARGUMENT,
        "%td slices of %td pixels by a %s: expected a slice-generator and a multiple "
        "of %td pixels",
        slices, size, generator->architecture->name, willis_slice_generator.multiple);
  willis_graph_plan(plan, &willis_slice_generator_graph, extent, false, &counting);
  *bytes = counting.peak;
  return WILLIS_OK;
}

enum willis_status willis_slice_generator_bytes(const struct willis_network *generator,
                                                ptrdiff_t slices, ptrdiff_t size, size_t *bytes,
                                                struct willis_error *err) {
  struct willis_graph_plan plan;
  *bytes = 0;
  return plan_drawing(generator, slices, size, &plan, bytes, err);
}

enum willis_status willis_slice_generator_draw(const struct willis_network *generator,
                                               ptrdiff_t slices, ptrdiff_t size,
                                               const float *condition, float *y,
                                               struct willis_error *err) {
  struct willis_block_parameters block[LAYERS_MOST];
  struct willis_graph_plan plan;
  struct willis_arena arena = {0};
  size_t bytes = 0;
  enum willis_status status = plan_drawing(generator, slices, size, &plan, &bytes, err);
  if (!status) status = willis_arena_init(&arena, bytes, err);
  if (status) return status;
  willis_graph_plan(&plan, &willis_slice_generator_graph,
                    (struct willis_extent){slices, size, size}, false, &arena);
  willis_network_blocks(generator, generator->parameters, generator->statistics, block);
  willis_graph_forward(&plan, block, condition, y);
  willis_arena_release(&arena);
  return WILLIS_OK;
}
