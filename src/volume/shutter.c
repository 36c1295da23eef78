/* Which pixels of a picture are known. */
#include <willis/geometry.h>

#include <math.h>

/* Inside when a ray to the right crosses the border an odd number of times. */
static bool within_corners(const struct willis_shutter *shutter, double column, double row) {
  bool inside = false;
  for (int i = 0, j = shutter->corner_count - 1; i < shutter->corner_count; j = i++) {
    const double *p = shutter->corner[i], *q = shutter->corner[j];
    if ((p[0] > row) != (q[0] > row) &&
        column < p[1] + (q[1] - p[1]) * (row - p[0]) / (q[0] - p[0]))
      inside = !inside;
  }
  return inside;
}

static double distance_to_edges(const struct willis_shutter *shutter, double column, double row) {
  double least = INFINITY;
  for (int i = 0, j = shutter->corner_count - 1; i < shutter->corner_count; j = i++) {
    const double *p = shutter->corner[i], *q = shutter->corner[j];
    const double along[2] = {q[0] - p[0], q[1] - p[1]}, from[2] = {row - p[0], column - p[1]};
    const double length = along[0] * along[0] + along[1] * along[1];
    double t = length > 0 ? (along[0] * from[0] + along[1] * from[1]) / length : 0;
    t = fmin(fmax(t, 0), 1);
    least = fmin(least, hypot(from[0] - t * along[0], from[1] - t * along[1]));
  }
  return least;
}

bool willis_shutter_shows(const struct willis_shutter *shutter, double column, double row,
                          double margin) {
  if (!shutter->any) return true;
  if (shutter->is_rectangle &&
      (column < shutter->left + margin || column > shutter->right - margin ||
       row < shutter->upper + margin || row > shutter->lower - margin))
    return false;
  if (shutter->is_circle &&
      hypot(column - shutter->centre_column, row - shutter->centre_row) > shutter->radius - margin)
    return false;
  if (shutter->corner_count == 0) return true;
  return within_corners(shutter, column, row) &&
         (margin == 0 || distance_to_edges(shutter, column, row) >= margin);
}

void willis_shutter_bin(struct willis_shutter *shutter, ptrdiff_t bin) {
  const double middle = 0.5 * (double)(bin - 1), scale = 1 / (double)bin;
  double *place[] = {&shutter->left,  &shutter->right,      &shutter->upper,
                     &shutter->lower, &shutter->centre_row, &shutter->centre_column};
  for (size_t i = 0; i < sizeof place / sizeof *place; i++)
    *place[i] = (*place[i] - middle) * scale;
  for (int i = 0; i < shutter->corner_count; i++)
    for (int k = 0; k < 2; k++) shutter->corner[i][k] = (shutter->corner[i][k] - middle) * scale;
  shutter->radius *= scale;
}

void willis_projections_hide(struct willis_projections *stack) {
  const ptrdiff_t rows = stack->rows, columns = stack->columns;
#pragma omp parallel for schedule(static)
  for (ptrdiff_t i = 0; i < stack->view_count * rows; i++) {
    const struct willis_shutter *shutter = &stack->view[i / rows].shutter;
    for (ptrdiff_t c = 0; c < columns && shutter->any; c++)
      if (!willis_shutter_shows(shutter, (double)c, (double)(i % rows), 0))
        stack->pixels[i * columns + c] = 0;
  }
}
