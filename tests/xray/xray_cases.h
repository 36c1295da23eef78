/* Random volumes and stacks, inner products, and the three ways to run an operator. */
#ifndef TESTS_XRAY_CASES_H
#define TESTS_XRAY_CASES_H

#include <willis/projector.h>
#include <willis/willis.h>

#include "oracle/oracle.h"

#include "base/cpu.h"
#include "base/parallel.h"
#include "base/random.h"

#include <math.h>
#include <stdlib.h>

#define assert_ok(call) assert_ok_at(call, &err, #call)

static inline void assert_ok_at(enum willis_status status, const struct willis_error *err,
                                const char *call) {
  if (status) fail_msg("%s: %s", call, err->message);
}

static inline void assert_refused(enum willis_status status, enum willis_status expected,
                                  const struct willis_error *err, const char *words) {
  assert_int_equal(status, expected);
  if (!strstr(err->message, words)) fail_msg("'%s' not in '%s'", words, err->message);
}

static inline void fill_random(float *value, ptrdiff_t count, uint64_t seed) {
  for (ptrdiff_t i = 0; i < count; i++)
    value[i] = (float)willis_random_normal(seed, 0, (uint64_t)i);
}

static inline struct willis_volume random_volume(ptrdiff_t n, double spacing_mm, uint64_t seed) {
  static const double centre[3] = {12.5, -7.25, 103.75};
  struct willis_error err;
  struct willis_grid grid = willis_grid_cube(n, spacing_mm, centre);
  struct willis_volume volume;
  assert_ok(willis_volume_create(&volume, &grid, &err));
  fill_random(volume.voxels, n * n * n, seed);
  return volume;
}

static inline ptrdiff_t pixel_count(const struct willis_projections *stack) {
  return stack->columns * stack->rows * stack->view_count;
}

enum kind { PLANAR, WIDE, OBLIQUE, MIXED, KINDS };

/* Views about the volume's centre with random angles: as the volume's slices (PLANAR), with other
 * columns only (WIDE: still planar), of any direction and detector (OBLIQUE), or in turns. */
static inline struct willis_projections random_stack(const struct willis_volume *volume, int views,
                                                     enum kind kind, uint64_t seed) {
  struct willis_error err;
  struct willis_projections stack;
  ptrdiff_t n = volume->grid.size[0], columns = kind == PLANAR ? n : n + 5;
  assert_ok(willis_projections_create(&stack, columns, n, views, &err));
  willis_grid_centre(&volume->grid, stack.isocenter_mm);
  stack.mode = WILLIS_PROJECTION_SUM;
  for (int v = 0; v < views; v++) {
    struct willis_view *view = stack.view + v;
    *view = willis_view_parallel(360 * willis_random_uniform(seed, 1, (uint64_t)v) - 180,
                                 &volume->grid);
    view->principal_column = (double)(columns - 1) / 2;
    if (kind == WIDE) view->column_spacing_mm *= 0.83, view->principal_column -= 0.7;
    if (kind == OBLIQUE || (kind == MIXED && v % 2)) {
      view->secondary_angle_deg = 60 * willis_random_uniform(seed, 2, (uint64_t)v) - 30;
      view->row_spacing_mm *= 1.17;
      view->principal_row += 1.3;
    }
  }
  fill_random(stack.pixels, pixel_count(&stack), seed + 1);
  return stack;
}

static inline double inner(const float *a, const float *b, ptrdiff_t count) {
  double sum = 0;
  for (ptrdiff_t i = 0; i < count; i++) sum += (double)a[i] * (double)b[i];
  return sum;
}

static inline float *copy_of(const float *value, ptrdiff_t count) {
  float *copy = malloc((size_t)count * sizeof *copy);
  assert_non_null(copy);
  return memcpy(copy, value, (size_t)count * sizeof *copy);
}

static inline double largest_difference(const float *a, const float *b, ptrdiff_t count) {
  double most = 0;
  for (ptrdiff_t i = 0; i < count; i++) most = fmax(most, fabs((double)a[i] - (double)b[i]));
  return most;
}

static inline double value_range(const float *value, ptrdiff_t count) {
  double low = INFINITY, high = -INFINITY;
  for (ptrdiff_t i = 0; i < count; i++) {
    low = fmin(low, (double)value[i]);
    high = fmax(high, (double)value[i]);
  }
  return high - low;
}

#endif
