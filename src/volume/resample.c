/* Onto another grid: trilinear samples, and where the new voxels are larger, their mean over the
 * new voxel (a box prefilter, so that nothing falls between samples). For whole factors on aligned
 * grids the samples are the old voxel centres and the mean is the block mean, exactly. */
#include <willis/volume.h>

#include "base/error.h"
#include "volume/axes.h"

#include <math.h>

/* A voxel reaches half a step beyond its centre: that far the border value holds (so a constant
 * stays constant); further out is outside. */
static const double HALF_VOXEL = 0.5 + 1e-9;
static const double MOST_EDGE = 1 << 20; /* of a cubic grid made from a spacing */
enum { MOST_SAMPLES = 64 };              /* along one axis of a new voxel */

struct sampler {
  const float *voxels;
  const ptrdiff_t *size;
  double outside;
  /* Old index = first + step·(i,j,k) of the new grid; step[3·row + column]. */
  double first[3], step[9];
  int samples[3];
};

static double sample(const struct sampler *s, const double index[3]) {
  ptrdiff_t low[3], high[3];
  double part[3];
  for (int axis = 0; axis < 3; axis++) {
    double last = (double)(s->size[axis] - 1), x = index[axis];
    if (x < -HALF_VOXEL || x > last + HALF_VOXEL) return s->outside;
    x = x < 0 ? 0 : x > last ? last : x;
    low[axis] = (ptrdiff_t)x;
    high[axis] = low[axis] + (low[axis] < s->size[axis] - 1);
    part[axis] = x - (double)low[axis];
  }
  double plane[2];
  for (int c = 0; c < 2; c++) {
    double row[2];
    for (int b = 0; b < 2; b++) {
      ptrdiff_t k = c ? high[2] : low[2], j = b ? high[1] : low[1];
      const float *v = s->voxels + (k * s->size[1] + j) * s->size[0];
      row[b] = v[low[0]] + part[0] * (v[high[0]] - (double)v[low[0]]);
    }
    plane[c] = row[0] + part[1] * (row[1] - row[0]);
  }
  return plane[0] + part[2] * (plane[1] - plane[0]);
}

static float voxel_mean(const struct sampler *s, ptrdiff_t i, ptrdiff_t j, ptrdiff_t k) {
  const int *m = s->samples;
  double sum = 0;
  for (int c = 0; c < m[2]; c++)
    for (int b = 0; b < m[1]; b++)
      for (int a = 0; a < m[0]; a++) {
        double at[3] = {(double)i + (a + 0.5) / m[0] - 0.5, (double)j + (b + 0.5) / m[1] - 0.5,
                        (double)k + (c + 0.5) / m[2] - 0.5};
        double index[3];
        for (int row = 0; row < 3; row++) {
          const double *step = s->step + 3 * row;
          index[row] = s->first[row] + (step[0] * at[0] + step[1] * at[1] + step[2] * at[2]);
        }
        sum += sample(s, index);
      }
  return (float)(sum / ((double)m[0] * m[1] * m[2]));
}

/* An index within 1e-9 of a whole number is that number: a grid resampled onto itself stays. */
static double whole(double x) {
  double nearest = nearbyint(x);
  return fabs(x - nearest) < 1e-9 ? nearest : x;
}

static struct sampler make_sampler(const struct willis_volume *from,
                                   const struct willis_grid *grid) {
  struct sampler s = {.voxels = from->voxels, .size = from->grid.size};
  float low, high;
  willis_volume_range(from, &low, &high);
  s.outside = low;
  willis_grid_to_index(&from->grid, grid->origin_mm, s.first);
  for (int column = 0; column < 3; column++) {
    double index[3] = {column == 0, column == 1, column == 2}, length = 0;
    willis_grid_to_world(grid, index, index);
    willis_grid_to_index(&from->grid, index, index);
    for (int row = 0; row < 3; row++) {
      s.step[3 * row + column] = whole(index[row] - s.first[row]);
      length += s.step[3 * row + column] * s.step[3 * row + column];
    }
    /* Old voxels along one new voxel. */
    double wanted = ceil(sqrt(length) - 1e-6);
    s.samples[column] = wanted < 1 ? 1 : wanted > MOST_SAMPLES ? MOST_SAMPLES : (int)wanted;
  }
  for (int row = 0; row < 3; row++) s.first[row] = whole(s.first[row]);
  return s;
}

enum willis_status willis_volume_resample(const struct willis_volume *from,
                                          const struct willis_grid *grid, struct willis_volume *to,
                                          struct willis_error *err) {
  struct willis_volume made;
  enum willis_status status = willis_grid_check(&from->grid, "volume", err);
  if (status) return status;
  status = willis_volume_create(&made, grid, err);
  if (status) return status;
  struct sampler s = make_sampler(from, grid);
#pragma omp parallel for schedule(dynamic, 1)
  for (ptrdiff_t k = 0; k < grid->size[2]; k++)
    for (ptrdiff_t j = 0; j < grid->size[1]; j++) {
      float *row = made.voxels + (k * grid->size[1] + j) * grid->size[0];
      for (ptrdiff_t i = 0; i < grid->size[0]; i++) row[i] = voxel_mean(&s, i, j, k);
    }
  *to = made;
  return WILLIS_OK;
}

enum willis_status willis_grid_make_cubic(const struct willis_grid *grid, ptrdiff_t n,
                                          double spacing_mm, struct willis_grid *cubic,
                                          struct willis_error *err) {
  enum willis_status status = willis_grid_check(grid, "volume", err);
  if (status) return status;
  if (n < 0 || !(spacing_mm >= 0) || !isfinite(spacing_mm))
    return willis_fail(err, WILLIS_INVALID_ARGUMENT,
                       "size %td and spacing %g mm, expected positive numbers or 0", n, spacing_mm);
  struct willis_axes axes = willis_axes_nearest_lps(grid);
  struct willis_grid made = willis_grid_turned(grid, &axes);
  double edge_mm = 0, smallest_mm = made.spacing_mm[0], centre[3], to_corner[3];
  for (int axis = 0; axis < 3; axis++) {
    edge_mm = fmax(edge_mm, (double)made.size[axis] * made.spacing_mm[axis]);
    smallest_mm = fmin(smallest_mm, made.spacing_mm[axis]);
  }
  if (n == 0) {
    if (spacing_mm == 0) spacing_mm = smallest_mm;
    double wanted = ceil(edge_mm / spacing_mm - 1e-6);
    if (!(wanted <= MOST_EDGE))
      return willis_fail(err, WILLIS_INVALID_ARGUMENT,
                         "spacing %g mm over %g mm makes %g voxels an edge, expected at most %g",
                         spacing_mm, edge_mm, wanted, MOST_EDGE);
    n = wanted < 1 ? 1 : (ptrdiff_t)wanted;
  }
  if (spacing_mm == 0) spacing_mm = edge_mm / (double)n;

  willis_grid_centre(&made, centre);
  for (int axis = 0; axis < 3; axis++) {
    made.size[axis] = n;
    made.spacing_mm[axis] = spacing_mm;
    made.origin_mm[axis] = 0;
  }
  willis_grid_centre(&made, to_corner);
  for (int axis = 0; axis < 3; axis++) made.origin_mm[axis] = centre[axis] - to_corner[axis];
  status = willis_grid_check(&made, "cubic grid", err);
  if (!status) *cubic = made;
  return status;
}
