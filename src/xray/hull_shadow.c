/* Shadows are affine in the voxel's index over an affine depth, so three dot products a voxel. */
#include "xray/hull_shadow.h"

#include <math.h>
#include <string.h>

/* One more on either side than the picture needs. */
static ptrdiff_t bins(double pixels, double voxel_pixels) {
  return (ptrdiff_t)ceil(pixels / voxel_pixels) + 2;
}

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

/* Rays of a parallel view have as many samples as the grid an edge, those of a cone go through. */
static void find_reach(struct willis_shadow *s, const struct willis_grid *grid, const double d[3],
                       bool cone) {
  static const double border = 1e-6;
  double middle[3], middle_mm[3];
  for (int a = 0; a < 3; a++) middle[a] = (double)(grid->size[a] - 1) / 2;
  willis_grid_to_world(grid, middle, middle_mm);
  affine(s->past, grid, middle_mm, d, 1 / grid->spacing_mm[0]);
  s->reach = cone ? INFINITY : middle[0] + border;
}

void willis_shadow_init(struct willis_shadow *s, const struct willis_projections *stack,
                        ptrdiff_t v, const struct willis_grid *grid) {
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
  find_reach(s, grid, d, cone);
  for (int a = 0; a < 4; a++) {
    s->across[a] += view->principal_column * s->depth[a];
    s->down[a] += view->principal_row * s->depth[a];
  }
  s->voxel_columns = nearest * magnification / view->column_spacing_mm;
  s->voxel_rows = nearest * magnification / view->row_spacing_mm;
  s->rays_across = bins((double)stack->columns, s->voxel_columns);
  s->rays_down = bins((double)stack->rows, s->voxel_rows);
}

static double at(const double affine_map[4], const double place[3]) {
  return affine_map[0] * place[0] + affine_map[1] * place[1] + affine_map[2] * place[2] +
         affine_map[3];
}

bool willis_shadow_falls_on(const struct willis_shadow *s, const struct willis_projections *stack,
                            const double place[3], double *column, double *row) {
  static const double border = 1e-6;
  const double depth = at(s->depth, place);
  *column = at(s->across, place) / depth;
  *row = at(s->down, place) / depth;
  return depth > 0 && fabs(at(s->past, place)) <= s->reach && *column >= -border &&
         *column <= (double)(stack->columns - 1) + border && *row >= -border &&
         *row <= (double)(stack->rows - 1) + border;
}

static ptrdiff_t base_of(double x, ptrdiff_t n, double *fraction) {
  ptrdiff_t base = x > 0 ? (ptrdiff_t)x : 0;
  if (base > n - 2) base = n > 1 ? n - 2 : 0;
  *fraction = x - (double)base;
  return base;
}

/* The image at a place, linearly interpolated; what lies beyond its border is as the border. */
double willis_picture_at(const struct willis_projections *stack, const float *image, double column,
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

void willis_place_of(const struct willis_grid *grid, int32_t voxel, double place[3]) {
  place[0] = (double)(voxel % grid->size[0]);
  place[1] = (double)(voxel / grid->size[0] % grid->size[1]);
  place[2] = (double)(voxel / grid->size[0] / grid->size[1]);
}

bool willis_shadow_shown(const struct willis_shutter *shutter, double column, double row) {
  if (!shutter->any) return true;
  for (int corner = 0; corner < 4; corner++)
    if (!willis_shutter_shows(shutter, corner & 1 ? ceil(column) : floor(column),
                              corner & 2 ? ceil(row) : floor(row), 0))
      return false;
  return true;
}

static double middle(ptrdiff_t count) {
  return (double)(count - 1) / 2;
}

void willis_shadow_ray(const struct willis_shadow *s, const struct willis_projections *stack,
                       double column, double row, double *across, double *down) {
  *across = (column - middle(stack->columns)) / s->voxel_columns + middle(s->rays_across);
  *down = (row - middle(stack->rows)) / s->voxel_rows + middle(s->rays_down);
}

void willis_shadow_middle(const struct willis_shadow *s, const struct willis_projections *stack,
                          ptrdiff_t across, ptrdiff_t down, double *column, double *row) {
  *column = ((double)across - middle(s->rays_across)) * s->voxel_columns + middle(stack->columns);
  *row = ((double)down - middle(s->rays_down)) * s->voxel_rows + middle(stack->rows);
}
