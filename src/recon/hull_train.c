/* A third of the steps show a head upright or mirrored in the paper's views, a third another of the
 * cube's 48 poses in the same views, a third any pose from any side over 90 to 200 degrees. */
#include "recon/hull_train.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/random.h"
#include "recon/hull_case.h"

#include <willis/projector.h>

#include <math.h>

/* "hull" in ASCII. */
static const uint64_t hull_stream = 0x68756c6c;
static const double least_arc_deg = 90, most_arc_deg = 200;

enum { DRAWS = 16 };
enum draw { DRAW_COUNT, DRAW_MODE, DRAW_KIND, DRAW_POSE, DRAW_START, DRAW_ARC };
enum { UPRIGHT, TURNED, ANYHOW, KINDS, POSES = 48 };

static double draw(const struct willis_run *run, enum draw what) {
  return willis_random_uniform(run->options->seed, hull_stream,
                               run->counters.step * DRAWS + (uint64_t)what);
}

static ptrdiff_t pick(const struct willis_run *run, enum draw what, ptrdiff_t count) {
  return (ptrdiff_t)(draw(run, what) * (double)count);
}

/* Axis a of the turned cube is axis `from[a]` of the upright one, `flipped` or not. */
struct pose {
  int from[3];
  bool flipped[3];
};

static struct pose pose_number(ptrdiff_t number) {
  static const int order[6][3] = {{0, 1, 2}, {1, 0, 2}, {0, 2, 1}, {2, 1, 0}, {1, 2, 0}, {2, 0, 1}};
  struct pose pose;
  for (int a = 0; a < 3; a++) {
    pose.from[a] = order[number / 8][a];
    pose.flipped[a] = number >> a & 1;
  }
  return pose;
}

/* Where voxel `index` of the turned cube was. */
static ptrdiff_t source_of(const struct pose *pose, ptrdiff_t n, ptrdiff_t index) {
  const ptrdiff_t place[3] = {index % n, index / n % n, index / n / n};
  ptrdiff_t was[3];
  for (int a = 0; a < 3; a++) was[pose->from[a]] = pose->flipped[a] ? n - 1 - place[a] : place[a];
  return (was[2] * n + was[1]) * n + was[0];
}

static enum willis_status turn(const struct pose *pose, const struct willis_volume *volume,
                               struct willis_volume *turned, struct willis_error *err) {
  enum willis_status status = willis_volume_create(turned, &volume->grid, err);
  if (status) return status;
  const ptrdiff_t n = volume->grid.size[0];
#pragma omp parallel for schedule(static)
  for (ptrdiff_t i = 0; i < n * n * n; i++)
    turned->voxels[i] = volume->voxels[source_of(pose, n, i)];
  return WILLIS_OK;
}

static enum willis_status show(const struct willis_sampling *sampling, double start_deg,
                               const struct willis_volume *volume, struct willis_projections *stack,
                               struct willis_error *err) {
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

static enum willis_status teach(struct willis_run *run, const struct willis_hull_case *c,
                                const struct pose *pose, const struct willis_volume *truth,
                                double *loss, struct willis_error *err) {
  const ptrdiff_t n = truth->grid.size[0];
  float *target = willis_take(c->set.rows, sizeof *target);
  if (!target) return willis_fail_memory(err, "targets", c->set.rows, sizeof *target);
  struct willis_hull_lesson lesson = {.input = c->input, .target = target};
  for (ptrdiff_t i = 0; i < n * n * n; i++) lesson.missed += (double)truth->voxels[i];
  for (ptrdiff_t i = 0; i < c->set.rows; i++) {
    target[i] = truth->voxels[source_of(pose, n, c->set.voxel[i])];
    lesson.missed -= (double)target[i];
  }
  enum willis_status status = willis_trainer_hull_step(run->trainer, &lesson, loss, err);
  willis_release(target);
  return status;
}

enum willis_status willis_hull_train_step(struct willis_run *run, ptrdiff_t i, double *loss,
                                          struct willis_error *err) {
  const struct willis_train_options *o = run->options;
  struct willis_sampling sampling = *willis_dataset_sampling(run->training.dataset);
  const ptrdiff_t kind = pick(run, DRAW_KIND, KINDS);
  /* Upright: as it is, or with left and right exchanged. */
  struct pose pose = pose_number(pick(run, DRAW_POSE, kind == UPRIGHT ? 2 : POSES));
  double start_deg = 0;
  sampling.views = o->view_counts[pick(run, DRAW_COUNT, o->view_count_count)];
  sampling.mode = mode_number(o, &sampling, pick(run, DRAW_MODE, 2));
  if (kind == ANYHOW) {
    sampling.arc_deg = least_arc_deg + (most_arc_deg - least_arc_deg) * draw(run, DRAW_ARC);
    start_deg = 180 * draw(run, DRAW_START);
  }
  struct willis_pair pair;
  struct willis_volume turned = {0};
  struct willis_projections stack = {0};
  struct willis_hull_case c = {0};
  enum willis_status status = willis_dataset_fetch(run->training.dataset, i, &pair, err);
  if (!status) status = turn(&pose, pair.volume, &turned, err);
  if (!status) status = show(&sampling, start_deg, &turned, &stack, err);
  if (!status) status = willis_hull_case_init(&c, &stack, &turned.grid, err);
  if (!status && !c.set.rows)
    status = willis_fail(err, WILLIS_NUMERIC, "a patient without a single vessel voxel");
  if (!status) status = teach(run, &c, &pose, pair.truth, loss, err);
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
  enum willis_status status = show(sampling, 0, pair->volume, &stack, err);
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
