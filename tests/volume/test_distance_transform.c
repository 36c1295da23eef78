/* The distance transform against the definition, on uneven grids and spacings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/parallel.h"
#include "base/random.h"
#include "failing_allocator.h"
#include "volume/distance_transform.h"

#include <math.h>
#include <string.h>

enum { X = 23, Y = 17, Z = 12, COUNT = X * Y * Z };
static const ptrdiff_t size[3] = {X, Y, Z};
static unsigned char feature[COUNT];
static double squared[COUNT];

static double by_definition(const double spacing[3], int x, int y, int z) {
  double nearest = INFINITY;
  for (int v = 0; v < COUNT; v++) {
    if (!feature[v]) continue;
    double dx = (v % X - x) * spacing[0], dy = (v / X % Y - y) * spacing[1];
    double dz = (v / (X * Y) - z) * spacing[2], square = dx * dx + dy * dy + dz * dz;
    if (square < nearest) nearest = square;
  }
  return nearest;
}

static void scatter(double share, uint64_t seed) {
  for (int v = 0; v < COUNT; v++) feature[v] = willis_random_uniform(seed, 0, (uint64_t)v) < share;
}

static void is_the_nearest_of_all(void **state) {
  (void)state;
  const double spacing[][3] = {{1, 1, 1}, {0.4, 0.7, 1.3}, {2.5, 0.3, 0.9}, {0.25, 0.25, 6}};
  const double share[] = {0.002, 0.02, 0.3};
  for (size_t s = 0; s < 4; s++)
    for (size_t f = 0; f < 3; f++) {
      scatter(share[f], 10 * s + f);
      feature[COUNT / 3] = 1;
      assert_int_equal(willis_distance_transform(feature, size, spacing[s], squared, NULL),
                       WILLIS_OK);
      for (int v = 0; v < COUNT; v++) {
        double expected = by_definition(spacing[s], v % X, v / X % Y, v / (X * Y));
        if (!(fabs(squared[v] - expected) <= 1e-12 * (1 + expected)))
          fail_msg("voxel %d: %.17g, expected %.17g", v, squared[v], expected);
      }
    }
}

static void without_a_feature_all_is_far(void **state) {
  (void)state;
  const double spacing[3] = {1, 2, 3};
  memset(feature, 0, sizeof feature);
  assert_int_equal(willis_distance_transform(feature, size, spacing, squared, NULL), WILLIS_OK);
  for (int v = 0; v < COUNT; v++) assert_true(isinf(squared[v]) && squared[v] > 0);
}

static void threads_do_not_matter(void **state) {
  (void)state;
  const double spacing[3] = {0.4, 0.7, 1.3};
  static double other[COUNT];
  scatter(0.01, 77);
  willis_parallel_set_threads(1);
  assert_int_equal(willis_distance_transform(feature, size, spacing, squared, NULL), WILLIS_OK);
  for (int threads = 2; threads <= 8; threads++) {
    willis_parallel_set_threads(threads);
    assert_int_equal(willis_distance_transform(feature, size, spacing, other, NULL), WILLIS_OK);
    assert_memory_equal(other, squared, sizeof squared);
  }
  willis_parallel_set_threads(0);
}

static void short_memory_is_reported(void **state) {
  (void)state;
  const double spacing[3] = {1, 1, 1};
  int failures = 0;
  for (enum willis_status status = WILLIS_OUT_OF_MEMORY; status != WILLIS_OK;) {
    struct failing_allocator failing = {.until_failure = failures};
    failing_allocator_use(&failing);
    status = willis_distance_transform(feature, size, spacing, squared, NULL);
    failing_allocator_use(NULL);
    assert_int_equal(failing.held, 0);
    if (status == WILLIS_OK) break;
    assert_int_equal(status, WILLIS_OUT_OF_MEMORY);
    failures++;
  }
  assert_int_equal(failures, 4);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(is_the_nearest_of_all),
      cmocka_unit_test(without_a_feature_all_is_far),
      cmocka_unit_test(threads_do_not_matter),
      cmocka_unit_test(short_memory_is_reported),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
