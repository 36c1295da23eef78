/* First the hull itself as a volume, then a list of what is above the threshold, then view after
 * view what it shows at the list's voxels. Shadows are affine in the voxel's index over an affine
 * depth, so three dot products a voxel and view. */
#include "xray/hull_set.h"

#include "base/error.h"
#include "base/memory.h"

#include <willis/projector.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_VIEWS = 254, SEEN = WILLIS_HULL_SET_SEEN, VOXEL = WILLIS_HULL_SET_VOXEL };
enum { ABOUT = WILLIS_HULL_SET_ABOUT };

/* Where voxel (i,j,k) falls: column = across/depth, row = down/depth, each affine. */
struct shadow {
  double across[4], down[4], depth[4];
  double voxel_columns, voxel_rows; /* pixels that a voxel at the isocenter covers */
};

static void affine(double to[4], const struct willis_grid *grid, const double from_mm[3],
                   const double axis[3], double factor) {
  to[3] = 0;
  for (int a = 0; a < 3; a++) {
    to[3] += factor * axis[a] * (grid->origin_mm[a] - from_mm[a]);
    to[a] = 0;
    for (int b = 0; b < 3; b++)
      to[a] += factor * axis[b] * grid->direction[3 * b + a] * grid->spacing_mm[a];
  }
}

static void shadow_init(struct shadow *s, const struct willis_projections *stack, ptrdiff_t v,
                        const struct willis_grid *grid) {
  const struct willis_view *view = &stack->view[v];
  double d[3], across[3], along[3], from[3] = {0}, magnification = 1, nearest = INFINITY;
  willis_view_axes(view, d, across, along);
  const bool cone = view->kind == WILLIS_VIEW_CONE;
  if (cone) {
    willis_view_source(view, from);
    magnification = view->source_to_detector_mm / view->source_to_isocenter_mm;
  }
  for (int a = 0; a < 3; a++) {
    from[a] += stack->isocenter_mm[a];
    nearest = fmin(nearest, grid->spacing_mm[a]);
  }
  const double far = cone ? view->source_to_detector_mm : 1;
  affine(s->across, grid, from, across, far / view->column_spacing_mm);
  affine(s->down, grid, from, along, -far / view->row_spacing_mm);
  affine(s->depth, grid, from, d, 1);
  if (!cone) memcpy(s->depth, (double[4]){0, 0, 0, 1}, sizeof s->depth);
  for (int a = 0; a < 4; a++) {
    s->across[a] += view->principal_column * s->depth[a];
    s->down[a] += view->principal_row * s->depth[a];
  }
  s->voxel_columns = nearest * magnification / view->column_spacing_mm;
  s->voxel_rows = nearest * magnification / view->row_spacing_mm;
}

static double at(const double affine_map[4], const double place[3]) {
  return affine_map[0] * place[0] + affine_map[1] * place[1] + affine_map[2] * place[2] +
         affine_map[3];
}

static bool falls_on(const struct shadow *s, const struct willis_projections *stack,
                     const double place[3], double *column, double *row) {
  static const double border = 1e-6;
  const double depth = at(s->depth, place);
  *column = at(s->across, place) / depth;
  *row = at(s->down, place) / depth;
  return depth > 0 && *column >= -border && *column <= (double)(stack->columns - 1) + border &&
         *row >= -border && *row <= (double)(stack->rows - 1) + border;
}

static ptrdiff_t base_of(double x, ptrdiff_t n, double *fraction) {
  ptrdiff_t base = x > 0 ? (ptrdiff_t)x : 0;
  if (base > n - 2) base = n > 1 ? n - 2 : 0;
  *fraction = x - (double)base;
  return base;
}

/* The image at a place, linearly interpolated; what lies beyond its border is as the border. */
static double pixel(const struct willis_projections *stack, const float *image, double column,
                    double row) {
  const ptrdiff_t columns = stack->columns, rows = stack->rows;
  double fx, fy;
  column = fmin(fmax(column, 0), (double)(columns - 1));
  row = fmin(fmax(row, 0), (double)(rows - 1));
  const ptrdiff_t x = base_of(column, columns, &fx), y = base_of(row, rows, &fy);
  const float *p = image + y * columns + x;
  const ptrdiff_t right = columns > 1, below = rows > 1 ? columns : 0;
  return (1 - fy) * ((1 - fx) * (double)p[0] + fx * (double)p[right]) +
         fy * ((1 - fx) * (double)p[below] + fx * (double)p[below + right]);
}

static double phi(double p) {
  return log2(1 + fmax(p, 0));
}

static void place_of(const struct willis_grid *grid, int32_t voxel, double place[3]) {
  place[0] = (double)(voxel % grid->size[0]);
  place[1] = (double)(voxel / grid->size[0] % grid->size[1]);
  place[2] = (double)(voxel / grid->size[0] / grid->size[1]);
}

/* ---- which voxels ---- */

static enum willis_status list_voxels(struct willis_hull_set *set, const struct willis_volume *hull,
                                      double least, struct willis_error *err) {
  const ptrdiff_t count = willis_grid_count(&hull->grid);
  willis_release(set->voxel);
  set->rows = 0;
  for (ptrdiff_t i = 0; i < count; i++) set->rows += (double)hull->voxels[i] >= least;
  set->voxel = willis_take(set->rows, sizeof *set->voxel);
  if (!set->voxel)
    return willis_fail_memory(err, "the hull's voxels", set->rows, sizeof *set->voxel);
  int32_t *to = set->voxel;
  for (ptrdiff_t i = 0; i < count; i++)
    if ((double)hull->voxels[i] >= least) *to++ = (int32_t)i;
  return WILLIS_OK;
}

static enum willis_status take_rows(struct willis_hull_set *set, struct willis_error *err) {
  const ptrdiff_t all = set->rows * set->views;
  set->about_voxel = willis_take(set->rows * VOXEL, sizeof(float));
  set->share = willis_take(set->rows, sizeof(float));
  set->seen = willis_take(all * SEEN, sizeof(float));
  set->ray = willis_take(all, sizeof *set->ray);
  set->about_view = willis_take((ptrdiff_t)set->views * ABOUT, sizeof(float));
  if (set->about_voxel && set->share && set->seen && set->ray && set->about_view) return WILLIS_OK;
  return willis_fail_memory(err, "what the views show of the hull", all, SEEN * sizeof(float));
}

/* Bins of a view, counted from the principal point's so that they do not depend on the detector's
 * size. */
static ptrdiff_t bins(double pixels, double voxel_pixels) {
  return (ptrdiff_t)ceil(pixels / voxel_pixels) + 2;
}

static ptrdiff_t most_rays(const struct willis_projections *stack, const struct willis_grid *grid) {
  ptrdiff_t most = 1;
  for (ptrdiff_t v = 0; v < stack->view_count; v++) {
    struct shadow s;
    shadow_init(&s, stack, v, grid);
    ptrdiff_t rays =
        bins((double)stack->columns, s.voxel_columns) * bins((double)stack->rows, s.voxel_rows);
    if (rays > most) most = rays;
  }
  return most;
}

/* As the hull has it: a view sees a voxel when all pixels around its shadow are shown. */
static bool shown(const struct willis_shutter *shutter, double column, double row) {
  if (!shutter->any) return true;
  for (int corner = 0; corner < 4; corner++)
    if (!willis_shutter_shows(shutter, corner & 1 ? ceil(column) : floor(column),
                              corner & 2 ? ceil(row) : floor(row), 0))
      return false;
  return true;
}

/* ray[rows] of one view. */
static void find_rays(const struct willis_hull_set *set, const struct willis_projections *stack,
                      const struct willis_grid *grid, ptrdiff_t v, int32_t *ray) {
  struct shadow s;
  shadow_init(&s, stack, v, grid);
  const ptrdiff_t across = bins((double)stack->columns, s.voxel_columns);
  const double middle[2] = {(double)(stack->columns - 1) / 2, (double)(stack->rows - 1) / 2};
  const double centre[2] = {(double)(across - 1) / 2,
                            (double)(bins((double)stack->rows, s.voxel_rows) - 1) / 2};
#pragma omp parallel for schedule(static)
  for (ptrdiff_t i = 0; i < set->rows; i++) {
    double place[3], column, row;
    place_of(grid, set->voxel[i], place);
    const bool on =
        falls_on(&s, stack, place, &column, &row) && shown(&stack->view[v].shutter, column, row);
    if (!on) {
      ray[i] = -1;
      continue;
    }
    ptrdiff_t x = (ptrdiff_t)floor((column - middle[0]) / s.voxel_columns + centre[0] + 0.5);
    ptrdiff_t y = (ptrdiff_t)floor((row - middle[1]) / s.voxel_rows + centre[1] + 0.5);
    ray[i] = (int32_t)(y * across + x);
  }
}

/* ---- the unit of line integrals ---- */

static int ascending(const void *a, const void *b) {
  const float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

/* Least over the views of pixel/(voxels on the ray), for every row. */
static void shares_of_rays(const struct willis_hull_set *set,
                           const struct willis_projections *stack, const struct willis_grid *grid,
                           int32_t *ray, int32_t *on_ray, float *least) {
  for (ptrdiff_t i = 0; i < set->rows; i++) least[i] = INFINITY;
  for (ptrdiff_t v = 0; v < stack->view_count; v++) {
    const float *image = stack->pixels + v * stack->columns * stack->rows;
    struct shadow s;
    shadow_init(&s, stack, v, grid);
    find_rays(set, stack, grid, v, ray);
    memset(on_ray, 0, (size_t)set->rays * sizeof *on_ray);
    for (ptrdiff_t i = 0; i < set->rows; i++)
      if (ray[i] >= 0) on_ray[ray[i]]++;
    for (ptrdiff_t i = 0; i < set->rows; i++) {
      double place[3], column, row;
      place_of(grid, set->voxel[i], place);
      if (ray[i] < 0 || !falls_on(&s, stack, place, &column, &row)) continue;
      least[i] = fminf(least[i], (float)(pixel(stack, image, column, row) / on_ray[ray[i]]));
    }
  }
}

static enum willis_status find_sum_unit(struct willis_hull_set *set,
                                        const struct willis_projections *stack,
                                        const struct willis_volume *hull, double most,
                                        struct willis_error *err) {
  static const double provisional = 0.01, part = 0.99;
  enum willis_status status = list_voxels(set, hull, provisional * most, err);
  if (status) return status;
  int32_t *ray = willis_take(set->rows, sizeof *ray);
  int32_t *on_ray = willis_take(set->rays, sizeof *on_ray);
  float *least = willis_take(set->rows, sizeof *least);
  if (!ray || !on_ray || !least) {
    status = willis_fail_memory(err, "rays", set->rows + set->rays, sizeof *ray);
  } else if (set->rows) {
    shares_of_rays(set, stack, &hull->grid, ray, on_ray, least);
    qsort(least, (size_t)set->rows, sizeof *least, ascending);
    set->unit = (double)least[(ptrdiff_t)(part * (double)(set->rows - 1))];
  }
  willis_release(ray);
  willis_release(on_ray);
  willis_release(least);
  if (!(set->unit > 0) || isinf(set->unit)) set->unit = most;
  return status;
}

/* ---- what the views show ---- */

static void describe_view(struct willis_hull_set *set, const struct willis_projections *stack,
                          const struct willis_grid *grid, ptrdiff_t v) {
  double d[3], u[3], w[3], own[3] = {0};
  willis_view_axes(&stack->view[v], d, u, w);
  for (int a = 0; a < 3; a++)
    for (int b = 0; b < 3; b++) own[a] += d[b] * grid->direction[3 * b + a];
  float *about = set->about_view + v * ABOUT;
  about[0] = (float)(own[0] * own[0] - own[1] * own[1]);
  about[1] = (float)(2 * own[0] * own[1]);
  about[2] = (float)(own[2] * own[2]);
}

static void show_view(struct willis_hull_set *set, const struct willis_projections *stack,
                      const struct willis_volume *hull, ptrdiff_t v) {
  static const double steps[4][2] = {{1, 0}, {-1, 0}, {0, 1}, {0, -1}};
  const float *image = stack->pixels + v * stack->columns * stack->rows;
  const int32_t *ray = set->ray + v * set->rows;
  struct shadow s;
  shadow_init(&s, stack, v, &hull->grid);
#pragma omp parallel for schedule(static)
  for (ptrdiff_t i = 0; i < set->rows; i++) {
    float *to = set->seen + (v * set->rows + i) * SEEN;
    double place[3], column, row;
    memset(to, 0, SEEN * sizeof *to);
    place_of(&hull->grid, set->voxel[i], place);
    if (ray[i] < 0 || !falls_on(&s, stack, place, &column, &row)) continue;
    const double p = pixel(stack, image, column, row) / set->unit, here = phi(p);
    to[0] = (float)here;
    to[1] = (float)log2(fmax(p, 0) + 0.0625);
    to[2] = (float)(here - phi((double)hull->voxels[set->voxel[i]] / set->unit));
    for (int n = 0; n < 4; n++)
      to[3 + n] = (float)(phi(pixel(stack, image, column + steps[n][0] * s.voxel_columns,
                                    row + steps[n][1] * s.voxel_rows) /
                              set->unit) -
                          here);
  }
}

static void describe_voxels(struct willis_hull_set *set, const struct willis_projections *stack,
                            const struct willis_volume *hull) {
  double even[2] = {0, 0};
  for (int v = 0; v < set->views; v++)
    for (int a = 0; a < 2; a++) even[a] += (double)set->about_view[v * ABOUT + a] / set->views;
  const double spread = 1 - hypot(even[0], even[1]);
#pragma omp parallel for schedule(static)
  for (ptrdiff_t i = 0; i < set->rows; i++) {
    double sum = 0, squares = 0, seen = 0;
    for (int v = 0; v < set->views; v++) {
      if (set->ray[v * set->rows + i] < 0) continue;
      const double value = (double)set->seen[(v * set->rows + i) * SEEN];
      seen++;
      sum += value;
      squares += value * value;
    }
    const double mean = seen ? sum / seen : 0, least = (double)hull->voxels[set->voxel[i]];
    set->share[i] = seen ? (float)(1 / seen) : 0;
    float *to = set->about_voxel + i * VOXEL;
    to[0] = (float)phi(least / set->unit);
    to[1] = (float)log2(fmax(least / set->unit, 0) + 0.0625);
    to[2] = (float)mean;
    to[3] = (float)sqrt(fmax(seen ? squares / seen - mean * mean : 0, 0));
    to[4] = (float)log2(set->views);
    to[5] = (float)spread;
    to[6] = (float)(seen / set->views);
    to[7] = stack->mode == WILLIS_PROJECTION_SUM;
  }
}

enum willis_status willis_hull_set_init(struct willis_hull_set *set,
                                        const struct willis_projections *stack,
                                        const struct willis_grid *grid, struct willis_error *err) {
  *set = (struct willis_hull_set){.views = (int)stack->view_count};
  if (stack->view_count > MOST_VIEWS || willis_grid_count(grid) > INT32_MAX)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT,
                       "%td views of %td voxels: expected at most %d and less than 2^31",
                       stack->view_count, willis_grid_count(grid), MOST_VIEWS);
  struct willis_volume hull;
  enum willis_status status = willis_volume_create(&hull, grid, err);
  if (!status) status = willis_hull(stack, &hull, err);
  if (status) goto out;
  set->rays = most_rays(stack, grid);
  double most = 0;
  const ptrdiff_t pixels = stack->columns * stack->rows * stack->view_count;
  for (ptrdiff_t i = 0; i < pixels; i++) most = fmax(most, (double)stack->pixels[i]);
  set->unit = most;
  const bool sum = stack->mode == WILLIS_PROJECTION_SUM;
  if (most > 0 && sum) status = find_sum_unit(set, stack, &hull, most, err);
  double least = set->unit * (sum ? WILLIS_HULL_SET_LEAST_SUM : WILLIS_HULL_SET_LEAST_MAX);
  /* A black stack shows nothing, not everything. */
  if (!status) status = list_voxels(set, &hull, most > 0 ? least : INFINITY, err);
  if (!status) status = take_rows(set, err);
  for (ptrdiff_t v = 0; v < stack->view_count && !status; v++) {
    describe_view(set, stack, grid, v);
    find_rays(set, stack, grid, v, set->ray + v * set->rows);
    show_view(set, stack, &hull, v);
  }
  if (!status) describe_voxels(set, stack, &hull);
out:
  willis_volume_release(&hull);
  if (status) willis_hull_set_release(set);
  return status;
}

void willis_hull_set_release(struct willis_hull_set *set) {
  willis_release(set->voxel);
  willis_release(set->about_voxel);
  willis_release(set->seen);
  willis_release(set->ray);
  willis_release(set->about_view);
  willis_release(set->share);
  *set = (struct willis_hull_set){0};
}
