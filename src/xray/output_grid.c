/* Where a reconstruction goes when nobody says so (COMMANDS, "Output grid"). */
#include <willis/projector.h>

#include "base/error.h"

#include <math.h>

/* True when every view's detector shows the eight corner voxels of a centred cube. A beam, parallel
 * or cone, sees a convex region (so do shutters, but for odd polygons), so the corners speak for
 * the cube. */
static bool all_views_see(const struct willis_projections *stack, double half_mm) {
  for (ptrdiff_t i = 0; i < stack->view_count; i++) {
    for (int corner = 0; corner < 8; corner++) {
      double point[3], column, row, slack = 1e-6;
      for (int a = 0; a < 3; a++) point[a] = corner >> a & 1 ? half_mm : -half_mm;
      willis_view_project_point(stack->view + i, point, &column, &row);
      /* Written so that NaN, a corner behind the source, is not seen either. */
      if (!(column >= -slack && column <= (double)(stack->columns - 1) + slack)) return false;
      if (!(row >= -slack && row <= (double)(stack->rows - 1) + slack)) return false;
      if (!willis_shutter_shows(&stack->view[i].shutter, column, row, 0)) return false;
    }
  }
  return true;
}

/* The finest pixel, brought to the isocenter. */
static double finest_pixel_mm(const struct willis_projections *stack) {
  double finest = INFINITY;
  for (ptrdiff_t i = 0; i < stack->view_count; i++) {
    const struct willis_view *view = stack->view + i;
    double scale = view->kind == WILLIS_VIEW_CONE
                       ? view->source_to_isocenter_mm / view->source_to_detector_mm
                       : 1;
    finest = fmin(finest, scale * fmin(view->column_spacing_mm, view->row_spacing_mm));
  }
  return finest;
}

/* The largest n of a centred n³ cube of this spacing that every view sees; 0 for none. */
static ptrdiff_t seen_size(const struct willis_projections *stack, double spacing_mm) {
  ptrdiff_t least = 0, most = stack->columns + stack->rows;
  while (least < most) {
    ptrdiff_t n = (least + most + 1) / 2;
    if (all_views_see(stack, (double)(n - 1) / 2 * spacing_mm))
      least = n;
    else
      most = n - 1;
  }
  return least;
}

static enum willis_status default_grid(const struct willis_projections *stack,
                                       struct willis_grid *grid, struct willis_error *err) {
  if (stack->has_grid) {
    *grid = stack->grid;
    if (willis_grid_is_lps_cube(grid)) return WILLIS_OK;
    return willis_grid_make_cubic(&stack->grid, 0, 0, grid, err);
  }
  double spacing = finest_pixel_mm(stack);
  ptrdiff_t n = seen_size(stack, spacing);
  if (n < 1)
    return willis_fail(
        err, WILLIS_GEOMETRY,
        "no voxel around the isocenter is seen by all %td views; expected a size and "
        "a spacing",
        stack->view_count);
  *grid = willis_grid_cube(n, spacing, stack->isocenter_mm);
  return WILLIS_OK;
}

enum willis_status willis_projections_output_grid(const struct willis_projections *stack,
                                                  ptrdiff_t n, double spacing_mm,
                                                  struct willis_grid *grid,
                                                  struct willis_error *err) {
  enum willis_status status = willis_projections_check(stack, err);
  if (status) return status;
  if (n < 0 || !isfinite(spacing_mm) || spacing_mm < 0)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT,
                       "size %td and spacing %g mm, expected positive numbers", n, spacing_mm);
  if (n == 0 || spacing_mm == 0) {
    status = default_grid(stack, grid, err);
    if (status || (n == 0 && spacing_mm == 0)) return status;
    /* One of the two is missing: keep the edge of the default cube. */
    double edge_mm = (double)grid->size[0] * grid->spacing_mm[0];
    if (n == 0) n = (ptrdiff_t)fmin(fmax(round(edge_mm / spacing_mm), 1), 1 << 20);
    if (spacing_mm == 0) spacing_mm = edge_mm / (double)n;
  }
  *grid = willis_grid_cube(n, spacing_mm, stack->isocenter_mm);
  return willis_grid_check(grid, "output grid", err);
}
