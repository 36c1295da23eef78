/* Projection stacks: memory, and doubt about their geometry. A wrong millimetre is the worst
 * failure, so every number of every view is checked and none is repaired. */
#include <willis/geometry.h>

#include "base/error.h"
#include "base/memory.h"

#include <math.h>
#include <string.h>

enum willis_status willis_projections_create(struct willis_projections *stack, ptrdiff_t columns,
                                             ptrdiff_t rows, ptrdiff_t view_count,
                                             struct willis_error *err) {
  *stack = (struct willis_projections){0};
  if (columns <= 0 || rows <= 0 || view_count <= 0)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT,
                       "projection stack of %td columns, %td rows, %td views: each must be at "
                       "least 1",
                       columns, rows, view_count);
  ptrdiff_t image, pixels;
  if (!willis_multiply(columns, rows, &image) || !willis_multiply(image, view_count, &pixels))
    return willis_fail_memory(err, "the views", view_count, sizeof *stack->pixels);
  stack->pixels = willis_take_zeroed(pixels, sizeof *stack->pixels);
  stack->view = willis_take_zeroed(view_count, sizeof *stack->view);
  if (!stack->pixels || !stack->view) {
    willis_projections_release(stack);
    return willis_fail_memory(err, "the views", pixels, sizeof *stack->pixels);
  }
  stack->columns = columns;
  stack->rows = rows;
  stack->view_count = view_count;
  return WILLIS_OK;
}

void willis_projections_release(struct willis_projections *stack) {
  if (!stack) return;
  willis_release(stack->pixels);
  willis_release(stack->view);
  *stack = (struct willis_projections){0};
}

static ptrdiff_t lesser(ptrdiff_t a, ptrdiff_t b) {
  return a < b ? a : b;
}

/* The mean of a view's pixels from column and row on, bin × bin of them or up to the border. */
static float mean_around(const struct willis_projections *stack, ptrdiff_t view, ptrdiff_t column,
                         ptrdiff_t row, ptrdiff_t bin) {
  const struct willis_shutter *shutter = &stack->view[view].shutter;
  const ptrdiff_t right = lesser(column + bin, stack->columns),
                  below = lesser(row + bin, stack->rows);
  double sum = 0, shown = 0;
  for (ptrdiff_t r = row; r < below; r++)
    for (ptrdiff_t c = column; c < right; c++)
      if (willis_shutter_shows(shutter, (double)c, (double)r, 0)) {
        sum += (double)stack->pixels[(view * stack->rows + r) * stack->columns + c];
        shown++;
      }
  return shown > 0 ? (float)(sum / shown) : 0;
}

enum willis_status willis_projections_bin(const struct willis_projections *stack, ptrdiff_t bin,
                                          struct willis_projections *binned,
                                          struct willis_error *err) {
  if (bin < 1) return willis_fail(err, WILLIS_INVALID_ARGUMENT, "bin %td, expected 1 or more", bin);
  const ptrdiff_t columns = (stack->columns - 1) / bin + 1, rows = (stack->rows - 1) / bin + 1;
  enum willis_status status =
      willis_projections_create(binned, columns, rows, stack->view_count, err);
  if (status) return status;
  memcpy(binned->isocenter_mm, stack->isocenter_mm, sizeof binned->isocenter_mm);
  binned->mode = stack->mode;
  binned->has_grid = stack->has_grid;
  binned->grid = stack->grid;
  for (ptrdiff_t v = 0; v < stack->view_count; v++) {
    binned->view[v] = stack->view[v];
    willis_view_bin(&binned->view[v], bin);
  }
#pragma omp parallel for schedule(static)
  for (ptrdiff_t i = 0; i < stack->view_count * rows; i++)
    for (ptrdiff_t c = 0; c < columns; c++)
      binned->pixels[i * columns + c] = mean_around(stack, i / rows, c * bin, i % rows * bin, bin);
  return WILLIS_OK;
}

static bool positive(double value) {
  return isfinite(value) && value > 0;
}

static enum willis_status check_shutter(const struct willis_shutter *s, ptrdiff_t index,
                                        struct willis_error *err) {
  const double sides[] = {s->left, s->right, s->upper, s->lower};
  const double circle[] = {s->centre_column, s->centre_row, s->radius};
  bool good = s->corner_count >= 0 && s->corner_count <= WILLIS_SHUTTER_CORNERS &&
              (s->corner_count == 0 || s->corner_count > 2);
  for (size_t i = 0; i < sizeof sides / sizeof *sides; i++) good = good && isfinite(sides[i]);
  for (size_t i = 0; i < sizeof circle / sizeof *circle; i++) good = good && isfinite(circle[i]);
  if (s->is_rectangle) good = good && s->left <= s->right && s->upper <= s->lower;
  if (s->is_circle) good = good && s->radius > 0;
  for (int i = 0; good && i < s->corner_count; i++)
    good = isfinite(s->corner[i][0]) && isfinite(s->corner[i][1]);
  if (good) return WILLIS_OK;
  return willis_fail(err, WILLIS_GEOMETRY,
                     "view %td: what is shown makes no sense, expected finite pixels, sides in "
                     "order, a radius above 0 and 3 to %d corners",
                     index, WILLIS_SHUTTER_CORNERS);
}

static enum willis_status check_view(const struct willis_view *view, ptrdiff_t index,
                                     struct willis_error *err) {
  const bool is_cone = view->kind == WILLIS_VIEW_CONE;
  const double *offset = view->source_offset_mm;
  const struct {
    const char *name;
    double value;
    bool good;
    const char *expected;
  } number[] = {
      {"primary angle", view->primary_angle_deg, fabs(view->primary_angle_deg) <= 360,
       "degrees from -360 to 360"},
      {"secondary angle", view->secondary_angle_deg, fabs(view->secondary_angle_deg) <= 90,
       "degrees from -90 to 90"},
      {"column spacing", view->column_spacing_mm, positive(view->column_spacing_mm), "mm above 0"},
      {"row spacing", view->row_spacing_mm, positive(view->row_spacing_mm), "mm above 0"},
      {"principal column", view->principal_column, isfinite(view->principal_column),
       "a finite number"},
      {"principal row", view->principal_row, isfinite(view->principal_row), "a finite number"},
      {"in-plane angle", view->in_plane_angle_deg, fabs(view->in_plane_angle_deg) <= 360,
       "degrees from -360 to 360"},
      {"source offset along columns", offset[0], isfinite(offset[0]) && (is_cone || offset[0] == 0),
       is_cone ? "mm" : "0 for a parallel beam"},
      {"source offset along rows", offset[1], isfinite(offset[1]) && (is_cone || offset[1] == 0),
       is_cone ? "mm" : "0 for a parallel beam"},
  };
  for (size_t i = 0; i < sizeof number / sizeof *number; i++)
    if (!number[i].good)
      return willis_fail(err, WILLIS_GEOMETRY, "view %td: %s is %g, expected %s", index,
                         number[i].name, number[i].value, number[i].expected);

  double detector = view->source_to_detector_mm, isocenter = view->source_to_isocenter_mm;
  switch (view->kind) {
  case WILLIS_VIEW_PARALLEL:
    if (detector == 0 && isocenter == 0) return WILLIS_OK;
    return willis_fail(err, WILLIS_GEOMETRY,
                       "view %td: a parallel beam has no source, but its distances are %g and %g "
                       "mm, expected 0",
                       index, detector, isocenter);
  case WILLIS_VIEW_CONE:
    if (positive(isocenter) && isfinite(detector) && detector > isocenter) return WILLIS_OK;
    return willis_fail(err, WILLIS_GEOMETRY,
                       "view %td: source to isocenter is %g mm and source to detector %g mm, "
                       "expected 0 < the first < the second",
                       index, isocenter, detector);
  }
  return willis_fail(err, WILLIS_GEOMETRY, "view %td: kind %d is neither parallel nor cone", index,
                     (int)view->kind);
}

enum willis_status willis_projections_check(const struct willis_projections *stack,
                                            struct willis_error *err) {
  if (stack->columns <= 0 || stack->rows <= 0 || stack->view_count <= 0)
    return willis_fail(err, WILLIS_GEOMETRY,
                       "projection stack of %td columns, %td rows, %td views: each must be at "
                       "least 1",
                       stack->columns, stack->rows, stack->view_count);
  if (stack->mode != WILLIS_PROJECTION_MAX && stack->mode != WILLIS_PROJECTION_SUM)
    return willis_fail(err, WILLIS_GEOMETRY, "projection mode %d is neither max nor sum",
                       (int)stack->mode);
  for (int axis = 0; axis < 3; axis++)
    if (!isfinite(stack->isocenter_mm[axis]))
      return willis_fail(err, WILLIS_GEOMETRY, "isocenter coordinate %d is %g, expected mm", axis,
                         stack->isocenter_mm[axis]);
  for (ptrdiff_t i = 0; i < stack->view_count; i++) {
    enum willis_status status = check_view(&stack->view[i], i, err);
    if (!status && stack->view[i].shutter.any)
      status = check_shutter(&stack->view[i].shutter, i, err);
    if (status) return status;
  }
  return stack->has_grid ? willis_grid_check(&stack->grid, "grid", err) : WILLIS_OK;
}
