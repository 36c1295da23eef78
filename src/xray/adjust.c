/* Small turns and shifts of views, found together: a bundle adjustment without correspondences.
 *
 * A sample is a pixel of a centre line of one view. It is somewhere along its ray; where, is looked
 * for at every depth: the one whose shadows in the other views lie nearest to centre lines. Then
 * poses and depths are moved so that those shadows come to lie on the lines, by Gauss–Newton steps
 * with the distance across the line as the residual (along it a point may slide: which point of the
 * line it is, nobody knows) and Geman–McClure weights, over a width that shrinks from what the
 * turns may cause to a pixel and a half. Depths are eliminated (Schur complement). What turns the
 * model as a whole, or hardly shows, is held by a weak prior: the poses as they were. */
#include <willis/agreement.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/progress.h"
#include "xray/line_map.h"

#include <math.h>
#include <string.h>

enum { POSE = 5, STEPS = 3, SETTLE = 2, MOST_DEPTHS = 512 };
static const double SMALL = 1e-3; /* degrees or pixels, for differences */
static const double END_WIDTH_PX = 1.5;
static const double UNSEEN = 0.8;       /* the cost of a shadow outside of what is shown */
static const double PRIOR = 4e-3;       /* px² a sample, at one standard deviation */
static const double PRIOR_DEPTH = 3e-3; /* (px/mm)²: depths that no view determines stay */

/* A view as rays and shadows, relative to the isocenter. */
struct camera {
  bool cone;
  double d[3], u[3], v[3], source[3];
  double near, far, pitch[2], principal[2];
};

static struct camera camera_of(const struct willis_view *view) {
  struct camera c = {.cone = view->kind == WILLIS_VIEW_CONE,
                     .near = view->source_to_isocenter_mm,
                     .far = view->source_to_detector_mm,
                     .pitch = {view->column_spacing_mm, view->row_spacing_mm},
                     .principal = {view->principal_column, view->principal_row}};
  willis_view_axes(view, c.d, c.u, c.v);
  if (c.cone) willis_view_source(view, c.source);
  return c;
}

/* The numbers of a view that are moved. */
static double *pose_of(struct willis_view *view, int which) {
  double *const number[POSE] = {&view->primary_angle_deg, &view->secondary_angle_deg,
                                &view->in_plane_angle_deg, &view->principal_column,
                                &view->principal_row};
  return number[which];
}

/* A view as it is and with each of its numbers a little larger. */
struct stand {
  struct camera now, moved[POSE];
};

static struct stand stand_of(const struct willis_view *view) {
  struct stand stand = {.now = camera_of(view)};
  for (int k = 0; k < POSE; k++) {
    struct willis_view other = *view;
    *pose_of(&other, k) += SMALL;
    stand.moved[k] = camera_of(&other);
  }
  return stand;
}

/* The point at depth_mm from the plane through the isocenter, on the ray of a place. */
static void point_on_ray(const struct camera *c, const double place[2], double depth_mm,
                         double point[3]) {
  const double a = (place[0] - c->principal[0]) * c->pitch[0];
  const double b = (c->principal[1] - place[1]) * c->pitch[1];
  for (int i = 0; i < 3; i++) {
    const double across = a * c->u[i] + b * c->v[i];
    point[i] = c->cone ? c->source[i] + (c->near + depth_mm) * (c->d[i] + across / c->far)
                       : across + depth_mm * c->d[i];
  }
}

static void shadow(const struct camera *c, const double point[3], double place[2]) {
  double along[3] = {0};
  for (int i = 0; i < 3; i++) {
    const double from = point[i] - c->source[i];
    along[0] += from * c->u[i];
    along[1] += from * c->v[i];
    along[2] += from * c->d[i];
  }
  const double magnification = !c->cone ? 1 : along[2] > 0 ? c->far / along[2] : NAN;
  place[0] = c->principal[0] + magnification * along[0] / c->pitch[0];
  place[1] = c->principal[1] - magnification * along[1] / c->pitch[1];
}

struct sample {
  ptrdiff_t view;
  double place[2], depth;
};

struct bundle {
  ptrdiff_t views, samples;
  const struct willis_projections *mask;
  const struct willis_grid *grid;
  struct willis_view *view, *start; /* [views] */
  struct stand *stand;
  struct willis_line_map *lines;
  struct sample *sample;
  double *matrix, *right; /* of the normal equations, POSE·views */
  double deviation[POSE], most[POSE];
  double width; /* pixels */
};

static void bundle_release(struct bundle *b) {
  for (ptrdiff_t v = 0; b->lines && v < b->views; v++) willis_line_map_release(&b->lines[v]);
  willis_release(b->lines);
  willis_release(b->view);
  willis_release(b->start);
  willis_release(b->stand);
  willis_release(b->sample);
  willis_release(b->matrix);
  willis_release(b->right);
}

/* The line next to a place of a view, or −1: outside, covered, or no line at all. */
static ptrdiff_t line_at(const struct bundle *b, ptrdiff_t view, const double place[2]) {
  const struct willis_line_map *lines = &b->lines[view];
  if (!(place[0] >= 0 && place[0] <= (double)(lines->columns - 1) && place[1] >= 0 &&
        place[1] <= (double)(lines->rows - 1)))
    return -1;
  if (!willis_shutter_shows(&b->view[view].shutter, place[0], place[1], 0)) return -1;
  return lines->nearest[(ptrdiff_t)(place[1] + 0.5) * lines->columns + (ptrdiff_t)(place[0] + 0.5)];
}

static double squared_distance(const double a[2], const double b[2]) {
  return (a[0] - b[0]) * (a[0] - b[0]) + (a[1] - b[1]) * (a[1] - b[1]);
}

static bool inside(const struct bundle *b, const double point[3]) {
  double mm[3], index[3];
  for (int i = 0; i < 3; i++) mm[i] = b->mask->isocenter_mm[i] + point[i];
  willis_grid_to_index(b->grid, mm, index);
  for (int i = 0; i < 3; i++)
    if (!(index[i] >= -0.5 && index[i] <= (double)b->grid->size[i] - 0.5)) return false;
  return true;
}

/* The depth at which the other views agree most that there is a line. */
static void find_depth(const struct bundle *b, struct sample *s, double middle, double reach,
                       double step) {
  const struct camera *own = &b->stand[s->view].now;
  const double squared_width = b->width * b->width;
  double least = INFINITY;
  s->depth = middle;
  const ptrdiff_t steps = (ptrdiff_t)(2 * reach / step);
  for (ptrdiff_t i = 0; i <= steps; i++) {
    const double depth = middle - reach + (double)i * step;
    double point[3], cost = 0, place[2];
    point_on_ray(own, s->place, depth, point);
    if (!inside(b, point)) continue;
    for (ptrdiff_t u = 0; u < b->views && cost < least; u++) {
      if (u == s->view) continue;
      shadow(&b->stand[u].now, point, place);
      const ptrdiff_t line = line_at(b, u, place);
      if (line < 0) {
        cost += UNSEEN;
        continue;
      }
      const double squared = squared_distance(place, b->lines[u].place[line]);
      cost += squared / (squared + squared_width);
    }
    if (cost < least) {
      least = cost;
      s->depth = depth;
    }
  }
}

static void find_depths(const struct bundle *b) {
  double centre[3], half = 0, finest = INFINITY;
  willis_grid_centre(b->grid, centre);
  for (int a = 0; a < 3; a++) {
    const double edge = (double)b->grid->size[a] * b->grid->spacing_mm[a];
    half += 0.25 * edge * edge;
    finest = fmin(finest, b->grid->spacing_mm[a]);
    centre[a] -= b->mask->isocenter_mm[a];
  }
  const double reach = sqrt(half), step = fmax(finest, 2 * reach / MOST_DEPTHS);
#pragma omp parallel for schedule(dynamic, 16)
  for (ptrdiff_t i = 0; i < b->samples; i++) {
    const double *d = b->stand[b->sample[i].view].now.d;
    const double middle = d[0] * centre[0] + d[1] * centre[1] + d[2] * centre[2];
    find_depth(b, &b->sample[i], middle, reach, step);
  }
}

/* What a sample says about one other view. */
struct residual {
  double value, weight; /* pixels across the line */
  double by_depth;      /* a mm */
  double by_own[POSE], by_other[POSE];
};

static double across(const double normal[2], const double from[2], const double to[2]) {
  return normal[0] * (to[0] - from[0]) + normal[1] * (to[1] - from[1]);
}

/* False when the view has nothing to say. Derivatives by poses only when `all`. */
static bool residual_of(const struct bundle *b, const struct sample *s, ptrdiff_t u, bool all,
                        struct residual *r) {
  const struct stand *own = &b->stand[s->view], *other = &b->stand[u];
  double point[3], place[2], moved[2];
  point_on_ray(&own->now, s->place, s->depth, point);
  shadow(&other->now, point, place);
  const ptrdiff_t line = line_at(b, u, place);
  if (line < 0) return false;
  const double *at = b->lines[u].place[line], *normal = b->lines[u].normal[line];
  const double far = 1 + squared_distance(place, at) / (b->width * b->width);
  r->value = across(normal, at, place);
  r->weight = 1 / (far * far);
  for (int k = 0; k < POSE && all; k++) {
    shadow(&other->moved[k], point, moved);
    r->by_other[k] = across(normal, place, moved) / SMALL;
  }
  for (int k = 0; k < POSE && all; k++) {
    point_on_ray(&own->moved[k], s->place, s->depth, point);
    shadow(&other->now, point, moved);
    r->by_own[k] = across(normal, place, moved) / SMALL;
  }
  point_on_ray(&own->now, s->place, s->depth + SMALL, point);
  shadow(&other->now, point, moved);
  r->by_depth = across(normal, place, moved) / SMALL;
  return true;
}

/* Moves a sample along its ray to where its shadows are nearest to their lines. */
static void settle(const struct bundle *b, struct sample *s) {
  for (int i = 0; i < SETTLE; i++) {
    double bend = PRIOR_DEPTH, slope = 0;
    struct residual r;
    for (ptrdiff_t u = 0; u < b->views; u++) {
      if (u == s->view || !residual_of(b, s, u, false, &r)) continue;
      bend += r.weight * r.by_depth * r.by_depth;
      slope += r.weight * r.by_depth * r.value;
    }
    s->depth -= slope / bend;
  }
}

/* Adds a sample to the normal equations, its depth eliminated. `by_both` is room for POSE·views. */
static void add_sample(struct bundle *b, const struct sample *s, double *by_both) {
  const ptrdiff_t n = POSE * b->views;
  double bend = PRIOR_DEPTH, slope = 0;
  memset(by_both, 0, (size_t)n * sizeof *by_both);
  for (ptrdiff_t u = 0; u < b->views; u++) {
    struct residual r;
    if (u == s->view || !residual_of(b, s, u, true, &r)) continue;
    const ptrdiff_t at[2] = {POSE * s->view, POSE * u};
    const double *by[2] = {r.by_own, r.by_other};
    bend += r.weight * r.by_depth * r.by_depth;
    slope += r.weight * r.by_depth * r.value;
    for (int e = 0; e < 2 * POSE; e++) {
      const ptrdiff_t row = at[e / POSE] + e % POSE;
      const double scaled = r.weight * by[e / POSE][e % POSE];
      b->right[row] -= scaled * r.value;
      by_both[row] += scaled * r.by_depth;
      for (int f = 0; f < 2 * POSE; f++)
        b->matrix[row * n + at[f / POSE] + f % POSE] += scaled * by[f / POSE][f % POSE];
    }
  }
  for (ptrdiff_t e = 0; e < n; e++) {
    if (by_both[e] == 0) continue;
    b->right[e] += by_both[e] * slope / bend;
    for (ptrdiff_t f = 0; f < n; f++) b->matrix[e * n + f] -= by_both[e] * by_both[f] / bend;
  }
}

/* Solves the equations in place by Cholesky's decomposition. */
static bool solve(double *matrix, double *right, ptrdiff_t n) {
  for (ptrdiff_t i = 0; i < n; i++) {
    for (ptrdiff_t j = 0; j <= i; j++) {
      double sum = matrix[i * n + j];
      for (ptrdiff_t k = 0; k < j; k++) sum -= matrix[i * n + k] * matrix[j * n + k];
      if (i > j)
        matrix[i * n + j] = sum / matrix[j * n + j];
      else if (sum > 0)
        matrix[i * n + i] = sqrt(sum);
      else
        return false;
    }
    for (ptrdiff_t k = 0; k < i; k++) right[i] -= matrix[i * n + k] * right[k];
    right[i] /= matrix[i * n + i];
  }
  for (ptrdiff_t i = n - 1; i >= 0; i--) {
    for (ptrdiff_t k = i + 1; k < n; k++) right[i] -= matrix[k * n + i] * right[k];
    right[i] /= matrix[i * n + i];
  }
  return true;
}

/* One Gauss–Newton step of all poses, within what they may move. */
static enum willis_status step(struct bundle *b, double *by_both, struct willis_error *err) {
  const ptrdiff_t n = POSE * b->views;
  memset(b->matrix, 0, (size_t)(n * n) * sizeof *b->matrix);
  memset(b->right, 0, (size_t)n * sizeof *b->right);
#pragma omp parallel for schedule(static)
  for (ptrdiff_t i = 0; i < b->samples; i++) settle(b, &b->sample[i]);
  for (ptrdiff_t i = 0; i < b->samples; i++) add_sample(b, &b->sample[i], by_both);
  const double a_view = PRIOR * (double)(b->samples + 1) / (double)b->views;
  for (ptrdiff_t e = 0; e < n; e++) {
    const int k = (int)(e % POSE);
    const double weight = a_view / (b->deviation[k] * b->deviation[k]);
    b->matrix[e * n + e] += weight;
    b->right[e] -= weight * (*pose_of(&b->view[e / POSE], k) - *pose_of(&b->start[e / POSE], k));
  }
  if (!solve(b->matrix, b->right, n))
    return willis_fail(err, WILLIS_NUMERIC, "the views' turns and shifts are not determined");
  for (ptrdiff_t e = 0; e < n; e++) {
    const int k = (int)(e % POSE);
    double *to = pose_of(&b->view[e / POSE], k);
    const double start = *pose_of(&b->start[e / POSE], k);
    *to = fmin(fmax(*to + b->right[e], start - b->most[k]), start + b->most[k]);
  }
  for (ptrdiff_t v = 0; v < b->views; v++) b->stand[v] = stand_of(&b->view[v]);
  return WILLIS_OK;
}

/* Samples of all views, every so many line pixels. */
static enum willis_status take_samples(struct bundle *b, ptrdiff_t most, struct willis_error *err) {
  for (int fill = 0; fill < 2; fill++) {
    b->samples = 0;
    for (ptrdiff_t v = 0; v < b->views; v++) {
      const struct willis_line_map *lines = &b->lines[v];
      const ptrdiff_t stride = lines->count / most + 1;
      for (ptrdiff_t i = 0; i < lines->count; i += stride, b->samples++) {
        if (!fill) continue;
        b->sample[b->samples] = (struct sample){.view = v};
        memcpy(b->sample[b->samples].place, lines->place[i], sizeof lines->place[i]);
      }
    }
    if (fill) break;
    b->sample = willis_take(b->samples + 1, sizeof *b->sample);
    if (!b->sample) return willis_fail_memory(err, "samples", b->samples, sizeof *b->sample);
  }
  return WILLIS_OK;
}

static enum willis_status bundle_init(struct bundle *b, const struct willis_projections *mask,
                                      const struct willis_grid *grid,
                                      const struct willis_adjust_options *options,
                                      struct willis_error *err) {
  const ptrdiff_t views = mask->view_count, n = POSE * views;
  *b = (struct bundle){.views = views, .mask = mask, .grid = grid};
  b->view = willis_take(views, sizeof *b->view);
  b->start = willis_take(views, sizeof *b->start);
  b->stand = willis_take(views, sizeof *b->stand);
  b->lines = willis_take_zeroed(views, sizeof *b->lines);
  b->matrix = willis_take(n * n, sizeof *b->matrix);
  b->right = willis_take(2 * n, sizeof *b->right);
  if (!b->view || !b->start || !b->stand || !b->lines || !b->matrix || !b->right)
    return willis_fail_memory(err, "poses", n * n, sizeof *b->matrix);
  memcpy(b->view, mask->view, (size_t)views * sizeof *b->view);
  memcpy(b->start, mask->view, (size_t)views * sizeof *b->start);
  for (int k = 0; k < POSE; k++) {
    b->most[k] = k < 3 ? options->most_deg : options->most_px;
    b->deviation[k] = b->most[k] / 2;
  }
  for (ptrdiff_t v = 0; v < views; v++) {
    b->stand[v] = stand_of(&b->view[v]);
    enum willis_status status =
        willis_line_map_create(mask->pixels + v * mask->columns * mask->rows, mask->columns,
                               mask->rows, &b->lines[v], err);
    if (status) return status;
  }
  return take_samples(b, options->samples, err);
}

/* How far the largest turn moves the shadow of a point halfway out of the grid, in pixels. */
static double first_width(const struct bundle *b) {
  double widest = END_WIDTH_PX;
  for (ptrdiff_t v = 0; v < b->views; v++) {
    const struct camera *c = &b->stand[v].now;
    const double half = 0.25 * (double)b->grid->size[0] * b->grid->spacing_mm[0];
    const double pixel = fmin(c->pitch[0], c->pitch[1]) * (c->cone ? c->near / c->far : 1);
    widest = fmax(widest, b->most[0] * acos(-1) / 180 * half / pixel);
  }
  return widest;
}

struct willis_adjust_options willis_adjust_defaults(void) {
  return (struct willis_adjust_options){.most_deg = 5, .most_px = 20, .rounds = 12, .samples = 300};
}

static enum willis_status check(const struct willis_projections *mask,
                                const struct willis_adjust_options *o, struct willis_error *err) {
  enum willis_status status = willis_projections_check(mask, err);
  if (status) return status;
  if (mask->view_count < 3)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT,
                       "%td views, expected 3 or more: two can hardly disagree", mask->view_count);
  if (!(o->most_deg > 0 && o->most_deg <= 30) || !(o->most_px > 0 && o->most_px <= 256) ||
      o->rounds < 2 || o->rounds > 100 || o->samples < 10 || o->samples > 100000)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT,
                       "%d rounds of %td samples, up to %g degrees and %g pixels: expected 2 to "
                       "100, 10 to 100000, up to 30 and up to 256",
                       o->rounds, o->samples, o->most_deg, o->most_px);
  return WILLIS_OK;
}

enum willis_status
willis_views_adjust(struct willis_projections *mask, const struct willis_grid *grid,
                    const struct willis_adjust_options *options, struct willis_view_change *change,
                    const struct willis_progress *progress, struct willis_error *err) {
  struct bundle b = {0};
  enum willis_status status = check(mask, options, err);
  if (!status) status = bundle_init(&b, mask, grid, options, err);
  const int shrinking = options->rounds - options->rounds / 4 - 1; /* the last quarter is narrow */
  const double first = status ? 0 : first_width(&b);
  for (int i = 0; i < options->rounds && !status; i++) {
    b.width = first * pow(END_WIDTH_PX / first, fmin(1, (double)i / fmax(shrinking, 1)));
    find_depths(&b);
    for (int k = 0; k < STEPS && !status; k++) status = step(&b, b.right + POSE * b.views, err);
    if (!status && !willis_progress_report(progress, "adjusting", i + 1, options->rounds, "rounds"))
      status = willis_fail(err, WILLIS_CANCELLED, "stopped");
  }
  for (ptrdiff_t v = 0; v < b.views && !status; v++) {
    double moved[POSE];
    for (int k = 0; k < POSE; k++) moved[k] = *pose_of(&b.view[v], k) - *pose_of(&b.start[v], k);
    change[v] = (struct willis_view_change){moved[0], moved[1], moved[2], moved[3], moved[4]};
  }
  if (!status) memcpy(mask->view, b.view, (size_t)b.views * sizeof *b.view);
  bundle_release(&b);
  return status;
}
