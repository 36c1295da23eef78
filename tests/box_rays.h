/* Line integrals of voxels as boxes of one value each: the length of a ray within every box,
 * exactly (Siddon, Med Phys 12:252, 1985), summed in double. For making data that do not come from
 * the rays that reconstruct: those take a voxel for a hat, not for a box, and share no line with
 * this. */
#ifndef TESTS_BOX_RAYS_H
#define TESTS_BOX_RAYS_H

#include <willis/geometry.h>

#include <math.h>

/* Of value × share of the way from `from` to `to`, both in index space. */
static inline double box_rays_sum(const struct willis_volume *volume, const double from[3],
                                  const double to[3]) {
  const ptrdiff_t *n = volume->grid.size;
  double way[3], enter = 0, leave = 1, sum = 0, border[3];
  ptrdiff_t at[3], step[3];
  for (int a = 0; a < 3; a++) {
    way[a] = to[a] - from[a];
    if (way[a] == 0) {
      if (!(from[a] > -0.5 && from[a] < (double)n[a] - 0.5)) return 0;
      continue;
    }
    double low = (-0.5 - from[a]) / way[a], high = ((double)n[a] - 0.5 - from[a]) / way[a];
    enter = fmax(enter, fmin(low, high));
    leave = fmin(leave, fmax(low, high));
  }
  for (int a = 0; a < 3; a++) {
    double x = floor(from[a] + enter * way[a] + 0.5);
    at[a] = (ptrdiff_t)fmin(fmax(x, 0), (double)n[a] - 1);
    step[a] = way[a] > 0 ? 1 : way[a] < 0 ? -1 : 0;
  }
  while (enter < leave) {
    int next = 0;
    for (int a = 0; a < 3; a++) {
      border[a] = step[a] ? ((double)at[a] + 0.5 * (double)step[a] - from[a]) / way[a] : INFINITY;
      if (border[a] < border[next]) next = a;
    }
    double end = fmin(border[next], leave);
    if (end > enter) {
      sum += (end - enter) * (double)volume->voxels[(at[2] * n[1] + at[1]) * n[0] + at[0]];
      enter = end;
    }
    at[next] += step[next];
    if (at[next] < 0 || at[next] >= n[next]) break;
  }
  return sum;
}

/* Where the ray of a detector place begins and ends, in mm from the isocenter; a parallel one is as
 * long as `reach_mm` to each side of the detector through the isocenter. */
static inline void box_rays_ends(const struct willis_view *view, double column, double row,
                                 double reach_mm, double from[3], double to[3]) {
  double d[3], u[3], v[3];
  const bool cone = view->kind == WILLIS_VIEW_CONE;
  willis_view_axes(view, d, u, v);
  const double right = (column - view->principal_column) * view->column_spacing_mm;
  const double up = (view->principal_row - row) * view->row_spacing_mm;
  for (int a = 0; a < 3; a++) {
    double beside = right * u[a] + up * v[a];
    double source = -view->source_to_isocenter_mm * d[a] + view->source_offset_mm[0] * u[a] +
                    view->source_offset_mm[1] * v[a];
    from[a] = cone ? source : beside - reach_mm * d[a];
    to[a] = cone ? source + view->source_to_detector_mm * d[a] + beside : beside + reach_mm * d[a];
  }
}

/* Fills the pixels of `stack`; each is the mean of `split` × `split` rays spread over it. */
static inline void box_rays_project(const struct willis_volume *volume,
                                    struct willis_projections *stack, int split) {
  const ptrdiff_t columns = stack->columns, lines = stack->rows * stack->view_count;
  double reach_mm = 0;
  for (int corner = 0; corner < 8; corner++) {
    double index[3], mm[3], square = 0;
    for (int a = 0; a < 3; a++)
      index[a] = corner >> a & 1 ? (double)volume->grid.size[a] - 0.5 : -0.5;
    willis_grid_to_world(&volume->grid, index, mm);
    for (int a = 0; a < 3; a++) square += pow(mm[a] - stack->isocenter_mm[a], 2);
    reach_mm = fmax(reach_mm, sqrt(square));
  }
#pragma omp parallel for schedule(dynamic, 8)
  for (ptrdiff_t line = 0; line < lines; line++) {
    const struct willis_view *view = stack->view + line / stack->rows;
    for (ptrdiff_t c = 0; c < columns; c++) {
      double sum = 0;
      for (int k = 0; k < split * split; k++) {
        const double column = (double)c + (k % split + 0.5) / split - 0.5;
        const double row = (double)(line % stack->rows) + (k / split + 0.5) / split - 0.5;
        double end[2][3], index[2][3], square = 0;
        box_rays_ends(view, column, row, reach_mm, end[0], end[1]);
        for (int a = 0; a < 3; a++) {
          square += pow(end[1][a] - end[0][a], 2);
          for (int e = 0; e < 2; e++) end[e][a] += stack->isocenter_mm[a];
        }
        for (int e = 0; e < 2; e++) willis_grid_to_index(&volume->grid, end[e], index[e]);
        sum += sqrt(square) * box_rays_sum(volume, index[0], index[1]);
      }
      stack->pixels[line * columns + c] = (float)(sum / (split * split));
    }
  }
}

#endif
