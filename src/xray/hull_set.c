/* First the hull itself as a volume, then a list of what is above the threshold, then view after
 * view what it shows at the list's voxels. A list made out of a coarser one needs no volume. */
#include "xray/hull_set.h"
#include "xray/hull_shadow.h"
#include "xray/hull_solution.h"

#include "base/error.h"
#include "base/memory.h"
#include "volume/otsu.h"

#include <willis/projector.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_VIEWS = 254, SEEN = WILLIS_HULL_SET_SEEN, VOXEL = WILLIS_HULL_SET_VOXEL };
enum { ABOUT = WILLIS_HULL_SET_ABOUT };
/* While voxels are listed, so many take less than one row with its network does. */
enum { CANDIDATES = 12 };

static double phi(double p) {
  return log2(1 + fmax(p, 0));
}

/* ---- which voxels ---- */

/* voxel[rows] and least[rows] in place of those that are there. */
static enum willis_status take_list(struct willis_hull_set *set, struct willis_error *err) {
  willis_release(set->voxel);
  willis_release(set->least);
  set->voxel = willis_take(set->rows, sizeof *set->voxel);
  set->least = willis_take(set->rows, sizeof *set->least);
  if (set->voxel && set->least) return WILLIS_OK;
  return willis_fail_memory(err, "the hull's voxels", set->rows,
                            sizeof *set->voxel + sizeof *set->least);
}

static enum willis_status list_voxels(struct willis_hull_set *set, const struct willis_volume *hull,
                                      double least, struct willis_error *err) {
  const ptrdiff_t count = willis_grid_count(&hull->grid);
  set->rows = 0;
  for (ptrdiff_t i = 0; i < count; i++) set->rows += (double)hull->voxels[i] >= least;
  enum willis_status status = take_list(set, err);
  if (status) return status;
  ptrdiff_t row = 0;
  for (ptrdiff_t i = 0; i < count; i++)
    if ((double)hull->voxels[i] >= least) {
      set->voxel[row] = (int32_t)i;
      set->least[row++] = hull->voxels[i];
    }
  return WILLIS_OK;
}

static enum willis_status take_rows(struct willis_hull_set *set, struct willis_error *err) {
  const ptrdiff_t all = set->rows * set->views;
  set->about_voxel = willis_take(set->rows * VOXEL, sizeof(float));
  set->share = willis_take(set->rows, sizeof(float));
  set->seen = willis_take(all * SEEN, sizeof(float));
  set->place = willis_take(all, sizeof *set->place);
  set->pitch = willis_take(set->views, sizeof *set->pitch);
  set->about_view = willis_take((ptrdiff_t)set->views * ABOUT, sizeof(float));
  if (set->about_voxel && set->share && set->seen && set->place && set->pitch && set->about_view)
    return WILLIS_OK;
  return willis_fail_memory(err, "what the views show of the hull", all, SEEN * sizeof(float));
}

ptrdiff_t willis_hull_set_rays(const struct willis_projections *stack,
                               const struct willis_grid *grid) {
  ptrdiff_t most = 1;
  for (ptrdiff_t v = 0; v < stack->view_count; v++) {
    struct willis_shadow s;
    willis_shadow_init(&s, stack, v, grid);
    const ptrdiff_t rays = s.rays_across * s.rays_down;
    if (rays > most) most = rays;
  }
  return most;
}

size_t willis_hull_set_bytes(ptrdiff_t rows, int views) {
  const size_t of_row = sizeof(int32_t) + (VOXEL + 3) * sizeof(float);
  const size_t of_view = sizeof(struct willis_ray_place) + SEEN * sizeof(float);
  return (size_t)rows * (of_row + (size_t)views * of_view) +
         (size_t)views * (sizeof(int32_t) + ABOUT * sizeof(float));
}

size_t willis_hull_set_making_bytes(ptrdiff_t voxels, ptrdiff_t rows, ptrdiff_t rays, int views) {
  /* A hundredth of the largest pixel may leave them all. */
  const size_t hull =
      (size_t)rays * sizeof(float) +
      (size_t)voxels * (sizeof(int32_t) + sizeof(struct willis_ray_place) + 3 * sizeof(float));
  const size_t described = willis_hull_set_bytes(rows, views) + (size_t)rows * sizeof(float) +
                           willis_hull_solution_bytes(rows, rays, views);
  return hull > described ? hull : described;
}

/* Within rounding of the middle of a ray a voxel is on that ray alone. */
static ptrdiff_t whole(double x, float *fraction) {
  static const double hair = 1e-6;
  double base = floor(x + hair);
  *fraction = x - base < hair ? 0 : (float)(x - base);
  return (ptrdiff_t)base;
}

/* place[rows] of one view. */
static void find_rays(const struct willis_hull_set *set, const struct willis_projections *stack,
                      const struct willis_grid *grid, ptrdiff_t v, struct willis_ray_place *place) {
  struct willis_shadow s;
  willis_shadow_init(&s, stack, v, grid);
#pragma omp parallel for schedule(static)
  for (ptrdiff_t i = 0; i < set->rows; i++) {
    double at[3], column, row, across, down;
    willis_place_of(grid, set->voxel[i], at);
    place[i] = (struct willis_ray_place){.ray = -1};
    if (!willis_shadow_falls_on(&s, stack, at, &column, &row) ||
        !willis_shadow_shown(&stack->view[v].shutter, column, row))
      continue;
    willis_shadow_ray(&s, stack, column, row, &across, &down);
    const ptrdiff_t x = whole(across, &place[i].across), y = whole(down, &place[i].down);
    place[i].ray = (int32_t)(y * s.rays_across + x);
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
                           struct willis_ray_place *place, float *on_ray, float *least) {
  for (ptrdiff_t i = 0; i < set->rows; i++) least[i] = INFINITY;
  for (ptrdiff_t v = 0; v < stack->view_count; v++) {
    const float *image = stack->pixels + v * stack->columns * stack->rows;
    struct willis_shadow s;
    willis_shadow_init(&s, stack, v, grid);
    find_rays(set, stack, grid, v, place);
    memset(on_ray, 0, (size_t)set->rays * sizeof *on_ray);
    for (ptrdiff_t i = 0; i < set->rows; i++) {
      struct willis_ray_taps taps = willis_ray_taps(&place[i], (int32_t)s.rays_across);
      for (int t = 0; t < taps.count; t++) on_ray[taps.ray[t]] += taps.weight[t];
    }
    for (ptrdiff_t i = 0; i < set->rows; i++) {
      double at[3], column, row;
      float count = 0;
      willis_place_of(grid, set->voxel[i], at);
      struct willis_ray_taps taps = willis_ray_taps(&place[i], (int32_t)s.rays_across);
      for (int t = 0; t < taps.count; t++) count += taps.weight[t] * on_ray[taps.ray[t]];
      if (!taps.count || !willis_shadow_falls_on(&s, stack, at, &column, &row)) continue;
      least[i] =
          fminf(least[i], (float)(willis_picture_at(stack, image, column, row) / (double)count));
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
  struct willis_ray_place *place = willis_take(set->rows, sizeof *place);
  float *on_ray = willis_take(set->rays, sizeof *on_ray);
  float *least = willis_take(set->rows, sizeof *least);
  if (!place || !on_ray || !least) {
    status = willis_fail_memory(err, "rays", set->rows + set->rays, sizeof *place);
  } else if (set->rows) {
    shares_of_rays(set, stack, &hull->grid, place, on_ray, least);
    qsort(least, (size_t)set->rows, sizeof *least, ascending);
    set->unit = (double)least[(ptrdiff_t)(part * (double)(set->rows - 1))];
  }
  willis_release(place);
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
  struct willis_shadow s;
  willis_shadow_init(&s, stack, v, grid);
  set->pitch[v] = (int32_t)s.rays_across;
}

static void show_view(struct willis_hull_set *set, const struct willis_projections *stack,
                      const struct willis_grid *grid, ptrdiff_t v) {
  static const double steps[4][2] = {{1, 0}, {-1, 0}, {0, 1}, {0, -1}};
  const float *image = stack->pixels + v * stack->columns * stack->rows;
  const struct willis_ray_place *ray = set->place + v * set->rows;
  struct willis_shadow s;
  willis_shadow_init(&s, stack, v, grid);
#pragma omp parallel for schedule(static)
  for (ptrdiff_t i = 0; i < set->rows; i++) {
    float *to = set->seen + (v * set->rows + i) * SEEN;
    double place[3], column, row;
    memset(to, 0, SEEN * sizeof *to);
    willis_place_of(grid, set->voxel[i], place);
    if (ray[i].ray < 0 || !willis_shadow_falls_on(&s, stack, place, &column, &row)) continue;
    const double p = willis_picture_at(stack, image, column, row) / set->unit, here = phi(p);
    to[0] = (float)here;
    to[1] = (float)log2(fmax(p, 0) + 0.0625);
    to[2] = (float)(here - phi((double)set->least[i] / set->unit));
    for (int n = 0; n < 4; n++)
      to[3 + n] =
          (float)(phi(willis_picture_at(stack, image, column + steps[n][0] * s.voxel_columns,
                                        row + steps[n][1] * s.voxel_rows) /
                      set->unit) -
                  here);
  }
}

static void describe_voxels(struct willis_hull_set *set, const struct willis_projections *stack) {
  double even[2] = {0, 0};
  for (int v = 0; v < set->views; v++)
    for (int a = 0; a < 2; a++) even[a] += (double)set->about_view[v * ABOUT + a] / set->views;
  const double spread = 1 - hypot(even[0], even[1]);
#pragma omp parallel for schedule(static)
  for (ptrdiff_t i = 0; i < set->rows; i++) {
    double sum = 0, squares = 0, seen = 0;
    for (int v = 0; v < set->views; v++) {
      if (set->place[v * set->rows + i].ray < 0) continue;
      const double value = (double)set->seen[(v * set->rows + i) * SEEN];
      seen++;
      sum += value;
      squares += value * value;
    }
    const double mean = seen ? sum / seen : 0, least = (double)set->least[i];
    set->share[i] = seen ? (float)(1 / seen) : 0;
    float *to = set->about_voxel + i * VOXEL;
    to[0] = (float)phi(least / set->unit);
    to[1] = (float)log2(fmax(least / set->unit, 0) + 0.0625);
    to[2] = (float)mean;
    to[3] = (float)sqrt(fmax(seen ? squares / seen - mean * mean : 0, 0));
    to[4] = (float)log2(set->views);
    to[5] = (float)spread;
    to[6] = (float)(seen / set->views);
    to[7] = stack->mode == WILLIS_PROJECTION_SUM ? 1 : 0;
    for (int k = WILLIS_HULL_SET_SOLUTION; k < VOXEL; k++) to[k] = 0;
  }
}

/* What explains all line integrals, and with it a better unit, as long as the two are of a kind:
 * metal among vessels must not make them small. What lies around the grid is empty. */
static enum willis_status solve(struct willis_hull_set *set, const struct willis_projections *stack,
                                const struct willis_grid *grid, const float *probability,
                                struct willis_error *err) {
  static const double most_change = 2;
  float *value = set->solution;
  if (probability) memcpy(value, probability, (size_t)set->rows * sizeof *value);
  const ptrdiff_t empty = willis_grid_count(grid) - set->rows;
  double middle;
  enum willis_status status = willis_hull_solution(set, stack, grid, probability, value, err);
  if (!status) status = willis_otsu_middle(value, set->rows, empty ? empty : 1, &middle, err);
  if (status) return status;
  const double scale = fmin(fmax(middle / WILLIS_HULL_SET_MIDDLE, 1 / most_change), most_change);
  set->unit *= scale;
  for (ptrdiff_t i = 0; i < set->rows; i++) value[i] = (float)((double)value[i] / scale);
  return WILLIS_OK;
}

static void describe_solution(struct willis_hull_set *set) {
  for (ptrdiff_t i = 0; i < set->rows; i++) {
    const double x = (double)set->solution[i];
    float *to = set->about_voxel + i * VOXEL;
    to[WILLIS_HULL_SET_SOLUTION] = (float)phi(x);
    to[WILLIS_HULL_SET_SOLUTION + 1] = (float)log2(x + 0.0625);
  }
}

static void describe_belief(struct willis_hull_set *set, const float *probability) {
  for (ptrdiff_t i = 0; i < set->rows; i++) {
    float *to = set->about_voxel + i * VOXEL;
    to[WILLIS_HULL_SET_BELIEF] = probability[i];
    to[WILLIS_HULL_SET_BELIEF + 1] = log2f(probability[i] + 0.0625f);
  }
}

enum willis_status willis_hull_set_believe(struct willis_hull_set *set,
                                           const struct willis_projections *stack,
                                           const struct willis_grid *grid, const float *probability,
                                           struct willis_error *err) {
  describe_belief(set, probability);
  if (!set->solution) return WILLIS_OK;
  /* Between the last solution and what is believed, which is near to where it ends. */
  for (ptrdiff_t i = 0; i < set->rows; i++)
    set->solution[i] = sqrtf(set->solution[i] * probability[i]);
  enum willis_status status =
      willis_hull_solution(set, stack, grid, probability, set->solution, err);
  if (!status) describe_solution(set);
  return status;
}

/* Everything about the listed voxels; `probability` null while nothing is believed. */
static enum willis_status describe(struct willis_hull_set *set,
                                   const struct willis_projections *stack,
                                   const struct willis_grid *grid, const float *probability,
                                   struct willis_error *err) {
  const bool sum = stack->mode == WILLIS_PROJECTION_SUM && set->rows;
  enum willis_status status = take_rows(set, err);
  if (!status && sum && !(set->solution = willis_take(set->rows, sizeof *set->solution)))
    status = willis_fail_memory(err, "a solution", set->rows, sizeof *set->solution);
  for (ptrdiff_t v = 0; v < stack->view_count && !status; v++) {
    describe_view(set, stack, grid, v);
    find_rays(set, stack, grid, v, set->place + v * set->rows);
  }
  if (!status && sum) status = solve(set, stack, grid, probability, err);
  if (!status) {
    for (ptrdiff_t v = 0; v < stack->view_count; v++) show_view(set, stack, grid, v);
    describe_voxels(set, stack);
    if (sum) describe_solution(set);
    if (probability) describe_belief(set, probability);
  }
  return status;
}

static enum willis_status begin(struct willis_hull_set *set, const struct willis_projections *stack,
                                const struct willis_grid *grid, struct willis_error *err) {
  *set = (struct willis_hull_set){.views = (int)stack->view_count};
  if (stack->view_count > MOST_VIEWS || willis_grid_count(grid) > INT32_MAX)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT,
                       "%td views of %td voxels: expected at most %d and less than 2^31",
                       stack->view_count, willis_grid_count(grid), MOST_VIEWS);
  set->rays = willis_hull_set_rays(stack, grid);
  return WILLIS_OK;
}

static double least_of(const struct willis_hull_set *set, const struct willis_projections *stack) {
  const bool sum = stack->mode == WILLIS_PROJECTION_SUM;
  return set->unit * (sum ? WILLIS_HULL_SET_LEAST_SUM : WILLIS_HULL_SET_LEAST_MAX);
}

static enum willis_status refuse_more(ptrdiff_t rows, const struct willis_grid *grid,
                                      ptrdiff_t most, struct willis_error *err) {
  if (!most || rows <= most) return WILLIS_OK;
  return willis_fail(
      err, WILLIS_OUT_OF_MEMORY,
      "%td of %td×%td×%td voxels are to be decided about, more than the %td that the "
      "memory allowed is enough for; views without noise that fit together leave "
      "less, a smaller size needs less",
      rows, grid->size[0], grid->size[1], grid->size[2], most);
}

/* ---- a set, from a hull or from a coarser set ---- */

enum willis_status willis_hull_set_init(struct willis_hull_set *set,
                                        const struct willis_projections *stack,
                                        const struct willis_grid *grid, ptrdiff_t most_rows,
                                        struct willis_error *err) {
  struct willis_volume hull = {0};
  double most = 0;
  const ptrdiff_t pixels = stack->columns * stack->rows * stack->view_count;
  enum willis_status status = begin(set, stack, grid, err);
  if (!status) status = willis_volume_create(&hull, grid, err);
  if (!status) status = willis_hull(stack, &hull, err);
  for (ptrdiff_t i = 0; i < pixels && !status; i++) most = fmax(most, (double)stack->pixels[i]);
  set->unit = most;
  if (!status && most > 0 && stack->mode == WILLIS_PROJECTION_SUM)
    status = find_sum_unit(set, stack, &hull, most, err);
  /* A black stack shows nothing, not everything. */
  set->list_unit = set->unit;
  if (!status) status = list_voxels(set, &hull, most > 0 ? least_of(set, stack) : INFINITY, err);
  willis_volume_release(&hull);
  if (!status) status = refuse_more(set->rows, grid, most_rows, err);
  if (!status) status = describe(set, stack, grid, NULL, err);
  if (status) willis_hull_set_release(set);
  return status;
}

/* The least pixel over the views that see a voxel; 0 when none does. */
static float least_pixel(const struct willis_shadow *shadow, const struct willis_projections *stack,
                         const double place[3]) {
  double least = INFINITY;
  for (ptrdiff_t v = 0; v < stack->view_count; v++) {
    double column, row;
    if (!willis_shadow_falls_on(&shadow[v], stack, place, &column, &row) ||
        !willis_shadow_shown(&stack->view[v].shutter, column, row))
      continue;
    const float *image = stack->pixels + v * stack->columns * stack->rows;
    least = fmin(least, willis_picture_at(stack, image, column, row));
  }
  return isinf(least) ? 0 : (float)least;
}

/* Gives back what the others took. */
static enum willis_status shorten_list(struct willis_hull_set *set, ptrdiff_t rows,
                                       struct willis_error *err) {
  int32_t *voxel = willis_grow(set->voxel, set->rows, rows, sizeof *voxel);
  if (voxel) set->voxel = voxel;
  float *least = voxel ? willis_grow(set->least, set->rows, rows, sizeof *least) : NULL;
  if (least) set->least = least;
  set->rows = rows;
  return least ? WILLIS_OK : willis_fail_memory(err, "the hull's voxels", rows, sizeof *voxel);
}

static enum willis_status list_within(struct willis_hull_set *set,
                                      const struct willis_projections *stack,
                                      const struct willis_grid *grid, const uint8_t *within,
                                      double least, ptrdiff_t most, struct willis_error *err) {
  const ptrdiff_t *n = grid->size, w = (n[0] + 1) / 2, h = (n[1] + 1) / 2;
  struct willis_shadow *shadow = willis_take(stack->view_count, sizeof *shadow);
  if (!shadow) return willis_fail_memory(err, "shadows", stack->view_count, sizeof *shadow);
  for (ptrdiff_t v = 0; v < stack->view_count; v++) willis_shadow_init(&shadow[v], stack, v, grid);
  enum willis_status status = WILLIS_OK;
  ptrdiff_t row = 0;
  /* Counted, then written. */
  for (int pass = 0; pass < 2 && !status; pass++) {
    row = 0;
    for (ptrdiff_t z = 0; z < n[2]; z++)
      for (ptrdiff_t y = 0; y < n[1]; y++) {
        const uint8_t *line = within + (z / 2 * h + y / 2) * w;
        for (ptrdiff_t x = 0; x < n[0]; x++) {
          if (!line[x / 2]) continue;
          if (pass) set->voxel[row] = (int32_t)((z * n[1] + y) * n[0] + x);
          row++;
        }
      }
    set->rows = row;
    if (!pass) status = refuse_more(row / CANDIDATES, grid, most, err);
    if (!pass && !status) status = take_list(set, err);
  }
#pragma omp parallel for schedule(static)
  for (ptrdiff_t i = 0; i < (status ? 0 : set->rows); i++) {
    double place[3];
    willis_place_of(grid, set->voxel[i], place);
    set->least[i] = least_pixel(shadow, stack, place);
  }
  for (ptrdiff_t i = row = 0; i < set->rows && !status; i++) {
    if ((double)set->least[i] < least) continue;
    set->voxel[row] = set->voxel[i];
    set->least[row++] = set->least[i];
  }
  willis_release(shadow);
  return status ? status : shorten_list(set, row, err);
}

enum willis_status willis_hull_set_refine(struct willis_hull_set *set,
                                          const struct willis_projections *stack,
                                          const struct willis_grid *grid, const uint8_t *within,
                                          double unit, const struct willis_hull_belief *belief,
                                          ptrdiff_t most, struct willis_error *err) {
  float *probability = NULL;
  enum willis_status status = begin(set, stack, grid, err);
  set->list_unit = set->unit = unit;
  if (!status) status = list_within(set, stack, grid, within, least_of(set, stack), most, err);
  if (!status) status = refuse_more(set->rows, grid, most, err);
  if (!status && !(probability = willis_take(set->rows, sizeof *probability)))
    status = willis_fail_memory(err, "probabilities", set->rows, sizeof *probability);
#pragma omp parallel for schedule(static)
  for (ptrdiff_t i = 0; i < (status ? 0 : set->rows); i++) {
    double place[3];
    willis_place_of(grid, set->voxel[i], place);
    probability[i] = belief->probability(belief->said, place);
  }
  if (!status) status = describe(set, stack, grid, probability, err);
  willis_release(probability);
  if (status) willis_hull_set_release(set);
  return status;
}

void willis_hull_set_release(struct willis_hull_set *set) {
  willis_release(set->voxel);
  willis_release(set->least);
  willis_release(set->about_voxel);
  willis_release(set->seen);
  willis_release(set->place);
  willis_release(set->pitch);
  willis_release(set->about_view);
  willis_release(set->share);
  willis_release(set->solution);
  *set = (struct willis_hull_set){0};
}
