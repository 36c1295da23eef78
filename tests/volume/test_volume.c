/* Grids, their places in the world, and what is done voxel by voxel. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <willis/volume.h>

#include "base/parallel.h"
#include "failing_allocator.h"
#include "hashed.h"

#include <math.h>
#include <string.h>

/* A turn by 30 degrees about z and 20 about x. */
static struct willis_grid oblique_grid(void) {
  double a = M_PI / 6, b = M_PI / 9;
  struct willis_grid grid = {
      .size = {4, 5, 6}, .spacing_mm = {0.7, 1.1, 2}, .origin_mm = {3, -4, 5}};
  double d[9] = {cos(a), -sin(a) * cos(b), sin(a) * sin(b),
                 sin(a), cos(a) * cos(b),  -cos(a) * sin(b),
                 0,      sin(b),           cos(b)};
  memcpy(grid.direction, d, sizeof d);
  return grid;
}

static void index_to_world_and_back(void **state) {
  (void)state;
  struct willis_grid grid = oblique_grid();
  const double index[3] = {1.5, -2, 7.25};
  double world[3], back[3];
  willis_grid_to_world(&grid, index, world);
  willis_grid_to_index(&grid, world, back);
  for (int axis = 0; axis < 3; axis++) assert_true(fabs(back[axis] - index[axis]) < 1e-12);
  willis_grid_to_world(&grid, (const double[3]){0, 0, 1}, world);
  /* One step of k is 2 mm along the third column. */
  for (int row = 0; row < 3; row++)
    assert_true(fabs(world[row] - grid.origin_mm[row] - 2 * grid.direction[3 * row + 2]) < 1e-12);
}

static void a_cube_is_centred(void **state) {
  (void)state;
  const double centre[3] = {1, 2, 3};
  double found[3];
  struct willis_grid even = willis_grid_cube(4, 0.5, centre), odd = willis_grid_cube(5, 2, NULL);
  willis_grid_centre(&even, found);
  for (int axis = 0; axis < 3; axis++) assert_true(fabs(found[axis] - centre[axis]) < 1e-12);
  assert_true(even.origin_mm[0] == 1 - 0.75);
  assert_true(odd.origin_mm[2] == -4);
  assert_true(willis_grid_is_lps_cube(&even));
  assert_true(willis_grid_is_lps_cube(&odd));
}

static void equal_means_the_same_places(void **state) {
  (void)state;
  struct willis_grid a = willis_grid_cube(100, 1, NULL), b = a;
  b.spacing_mm[0] += 5e-6; /* 0.0005 voxels at the far end */
  assert_true(willis_grid_equal(&a, &b));
  b.spacing_mm[0] += 2e-5;
  assert_false(willis_grid_equal(&a, &b));
  b = a;
  b.origin_mm[1] += 0.002;
  assert_false(willis_grid_equal(&a, &b));
  b = a;
  b.size[2]++;
  assert_false(willis_grid_equal(&a, &b));
  b = a;
  b.direction[0] = -1;
  assert_false(willis_grid_equal(&a, &b));
  assert_false(willis_grid_is_lps_cube(&b));
}

static void bad_grids_are_refused_by_name(void **state) {
  (void)state;
  struct willis_volume volume;
  struct willis_error err;
  const struct {
    ptrdiff_t size;
    double spacing, origin, direction;
    const char *part;
  } bad[] = {{0, 1, 0, 1, "size"},
             {-3, 1, 0, 1, "size"},
             {4, 0, 0, 1, "spacing"},
             {4, -1, 0, 1, "spacing"},
             {4, NAN, 0, 1, "spacing"},
             {4, INFINITY, 0, 1, "spacing"},
             {4, 1, NAN, 1, "origin"},
             {4, 1, INFINITY, 1, "origin"},
             {4, 1, 0, 0.5, "orthonormal"},
             {4, 1, 0, NAN, "orthonormal"},
             {(ptrdiff_t)1 << 40, 1, 0, 1, "size"}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    struct willis_grid grid = willis_grid_cube(bad[i].size, 1, NULL);
    grid.spacing_mm[1] = bad[i].spacing;
    grid.origin_mm[1] = bad[i].origin;
    grid.direction[4] = bad[i].direction;
    assert_int_equal(willis_volume_create(&volume, &grid, &err), WILLIS_GEOMETRY);
    assert_non_null(strstr(err.message, bad[i].part));
    assert_null(volume.voxels);
  }
  struct willis_grid huge = willis_grid_cube((ptrdiff_t)1 << 21, 1, NULL);
  huge.size[2] /= 2; /* 2^62 voxels; their bytes don't fit */
  assert_int_equal(willis_volume_create(&volume, &huge, &err), WILLIS_OUT_OF_MEMORY);
}

/* Every voxel stays where it is in the world, whatever the order and sense of the axes. */
static void orienting_moves_no_voxel(void **state) {
  (void)state;
  const int order[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
  for (int o = 0; o < 6; o++)
    for (int flips = 0; flips < 8; flips++) {
      struct willis_grid grid = {
          .size = {3, 4, 5}, .spacing_mm = {1, 2, 3}, .origin_mm = {10, 20, 30}};
      for (int axis = 0; axis < 3; axis++)
        grid.direction[3 * order[o][axis] + axis] = flips >> axis & 1 ? -1 : 1;
      struct willis_volume volume, before;
      assert_int_equal(willis_volume_create(&volume, &grid, NULL), WILLIS_OK);
      assert_int_equal(willis_volume_create(&before, &grid, NULL), WILLIS_OK);
      for (int i = 0; i < 60; i++) volume.voxels[i] = before.voxels[i] = (float)i;
      assert_int_equal(willis_volume_orient_lps(&volume, NULL, NULL), WILLIS_OK);
      for (int i = 0; i < 60; i++) {
        const ptrdiff_t *n = volume.grid.size;
        double index[3] = {(double)(i % n[0]), (double)(i / n[0] % n[1]),
                           (double)(i / n[0] / n[1])};
        double world[3], there[3];
        willis_grid_to_world(&volume.grid, index, world);
        willis_grid_to_index(&before.grid, world, there);
        for (int axis = 0; axis < 3; axis++)
          assert_true(fabs(there[axis] - nearbyint(there[axis])) < 1e-9);
        ptrdiff_t at = (lrint(there[2]) * 4 + lrint(there[1])) * 3 + lrint(there[0]);
        assert_true(before.voxels[at] == volume.voxels[i]);
      }
      for (int d = 0; d < 9; d++) assert_true(volume.grid.direction[d] == (d % 4 == 0));
      willis_volume_release(&volume);
      willis_volume_release(&before);
    }
}

static void count_warning(const char *message, void *context) {
  assert_non_null(strstr(message, "oblique"));
  ++*(int *)context;
}

static void an_oblique_volume_keeps_its_axes(void **state) {
  (void)state;
  int warned = 0;
  struct willis_warnings warnings = {count_warning, &warned};
  struct willis_grid grid = oblique_grid();
  struct willis_volume volume;
  assert_int_equal(willis_volume_create(&volume, &grid, NULL), WILLIS_OK);
  assert_int_equal(willis_volume_orient_lps(&volume, &warnings, NULL), WILLIS_OK);
  assert_int_equal(warned, 1);
  assert_true(willis_grid_equal(&volume.grid, &grid));
  willis_volume_release(&volume);
}

static struct willis_volume random_volume(ptrdiff_t n) {
  struct willis_volume volume;
  struct willis_grid grid = willis_grid_cube(n, 1, NULL);
  assert_int_equal(willis_volume_create(&volume, &grid, NULL), WILLIS_OK);
  for (ptrdiff_t i = 0; i < n * n * n; i++) volume.voxels[i] = 7 * hashed_unit((uint32_t)i, 5) - 3;
  return volume;
}

static void normalizing_reaches_zero_and_one(void **state) {
  (void)state;
  struct willis_volume volume = random_volume(41);
  float low, high;
  float first = volume.voxels[1], second = volume.voxels[2];
  willis_volume_range(&volume, &low, &high);
  willis_volume_normalize(&volume);
  assert_true(fabsf((volume.voxels[2] - volume.voxels[1]) * (high - low) - (second - first)) <
              1e-5f);
  willis_volume_range(&volume, &low, &high);
  assert_true(low == 0 && high == 1);
  for (int i = 0; i < 41 * 41 * 41; i++) volume.voxels[i] = -12.5f;
  willis_volume_normalize(&volume);
  willis_volume_range(&volume, &low, &high);
  assert_true(low == 0 && high == 0);
  willis_volume_release(&volume);
}

static void what_is_not_finite_is_found(void **state) {
  (void)state;
  const float bad[3] = {NAN, INFINITY, -INFINITY};
  struct willis_error err;
  struct willis_volume volume = random_volume(50);
  assert_int_equal(willis_volume_check_finite(&volume, "x", &err), WILLIS_OK);
  for (int b = 0; b < 3; b++) {
    volume.voxels[(49 * 50 + 48) * 50 + 47] = bad[b];
    assert_int_equal(willis_volume_check_finite(&volume, "this file", &err), WILLIS_NUMERIC);
    assert_non_null(strstr(err.message, "this file: voxel (47,48,49)"));
  }
  willis_volume_release(&volume);
}

static void thresholds_are_strict_or_not(void **state) {
  (void)state;
  struct willis_volume mask, volume = random_volume(3);
  volume.voxels[4] = 1.5f;
  for (int inclusive = 0; inclusive < 2; inclusive++) {
    assert_int_equal(willis_volume_threshold(&volume, 1.5, inclusive, &mask, NULL), WILLIS_OK);
    for (int i = 0; i < 27; i++) {
      bool expected = i == 4 ? inclusive : volume.voxels[i] > 1.5f;
      assert_true(mask.voxels[i] == (float)expected);
    }
    assert_true(mask.integral && willis_grid_equal(&mask.grid, &volume.grid));
    willis_volume_release(&mask);
  }
  willis_volume_release(&volume);
}

static void short_memory_is_reported(void **state) {
  (void)state;
  struct willis_error err;
  struct willis_volume other, volume = random_volume(4);
  volume.grid.direction[0] = -1;
  struct failing_allocator failing = {.until_failure = 0};
  failing_allocator_use(&failing);
  assert_int_equal(willis_volume_create(&other, &volume.grid, &err), WILLIS_OUT_OF_MEMORY);
  failing.until_failure = 0;
  assert_int_equal(willis_volume_threshold(&volume, 0, true, &other, &err), WILLIS_OUT_OF_MEMORY);
  failing.until_failure = 0;
  assert_int_equal(willis_volume_orient_lps(&volume, NULL, &err), WILLIS_OUT_OF_MEMORY);
  failing_allocator_use(NULL);
  assert_int_equal(failing.held, 0);
  assert_true(volume.grid.direction[0] == -1); /* as it was */
  willis_volume_release(&volume);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(index_to_world_and_back),
      cmocka_unit_test(a_cube_is_centred),
      cmocka_unit_test(equal_means_the_same_places),
      cmocka_unit_test(bad_grids_are_refused_by_name),
      cmocka_unit_test(orienting_moves_no_voxel),
      cmocka_unit_test(an_oblique_volume_keeps_its_axes),
      cmocka_unit_test(normalizing_reaches_zero_and_one),
      cmocka_unit_test(what_is_not_finite_is_found),
      cmocka_unit_test(thresholds_are_strict_or_not),
      cmocka_unit_test(short_memory_is_reported),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
