/* Filtered back-projection for views that turn about z: Feldkamp, Davis & Kress 1984 for cones, the
 * ordinary one for parallel beams.
 *
 *   f(X) = Σ_views Δθ · (SOD/depth)² · (ramp * (w·cos·p))(shadow of X)
 *
 * cos is that of the ray's angle with the middle ray, the ramp is Ram–Lak's on a detector brought
 * to the isocenter (Kak & Slaney 1988, eq. 3.61; summed directly, every other tap being 0), and Δθ
 * half the distance of the neighbouring views. w weighs rays that are measured twice: ½ over a full
 * turn; over π + 2δ Parker's weights with δ in the place of half the fan (Silver 2000), which is
 * right from δ = half the fan on; over π or less 1. So arcs shorter than a half turn and a fan are
 * not repaired: what was not measured is missing. */
#include "xray/system.h"

#include "base/error.h"
#include "base/memory.h"

#include <math.h>
#include <stdlib.h>

static const double tolerance_deg = 1, tolerance_mm = 1e-3;

static bool shows_all(const struct willis_projections *stack, const struct willis_view *view) {
  for (ptrdiff_t p = 0; view->shutter.any && p < stack->columns * stack->rows; p++)
    if (!willis_shutter_shows(&view->shutter, (double)(p % stack->columns),
                              (double)(p / stack->columns), 0))
      return false;
  return true;
}

static enum willis_status check(const struct willis_projections *stack, struct willis_error *err) {
  for (ptrdiff_t i = 0; i < stack->view_count; i++) {
    const struct willis_view *view = stack->view + i;
    if (view->kind != stack->view[0].kind)
      return willis_fail(err, WILLIS_UNSUPPORTED,
                         "view %td is of another kind than view 0: take tv or sirt", i);
    if (fabs(view->secondary_angle_deg) > tolerance_deg ||
        fabs(view->in_plane_angle_deg) > tolerance_deg)
      return willis_fail(err, WILLIS_UNSUPPORTED,
                         "view %td: secondary angle %g and in-plane angle %g, but fdk needs views "
                         "that turn about z only: take tv or sirt",
                         i, view->secondary_angle_deg, view->in_plane_angle_deg);
    if (hypot(view->source_offset_mm[0], view->source_offset_mm[1]) > tolerance_mm)
      return willis_fail(err, WILLIS_UNSUPPORTED,
                         "view %td: the source is off the middle, which fdk cannot weigh: take tv "
                         "or sirt",
                         i);
    /* The ramp reaches over whole rows: what is covered would be missed everywhere. */
    if (!shows_all(stack, view))
      return willis_fail(err, WILLIS_UNSUPPORTED,
                         "view %td: a shutter covers part of the picture, but fdk needs all of it: "
                         "take tv or sirt",
                         i);
  }
  return WILLIS_OK;
}

struct turn {
  double angle; /* radians, 0 ≤ angle < 2π */
  ptrdiff_t view;
};

static int by_angle(const void *a, const void *b) {
  const struct turn *p = a, *q = b;
  if (p->angle != q->angle) return p->angle < q->angle ? -1 : 1;
  return p->view < q->view ? -1 : 1;
}

/* The arc as a run of angles that begins after the widest gap; view[i] gets its share of it and its
 * place from the start. Returns the length of the arc, the shares' sum. */
static double spread(struct turn *turn, ptrdiff_t n, double *share, double *place) {
  qsort(turn, (size_t)n, sizeof *turn, by_angle);
  ptrdiff_t first = 0;
  double widest = -1, whole = 2 * M_PI;
  for (ptrdiff_t i = 0; i < n; i++) {
    double gap = turn[i].angle - turn[(i + n - 1) % n].angle + (i ? 0 : whole);
    if (gap > widest) widest = gap, first = i;
  }
  double arc = 0, reached = 0, before = 0;
  for (ptrdiff_t k = 0; k < n; k++) {
    ptrdiff_t i = (first + k) % n, j = (first + k + 1) % n;
    double after = turn[j].angle - turn[i].angle + (j <= i ? whole : 0);
    bool closed = n > 2 && widest < 1.5 * (whole - widest) / (double)(n - 1);
    if (k == n - 1 && !closed) after = before; /* the ends count as if the arc went on */
    if (k == 0) before = closed ? widest : after;
    share[turn[i].view] = n == 1 ? M_PI : (before + after) / 2;
    place[turn[i].view] = k ? reached + before : before / 2;
    reached = place[turn[i].view];
    before = after;
    arc += share[turn[i].view];
  }
  return arc;
}

/* Weight of the ray at fan angle γ (its own ray back is seen at θ + π − 2γ). */
static double redundancy(double arc, double place, double fan) {
  double delta = (arc - M_PI) / 2;
  if (arc > 1.99 * M_PI) return 0.5;
  if (delta <= 1e-9) return 1;
  delta = fmin(delta, M_PI / 2);
  fan = fmax(fmin(fan, delta), -delta);
  double rise = 2 * (delta - fan), fall = 2 * (delta + fan);
  if (place < rise) return pow(sin(M_PI / 2 * place / rise), 2);
  if (place > M_PI - 2 * fan) return pow(sin(M_PI / 2 * fmax(arc - place, 0) / fall), 2);
  return 1;
}

enum { MOST_COLUMNS = 8192 }; /* willis_operators_check_size() */

/* One row of one view, weighed and filtered. */
static void filter_row(const struct willis_view *view, double share, double place, double arc,
                       const float *from, float *to, ptrdiff_t columns, ptrdiff_t row) {
  double line[MOST_COLUMNS], tap[MOST_COLUMNS];
  bool cone = view->kind == WILLIS_VIEW_CONE;
  double far = view->source_to_detector_mm;
  double pitch = view->column_spacing_mm * (cone ? view->source_to_isocenter_mm / far : 1);
  double v = ((double)row - view->principal_row) * view->row_spacing_mm;
  for (ptrdiff_t c = 0; c < columns; c++) {
    double u = ((double)c - view->principal_column) * view->column_spacing_mm;
    double cosine = cone ? far / sqrt(far * far + u * u + v * v) : 1;
    line[c] = (double)from[c] * cosine * redundancy(arc, place, cone ? atan(u / far) : 0);
    tap[c] = c % 2 ? -1 / (M_PI * M_PI * (double)(c * c) * pitch) : c ? 0 : 1 / (4 * pitch);
  }
  for (ptrdiff_t c = 0; c < columns; c++) {
    double sum = tap[0] * line[c];
    for (ptrdiff_t k = c % 2 ? 0 : 1; k < columns; k += 2) sum += tap[labs(c - k)] * line[k];
    to[c] = (float)(share * sum);
  }
}

static enum willis_status filter(const struct willis_projections *stack, float *filtered,
                                 struct willis_error *err) {
  ptrdiff_t n = stack->view_count, columns = stack->columns, rows = n * stack->rows;
  struct turn *turn = willis_take(n, sizeof *turn);
  double *share = willis_take(n, sizeof *share), *place = willis_take(n, sizeof *place);
  enum willis_status status = WILLIS_OK;
  if (!turn || !share || !place) {
    status = willis_fail_memory(err, "the views", n, sizeof *turn);
    goto out;
  }
  for (ptrdiff_t i = 0; i < n; i++) {
    double angle = fmod(stack->view[i].primary_angle_deg, 360) * M_PI / 180;
    turn[i] = (struct turn){angle < 0 ? angle + 2 * M_PI : angle, i};
  }
  double arc = spread(turn, n, share, place);
#pragma omp parallel for schedule(dynamic, 16)
  for (ptrdiff_t r = 0; r < rows; r++)
    filter_row(stack->view + r / stack->rows, share[r / stack->rows], place[r / stack->rows], arc,
               stack->pixels + r * columns, filtered + r * columns, columns, r % stack->rows);
out:
  willis_release(turn);
  willis_release(share);
  willis_release(place);
  return status;
}

enum willis_status willis_solve_fdk(const struct willis_projections *stack, bool nonnegative,
                                    struct willis_volume *volume, struct willis_error *err) {
  ptrdiff_t voxels = willis_grid_count(&volume->grid);
  ptrdiff_t pixels = stack->columns * stack->rows * stack->view_count;
  struct willis_rays rays = {0};
  float *filtered = NULL;
  enum willis_status status = check(stack, err);
  if (!status) status = willis_rays_init(&rays, stack, NULL, stack->view_count, &volume->grid, err);
  if (status) return status;
  filtered = willis_take(pixels, sizeof *filtered);
  status = filtered ? filter(stack, filtered, err)
                    : willis_fail_memory(err, "the images", pixels, sizeof *filtered);
  if (status) goto out;
#pragma omp parallel for schedule(static)
  for (ptrdiff_t i = 0; i < voxels; i++) volume->voxels[i] = 0;
  struct willis_slab all = {0, volume->grid.size[2], volume->voxels};
  willis_rays_gather_slab(&rays, filtered, WILLIS_GATHER_CLOSER, &all);
#pragma omp parallel for schedule(static)
  for (ptrdiff_t i = 0; i < voxels; i++)
    if (nonnegative && volume->voxels[i] < 0) volume->voxels[i] = 0;
out:
  willis_release(filtered);
  willis_rays_release(&rays);
  return status;
}
