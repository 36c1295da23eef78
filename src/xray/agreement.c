/* How well several views agree about what is there, and moving them until they do. */
#include <willis/agreement.h>
#include <willis/projector.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/progress.h"
#include "volume/distance_transform.h"
#include "volume/thinning.h"

#include <math.h>
#include <string.h>

/* Blocks of a stack's work. `other` holds all views but one, `shadow` that one. */
struct work {
  ptrdiff_t columns, rows, count; /* of a picture */
  struct willis_projections other, shadow;
  struct willis_volume hull;
  unsigned char *set, *line[2];
  double *squared, *distance[2];
  struct willis_error *err;
};

static void work_release(struct work *w) {
  willis_projections_release(&w->other);
  willis_projections_release(&w->shadow);
  willis_volume_release(&w->hull);
  willis_release(w->set);
  willis_release(w->squared);
  for (int i = 0; i < 2; i++) {
    willis_release(w->line[i]);
    willis_release(w->distance[i]);
  }
}

static enum willis_status work_init(struct work *w, const struct willis_projections *mask,
                                    const struct willis_grid *grid, struct willis_error *err) {
  *w = (struct work){.columns = mask->columns, .rows = mask->rows, .err = err};
  enum willis_status status = willis_projections_check(mask, err);
  if (status) return status;
  if (mask->view_count < 3)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT,
                       "%td views, expected 3 or more: two can hardly disagree", mask->view_count);
  w->count = w->columns * w->rows;
  status = willis_projections_create(&w->other, w->columns, w->rows, mask->view_count - 1, err);
  if (!status) status = willis_projections_create(&w->shadow, w->columns, w->rows, 1, err);
  if (!status) status = willis_volume_create(&w->hull, grid, err);
  if (status) return status;
  w->set = willis_take(w->count, sizeof *w->set);
  w->squared = willis_take(w->count, sizeof *w->squared);
  bool all = w->set && w->squared;
  for (int i = 0; i < 2; i++) {
    w->line[i] = willis_take(w->count, sizeof *w->line[i]);
    w->distance[i] = willis_take(w->count, sizeof *w->distance[i]);
    all = all && w->line[i] && w->distance[i];
  }
  if (!all) return willis_fail_memory(err, "pictures", w->count, 40);
  w->shadow.mode = w->other.mode = WILLIS_PROJECTION_MAX;
  memcpy(w->shadow.isocenter_mm, mask->isocenter_mm, sizeof w->shadow.isocenter_mm);
  memcpy(w->other.isocenter_mm, mask->isocenter_mm, sizeof w->other.isocenter_mm);
  return WILLIS_OK;
}

/* w->squared: squared distances in pixels to what is set in a picture of a mask. */
static enum willis_status measure(struct work *w, const float *picture) {
  const ptrdiff_t size[3] = {w->columns, w->rows, 1};
  const double spacing[3] = {1, 1, 1};
  for (ptrdiff_t i = 0; i < w->count; i++) w->set[i] = picture[i] >= 0.5f;
  return willis_distance_transform(w->set, size, spacing, w->squared, w->err);
}

/* The hull of all views but `left_out` into the picture w->shadow of that one. */
static enum willis_status cast(struct work *w, const struct willis_projections *mask,
                               ptrdiff_t left_out) {
  for (ptrdiff_t v = 0, to = 0; v < mask->view_count; v++) {
    if (v == left_out) continue;
    w->other.view[to] = mask->view[v];
    memcpy(w->other.pixels + to++ * w->count, mask->pixels + v * w->count,
           (size_t)w->count * sizeof *mask->pixels);
  }
  w->shadow.view[0] = mask->view[left_out];
  enum willis_status status = willis_hull(&w->other, &w->hull, w->err);
  return status ? status : willis_project(&w->hull, &w->shadow, w->err);
}

/* Into `to`, for every picture of the masks, `change` of the distances to what is set. */
static enum willis_status change_all(struct work *w, const struct willis_projections *mask,
                                     float (*change)(double squared, double width), double width,
                                     struct willis_projections *to) {
  enum willis_status status = WILLIS_OK;
  for (ptrdiff_t v = 0; v < mask->view_count && !status; v++) {
    status = measure(w, mask->pixels + v * w->count);
    for (ptrdiff_t i = 0; i < w->count && !status; i++)
      to->pixels[v * w->count + i] = change(w->squared[i], width);
  }
  return status;
}

/* A stack of the same views for changed pictures. */
static enum willis_status make_like(const struct willis_projections *mask,
                                    struct willis_projections *to, struct willis_error *err) {
  enum willis_status status =
      willis_projections_create(to, mask->columns, mask->rows, mask->view_count, err);
  if (status) return status;
  memcpy(to->view, mask->view, (size_t)mask->view_count * sizeof *to->view);
  memcpy(to->isocenter_mm, mask->isocenter_mm, sizeof to->isocenter_mm);
  return WILLIS_OK;
}

static float widened(double squared, double width) {
  return squared <= width * width ? 1 : 0;
}

static float softened(double squared, double width) {
  return (float)exp(-0.5 * squared / (width * width));
}

/* Centre lines of a mask into w->line[which] and the distances to them; how long they are. */
static enum willis_status thin(struct work *w, const float *picture, int which, ptrdiff_t *length) {
  const ptrdiff_t size[3] = {w->columns, w->rows, 1};
  const double spacing[3] = {1, 1, 1};
  *length = 0;
  for (ptrdiff_t i = 0; i < w->count; i++) w->line[which][i] = picture[i] >= 0.5f;
  enum willis_status status = willis_mask_thin(w->line[which], size, w->err);
  for (ptrdiff_t i = 0; i < w->count; i++) *length += w->line[which][i];
  if (status) return status;
  return willis_distance_transform(w->line[which], size, spacing, w->distance[which], w->err);
}

static enum willis_status compare(struct work *w, const float *picture,
                                  struct willis_view_agreement *to) {
  const struct willis_view *view = w->shadow.view;
  const float *shadow = w->shadow.pixels;
  double both = 0, sum = 0, distance = 0;
  ptrdiff_t length[2];
  *to = (struct willis_view_agreement){NAN, NAN};
  for (ptrdiff_t i = 0; i < w->count; i++) {
    both += shadow[i] >= 0.5f && picture[i] >= 0.5f;
    sum += (shadow[i] >= 0.5f) + (picture[i] >= 0.5f);
  }
  if (sum > 0) to->dice = 2 * both / sum;
  enum willis_status status = thin(w, picture, 0, &length[0]);
  if (!status) status = thin(w, shadow, 1, &length[1]);
  if (status || !length[0] || !length[1]) return status;
  for (int k = 0; k < 2; k++)
    for (ptrdiff_t i = 0; i < w->count; i++)
      if (w->line[k][i]) distance += 0.5 * sqrt(w->distance[1 - k][i]) / (double)length[k];
  double pixel_mm = 0.5 * (view->column_spacing_mm + view->row_spacing_mm);
  if (view->kind == WILLIS_VIEW_CONE)
    pixel_mm *= view->source_to_isocenter_mm / view->source_to_detector_mm;
  to->centerline_mm = pixel_mm * distance;
  return WILLIS_OK;
}

static enum willis_status go_on(const struct willis_progress *progress, const char *what,
                                ptrdiff_t done, ptrdiff_t all, struct willis_error *err) {
  if (willis_progress_report(progress, what, (double)done, (double)all, "views")) return WILLIS_OK;
  return willis_fail(err, WILLIS_CANCELLED, "stopped");
}

enum willis_status willis_views_agree(const struct willis_projections *mask,
                                      const struct willis_grid *grid, double tolerance_px,
                                      struct willis_view_agreement *agreement,
                                      const struct willis_progress *progress,
                                      struct willis_error *err) {
  struct work w;
  struct willis_projections wide = {0};
  enum willis_status status = work_init(&w, mask, grid, err);
  if (!status && !(tolerance_px >= 0))
    status = willis_fail(err, WILLIS_INVALID_ARGUMENT,
                         "a tolerance of %g pixels, expected 0 or more", tolerance_px);
  if (!status) status = make_like(mask, &wide, err);
  if (!status) status = change_all(&w, mask, widened, tolerance_px, &wide);
  for (ptrdiff_t v = 0; v < mask->view_count && !status; v++) {
    status = cast(&w, &wide, v);
    if (!status) status = compare(&w, mask->pixels + v * w.count, &agreement[v]);
    if (!status) status = go_on(progress, "leaving out", v + 1, mask->view_count, err);
  }
  willis_projections_release(&wide);
  work_release(&w);
  return status;
}

/* ---- refining ---- */

struct willis_refine_options willis_refine_defaults(void) {
  return (struct willis_refine_options){.most_px = 40, .rounds = 8};
}

/* Σ shadow(c, r)·picture(c + columns, r + rows) over every stride-th column and row. */
static double product(const struct work *w, const float *picture, ptrdiff_t columns, ptrdiff_t rows,
                      ptrdiff_t stride) {
  double sum = 0;
  for (ptrdiff_t r = 0; r < w->rows; r += stride) {
    if (r + rows < 0 || r + rows >= w->rows) continue;
    const float *a = w->shadow.pixels + r * w->columns;
    const float *b = picture + (r + rows) * w->columns + columns;
    float line = 0;
    for (ptrdiff_t c = 0; c < w->columns; c += stride)
      if (c + columns >= 0 && c + columns < w->columns) line += a[c] * b[c];
    sum += (double)line;
  }
  return sum;
}

/* Where between its neighbours the top of a parabola through three values is: −0.5 to 0.5. */
static double top_between(double before, double at, double after) {
  const double bend = before - 2 * at + after;
  return bend < 0 ? fmin(fmax(0.5 * (before - after) / bend, -0.5), 0.5) : 0;
}

/* By how much the picture lies beside the shadow: columns, rows. */
static void find_shift(const struct work *w, const float *picture, ptrdiff_t most, ptrdiff_t stride,
                       double *sums, double shift[2]) {
  const ptrdiff_t width = 2 * most + 1;
#pragma omp parallel for schedule(dynamic)
  for (ptrdiff_t k = 0; k < width * width; k++)
    sums[k] = product(w, picture, k % width - most, k / width - most, stride);
  ptrdiff_t best = most * width + most; /* no shift, unless another is better */
  for (ptrdiff_t k = 0; k < width * width; k++)
    if (sums[k] > sums[best]) best = k;
  const ptrdiff_t c = best % width, r = best / width;
  shift[0] = (double)(c - most);
  shift[1] = (double)(r - most);
  if (c > 0 && c + 1 < width) shift[0] += top_between(sums[best - 1], sums[best], sums[best + 1]);
  if (r > 0 && r + 1 < width)
    shift[1] += top_between(sums[best - width], sums[best], sums[best + width]);
}

/* What is soft over `width` pixels needs neither every pixel nor shifts of many widths. */
static enum willis_status refine_round(struct work *w, struct willis_projections *soft,
                                       ptrdiff_t most, double width, double *sums,
                                       double *shift_px) {
  enum willis_status status = WILLIS_OK;
  const ptrdiff_t stride = width >= 4 ? (ptrdiff_t)(width / 2) : 1;
  const ptrdiff_t reach = (ptrdiff_t)ceil(3 * width);
  if (most > reach) most = reach;
  for (ptrdiff_t v = 0; v < soft->view_count && !status; v++) {
    double shift[2];
    status = cast(w, soft, v);
    if (status) break;
    find_shift(w, soft->pixels + v * w->count, most, stride, sums, shift);
    soft->view[v].principal_column += shift[0];
    soft->view[v].principal_row += shift[1];
    shift_px[2 * v] += shift[0];
    shift_px[2 * v + 1] += shift[1];
  }
  return status;
}

static void cross(const double a[3], const double b[3], double to[3]) {
  for (int i = 0; i < 3; i++)
    to[i] = a[(i + 1) % 3] * b[(i + 2) % 3] - a[(i + 2) % 3] * b[(i + 1) % 3];
}

/* Pixels, columns and rows, by which a point at the isocenter moves in the picture for each mm. */
static void pixels_a_mm(const struct willis_view *view, double by[2][3]) {
  double still[2], moved[2];
  willis_view_project_point(view, (double[]){0, 0, 0}, &still[0], &still[1]);
  for (int a = 0; a < 3; a++) {
    double point[3] = {0};
    point[a] = 1;
    willis_view_project_point(view, point, &moved[0], &moved[1]);
    for (int k = 0; k < 2; k++) by[k][a] = moved[k] - still[k];
  }
}

/* A head that moved by t mm shifts all pictures, by J_v·t, and no view disagrees. So of the shifts
 * that do as well the smallest are taken: Σ_v |shift_v − J_v·t|² is made least over t. */
static void keep_in_place(struct willis_view *view, ptrdiff_t count, double *shift_px) {
  double square[3][3] = {{0}}, right[3] = {0}, minor[3][3], by[2][3], determinant = 0, size = 0;
  for (ptrdiff_t v = 0; v < count; v++) {
    pixels_a_mm(&view[v], by);
    for (int k = 0; k < 2; k++)
      for (int a = 0; a < 3; a++) {
        right[a] += by[k][a] * shift_px[2 * v + k];
        for (int c = 0; c < 3; c++) square[a][c] += by[k][a] * by[k][c];
      }
  }
  for (int a = 0; a < 3; a++) cross(square[(a + 1) % 3], square[(a + 2) % 3], minor[a]);
  for (int a = 0; a < 3; a++) {
    determinant += square[0][a] * minor[0][a];
    size += square[a][a];
  }
  /* Views of one direction do not see a move along it. */
  if (!(determinant > 1e-9 * size * size * size)) return;
  for (ptrdiff_t v = 0; v < count; v++) {
    double *principal[2] = {&view[v].principal_column, &view[v].principal_row};
    pixels_a_mm(&view[v], by);
    for (int k = 0; k < 2; k++) {
      double common = 0; /* t by Cramer's rule */
      for (int a = 0; a < 3; a++)
        for (int c = 0; c < 3; c++) common += by[k][a] * minor[c][a] * right[c] / determinant;
      shift_px[2 * v + k] -= common;
      *principal[k] -= common;
    }
  }
}

enum willis_status willis_views_refine(struct willis_projections *mask,
                                       const struct willis_grid *grid,
                                       const struct willis_refine_options *options,
                                       double *shift_px, const struct willis_progress *progress,
                                       struct willis_error *err) {
  struct work w;
  struct willis_projections soft = {0};
  double *sums = NULL;
  const ptrdiff_t most = options->most_px;
  enum willis_status status = work_init(&w, mask, grid, err);
  if (!status && (most < 1 || most > 256 || options->rounds < 1 || options->rounds > 100))
    status = willis_fail(err, WILLIS_INVALID_ARGUMENT,
                         "%d rounds of up to %td pixels, expected 1 to 100 of 1 to 256",
                         options->rounds, most);
  if (!status) status = make_like(mask, &soft, err);
  if (!status && !(sums = willis_take((2 * most + 1) * (2 * most + 1), sizeof *sums)))
    status = willis_fail_memory(err, "shifts", (2 * most + 1) * (2 * most + 1), sizeof *sums);
  if (!status) memset(shift_px, 0, 2 * (size_t)mask->view_count * sizeof *shift_px);
  double width = fmax(0.5 * (double)most, 1);
  const double shrink = pow(1 / width, 1.0 / fmax(options->rounds - 1, 1));
  /* It is i that counts. NOLINTNEXTLINE(cert-flp30-c) */
  for (int i = 0; i < options->rounds && !status; i++, width *= shrink) {
    status = change_all(&w, mask, softened, width, &soft);
    if (!status) status = refine_round(&w, &soft, most, width, sums, shift_px);
    if (!status) keep_in_place(soft.view, soft.view_count, shift_px);
    if (!status) status = go_on(progress, "refining", i + 1, options->rounds, err);
  }
  if (!status) memcpy(mask->view, soft.view, (size_t)mask->view_count * sizeof *mask->view);
  willis_release(sums);
  willis_projections_release(&soft);
  work_release(&w);
  return status;
}
