/* From millimetres to index space.
 *
 * With u, v, d the axes of the view (geometry.h), w = −d the direction of depth and everything in
 * voxels: column = c0 + u·(X − iso)/p, row = r0 − v·(X − iso)/q, depth = (n−1)/2 + w·(X − centre),
 * p and q being the pixel's size. For β = 0 this is SciPy's rotate() of M4 and M5, whose output
 * index is (column, depth). */
#include "xray/view_map.h"

#include <math.h>
#include <string.h>

/* Differences this small (in voxels, at the edge of the image) are what float32 headers leave of
 * equal numbers; grids that differ by less are the same grid (willis_grid_equal). */
static const double same = 1e-3;

static double snap(double value, double target, double tolerance) {
  return fabs(value - target) <= tolerance ? target : value;
}

static double dot(const double a[3], const double b[3]) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

static void set_affine(double map[4], const double axis[3], double scale, double offset) {
  for (int a = 0; a < 3; a++) map[a] = axis[a] * scale;
  map[3] = offset;
}

void willis_view_map_init(struct willis_view_map *map, const struct willis_view *view,
                          const double isocenter_mm[3], ptrdiff_t columns, ptrdiff_t rows,
                          const struct willis_grid *grid) {
  ptrdiff_t n = grid->size[0];
  double half = (double)(n - 1) / 2, centre[3] = {half, half, half}, iso[3];
  willis_grid_to_index(grid, isocenter_mm, iso);
  for (int a = 0; a < 3; a++) iso[a] = snap(iso[a], half, same);

  double spacing = grid->spacing_mm[0];
  double p = snap(view->column_spacing_mm / spacing, 1, same / (double)columns);
  double q = snap(view->row_spacing_mm / spacing, 1, same / (double)rows);
  double c0 = snap(view->principal_column, (double)(columns - 1) / 2, same);
  double r0 = snap(view->principal_row, (double)(rows - 1) / 2, same);

  double d[3], u[3], v[3], w[3], from_iso[3];
  willis_view_axes(view, d, u, v);
  for (int a = 0; a < 3; a++) w[a] = -d[a], from_iso[a] = centre[a] - iso[a];

  set_affine(map->column, u, 1 / p, c0 - dot(u, iso) / p);
  set_affine(map->row, v, -1 / q, r0 + dot(v, iso) / q);
  set_affine(map->depth, w, 1, half - dot(w, centre));

  double middle = dot(w, from_iso) - half; /* depth of the isocenter's plane, at t = 0 */
  for (int a = 0; a < 3; a++) {
    map->along_column[a] = p * u[a];
    map->along_row[a] = -q * v[a];
    map->along_ray[a] = w[a];
    map->start[a] = iso[a] - c0 * p * u[a] + r0 * q * v[a] + middle * w[a];
  }
  map->planar = d[2] == 0 && v[2] == 1 && rows == n && q == 1 && r0 == half && iso[2] == half;
}

static bool inside(const double p[3], const double w[3], double t, ptrdiff_t n) {
  for (int a = 0; a < 3; a++)
    if (!willis_within(p[a] + t * w[a], n)) return false;
  return true;
}

void willis_view_map_range(const struct willis_view_map *map, ptrdiff_t n, double column,
                           double row, ptrdiff_t *first, ptrdiff_t *last) {
  double p[3], low = 0, high = (double)(n - 1);
  for (int a = 0; a < 3; a++) {
    double w = map->along_ray[a];
    p[a] = map->start[a] + column * map->along_column[a] + row * map->along_row[a];
    if (w == 0) continue;
    double t0 = -p[a] / w, t1 = ((double)(n - 1) - p[a]) / w;
    low = fmax(low, fmin(t0, t1));
    high = fmin(high, fmax(t0, t1));
  }
  /* The bounds are right but for rounding: the test itself decides about the samples next to them.
   */
  ptrdiff_t begin = (ptrdiff_t)fmin(fmax(ceil(low) - 1, 0), (double)n);
  ptrdiff_t end = (ptrdiff_t)fmax(fmin(floor(high) + 1, (double)(n - 1)), -1);
  while (begin <= end && !inside(p, map->along_ray, (double)begin, n)) begin++;
  while (begin <= end && !inside(p, map->along_ray, (double)end, n)) end--;
  *first = begin;
  *last = end;
}
