/* The paper's table 2, run again: every system from the same two views of the same patients, beside
 * what needs no learning. Seed after seed, so that there is a table as soon as there can be one. */
#define _GNU_SOURCE
#include "recon/table2.h"

#include "base/error.h"
#include "base/memory.h"
#include "io/text.h"

#include <willis/projector.h>
#include <willis/solver.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

static enum willis_status solve_tv(const struct willis_projections *stack,
                                   struct willis_volume *volume, struct willis_error *err) {
  const struct willis_solver_options options =
      willis_solver_defaults(WILLIS_SOLVER_TV, stack->view_count);
  return willis_solve(stack, &options, NULL, volume, NULL, err);
}

/* ---- the rows ---- */

/* The candidate c of table 1, and pix2pix's. */
static const struct willis_setting volumes = {"c", 0.90, 0.2, 3e-3, -3, WILLIS_SCHEDULE_COSINE};
static const struct willis_setting pix2pix = {"pix2pix", 0.5, 0.2,
                                              2e-4,      NAN, WILLIS_SCHEDULE_CONSTANT};

/* The paper's table 2 (M11): its patients are others. */
static const struct willis_published published_dae = {2, 0.2683, 2.6e-3, 2.51e-2, 0.9985},
                                     published_gan = {2, 0.0726, NAN, NAN, 0.9631},
                                     published_l1 = {2, 0.1132, NAN, NAN, 0.9587};

static const struct willis_rival_kind classical[] = {
    {.name = "backprojection",
     .label = "back-projection, thresholded",
     .make = willis_backproject,
     .mode = WILLIS_PROJECTION_MAX},
    {.name = "hull", .label = "visual hull", .make = willis_hull, .mode = WILLIS_PROJECTION_MAX},
    {.name = "continuity",
     .label = "visual hull, continuity prior",
     .make = willis_hull_continuity,
     .mode = WILLIS_PROJECTION_MAX},
    {.name = "tv",
     .label = "total variation, from line integrals",
     .make = solve_tv,
     .mode = WILLIS_PROJECTION_SUM,
     .slow = true},
};
/* In the order of willis_experiment_options' system_epochs. */
static const struct willis_rival_kind systems[WILLIS_EXPERIMENT_SYSTEMS] = {
    {.name = "cgan",
     .label = "conditional GAN",
     .network = "cgan",
     .setting = &pix2pix,
     .published = &published_gan},
    {.name = "l1-cgan",
     .label = "L1 + conditional GAN",
     .network = "cgan",
     .l1 = 100,
     .setting = &pix2pix,
     .published = &published_l1},
    {.name = "dae",
     .label = "denoising autoencoder",
     .network = "dae",
     .setting = &volumes,
     .published = &published_dae},
    {.name = "unet", .label = "3D U-Net", .network = "unet", .setting = &volumes},
};
static const struct willis_rival_kind elsewhere = {.name = "model", .label = "model"};

enum { CLASSICAL = sizeof classical / sizeof *classical };

static struct willis_rival *add(struct willis_table2 *t, const struct willis_rival_kind *kind,
                                int group) {
  struct willis_rival *r = &t->rival[t->rivals++];
  *r = (struct willis_rival){.kind = kind, .group = group, .job = willis_job_defaults(&t->e)};
  t->groups = group + 1;
  return r;
}

static enum willis_status add_system(struct willis_table2 *t, int s, struct willis_error *err) {
  const struct willis_experiment_options *o = t->e.options;
  const struct willis_rival_kind *kind = &systems[s];
  enum willis_status status = WILLIS_OK;
  const int group = t->groups;
  for (int k = 0; k < o->seeds && !status; k++) {
    struct willis_job *job = &add(t, kind, group)->job;
    job->network = kind->network;
    job->l1 = kind->l1;
    job->setting = kind->setting;
    job->seed = o->seed + (uint64_t)k;
    job->epochs = o->system_epochs[s];
    job->validate_every = 1;
    snprintf(job->label, sizeof job->label, "%s, seed %llu", kind->label,
             (unsigned long long)job->seed);
    status = willis_experiment_path(&t->e, job->model, "models/%s-seed%llu.safetensors", err,
                                    kind->name, (unsigned long long)job->seed);
    if (!status)
      status = willis_experiment_path(&t->e, job->log, "logs/%s-seed%llu.csv", err, kind->name,
                                      (unsigned long long)job->seed);
  }
  return status;
}

static enum willis_status add_elsewhere(struct willis_table2 *t, const char *path,
                                        struct willis_error *err) {
  static const char ending[] = ".safetensors";
  struct willis_rival *r = add(t, &elsewhere, t->groups);
  const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
  size_t n = strlen(base), m = sizeof ending - 1;
  if (n > m && !strcmp(base + n - m, ending)) n -= m;
  snprintf(r->name, sizeof r->name, "%s %.*s", elsewhere.label, (int)n, base);
  if (snprintf(r->job.model, sizeof r->job.model, "%s", path) >= (int)sizeof r->job.model)
    return willis_fail(err, WILLIS_IO, "%s: the path is too long", path);
  struct willis_network *network = NULL;
  enum willis_status status = willis_network_read(path, &network, err);
  if (status) return status;
  struct willis_model_card card;
  status = willis_model_describe(network, &card, err);
  r->threshold = card.threshold;
  r->outcome.parameters = willis_network_parameter_count(network);
  willis_network_destroy(network);
  return status;
}

static enum willis_status list_rivals(struct willis_table2 *t, struct willis_error *err) {
  const struct willis_experiment_options *o = t->e.options;
  enum willis_status status = WILLIS_OK;
  for (int c = 0; c < CLASSICAL; c++) add(t, &classical[c], t->groups);
  for (int s = 0; s < WILLIS_EXPERIMENT_SYSTEMS && !status; s++) status = add_system(t, s, err);
  for (int w = 0; w < o->with_count && !status; w++) status = add_elsewhere(t, o->with[w], err);
  return status;
}

/* ---- the whole ---- */

static enum willis_status check(const struct willis_experiment_options *o,
                                struct willis_error *err) {
  enum willis_status status = willis_experiment_check(o, err);
  if (status) return status;
  if (o->view_count != 1 || o->views[0] != WILLIS_TABLE2_VIEWS || o->mode != WILLIS_PROJECTION_MAX)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT,
                       "table 2 is about %d views, maximum projections", WILLIS_TABLE2_VIEWS);
  if (o->size % 64)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT,
                       "size %td: expected a multiple of 64, for the conditional GAN", o->size);
  const int most = (WILLIS_RIVALS_MOST - CLASSICAL) / (WILLIS_EXPERIMENT_SYSTEMS + 1);
  if (o->seeds < 0 || o->seeds > most || o->with_count < 0 || o->with_count > most)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT,
                       "%d seeds and %d other models: expected 0 to %d", o->seeds, o->with_count,
                       most);
  for (int s = 0; s < WILLIS_EXPERIMENT_SYSTEMS; s++)
    if (o->system_epochs[s] < 1)
      return willis_fail(err, WILLIS_INVALID_ARGUMENT, "expected at least one epoch");
  return WILLIS_OK;
}

/* Everything but how many seeds (which may be added to), the other models and the scans. */
static void add_options(const struct willis_experiment *e, struct willis_digest *digest) {
  const struct willis_experiment_options *o = e->options;
  willis_digest_add_text(digest, "table2 size %td arc %.17g tissue %d test %td validate %td\n",
                         o->size, o->arc_deg, (int)o->tissue, o->test_last, o->validate);
  willis_digest_add_text(digest, "patience %td budget %.17g seed %llu\n", o->patience, o->budget_s,
                         (unsigned long long)o->seed);
  for (int s = 0; s < WILLIS_EXPERIMENT_SYSTEMS; s++) {
    const struct willis_setting *set = systems[s].setting;
    willis_digest_add_text(digest, "%s %td l1 %.17g %.17g %.17g %.17g %.17g %d\n", systems[s].name,
                           o->system_epochs[s], systems[s].l1, set->alpha, set->gamma,
                           set->learning_rate, set->output_bias, (int)set->schedule);
  }
}

static enum willis_status write_all(struct willis_table2 *t, struct willis_error *err) {
  willis_experiment_clock(&t->e);
  enum willis_status status = willis_table2_tables(t, err);
  return status ? status : willis_table2_curves(t, err);
}

/* One run: trained or its threshold chosen, then tested. */
static enum willis_status run_rival(struct willis_table2 *t, struct willis_rival *r,
                                    struct willis_error *err) {
  enum willis_status status = WILLIS_OK;
  if (r->kind->make) {
    status = willis_table2_choose(t, r, err);
  } else if (willis_rival_learns(r)) {
    if (r->job.seed == t->e.options->seed)
      status = willis_experiment_cost_job(&t->e, &r->job, &r->plan, err);
    if (!status) status = willis_experiment_run_job(&t->e, &r->job, err);
    if (!status) status = willis_job_outcome(&r->job, &r->outcome, err);
    r->threshold = r->outcome.threshold;
  }
  if (!status) status = willis_table2_test(t, r, err);
  r->done = !status;
  return status;
}

/* What learns nothing first, then a seed of every system, then the next. */
static enum willis_status run_all(struct willis_table2 *t, struct willis_error *err) {
  const struct willis_experiment_options *o = t->e.options;
  enum willis_status status = WILLIS_OK;
  for (int i = 0; i < t->rivals && !status; i++)
    if (!willis_rival_learns(&t->rival[i])) status = run_rival(t, &t->rival[i], err);
  if (!status) status = write_all(t, err);
  for (int k = 0; k < o->seeds; k++)
    for (int i = 0; i < t->rivals && !status; i++) {
      struct willis_rival *r = &t->rival[i];
      if (!willis_rival_learns(r) || r->job.seed != o->seed + (uint64_t)k) continue;
      status = run_rival(t, r, err);
      if (!status) status = write_all(t, err);
    }
  return status ? status : willis_table2_figure(t, err);
}

struct willis_experiment_options willis_experiment_table2_defaults(void) {
  struct willis_experiment_options o = willis_experiment_defaults();
  o.size = 128;
  o.views[0] = WILLIS_TABLE2_VIEWS;
  o.view_count = 1;
  o.seeds = 3;
  /* About 3½ minutes of one core each at 128³, in whole epochs (doc/results/table2). */
  static const ptrdiff_t epochs[WILLIS_EXPERIMENT_SYSTEMS] = {10, 10, 8, 1};
  memcpy(o.system_epochs, epochs, sizeof epochs);
  return o;
}

enum willis_status willis_experiment_table2(const struct willis_experiment_options *options,
                                            const struct willis_progress *progress,
                                            const struct willis_warnings *warnings,
                                            struct willis_error *err) {
  enum willis_status status = check(options, err);
  if (status) return status;
  struct willis_table2 *t = willis_take_zeroed(1, sizeof *t);
  if (!t) return willis_fail_memory(err, "the experiment", 1, sizeof *t);
  t->e.name = "table2";
  t->e.options = options;
  t->e.progress = progress;
  t->e.warnings = warnings;
  locale_t before = willis_locale_enter();
  status = list_rivals(t, err);
  if (!status) status = willis_experiment_open(&t->e, add_options, err);
  if (!status) status = run_all(t, err);
  for (int i = 0; i < t->rivals; i++) {
    willis_release(t->rival[i].cases);
    willis_release(t->rival[i].outcome.epoch);
  }
  willis_experiment_close(&t->e);
  willis_release(t);
  willis_locale_leave(before);
  return status;
}
