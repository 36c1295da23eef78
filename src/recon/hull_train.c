/* Five of twelve steps show a head upright or mirrored in the paper's views, as many another of the
 * cube's 48 poses in the same views, a sixth any pose from any side over 90 to 200 degrees.
 * Besides, when asked for: the head is another (shape_change.h), one of six times with nothing on
 * one side of a plane, as when one artery of several is filled; and the pictures are disturbed. */
#include "recon/hull_train.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/random.h"
#include "recon/dataset.h"
#include "recon/hull_levels.h"
#include "recon/hull_looks.h"
#include "recon/hull_reconstruct.h"
#include "recon/hull_shown.h"

#include <willis/projector.h>

#include <math.h>

/* "hull" in ASCII. */
static const uint64_t hull_stream = 0x68756c6c;
static const double least_arc_deg = 90, most_arc_deg = 200;

enum { DRAWS = 16 };
enum draw {
  DRAW_COUNT,
  DRAW_MODE,
  DRAW_KIND,
  DRAW_POSE,
  DRAW_START,
  DRAW_ARC,
  DRAW_VARY,
  DRAW_CUT,
  DRAW_PLANE,
  DRAW_DISTURB,
  DRAW_LOOK,
  DRAW_GRID
};
static const double varied = 2.0 / 3, cut = 1.0 / 6, disturbed = 0.5, coarser = 0.5;
/* Training shows one of the first so many looks. */
enum { LOOKS_LEARNED = 3, FINE_LOOKS_LEARNED = 2 };
enum kind { UPRIGHT, TURNED, ANYHOW };
/* Upright until the first, turned until the second. Hulls of views that do not follow the grid are
 * three times as large. */
static const double upright = 5.0 / 12, not_anyhow = 5.0 / 6;

static double draw(const struct willis_run *run, enum draw what) {
  return willis_random_uniform(run->options->seed, hull_stream,
                               run->counters.step * DRAWS + (uint64_t)what);
}

static ptrdiff_t pick(const struct willis_run *run, enum draw what, ptrdiff_t count) {
  return (ptrdiff_t)(draw(run, what) * (double)count);
}

static enum kind pick_kind(const struct willis_run *run) {
  const double u = draw(run, DRAW_KIND);
  return u < upright ? UPRIGHT : u < not_anyhow ? TURNED : ANYHOW;
}

enum willis_status willis_hull_show(const struct willis_sampling *sampling, double start_deg,
                                    const struct willis_volume *volume,
                                    struct willis_projections *stack, struct willis_error *err) {
  enum willis_status status = willis_sampling_stack(sampling, &volume->grid, stack, err);
  if (status) return status;
  for (ptrdiff_t v = 0; v < stack->view_count; v++) {
    double *angle = &stack->view[v].primary_angle_deg;
    *angle = fmod(*angle + start_deg, 360);
  }
  status = willis_project(volume, stack, err);
  if (status) willis_projections_release(stack);
  return status;
}

static enum willis_projection_mode mode_number(const struct willis_train_options *options,
                                               const struct willis_sampling *sampling,
                                               ptrdiff_t number) {
  if (!options->both_modes) return sampling->mode;
  return number ? WILLIS_PROJECTION_SUM : WILLIS_PROJECTION_MAX;
}

/* The fewest have the most to teach. */
int willis_hull_train_views(const struct willis_train_options *options, double drawn) {
  const int *views = options->view_counts, last = options->view_count_count - 1;
  double all = 0;
  for (int i = 0; i <= last; i++) all += 1.0 / views[i];
  int i = 0;
  for (drawn *= all; i < last && drawn >= 1.0 / views[i]; i++) drawn -= 1.0 / views[i];
  return views[i];
}

/* Of grids that are looked at coarse first half of the steps are about a coarser one. */
static struct willis_grid grid_of(const struct willis_run *run, const struct willis_grid *grid) {
  struct willis_grid of = *grid;
  for (double u = draw(run, DRAW_GRID); willis_hull_is_large(&of) && u < coarser; u /= coarser)
    of = willis_half_grid(&of);
  return of;
}

/* What leaves no hope on the coarser grid, as an early network may find, is learned there. */
static enum willis_status case_to_learn(const struct willis_run *run,
                                        const struct willis_projections *stack,
                                        struct willis_grid *grid, struct willis_hull_case *c,
                                        struct willis_error *err) {
  enum willis_status status = willis_hull_case_of(c, stack, run->network, grid, 0, err);
  while (!status && !c->set.rows && willis_hull_is_large(grid)) {
    willis_hull_case_release(c);
    *grid = willis_half_grid(grid);
    status = willis_hull_case_of(c, stack, run->network, grid, 0, err);
  }
  return status;
}

/* The looks before the one that is learned from: none, one or two, and one at most where a coarser
 * grid has been looked at. */
static enum willis_status look(const struct willis_run *run, struct willis_hull_case *c,
                               struct willis_error *err) {
  const ptrdiff_t looks = c->refined ? FINE_LOOKS_LEARNED : LOOKS_LEARNED;
  return willis_hull_look_before(c, run->network, (int)pick(run, DRAW_LOOK, looks), err);
}

static enum willis_status teach(struct willis_run *run, const struct willis_hull_case *c,
                                const struct willis_grid *grid, const struct willis_shown *shown,
                                const struct willis_volume *truth, double *loss,
                                struct willis_error *err) {
  const ptrdiff_t count = willis_grid_count(grid);
  float *target = willis_take(c->set.rows, sizeof *target);
  if (!target) return willis_fail_memory(err, "targets", c->set.rows, sizeof *target);
  struct willis_hull_lesson lesson = {.input = c->input, .target = target};
  for (ptrdiff_t i = 0; i < count; i++)
    lesson.missed += (double)willis_shown_target_on(shown, truth, grid->size[0], i);
  for (ptrdiff_t i = 0; i < c->set.rows; i++) {
    target[i] = willis_shown_target_on(shown, truth, grid->size[0], c->set.voxel[i]);
    lesson.missed -= (double)target[i];
  }
  enum willis_status status = willis_trainer_hull_step(run->trainer, &lesson, loss, err);
  willis_release(target);
  return status;
}

static enum willis_status fetch(struct willis_run *run, ptrdiff_t i, bool vary,
                                struct willis_pair *pair, struct willis_error *err) {
  struct willis_dataset *dataset = run->training.dataset;
  if (!vary) return willis_dataset_fetch(dataset, i, pair, err);
  const struct willis_shape_change change =
      willis_shape_change_draw(run->options->seed, run->counters.step);
  return willis_dataset_fetch_changed(dataset, i, &change, pair, err);
}

/* The views say what they say without the disturbance; some steps show it. */
static enum willis_status disturb(const struct willis_run *run, struct willis_projections *stack,
                                  struct willis_error *err) {
  struct willis_disturbance d = run->options->disturbance;
  if (draw(run, DRAW_DISTURB) >= disturbed) return WILLIS_OK;
  d.seed = run->options->seed + run->counters.step * 0x9e3779b97f4a7c15u;
  if (stack->mode != WILLIS_PROJECTION_SUM) d.photons = 0;
  return willis_projections_disturb(stack, &d, err);
}

enum willis_status willis_hull_train_step(struct willis_run *run, ptrdiff_t i, double *loss,
                                          struct willis_error *err) {
  const struct willis_train_options *o = run->options;
  struct willis_sampling sampling = *willis_dataset_sampling(run->training.dataset);
  const enum kind kind = pick_kind(run);
  /* Upright: as it is, or with left and right exchanged. */
  struct willis_shown shown = willis_shown_pose(
      sampling.size, pick(run, DRAW_POSE, kind == UPRIGHT ? 2 : WILLIS_SHOWN_POSES));
  double start_deg = 0;
  sampling.views = willis_hull_train_views(o, draw(run, DRAW_COUNT));
  sampling.mode = mode_number(o, &sampling, pick(run, DRAW_MODE, 2));
  if (kind == ANYHOW) {
    sampling.arc_deg = least_arc_deg + (most_arc_deg - least_arc_deg) * draw(run, DRAW_ARC);
    start_deg = 180 * draw(run, DRAW_START);
  }
  struct willis_pair pair;
  struct willis_volume turned = {0};
  struct willis_projections stack = {0};
  struct willis_hull_case c = {0};
  const bool vary = o->vary && draw(run, DRAW_VARY) < varied;
  enum willis_status status = fetch(run, i, vary, &pair, err);
  if (!status && vary && draw(run, DRAW_CUT) < cut)
    willis_shown_cut(&shown, draw(run, DRAW_PLANE), pair.truth);
  if (!status) status = willis_shown_volume(&shown, pair.volume, &turned, err);
  if (!status) status = willis_hull_show(&sampling, start_deg, &turned, &stack, err);
  if (!status) status = disturb(run, &stack, err);
  struct willis_grid grid = grid_of(run, &turned.grid);
  if (!status) status = case_to_learn(run, &stack, &grid, &c, err);
  if (!status && !c.set.rows)
    status = willis_fail(err, WILLIS_NUMERIC, "a patient without a single vessel voxel");
  if (!status) status = look(run, &c, err);
  if (!status) status = teach(run, &c, &grid, &shown, pair.truth, loss, err);
  willis_hull_case_release(&c);
  willis_projections_release(&stack);
  willis_volume_release(&turned);
  return status;
}

/* The probability from one choice of views. */
static enum willis_status predict(const struct willis_run *run, const struct willis_pair *pair,
                                  const struct willis_sampling *sampling,
                                  struct willis_volume *probability, struct willis_error *err) {
  struct willis_projections stack;
  enum willis_status status = willis_hull_show(sampling, 0, pair->volume, &stack, err);
  if (status) return status;
  status = willis_hull_reconstruct_whole(&stack, run->network, probability, err);
  willis_projections_release(&stack);
  return status;
}

enum willis_status willis_hull_train_predict(const struct willis_run *run, ptrdiff_t i,
                                             struct willis_sweep *sweep, struct willis_error *err) {
  const struct willis_train_options *o = run->options;
  const int cases = o->view_count_count * (o->both_modes ? 2 : 1);
  struct willis_sampling sampling = *willis_dataset_sampling(run->validation.dataset);
  struct willis_pair pair;
  struct willis_volume probability = {0};
  enum willis_status status = willis_dataset_fetch(run->validation.dataset, i, &pair, err);
  if (!status) status = willis_volume_create(&probability, &pair.truth->grid, err);
  for (int k = 0; k < cases && !status; k++) {
    sampling.views = o->view_counts[k % o->view_count_count];
    sampling.mode = mode_number(o, &sampling, k / o->view_count_count);
    status = predict(run, &pair, &sampling, &probability, err);
    if (!status) willis_sweep_add(sweep, &probability, pair.truth);
  }
  willis_volume_release(&probability);
  return status;
}
