/* A parallel view in the index space of a cubic grid: affine maps both ways. */
#ifndef WILLIS_XRAY_VIEW_MAP_H
#define WILLIS_XRAY_VIEW_MAP_H

#include <willis/geometry.h>

/* Voxel (i,j,k) → detector: column = c[0]·i + c[1]·j + c[2]·k + c[3], likewise row and depth. Depth
 * counts voxels along the beam; the rotated cube is 0 ≤ depth ≤ n−1.
 * Pixel (column, row) and depth t → index = start + column·along_column + row·along_row +
 * t·along_ray.
 * A planar view turns about z and its rows are the slices of the grid, row r being k = n−1−r: the
 * paper's views. Then in-plane geometry is the same for every slice. */
struct willis_view_map {
  double column[4], row[4], depth[4];
  double start[3], along_column[3], along_row[3], along_ray[3];
  bool planar;
};

/* Coordinates this far outside a border count as on it: double rounding, and nothing more. */
#define WILLIS_BORDER 1e-9

void willis_view_map_init(struct willis_view_map *map, const struct willis_view *view,
                          const double isocenter_mm[3], ptrdiff_t columns, ptrdiff_t rows,
                          const struct willis_grid *grid);

/* The samples t = first … last of the ray of a pixel that lie inside an n³ grid, out of the n that
 * a rotated cube has; first > last when there are none. */
void willis_view_map_range(const struct willis_view_map *map, ptrdiff_t n, double column,
                           double row, ptrdiff_t *first, ptrdiff_t *last);

/* Linear interpolation among n values: x lies between `base` and base+1, `fraction` beyond base. */
static inline ptrdiff_t willis_base(double x, ptrdiff_t n, double *fraction) {
  ptrdiff_t base = (ptrdiff_t)x;
  if (base > n - 2) base = n - 2;
  if (base < 0) base = 0;
  *fraction = x - (double)base;
  return base;
}

static inline bool willis_within(double x, ptrdiff_t n) {
  return x >= -WILLIS_BORDER && x <= (double)(n - 1) + WILLIS_BORDER;
}

static inline double willis_affine(const double a[4], double i, double j, double k) {
  return a[0] * i + a[1] * j + a[2] * k + a[3];
}

#endif
