/* The methods on the cases: the test patients of the cohort and the scans beside it. */
#define _GNU_SOURCE
#include "recon/experiment.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/progress.h"

#include <willis/projector.h>

#include <stdio.h>
#include <string.h>

enum willis_status willis_experiment_make(const struct willis_projections *stack,
                                          const struct willis_grid *grid, willis_volume_maker *make,
                                          struct willis_volume *volume, struct willis_error *err) {
  enum willis_status status = willis_volume_create(volume, grid, err);
  if (!status) status = make(stack, volume, err);
  if (status)
    willis_volume_release(volume);
  else
    willis_volume_normalize(volume);
  return status;
}

enum willis_status willis_experiment_project(const struct willis_experiment *e, int views,
                                             enum willis_projection_mode mode,
                                             const struct willis_volume *volume,
                                             struct willis_projections *stack,
                                             struct willis_error *err) {
  struct willis_sampling sampling = *willis_dataset_sampling(e->dataset);
  sampling.views = views;
  sampling.mode = mode;
  enum willis_status status = willis_sampling_stack(&sampling, &volume->grid, stack, err);
  if (!status) status = willis_project(volume, stack, err);
  return status;
}

enum willis_status willis_experiment_baselines(struct willis_experiment *e,
                                               struct willis_experiment_row *row,
                                               struct willis_error *err) {
  static const double least_recall = 0.999;
  struct willis_sweep *sweep = willis_take_zeroed(2, sizeof *sweep);
  if (!sweep) return willis_fail_memory(err, "thresholds", 2, sizeof *sweep);
  enum willis_status status = WILLIS_OK;
  for (ptrdiff_t i = 0; i < e->train && !status; i++) {
    struct willis_pair pair;
    struct willis_projections stack = {0};
    struct willis_volume hull = {0};
    if (!willis_progress_report(e->progress, "thresholds", (double)i, (double)e->train, "patients"))
      status = willis_fail(err, WILLIS_CANCELLED, "stopped while choosing thresholds");
    if (!status) status = willis_dataset_fetch(e->dataset, i, &pair, err);
    if (!status)
      status = willis_experiment_project(e, row->views, e->options->mode, pair.volume, &stack, err);
    if (!status)
      status = willis_experiment_make(&stack, &pair.volume->grid, willis_hull, &hull, err);
    if (!status) {
      willis_sweep_add(&sweep[0], &hull, pair.truth);
      willis_sweep_add(&sweep[1], pair.input, pair.truth);
    }
    willis_volume_release(&hull);
    willis_projections_release(&stack);
  }
  row->baseline[WILLIS_METHOD_HULL] = willis_sweep_best(&sweep[0]);
  row->baseline[WILLIS_METHOD_HULL_RECALL] = willis_sweep_recall(&sweep[0], least_recall);
  row->baseline[WILLIS_METHOD_BACKPROJECTION] = willis_sweep_best(&sweep[1]);
  for (int m = 0; m < WILLIS_METHOD_PAPER; m++) row->threshold[m] = row->baseline[m].threshold;
  willis_release(sweep);
  return status;
}

enum willis_status willis_experiment_infer(const char *model,
                                           const struct willis_projections *stack,
                                           const struct willis_grid *grid,
                                           struct willis_volume *prediction,
                                           struct willis_error *err) {
  struct willis_network *network = NULL;
  struct willis_reconstruct_options options = {.grid = grid};
  enum willis_status status = willis_network_read(model, &network, err);
  if (!status) status = willis_reconstruct(stack, network, &options, NULL, NULL, prediction, err);
  willis_network_destroy(network);
  return status;
}

static enum willis_status infer(struct willis_experiment *e, int views, const char *ending,
                                const struct willis_projections *stack,
                                const struct willis_grid *grid, struct willis_volume *prediction,
                                struct willis_error *err) {
  char path[PATH_MAX];
  enum willis_status status = willis_experiment_path(e, path, "models/%s-%d%s.safetensors", err,
                                                     willis_experiment_network(e), views, ending);
  return status ? status : willis_experiment_infer(path, stack, grid, prediction, err);
}

enum willis_status
willis_experiment_predict(struct willis_experiment *e, const struct willis_experiment_row *row,
                          enum willis_method method, const struct willis_volume *volume,
                          struct willis_volume *prediction, struct willis_error *err) {
  *prediction = (struct willis_volume){0};
  struct willis_projections stack = {0};
  const struct willis_grid *grid = &volume->grid;
  enum willis_status status =
      willis_experiment_project(e, row->views, e->options->mode, volume, &stack, err);
  if (status) goto out;
  switch (method) {
  case WILLIS_METHOD_HULL:
  case WILLIS_METHOD_HULL_RECALL:
    status = willis_experiment_make(&stack, grid, willis_hull, prediction, err);
    break;
  case WILLIS_METHOD_BACKPROJECTION:
    status = willis_network_input(&stack, grid, prediction, err);
    break;
  default:
    status = infer(e, row->views, method == WILLIS_METHOD_PAPER ? "-paper" : "", &stack, grid,
                   prediction, err);
  }
out:
  willis_projections_release(&stack);
  return status;
}

const char *willis_experiment_case_name(const struct willis_experiment *e, ptrdiff_t i) {
  return i < e->test ? willis_dataset_name(e->dataset, e->train + i) : e->extra[i - e->test].name;
}

enum willis_status willis_experiment_case(struct willis_experiment *e, ptrdiff_t i,
                                          const struct willis_volume **volume,
                                          const struct willis_volume **truth,
                                          struct willis_error *err) {
  if (i >= e->test) {
    *volume = &e->extra[i - e->test].volume;
    *truth = &e->extra[i - e->test].truth;
    return WILLIS_OK;
  }
  struct willis_pair pair;
  enum willis_status status = willis_dataset_fetch(e->dataset, e->train + i, &pair, err);
  *volume = pair.volume;
  *truth = pair.truth;
  return status;
}

enum willis_status willis_experiment_test(struct willis_experiment *e,
                                          struct willis_experiment_row *row,
                                          struct willis_error *err) {
  ptrdiff_t cases = willis_experiment_cases(e);
  enum willis_status status = WILLIS_OK;
  for (int m = 0; m < WILLIS_METHODS && !status; m++) {
    if (!willis_experiment_runs(e, m)) continue;
    willis_release(row->cases[m]);
    row->cases[m] = willis_take_zeroed(cases, sizeof *row->cases[m]);
    if (!row->cases[m]) status = willis_fail_memory(err, "scores", cases, sizeof *row->cases[m]);
    for (ptrdiff_t i = 0; i < cases && !status; i++) {
      const struct willis_volume *volume, *truth;
      struct willis_volume prediction = {0};
      if (!willis_progress_report(e->progress, "testing", (double)(m * cases + i),
                                  (double)(WILLIS_METHODS * cases), "cases"))
        status = willis_fail(err, WILLIS_CANCELLED, "stopped while testing");
      if (!status) status = willis_experiment_case(e, i, &volume, &truth, err);
      if (!status)
        status = willis_experiment_predict(e, row, (enum willis_method)m, volume, &prediction, err);
      if (!status)
        status =
            willis_scores_compute(&prediction, truth, row->threshold[m], &row->cases[m][i], err);
      willis_volume_release(&prediction);
    }
  }
  return status;
}
