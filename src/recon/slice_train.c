/* One step is one batch of slices of one patient, drawn from those that both views show something
 * in, by seed and step alone. */
#include "recon/slice_train.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/random.h"
#include "nn/slice_gan_trainer.h"
#include "recon/dataset.h"
#include "recon/slice_feed.h"

#include <willis/projector.h>

#include <math.h>
#include <string.h>

/* "slices" and "judge" in ASCII. */
static const uint64_t slice_stream = 0x736c69636573, judge_seed = 0x6a75646765;

enum { BATCH = WILLIS_SLICES_A_STEP, CONDITIONS = WILLIS_SLICE_CONDITIONS };

struct willis_slice_school {
  struct willis_network *discriminator;
  struct willis_slice_gan_trainer *trainer;
  float *condition, *target; /* a batch */
  float *slab;               /* conditions of WILLIS_FEED_SLICES */
};

/* ---- set-up ---- */

static enum willis_status check(const struct willis_run *run, struct willis_error *err) {
  const struct willis_sampling *s = willis_dataset_sampling(run->training.dataset);
  if (s->views != CONDITIONS)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT,
                       "network cgan: %d views: it draws slices from %d", s->views, CONDITIONS);
  if (s->size % willis_slice_generator.multiple)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT,
                       "network cgan: size %td: expected a multiple of %td", s->size,
                       willis_slice_generator.multiple);
  return WILLIS_OK;
}

static struct willis_slice_gan_options gan_options(const struct willis_run *run) {
  const struct willis_train_options *o = run->options;
  struct willis_slice_gan_options options = willis_slice_gan_defaults();
  options.slices = BATCH;
  options.size = willis_dataset_sampling(run->training.dataset)->size;
  options.l1 = o->l1;
  options.learning_rate = o->learning_rate;
  options.seed = o->seed;
  return options;
}

static enum willis_status begin(struct willis_run *run, struct willis_error *err) {
  const struct willis_slice_gan_options options = gan_options(run);
  const ptrdiff_t pixels = options.size * options.size;
  struct willis_slice_school *s = run->slices = willis_take_zeroed(1, sizeof *s);
  if (!s) return willis_fail_memory(err, "training of slices", 1, sizeof *s);
  s->condition = willis_take(BATCH * pixels * CONDITIONS, sizeof *s->condition);
  s->target = willis_take(BATCH * pixels, sizeof *s->target);
  s->slab = willis_take(WILLIS_FEED_SLICES * pixels * CONDITIONS, sizeof *s->slab);
  if (!s->condition || !s->target || !s->slab)
    return willis_fail_memory(err, "slices", (WILLIS_FEED_SLICES + BATCH) * pixels,
                              CONDITIONS * sizeof(float));
  enum willis_status status = willis_network_create(
      "slice-discriminator", options.seed ^ judge_seed, &s->discriminator, err);
  return status ? status
                : willis_slice_gan_trainer_create(run->network, s->discriminator, &options,
                                                  &s->trainer, err);
}

static void end(struct willis_run *run) {
  struct willis_slice_school *s = run->slices;
  if (!s) return;
  willis_slice_gan_trainer_destroy(s->trainer);
  willis_network_destroy(s->discriminator);
  willis_release(s->condition);
  willis_release(s->target);
  willis_release(s->slab);
  willis_release(s);
}

static size_t bytes(const struct willis_run *run) {
  const struct willis_slice_gan_options options = gan_options(run);
  const ptrdiff_t pixels = options.size * options.size;
  return willis_slice_gan_training_bytes(run->network, run->slices->discriminator, &options) +
         (size_t)pixels * ((WILLIS_FEED_SLICES + BATCH) * CONDITIONS + BATCH) * sizeof(float);
}

static void add_configuration(const struct willis_run *run, struct willis_digest *digest) {
  willis_digest_add_text(digest, "l1 %.17g slices %d\n", run->options->l1, BATCH);
}

/* ---- a step ---- */

/* Takes a slice into place `at` of the batch. */
static void take(struct willis_slice_school *s, ptrdiff_t at, ptrdiff_t pixels,
                 const float *condition, const float *truth) {
  memcpy(s->condition + at * pixels * CONDITIONS, condition,
         (size_t)(pixels * CONDITIONS) * sizeof *condition);
  for (ptrdiff_t i = 0; i < pixels; i++) s->target[at * pixels + i] = 2 * truth[i] - 1;
}

/* Every lit slice has the same chance (Vitter's algorithm R). Returns how many slices there are. */
static enum willis_status choose(struct willis_run *run, struct willis_slice_feed *feed,
                                 const struct willis_volume *truth, ptrdiff_t *found,
                                 struct willis_error *err) {
  struct willis_slice_school *s = run->slices;
  const ptrdiff_t depth = truth->grid.size[2], pixels = feed->edge * feed->edge;
  bool lit[WILLIS_FEED_SLICES];
  enum willis_status status = WILLIS_OK;
  *found = 0;
  for (ptrdiff_t z = 0; z < depth && !status; z++) {
    const ptrdiff_t in = z % WILLIS_FEED_SLICES, left = depth - z;
    if (in == 0)
      status = willis_slice_feed_read(
          feed, z, z + (left < WILLIS_FEED_SLICES ? left : WILLIS_FEED_SLICES), s->slab, lit, err);
    if (status || !lit[in]) continue;
    ptrdiff_t at = (*found)++;
    if (at >= BATCH)
      at = (ptrdiff_t)(willis_random_uniform(run->options->seed, slice_stream,
                                             run->counters.step * (uint64_t)depth + (uint64_t)z) *
                       (double)*found);
    if (at < BATCH)
      take(s, at, pixels, s->slab + in * pixels * CONDITIONS, truth->voxels + z * pixels);
  }
  return status;
}

/* A batch has its size; few slices are shown more than once. */
static void repeat(struct willis_slice_school *s, ptrdiff_t found, ptrdiff_t pixels) {
  for (ptrdiff_t i = found; i < BATCH; i++) {
    memcpy(s->condition + i * pixels * CONDITIONS, s->condition + i % found * pixels * CONDITIONS,
           (size_t)(pixels * CONDITIONS) * sizeof *s->condition);
    memcpy(s->target + i * pixels, s->target + i % found * pixels,
           (size_t)pixels * sizeof *s->target);
  }
}

static enum willis_status show(const struct willis_subset *subset,
                               const struct willis_volume *volume, struct willis_projections *stack,
                               struct willis_error *err) {
  enum willis_status status =
      willis_sampling_stack(willis_dataset_sampling(subset->dataset), &volume->grid, stack, err);
  return status ? status : willis_project(volume, stack, err);
}

static enum willis_status step(struct willis_run *run, ptrdiff_t i, double *loss,
                               struct willis_error *err) {
  struct willis_slice_school *s = run->slices;
  struct willis_pair pair;
  struct willis_projections stack = {0};
  struct willis_slice_feed feed = {0};
  struct willis_slice_gan_loss l = {0};
  ptrdiff_t found = 0;
  enum willis_status status = willis_dataset_fetch(run->training.dataset, i, &pair, err);
  if (!status) status = show(&run->training, pair.volume, &stack, err);
  if (!status) status = willis_slice_feed_init(&feed, &stack, &pair.volume->grid, NULL, err);
  if (!status) status = choose(run, &feed, pair.truth, &found, err);
  if (!status && !found)
    status = willis_fail(err, WILLIS_NUMERIC, "%s: a patient without a single vessel voxel",
                         willis_dataset_name(run->training.dataset, i));
  if (!status) {
    repeat(s, found, feed.edge * feed.edge);
    status = willis_slice_gan_step(s->trainer, s->condition, s->target, &l, err);
  }
  *loss = l.generator + run->options->l1 * l.l1;
  willis_slice_feed_release(&feed);
  willis_projections_release(&stack);
  return status;
}

static enum willis_status predict(const struct willis_run *run, ptrdiff_t i,
                                  struct willis_sweep *sweep, struct willis_error *err) {
  struct willis_pair pair;
  struct willis_projections stack = {0};
  struct willis_volume probability = {0};
  struct willis_plane_sink sink = {willis_keep_planes, &probability};
  enum willis_status status = willis_dataset_fetch(run->validation.dataset, i, &pair, err);
  if (!status) status = show(&run->validation, pair.volume, &stack, err);
  if (!status) status = willis_volume_create(&probability, &pair.volume->grid, err);
  if (!status)
    status = willis_slice_reconstruct(&stack, run->network, &probability.grid, NULL, &sink, err);
  if (!status) willis_sweep_add(sweep, &probability, pair.truth);
  willis_volume_release(&probability);
  willis_projections_release(&stack);
  return status;
}

/* ---- state ---- */

static void set_rate(struct willis_run *run, double rate) {
  willis_slice_gan_set_learning_rate(run->slices->trainer, rate);
}

static uint64_t steps(const struct willis_run *run) {
  return willis_slice_gan_steps(run->slices->trainer);
}

static size_t state_bytes(const struct willis_run *run) {
  return willis_slice_gan_state_bytes(run->slices->trainer);
}

static void state_export(const struct willis_run *run, void *block) {
  willis_slice_gan_state_export(run->slices->trainer, block);
}

static enum willis_status state_import(struct willis_run *run, const void *block,
                                       struct willis_error *err) {
  return willis_slice_gan_state_import(run->slices->trainer, block, run->block_size, err);
}

const struct willis_lesson willis_slice_lesson = {
    .drawn = true,
    .check = check,
    .begin = begin,
    .end = end,
    .bytes = bytes,
    .add_configuration = add_configuration,
    .step = step,
    .predict = predict,
    .set_rate = set_rate,
    .steps = steps,
    .state_bytes = state_bytes,
    .state_export = state_export,
    .state_import = state_import,
};
