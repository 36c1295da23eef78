/* Resampling: what must not change, and SciPy's values. */
#include "../oracle/oracle.h"

#include <willis/volume.h>

#include "base/parallel.h"
#include "hashed.h"

#include <math.h>
#include <stdlib.h>

static struct willis_volume make(const struct willis_grid *grid, uint32_t salt) {
  struct willis_volume volume;
  assert_int_equal(willis_volume_create(&volume, grid, NULL), WILLIS_OK);
  for (ptrdiff_t i = 0; i < willis_grid_count(grid); i++)
    volume.voxels[i] = hashed_unit((uint32_t)i, salt);
  return volume;
}

static struct willis_volume resampled(const struct willis_volume *from,
                                      const struct willis_grid *grid) {
  struct willis_volume to;
  assert_int_equal(willis_volume_resample(from, grid, &to, NULL), WILLIS_OK);
  return to;
}

static void its_own_grid_changes_nothing(void **state) {
  (void)state;
  const double centre[3] = {0.1, -20.3, 77.7};
  struct willis_grid grid = willis_grid_cube(11, 0.37, centre);
  struct willis_volume from = make(&grid, 1), to = resampled(&from, &grid);
  assert_memory_equal(from.voxels, to.voxels, 11 * 11 * 11 * sizeof(float));
  willis_volume_release(&from);
  willis_volume_release(&to);
}

static void whole_factors_are_block_means(void **state) {
  (void)state;
  for (int factor = 2; factor <= 4; factor++) {
    struct willis_grid fine = willis_grid_cube(12, 1, NULL);
    struct willis_grid coarse = willis_grid_cube(12 / factor, factor, NULL);
    struct willis_volume from = make(&fine, 2), to = resampled(&from, &coarse);
    ptrdiff_t n = coarse.size[0];
    for (ptrdiff_t v = 0; v < n * n * n; v++) {
      double sum = 0;
      ptrdiff_t i = v % n * factor, j = v / n % n * factor, k = v / n / n * factor;
      for (int c = 0; c < factor; c++)
        for (int b = 0; b < factor; b++)
          for (int a = 0; a < factor; a++) sum += from.voxels[((k + c) * 12 + j + b) * 12 + i + a];
      assert_true(fabs(to.voxels[v] - sum / (factor * factor * factor)) < 1e-6);
    }
    willis_volume_release(&from);
    willis_volume_release(&to);
  }
}

static double plane(const double x[3]) {
  return 3 + 0.5 * x[0] - 0.25 * x[1] + 0.125 * x[2];
}

/* A linear function stays one wherever all samples lie between old voxel centres. */
static void linear_functions_stay(void **state) {
  (void)state;
  struct willis_grid old_grid = willis_grid_cube(20, 1, NULL);
  struct willis_volume from = make(&old_grid, 0);
  for (ptrdiff_t v = 0; v < 8000; v++) {
    double index[3] = {(double)(v % 20), (double)(v / 20 % 20), (double)(v / 400)}, world[3];
    willis_grid_to_world(&old_grid, index, world);
    from.voxels[v] = (float)plane(world);
  }
  const double spacing[] = {0.3, 0.9, 1.7, 3.2};
  for (int s = 0; s < 4; s++) {
    const double centre[3] = {0.3, -0.2, 0.1};
    ptrdiff_t n = (ptrdiff_t)(16 / spacing[s]);
    struct willis_grid grid = willis_grid_cube(n, spacing[s], centre);
    double turn = 0.1;
    if (s == 1) {
      grid.direction[0] = grid.direction[4] = cos(turn);
      grid.direction[3] = sin(turn);
      grid.direction[1] = -sin(turn);
    }
    struct willis_volume to = resampled(&from, &grid);
    for (ptrdiff_t v = 0; v < n * n * n; v++) {
      double index[3] = {(double)(v % n), (double)(v / n % n), (double)(v / n / n)}, world[3];
      willis_grid_to_world(&grid, index, world);
      assert_true(fabs(to.voxels[v] - plane(world)) < 1e-5);
    }
    willis_volume_release(&to);
  }
  willis_volume_release(&from);
}

static void outside_is_the_minimum(void **state) {
  (void)state;
  const double away[3] = {100, 0, 0};
  struct willis_grid grid = willis_grid_cube(5, 1, NULL), far = willis_grid_cube(3, 1, away);
  struct willis_volume from = make(&grid, 4), to;
  float low, high;
  for (int i = 0; i < 125; i++) from.voxels[i] -= 1000;
  willis_volume_range(&from, &low, &high);
  to = resampled(&from, &far);
  for (int i = 0; i < 27; i++) assert_true(to.voxels[i] == low);
  willis_volume_release(&to);
  willis_volume_release(&from);
}

static void equals_scipy(void **state) {
  (void)state;
  struct willis_grid old_grid = {.size = {9, 8, 7},
                                 .spacing_mm = {1.5, 1.2, 2},
                                 .origin_mm = {-3, 4, 5},
                                 .direction = {1, 0, 0, 0, 1, 0, 0, 0, 1}};
  struct willis_volume from = make(&old_grid, 3);
  struct oracle oracle = oracle_open("../oracle/volume_resample.txt");
  char word[64];
  int cases = 0;
  for (; oracle_word(&oracle, word); cases++) {
    struct willis_grid grid = {.size = {atol(word)}};
    grid.size[1] = (ptrdiff_t)oracle_number(&oracle);
    grid.size[2] = (ptrdiff_t)oracle_number(&oracle);
    for (int i = 0; i < 3; i++) grid.spacing_mm[i] = oracle_number(&oracle);
    for (int i = 0; i < 3; i++) grid.origin_mm[i] = oracle_number(&oracle);
    for (int i = 0; i < 9; i++) grid.direction[i] = oracle_number(&oracle);
    struct willis_volume to = resampled(&from, &grid);
    for (ptrdiff_t v = 0; v < willis_grid_count(&grid); v++) {
      double expected = oracle_number(&oracle);
      if (!(fabs(to.voxels[v] - expected) < 1e-6))
        fail_msg("case %d voxel %td: %.9g, expected %.9g", cases, v, (double)to.voxels[v],
                 expected);
    }
    willis_volume_release(&to);
  }
  assert_int_equal(cases, 3);
  oracle_close(&oracle);
  willis_volume_release(&from);
}

static void cubic_grids_cover(void **state) {
  (void)state;
  struct willis_grid grid = {.size = {10, 20, 30},
                             .spacing_mm = {2, 1, 0.5},
                             .origin_mm = {5, 6, 7},
                             .direction = {0, 1, 0, -1, 0, 0, 0, 0, 1}};
  struct willis_grid cubic;
  struct willis_error err;
  double centre[3], found[3];
  willis_grid_centre(&grid, centre);
  const struct {
    ptrdiff_t n;
    double spacing_mm;
    ptrdiff_t expected_n;
    double expected_mm;
  } wish[] = {{0, 0, 40, 0.5}, {10, 0, 10, 2}, {0, 3, 7, 3}, {16, 1.5, 16, 1.5}};
  for (int w = 0; w < 4; w++) {
    assert_int_equal(willis_grid_make_cubic(&grid, wish[w].n, wish[w].spacing_mm, &cubic, &err),
                     WILLIS_OK);
    assert_true(willis_grid_is_lps_cube(&cubic));
    assert_int_equal(cubic.size[0], wish[w].expected_n);
    assert_true(fabs(cubic.spacing_mm[1] - wish[w].expected_mm) < 1e-12);
    willis_grid_centre(&cubic, found);
    for (int axis = 0; axis < 3; axis++) assert_true(fabs(found[axis] - centre[axis]) < 1e-9);
  }
  assert_int_equal(willis_grid_make_cubic(&grid, -1, 0, &cubic, &err), WILLIS_INVALID_ARGUMENT);
  assert_int_equal(willis_grid_make_cubic(&grid, 0, NAN, &cubic, &err), WILLIS_INVALID_ARGUMENT);
  assert_int_equal(willis_grid_make_cubic(&grid, 0, 1e-9, &cubic, &err), WILLIS_INVALID_ARGUMENT);
}

static void threads_do_not_matter(void **state) {
  (void)state;
  struct willis_grid fine = willis_grid_cube(20, 1, NULL), coarse = willis_grid_cube(13, 1.6, NULL);
  struct willis_volume from = make(&fine, 6), first, other;
  willis_parallel_set_threads(1);
  first = resampled(&from, &coarse);
  for (int threads = 2; threads <= 8; threads++) {
    willis_parallel_set_threads(threads);
    other = resampled(&from, &coarse);
    assert_memory_equal(first.voxels, other.voxels, 13 * 13 * 13 * sizeof(float));
    willis_volume_release(&other);
  }
  willis_parallel_set_threads(0);
  willis_volume_release(&from);
  willis_volume_release(&first);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(its_own_grid_changes_nothing),
      cmocka_unit_test(whole_factors_are_block_means),
      cmocka_unit_test(linear_functions_stay),
      cmocka_unit_test(outside_is_the_minimum),
      cmocka_unit_test(equals_scipy),
      cmocka_unit_test(cubic_grids_cover),
      cmocka_unit_test(threads_do_not_matter),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
