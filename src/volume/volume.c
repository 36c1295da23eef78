/* Grids in patient space, the life of volumes, meshes and trees, and what is done voxel by voxel.
 */
#include <willis/volume.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/parallel.h"
#include "volume/axes.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum {
  CHUNK = 1 << 16, /* voxels a thread takes at once */
  PIECES = 64      /* of a reduction; fixed, so that results don't depend on threads */
};
static const double SAME_PLACE_VOXELS = 1e-3;
static const double ORTHONORMAL_TOLERANCE = 1e-4;
static const double OBLIQUE_COSINE = 0.9999; /* of an axis with its LPS axis; 0.8 degrees */

struct willis_grid willis_grid_cube(ptrdiff_t n, double spacing_mm, const double centre_mm[3]) {
  struct willis_grid grid = {.direction = {1, 0, 0, 0, 1, 0, 0, 0, 1}};
  for (int axis = 0; axis < 3; axis++) {
    grid.size[axis] = n;
    grid.spacing_mm[axis] = spacing_mm;
    grid.origin_mm[axis] = (centre_mm ? centre_mm[axis] : 0) - 0.5 * (double)(n - 1) * spacing_mm;
  }
  return grid;
}

ptrdiff_t willis_grid_count(const struct willis_grid *grid) {
  ptrdiff_t plane, count;
  for (int axis = 0; axis < 3; axis++)
    if (grid->size[axis] <= 0) return 0;
  if (!willis_multiply(grid->size[0], grid->size[1], &plane)) return 0;
  if (!willis_multiply(plane, grid->size[2], &count)) return 0;
  return count;
}

static double column_product(const double m[9], int a, int b) {
  return m[a] * m[b] + m[3 + a] * m[3 + b] + m[6 + a] * m[6 + b];
}

enum willis_status willis_grid_check(const struct willis_grid *grid, const char *what,
                                     struct willis_error *err) {
  if (willis_grid_count(grid) == 0)
    return willis_fail(err, WILLIS_GEOMETRY, "%s: size %td x %td x %td, expected positive sizes",
                       what, grid->size[0], grid->size[1], grid->size[2]);
  for (int axis = 0; axis < 3; axis++) {
    if (!(grid->spacing_mm[axis] > 0) || !isfinite(grid->spacing_mm[axis]))
      return willis_fail(err, WILLIS_GEOMETRY,
                         "%s: spacing %g mm on axis %d, expected a positive number", what,
                         grid->spacing_mm[axis], axis);
    if (!isfinite(grid->origin_mm[axis]))
      return willis_fail(err, WILLIS_GEOMETRY, "%s: origin on axis %d is not a finite number", what,
                         axis);
  }
  for (int a = 0; a < 3; a++)
    for (int b = a; b < 3; b++) {
      double product = column_product(grid->direction, a, b);
      if (!(fabs(product - (a == b)) <= ORTHONORMAL_TOLERANCE))
        return willis_fail(err, WILLIS_GEOMETRY,
                           "%s: directions of axes %d and %d have inner product %g, expected %d "
                           "(orthonormal axes)",
                           what, a, b, product, a == b);
    }
  return WILLIS_OK;
}

/* Both grids are affine, so the voxels that differ most are corners. */
bool willis_grid_equal(const struct willis_grid *a, const struct willis_grid *b) {
  if (memcmp(a->size, b->size, sizeof a->size) != 0) return false;
  for (int corner = 0; corner < 8; corner++) {
    double index[3], world_mm[3], there[3];
    for (int axis = 0; axis < 3; axis++)
      index[axis] = (corner >> axis & 1) ? (double)(a->size[axis] - 1) : 0;
    willis_grid_to_world(a, index, world_mm);
    willis_grid_to_index(b, world_mm, there);
    for (int axis = 0; axis < 3; axis++)
      if (!(fabs(there[axis] - index[axis]) <= SAME_PLACE_VOXELS)) return false;
  }
  return true;
}

bool willis_grid_is_lps_cube(const struct willis_grid *grid) {
  double centre[3];
  willis_grid_centre(grid, centre);
  struct willis_grid cube = willis_grid_cube(grid->size[0], grid->spacing_mm[0], centre);
  return willis_grid_equal(grid, &cube);
}

void willis_grid_to_world(const struct willis_grid *grid, const double index[3],
                          double world_mm[3]) {
  double step[3], world[3];
  for (int axis = 0; axis < 3; axis++) step[axis] = grid->spacing_mm[axis] * index[axis];
  for (int row = 0; row < 3; row++) {
    const double *d = grid->direction + 3 * row;
    world[row] = grid->origin_mm[row] + (d[0] * step[0] + d[1] * step[1] + d[2] * step[2]);
  }
  memcpy(world_mm, world, sizeof world);
}

/* The transpose inverts an orthonormal matrix. */
void willis_grid_to_index(const struct willis_grid *grid, const double world_mm[3],
                          double index[3]) {
  double from[3];
  for (int row = 0; row < 3; row++) from[row] = world_mm[row] - grid->origin_mm[row];
  for (int axis = 0; axis < 3; axis++) {
    const double *d = grid->direction + axis;
    index[axis] = (d[0] * from[0] + d[3] * from[1] + d[6] * from[2]) / grid->spacing_mm[axis];
  }
}

void willis_grid_centre(const struct willis_grid *grid, double world_mm[3]) {
  double middle[3];
  for (int axis = 0; axis < 3; axis++) middle[axis] = 0.5 * (double)(grid->size[axis] - 1);
  willis_grid_to_world(grid, middle, world_mm);
}

enum willis_status willis_volume_create(struct willis_volume *volume,
                                        const struct willis_grid *grid, struct willis_error *err) {
  *volume = (struct willis_volume){0};
  enum willis_status status = willis_grid_check(grid, "volume", err);
  if (status) return status;
  ptrdiff_t count = willis_grid_count(grid);
  volume->voxels = willis_take_zeroed(count, sizeof *volume->voxels);
  if (!volume->voxels) return willis_fail_memory(err, "a volume", count, sizeof *volume->voxels);
  volume->grid = *grid;
  return WILLIS_OK;
}

void willis_volume_release(struct willis_volume *volume) {
  willis_release(volume->voxels);
  *volume = (struct willis_volume){0};
}

void willis_mesh_release(struct willis_mesh *mesh) {
  willis_release(mesh->vertex);
  willis_release(mesh->triangle);
  *mesh = (struct willis_mesh){0};
}

void willis_tree_release(struct willis_tree *tree) {
  willis_release(tree->node);
  *tree = (struct willis_tree){0};
}

static void count_not_finite(ptrdiff_t begin, ptrdiff_t end, double *sum, void *context) {
  const float *voxels = context;
  int bad = 0;
  for (ptrdiff_t i = begin; i < end; i++) bad |= !(fabsf(voxels[i]) <= FLT_MAX);
  sum[0] = bad;
}

enum willis_status willis_volume_check_finite(const struct willis_volume *volume, const char *what,
                                              struct willis_error *err) {
  double bad;
  ptrdiff_t count = willis_grid_count(&volume->grid), i = 0;
  willis_parallel_sum(count, CHUNK, 1, count_not_finite, volume->voxels, &bad);
  if (bad == 0) return WILLIS_OK;
  while (fabsf(volume->voxels[i]) <= FLT_MAX) i++;
  const ptrdiff_t *n = volume->grid.size;
  return willis_fail(err, WILLIS_NUMERIC, "%s: voxel (%td,%td,%td) is %g, expected finite values",
                     what, i % n[0], i / n[0] % n[1], i / n[0] / n[1], (double)volume->voxels[i]);
}

void willis_volume_range(const struct willis_volume *volume, float *minimum, float *maximum) {
  float least[PIECES], most[PIECES];
  ptrdiff_t count = willis_grid_count(&volume->grid);
#pragma omp parallel for schedule(static)
  for (int piece = 0; piece < PIECES; piece++) {
    ptrdiff_t begin = count / PIECES * piece;
    ptrdiff_t end = piece == PIECES - 1 ? count : begin + count / PIECES;
    float low = volume->voxels[0], high = low;
#pragma omp simd reduction(min : low) reduction(max : high)
    for (ptrdiff_t i = begin; i < end; i++) {
      float v = volume->voxels[i];
      low = v < low ? v : low;
      high = v > high ? v : high;
    }
    least[piece] = low;
    most[piece] = high;
  }
  *minimum = least[0];
  *maximum = most[0];
  for (int piece = 1; piece < PIECES; piece++) {
    if (least[piece] < *minimum) *minimum = least[piece];
    if (most[piece] > *maximum) *maximum = most[piece];
  }
}

struct affine {
  float *voxels;
  double low, width;
};

static void to_unit(ptrdiff_t begin, ptrdiff_t end, void *context) {
  const struct affine *map = context;
  for (ptrdiff_t i = begin; i < end; i++)
    map->voxels[i] = (float)((map->voxels[i] - map->low) / map->width);
}

void willis_values_normalize(ptrdiff_t count, float *value, float minimum, float maximum) {
  /* A constant volume has width 0; 1 makes it 0 without a branch a voxel. */
  struct affine map = {value, minimum, maximum > minimum ? (double)maximum - minimum : 1};
  willis_parallel_for(count, CHUNK, to_unit, &map);
}

void willis_volume_normalize(struct willis_volume *volume) {
  float low, high;
  willis_volume_range(volume, &low, &high);
  volume->integral = false;
  willis_values_normalize(willis_grid_count(&volume->grid), volume->voxels, low, high);
}

/* The permutation with the largest sum of absolute cosines; ties (45 degrees) go to the first. */
struct willis_axes willis_axes_nearest_lps(const struct willis_grid *grid) {
  static const int order[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
  struct willis_axes axes = {0};
  double best = -1;
  for (int o = 0; o < 6; o++) {
    double sum = 0;
    for (int w = 0; w < 3; w++) sum += fabs(grid->direction[3 * w + order[o][w]]);
    if (sum > best + 1e-9) {
      best = sum;
      memcpy(axes.axis, order[o], sizeof axes.axis);
    }
  }
  for (int w = 0; w < 3; w++) {
    double cosine = grid->direction[3 * w + axes.axis[w]];
    axes.flip[w] = cosine < 0;
    axes.oblique |= fabs(cosine) < OBLIQUE_COSINE;
  }
  return axes;
}

struct willis_grid willis_grid_turned(const struct willis_grid *grid,
                                      const struct willis_axes *axes) {
  struct willis_grid turned = {0};
  double first[3] = {0};
  for (int w = 0; w < 3; w++) {
    int axis = axes->axis[w];
    turned.size[w] = grid->size[axis];
    turned.spacing_mm[w] = grid->spacing_mm[axis];
    for (int row = 0; row < 3; row++) {
      double d = grid->direction[3 * row + axis];
      turned.direction[3 * row + w] = axes->flip[w] ? 0 - d : d;
    }
    if (axes->flip[w]) first[axis] = (double)(grid->size[axis] - 1);
  }
  willis_grid_to_world(grid, first, turned.origin_mm);
  return turned;
}

enum willis_status willis_volume_orient_lps(struct willis_volume *volume,
                                            const struct willis_warnings *warnings,
                                            struct willis_error *err) {
  struct willis_grid *grid = &volume->grid;
  enum willis_status status = willis_grid_check(grid, "volume", err);
  if (status) return status;
  struct willis_axes axes = willis_axes_nearest_lps(grid);
  const ptrdiff_t stride[3] = {1, grid->size[0], grid->size[0] * grid->size[1]};
  ptrdiff_t step[3], start = 0;
  bool still = true;
  for (int w = 0; w < 3; w++) {
    ptrdiff_t along = stride[axes.axis[w]];
    still &= axes.axis[w] == w && !axes.flip[w];
    step[w] = axes.flip[w] ? -along : along;
    if (axes.flip[w]) start += along * (grid->size[axes.axis[w]] - 1);
  }
  if (axes.oblique)
    willis_warn(warnings, "oblique volume: its own axes nearest LPS are kept, not resampled");
  if (still) return WILLIS_OK;

  struct willis_grid turned = willis_grid_turned(grid, &axes);
  const ptrdiff_t *n = turned.size;
  ptrdiff_t count = willis_grid_count(&turned);
  float *voxels = willis_take(count, sizeof *voxels);
  if (!voxels) return willis_fail_memory(err, "a turned volume", count, sizeof *voxels);
#pragma omp parallel for schedule(static)
  for (ptrdiff_t k = 0; k < n[2]; k++)
    for (ptrdiff_t j = 0; j < n[1]; j++) {
      const float *from = volume->voxels + start + k * step[2] + j * step[1];
      float *to = voxels + (k * n[1] + j) * n[0];
      for (ptrdiff_t i = 0; i < n[0]; i++) to[i] = from[i * step[0]];
    }
  willis_release(volume->voxels);
  volume->voxels = voxels;
  *grid = turned;
  return WILLIS_OK;
}

struct comparison {
  const float *from;
  float *to;
  double threshold;
  bool inclusive;
};

static void compare(ptrdiff_t begin, ptrdiff_t end, void *context) {
  const struct comparison *c = context;
  if (c->inclusive)
    for (ptrdiff_t i = begin; i < end; i++) c->to[i] = c->from[i] >= c->threshold ? 1 : 0;
  else
    for (ptrdiff_t i = begin; i < end; i++) c->to[i] = c->from[i] > c->threshold ? 1 : 0;
}

enum willis_status willis_volume_threshold(const struct willis_volume *volume, double threshold,
                                           bool inclusive, struct willis_volume *mask,
                                           struct willis_error *err) {
  struct willis_volume made;
  enum willis_status status = willis_volume_create(&made, &volume->grid, err);
  if (status) return status;
  struct comparison c = {volume->voxels, made.voxels, threshold, inclusive};
  willis_parallel_for(willis_grid_count(&volume->grid), CHUNK, compare, &c);
  made.integral = true;
  *mask = made;
  return WILLIS_OK;
}
