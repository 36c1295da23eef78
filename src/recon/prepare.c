/* The runs are opened one after the other for their sizes and angles, then once more for their
 * pixels, so that only one is in memory at a time. */
#include <willis/prepare.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/progress.h"
#include "io/angiogram.h"
#include "xray/contrast.h"
#include "xray/subtraction.h"

#include <math.h>
#include <string.h>

static const double LEAST_APART_DEG = 25; /* below, depth is hardly determined */
static const double SAME_ANGLE_DEG = 0.5; /* a C-arm that stands still */

struct willis_prepare_options willis_prepare_defaults(void) {
  return (struct willis_prepare_options){.choice = WILLIS_FRAME_PEAK,
                                         .frame = 1,
                                         .window = 1,
                                         .bin = 1,
                                         .override = willis_pose_override_none()};
}

void willis_prepared_release(struct willis_prepared_view *prepared) {
  willis_release(prepared);
}

struct work {
  const char *const *path;
  ptrdiff_t path_count;
  const struct willis_prepare_options *options;
  struct willis_projections *stack;
  struct willis_prepared_view *prepared;
  const struct willis_progress *progress;
  const struct willis_warnings *warnings;
  struct willis_error *err;
  ptrdiff_t columns, rows; /* of the upright pictures */
};

/* One open run. Pictures are as they are stored; `shown` says which pixels no shutter covers. */
struct run {
  struct willis_angiogram angiogram;
  struct willis_frames frames;
  struct willis_turn turn;         /* how its pictures were laid down */
  struct willis_subtraction given; /* the user's mask */
  bool *shown;
  float *picture, *together; /* a frame, and the frames of a window */
};

static enum willis_status read_frame(void *context, ptrdiff_t frame, float *pixels,
                                     struct willis_error *err) {
  return willis_angiogram_read(context, frame, pixels, err);
}

static void close_run(struct run *run) {
  willis_angiogram_close(&run->angiogram);
  willis_release(run->given.mask);
  willis_release(run->shown);
  willis_release(run->picture);
  willis_release(run->together);
}

/* ---- the first round: sizes, patients, how many views ---- */

/* The view of a frame of an open run; `index` is its place in the stack. */
static enum willis_status view_of(const struct work *w, const struct willis_angiogram *a,
                                  ptrdiff_t run, ptrdiff_t index, ptrdiff_t frame,
                                  struct willis_view *view, struct willis_error *err) {
  const struct willis_prepare_options *o = w->options;
  struct willis_pose_override override = o->override;
  if (o->view && index < o->view_count) {
    *view = o->view[index];
    return WILLIS_OK;
  }
  if (o->angle_deg && run < o->angle_count) {
    override.primary_angle_deg = o->angle_deg[2 * run];
    override.secondary_angle_deg = o->angle_deg[2 * run + 1];
  }
  return willis_angiogram_view(a, frame, &override, view, err);
}

/* What is wrong with a view is said when it is made. */
static enum willis_status turn_of(const struct work *w, const struct willis_angiogram *a,
                                  ptrdiff_t run, ptrdiff_t index, struct willis_turn *turn) {
  struct willis_view view;
  struct willis_error why;
  const bool known = !view_of(w, a, run, index, 0, &view, &why);
  enum willis_status status =
      willis_angiogram_turn(a, w->options->orientation, known ? &view : NULL, turn, w->err);
  return status ? willis_fail_in(w->err, status, w->path[run]) : WILLIS_OK;
}

static enum willis_status check_run(struct work *w, ptrdiff_t index,
                                    const struct willis_angiogram *a, bool on_its_side,
                                    uint64_t first[2]) {
  const uint64_t own[2] = {a->patient, a->study};
  const ptrdiff_t columns = on_its_side ? a->rows : a->columns;
  const ptrdiff_t rows = on_its_side ? a->columns : a->rows;
  static const char *const what[] = {"patients", "studies"};
  if (index == 0) {
    w->columns = columns;
    w->rows = rows;
    memcpy(first, own, sizeof own);
  }
  if (columns != w->columns || rows != w->rows)
    return willis_fail(w->err, WILLIS_MISMATCH,
                       "%s: frames of %td x %td, but those of %s have %td x %td, expected one size",
                       w->path[index], columns, rows, w->path[0], w->columns, w->rows);
  for (int i = 0; i < 2; i++)
    if (own[i] && first[i] && own[i] != first[i])
      willis_warn(w->warnings, "%s and %s are of different %s", w->path[0], w->path[index],
                  what[i]);
  const struct willis_prepare_options *o = w->options;
  if (o->choice == WILLIS_FRAME_NUMBER && o->frame + o->window - 1 > a->frame_count)
    return willis_fail(w->err, WILLIS_INVALID_ARGUMENT, "%s: frame %td, expected 1 to %td",
                       w->path[index], o->frame + o->window - 1, a->frame_count);
  if (o->choice == WILLIS_FRAME_PEAK && o->window > a->frame_count)
    return willis_fail(w->err, WILLIS_INVALID_ARGUMENT, "%s: a window of %td frames out of %td",
                       w->path[index], o->window, a->frame_count);
  if (o->subtract == WILLIS_SUBTRACT_MASK && o->mask_last > a->frame_count)
    return willis_fail(w->err, WILLIS_INVALID_ARGUMENT, "%s: mask frame %td, expected 1 to %td",
                       w->path[index], o->mask_last, a->frame_count);
  if (o->subtract == WILLIS_SUBTRACT_MASK && o->mask_last - o->mask_first + 1 >= a->frame_count)
    return willis_fail(w->err, WILLIS_INVALID_ARGUMENT,
                       "%s: mask frames %td to %td of %td: expected fewer, or nothing is left to "
                       "subtract them from",
                       w->path[index], o->mask_first, o->mask_last, a->frame_count);
  return WILLIS_OK;
}

static enum willis_status survey(struct work *w, ptrdiff_t *views) {
  uint64_t first[2] = {0, 0};
  ptrdiff_t processed = 0;
  *views = 0;
  for (ptrdiff_t i = 0; i < w->path_count; i++) {
    struct willis_angiogram a;
    struct willis_turn turn;
    enum willis_status status = willis_angiogram_open(w->path[i], &a, w->warnings, w->err);
    if (status) return status;
    status = turn_of(w, &a, i, *views, &turn);
    if (!status) status = check_run(w, i, &a, turn.quarters % 2, first);
    *views += w->options->choice == WILLIS_FRAME_ALL ? a.frame_count : 1;
    processed += a.intensity == WILLIS_INTENSITY_UNKNOWN;
    willis_angiogram_close(&a);
    if (status) return status;
  }
  if (processed)
    willis_warn(w->warnings,
                "the values of %td of %td files are processed for display or of unknown scale: "
                "attenuation in grey levels, no line integrals",
                processed, w->path_count);
  return WILLIS_OK;
}

/* ---- a run ---- */

static void find_shown(struct run *run, ptrdiff_t frame) {
  const struct willis_angiogram *a = &run->angiogram;
  const struct willis_shutter *shutter = willis_angiogram_shutter(a, frame);
  for (ptrdiff_t i = 0; i < a->columns * a->rows; i++)
    run->shown[i] =
        willis_shutter_shows(shutter, (double)(i % a->columns), (double)(i / a->columns), 0);
}

/* `next` is the place of its first view in the stack. */
static enum willis_status open_run(struct work *w, ptrdiff_t index, ptrdiff_t next,
                                   struct run *run) {
  const struct willis_prepare_options *o = w->options;
  const ptrdiff_t count = w->columns * w->rows;
  struct willis_angiogram *a = &run->angiogram;
  *run = (struct run){0};
  enum willis_status status = willis_angiogram_open(w->path[index], a, NULL, w->err);
  if (!status) status = turn_of(w, a, index, next, &run->turn);
  if (status) return status;
  run->frames =
      (struct willis_frames){a->columns, a->rows, a->frame_count, a->intensity, read_frame, a};
  run->shown = willis_take(count, sizeof *run->shown);
  run->picture = willis_take(count, sizeof *run->picture);
  run->together = willis_take(count, sizeof *run->together);
  const ptrdiff_t masks = o->mask_last - o->mask_first + 1;
  if (o->subtract == WILLIS_SUBTRACT_MASK) {
    run->given = (struct willis_subtraction){
        .kind = WILLIS_SUBTRACTION_AVERAGE, .averaging = 1, .mask_count = masks};
    run->given.mask = willis_take(masks, sizeof *run->given.mask);
    for (ptrdiff_t i = 0; run->given.mask && i < masks; i++)
      run->given.mask[i] = o->mask_first - 1 + i;
  }
  if (!run->shown || !run->picture || !run->together ||
      (o->subtract == WILLIS_SUBTRACT_MASK && !run->given.mask))
    return willis_fail_memory(w->err, "pictures of a run", count, 2 * sizeof *run->picture);
  return WILLIS_OK;
}

static const struct willis_subtraction *operation_for(const struct work *w, const struct run *run,
                                                      ptrdiff_t frame) {
  const struct willis_angiogram *a = &run->angiogram;
  switch (w->options->subtract) {
  case WILLIS_SUBTRACT_NEVER:
    return NULL;
  case WILLIS_SUBTRACT_MASK:
    return &run->given;
  case WILLIS_SUBTRACT_AS_WRITTEN:
    break;
  }
  return willis_subtraction_find(a->subtraction, a->subtraction_count, frame, a->frame_count);
}

/* Every frame in blocks. A frame that is in no range of a written subtraction does not compete with
 * those that are. */
static enum willis_status shrink(struct work *w, struct run *run,
                                 const struct willis_blocks *blocks, float *block, bool *use,
                                 ptrdiff_t *count) {
  const ptrdiff_t frames = run->frames.count;
  bool any = false;
  for (ptrdiff_t f = 0; f < frames; f++) any = any || operation_for(w, run, f);
  find_shown(run, 0);
  *count = willis_blocks_shrink(blocks, NULL, run->shown, NULL);
  for (ptrdiff_t f = 0; f < frames; f++) {
    const struct willis_subtraction *operation = operation_for(w, run, f);
    use[f] = !any || operation;
    if (!use[f]) continue;
    enum willis_status status = willis_subtract(&run->frames, operation, f, run->picture, w->err);
    if (!status) (void)willis_blocks_shrink(blocks, run->picture, run->shown, block + f * *count);
    if (!status && !willis_progress_report(w->progress, "looking for contrast", (double)(f + 1),
                                           (double)frames, "frames"))
      status = willis_fail(w->err, WILLIS_CANCELLED, "stopped");
    if (status) return status;
  }
  return WILLIS_OK;
}

/* The window with most contrast; where contrast neither comes nor goes, the one that is most like
 * the run's other frames: a first frame taken before the exposure has settled is not. */
static ptrdiff_t choose(const struct willis_frame_contrast *of, const bool *use, ptrdiff_t frames,
                        ptrdiff_t window, bool comes_and_goes) {
  double best = -INFINITY;
  ptrdiff_t first = 0;
  for (ptrdiff_t f = 0; f + window <= frames; f++) {
    double sum = 0;
    for (ptrdiff_t k = f; k < f + window; k++)
      sum += !use[k] ? -1e9 : comes_and_goes ? of[k].more : -of[k].unlike;
    if (sum > best) best = sum, first = f;
  }
  return first;
}

static enum willis_status find_peak(struct work *w, struct run *run, ptrdiff_t run_index,
                                    ptrdiff_t *first) {
  const ptrdiff_t frames = run->frames.count, window = w->options->window;
  ptrdiff_t count;
  const struct willis_blocks blocks = willis_blocks_of(run->angiogram.columns, run->angiogram.rows);
  *first = 0;
  if (frames <= window) return WILLIS_OK;
  float *block = willis_take(frames * blocks.count, sizeof *block);
  bool *use = willis_take(frames, sizeof *use), comes_and_goes = false;
  struct willis_frame_contrast *of = willis_take(frames, sizeof *of);
  enum willis_status status = WILLIS_OK;
  if (!block || !use || !of)
    status = willis_fail_memory(w->err, "frames", frames * blocks.count, sizeof *block);
  if (!status) status = shrink(w, run, &blocks, block, use, &count);
  if (!status)
    status = willis_contrast_rate(block, frames, count, use, of, &comes_and_goes, w->err);
  if (!status) *first = choose(of, use, frames, window, comes_and_goes);
  ptrdiff_t compared = 0;
  for (ptrdiff_t f = 0; f < frames && !status; f++) compared += use[f];
  if (!status && !comes_and_goes && compared > window)
    willis_warn(w->warnings,
                "%s: contrast neither comes nor goes in these %td frames: frame %td is most like "
                "the others",
                w->path[run_index], compared, *first + 1);
  willis_release(block);
  willis_release(use);
  willis_release(of);
  return status;
}

static bool stands_still(const struct willis_angiogram *a, ptrdiff_t first, ptrdiff_t window) {
  const struct willis_pose *p = &a->pose[first];
  for (ptrdiff_t f = first; f < first + window; f++)
    if (!(fabs(a->pose[f].primary_angle_deg - p->primary_angle_deg) <= SAME_ANGLE_DEG &&
          fabs(a->pose[f].secondary_angle_deg - p->secondary_angle_deg) <= SAME_ANGLE_DEG))
      return false;
  return true;
}

/* The largest attenuation of the window's frames, or their mean, into run->together. */
static enum willis_status expose(struct work *w, struct run *run, ptrdiff_t first, ptrdiff_t window,
                                 struct willis_prepared_view *done) {
  const ptrdiff_t count = w->columns * w->rows;
  const bool mean = w->options->combine == WILLIS_COMBINE_MEAN;
  float least = INFINITY;
  for (ptrdiff_t i = 0; i < count; i++) run->together[i] = mean ? 0 : -INFINITY;
  for (ptrdiff_t f = first; f < first + window; f++) {
    const struct willis_subtraction *operation = operation_for(w, run, f);
    if (f == first) done->subtraction = operation ? operation->kind : WILLIS_SUBTRACTION_NONE;
    if (f > first && (operation != NULL) != (done->subtraction != WILLIS_SUBTRACTION_NONE))
      return willis_fail(w->err, WILLIS_UNSUPPORTED,
                         "frames %td to %td: some have a mask and some have none", first + 1,
                         first + window);
    enum willis_status status = willis_subtract(&run->frames, operation, f, run->picture, w->err);
    if (status) return status;
    for (ptrdiff_t i = 0; i < count; i++)
      run->together[i] = mean ? run->together[i] + run->picture[i] / (float)window
                              : fmaxf(run->together[i], run->picture[i]);
  }
  for (ptrdiff_t i = 0; i < count; i++)
    if (run->shown[i]) least = fminf(least, run->together[i]);
  if (done->subtraction == WILLIS_SUBTRACTION_NONE && isfinite(least))
    for (ptrdiff_t i = 0; i < count; i++) run->together[i] -= least;
  return WILLIS_OK;
}

/* Means over bin × bin pixels of the upright picture, of those that are shown, into the stack. */
static void bin_picture(const struct work *w, const struct run *run, bool mirrored, float *to) {
  const ptrdiff_t bin = w->options->bin, columns = w->stack->columns, rows = w->stack->rows;
  for (ptrdiff_t r = 0; r < rows; r++)
    for (ptrdiff_t c = 0; c < columns; c++) {
      double sum = 0, shown = 0;
      for (ptrdiff_t k = 0; k < bin * bin; k++) {
        double column = (double)(c * bin + k % bin), row = (double)(r * bin + k / bin);
        willis_turn_place(&run->turn, w->columns, w->rows, &column, &row);
        const ptrdiff_t at = (ptrdiff_t)row * run->angiogram.columns + (ptrdiff_t)column;
        if (run->shown[at]) sum += run->together[at], shown++;
      }
      to[r * columns + (mirrored ? columns - 1 - c : c)] = shown > 0 ? (float)(sum / shown) : 0;
    }
}

/* The view of a stored picture becomes that of the upright one. */
static void turn_view(const struct work *w, const struct willis_turn *turn,
                      struct willis_view *view) {
  const double column_spacing = view->column_spacing_mm;
  view->principal_column = 0.5 * (double)(w->columns - 1);
  view->principal_row = 0.5 * (double)(w->rows - 1);
  if (turn->quarters % 2 == 0) return;
  view->column_spacing_mm = view->row_spacing_mm;
  view->row_spacing_mm = column_spacing;
}

static enum willis_status make_view(struct work *w, struct run *run, ptrdiff_t index,
                                    ptrdiff_t run_index, ptrdiff_t first) {
  const struct willis_prepare_options *o = w->options;
  const ptrdiff_t window = o->choice == WILLIS_FRAME_ALL ? 1 : o->window;
  const struct willis_angiogram *a = &run->angiogram;
  struct willis_view *view = &w->stack->view[index];
  if (window > 1 && !o->angle_deg && !o->view && !stands_still(a, first, window))
    return willis_fail(w->err, WILLIS_UNSUPPORTED,
                       "frames %td to %td: the C-arm moves, expected one frame a view", first + 1,
                       first + window);
  enum willis_status status = view_of(w, a, run_index, index, first, view, w->err);
  struct willis_prepared_view *done = &w->prepared[index];
  *done = (struct willis_prepared_view){.run = run_index,
                                        .first_frame = first + 1,
                                        .last_frame = first + window,
                                        .intensity = a->intensity,
                                        .turn = run->turn};
  if (!status && !o->view) turn_view(w, &run->turn, view);
  if (!status) find_shown(run, first);
  if (!status) status = expose(w, run, first, window, done);
  if (status) return status;
  const bool mirrored = o->view && o->mirrored && o->mirrored[index];
  view->shutter = *willis_angiogram_shutter(a, first);
  willis_turn_shutter(&run->turn, a->columns, a->rows, &view->shutter);
  const struct willis_turn reversed = {0, mirrored};
  willis_turn_shutter(&reversed, w->columns, w->rows, &view->shutter);
  willis_view_bin(view, o->bin);
  bin_picture(w, run, mirrored, w->stack->pixels + index * w->stack->columns * w->stack->rows);
  return WILLIS_OK;
}

static enum willis_status make_run(struct work *w, ptrdiff_t run_index, ptrdiff_t *next) {
  const struct willis_prepare_options *o = w->options;
  struct run run;
  ptrdiff_t first = o->frame - 1;
  enum willis_status status = open_run(w, run_index, *next, &run);
  if (!status && o->choice == WILLIS_FRAME_PEAK) status = find_peak(w, &run, run_index, &first);
  const bool all = o->choice == WILLIS_FRAME_ALL;
  const ptrdiff_t begin = all ? 0 : first, end = all ? run.frames.count : first + 1;
  for (ptrdiff_t f = begin; f < end && !status; f++) {
    status = make_view(w, &run, (*next)++, run_index, f);
    if (!status && !willis_progress_report(w->progress, "preparing", (double)*next,
                                           (double)w->stack->view_count, "views"))
      status = willis_fail(w->err, WILLIS_CANCELLED, "stopped");
  }
  close_run(&run);
  if (!status || status == WILLIS_CANCELLED) return status;
  return willis_fail_in(w->err, status, w->path[run_index]);
}

/* ---- all ---- */

static void warn_of_angles(const struct work *w) {
  const struct willis_projections *stack = w->stack;
  double apart = 0;
  if (stack->view_count == 1) return; /* said before */
  for (ptrdiff_t i = 0; i < stack->view_count; i++)
    for (ptrdiff_t k = 0; k < i; k++) {
      double d[2][3], u[3], v[3];
      willis_view_axes(&stack->view[i], d[0], u, v);
      willis_view_axes(&stack->view[k], d[1], u, v);
      double cosine = d[0][0] * d[1][0] + d[0][1] * d[1][1] + d[0][2] * d[1][2];
      apart = fmax(apart, acos(fmin(fabs(cosine), 1)) * 180 / acos(-1));
    }
  if (apart < LEAST_APART_DEG)
    willis_warn(w->warnings,
                "no two views are more than %.3g degrees apart: depth is not determined (25 or "
                "more would be needed)",
                apart);
}

static enum willis_status check_options(const struct work *w, ptrdiff_t views) {
  const struct willis_prepare_options *o = w->options;
  if (o->bin < 1 || w->columns % o->bin || w->rows % o->bin)
    return willis_fail(w->err, WILLIS_INVALID_ARGUMENT,
                       "bin %td, expected a divisor of %td columns and %td rows", o->bin,
                       w->columns, w->rows);
  if (o->window < 1 || o->frame < 1 ||
      (o->subtract == WILLIS_SUBTRACT_MASK && (o->mask_first < 1 || o->mask_last < o->mask_first)))
    return willis_fail(w->err, WILLIS_INVALID_ARGUMENT,
                       "window %td, frame %td, mask %td to %td: expected 1 or more, in order",
                       o->window, o->frame, o->mask_first, o->mask_last);
  if (o->angle_deg && o->angle_count != w->path_count)
    return willis_fail(w->err, WILLIS_MISMATCH, "%td pairs of angles for %td runs", o->angle_count,
                       w->path_count);
  if (o->view && o->view_count != views)
    return willis_fail(w->err, WILLIS_MISMATCH, "the geometry is of %td views, the runs give %td",
                       o->view_count, views);
  return WILLIS_OK;
}

enum willis_status
willis_prepare(const char *const *path, ptrdiff_t path_count,
               const struct willis_prepare_options *options, struct willis_projections *stack,
               struct willis_prepared_view **prepared, const struct willis_progress *progress,
               const struct willis_warnings *warnings, struct willis_error *err) {
  struct work w = {path, path_count, options, stack, NULL, progress, warnings, err, 0, 0};
  *stack = (struct willis_projections){0};
  *prepared = NULL;
  ptrdiff_t views = 0, next = 0;
  enum willis_status status = survey(&w, &views);
  if (!status) status = check_options(&w, views);
  if (!status && views == 1)
    willis_warn(warnings, "one view has no depth: nothing can be reconstructed from it alone");
  if (!status)
    status = willis_projections_create(stack, w.columns / options->bin, w.rows / options->bin,
                                       views, err);
  if (!status && !(w.prepared = willis_take_zeroed(views, sizeof *w.prepared)))
    status = willis_fail_memory(err, "views", views, sizeof *w.prepared);
  stack->mode = WILLIS_PROJECTION_SUM;
  for (ptrdiff_t i = 0; i < path_count && !status; i++) status = make_run(&w, i, &next);
  if (!status) status = willis_projections_check(stack, err);
  if (!status) willis_projections_hide(stack);
  if (!status) warn_of_angles(&w);
  if (status) {
    willis_projections_release(stack);
    willis_release(w.prepared);
  } else {
    *prepared = w.prepared;
  }
  return status;
}
