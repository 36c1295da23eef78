/* What is taught by a trainer of whole volumes, and which kind a network is of. */
#include "recon/lesson.h"

#include "base/error.h"
#include "nn/hull_net.h"
#include "recon/dataset.h"
#include "recon/feed.h"
#include "recon/hull_train.h"
#include "recon/slice_train.h"

#include <string.h>

/* ---- volumes ---- */

static enum willis_status any_data(const struct willis_run *run, struct willis_error *err) {
  (void)run;
  (void)err;
  return WILLIS_OK;
}

static struct willis_trainer_options trainer_options(const struct willis_run *run) {
  const struct willis_train_options *o = run->options;
  const struct willis_sampling *s = willis_dataset_sampling(run->training.dataset);
  struct willis_trainer_options options = willis_trainer_defaults();
  const ptrdiff_t edge = run->lesson->any_views ? s->size : willis_padding_edge(s->size);
  for (int a = 0; a < 3; a++) options.size[a] = edge;
  options.alpha = o->alpha;
  options.gamma = o->gamma;
  options.learning_rate = o->learning_rate;
  options.plan = o->plan;
  options.precision = o->precision;
  return options;
}

static enum willis_status begin(struct willis_run *run, struct willis_error *err) {
  const struct willis_trainer_options options = trainer_options(run);
  const ptrdiff_t size = willis_dataset_sampling(run->training.dataset)->size;
  willis_padding_init(&run->padding, size);
  if (options.size[0] > size)
    willis_warn(run->warnings,
                "%td³ voxels are padded with zeros to %td³ for the network, where the padding "
                "counts as background; validation crops",
                size, options.size[0]);
  return willis_trainer_create(run->network, &options, &run->trainer, err);
}

static size_t bytes(const struct willis_run *run) {
  const struct willis_trainer_options options = trainer_options(run);
  size_t taken = 0;
  return willis_training_bytes(run->network, &options, &taken, NULL) ? 0 : taken;
}

static void end(struct willis_run *run) {
  willis_trainer_destroy(run->trainer);
  willis_padding_release(&run->padding);
}

static enum willis_status step(struct willis_run *run, ptrdiff_t i, double *loss,
                               struct willis_error *err) {
  enum willis_status status;
  struct willis_padding *padding = &run->padding;
  const bool padded = padding->edge > padding->size;
  if (run->options->plan == WILLIS_TRAINING_STORE) {
    struct willis_pair pair;
    status = willis_dataset_fetch(run->training.dataset, i, &pair, err);
    if (!status && padded) status = willis_padding_volumes(padding, &pair, err);
    if (status) return status;
    return willis_trainer_step(run->trainer, padded ? padding->x : pair.input->voxels,
                               padded ? padding->target : pair.truth->voxels, loss, err);
  }
  struct willis_planes_pair pair;
  struct willis_plane_source source = {0};
  status = willis_dataset_fetch_planes(run->training.dataset, i, &pair, err);
  if (!status && padded) status = willis_padding_planes(padding, &pair, &source, err);
  if (status) return status;
  return willis_trainer_step_planes(run->trainer, padded ? &source : &pair.input,
                                    padded ? padding->bits : pair.truth, loss, err);
}

/* Where predicted planes go. */
struct tally {
  struct willis_sweep_case counts;
  const unsigned char *truth;
  ptrdiff_t plane;
};

static enum willis_status tally_planes(ptrdiff_t begin, ptrdiff_t end, const float *planes,
                                       void *context, struct willis_error *err) {
  (void)err;
  struct tally *tally = context;
  willis_sweep_count(&tally->counts, (end - begin) * tally->plane, planes, tally->truth,
                     begin * tally->plane);
  return WILLIS_OK;
}

static enum willis_status predict(const struct willis_run *run, ptrdiff_t i,
                                  struct willis_sweep *sweep, struct willis_error *err) {
  struct willis_planes_pair pair;
  enum willis_status status = willis_dataset_fetch_planes(run->validation.dataset, i, &pair, err);
  if (status) return status;
  struct tally tally = {.truth = pair.truth, .plane = pair.grid->size[0] * pair.grid->size[1]};
  struct willis_plane_sink sink = {tally_planes, &tally};
  status = willis_network_infer_slabs(run->network, pair.grid->size, WILLIS_FEED_SLICES,
                                      &pair.input, WILLIS_OUTPUT_PROBABILITY, &sink, err);
  if (!status) willis_sweep_add_case(sweep, &tally.counts);
  return status;
}

static void set_rate(struct willis_run *run, double rate) {
  willis_trainer_set_learning_rate(run->trainer, rate);
}

static uint64_t steps(const struct willis_run *run) {
  return willis_trainer_steps(run->trainer);
}

static size_t state_bytes(const struct willis_run *run) {
  return willis_trainer_state_bytes(run->trainer);
}

static void state_export(const struct willis_run *run, void *block) {
  willis_trainer_state_export(run->trainer, block);
}

static enum willis_status state_import(struct willis_run *run, const void *block,
                                       struct willis_error *err) {
  return willis_trainer_state_import(run->trainer, block, run->block_size, err);
}

/* ---- the hull network ---- */

static enum willis_status check_view_counts(const struct willis_run *run,
                                            struct willis_error *err) {
  const struct willis_train_options *o = run->options;
  for (int i = 0; i < o->view_count_count; i++)
    if (o->view_counts[i] < 1)
      return willis_fail(err, WILLIS_INVALID_ARGUMENT, "network hull: %d views to learn from",
                         o->view_counts[i]);
  if (o->view_count_count >= 1) return WILLIS_OK;
  return willis_fail(err, WILLIS_INVALID_ARGUMENT, "network hull: no view count to learn from");
}

static void add_views(const struct willis_run *run, struct willis_digest *digest) {
  const struct willis_train_options *o = run->options;
  willis_digest_add_text(digest, "inputs %s\n", WILLIS_HULL_INPUTS);
  for (int i = 0; i < o->view_count_count; i++)
    willis_digest_add_text(digest, "views %d\n", o->view_counts[i]);
  willis_digest_add_text(digest, "both modes %d vary %d angle %.17g shift %.17g photons %.17g\n",
                         (int)o->both_modes, (int)o->vary, o->disturbance.angle_sd_deg,
                         o->disturbance.shift_sd_pixels, o->disturbance.photons);
}

/* ---- which is which ---- */

/* clang-format off */
#define TRAINER                                                                                    \
  .begin = begin, .end = end, .bytes = bytes, .set_rate = set_rate, .steps = steps, .state_bytes = state_bytes,    \
  .state_export = state_export, .state_import = state_import
/* clang-format on */
static const struct willis_lesson volumes = {
    .check = any_data, TRAINER, .step = step, .predict = predict};
static const struct willis_lesson hull = {.any_views = true,
                                          .check = check_view_counts,
                                          TRAINER,
                                          .add_configuration = add_views,
                                          .step = willis_hull_train_step,
                                          .predict = willis_hull_train_predict};

/* Names that are not here are architectures that learn from volumes. */
static const struct {
  const char *name, *network;
  const struct willis_lesson *lesson;
} kinds[] = {
    {"hull", "hull", &hull},
    {"cgan", "slice-generator", &willis_slice_lesson},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static const char *name_of(const struct willis_train_options *options) {
  return options->network ? options->network : "dae";
}

const struct willis_lesson *willis_lesson_of(const struct willis_train_options *options) {
  for (int k = 0; k < KINDS; k++)
    if (!strcmp(kinds[k].name, name_of(options))) return kinds[k].lesson;
  return &volumes;
}

const char *willis_lesson_network(const struct willis_train_options *options) {
  for (int k = 0; k < KINDS; k++)
    if (!strcmp(kinds[k].name, name_of(options))) return kinds[k].network;
  return name_of(options);
}
