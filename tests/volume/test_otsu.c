/* Otsu's threshold against scikit-image's, to the last bit. */
#include "../oracle/oracle.h"

#include <willis/volume.h>

#include "base/parallel.h"
#include "failing_allocator.h"
#include "hashed.h"
#include "volume/otsu.h"

#include <float.h>
#include <math.h>

/* The formulas of tests/oracle/volume_otsu.py, in float32. */
static float uniform(float u, float v) {
  (void)v;
  return u;
}
static float bimodal(float u, float v) {
  return u + (v < 0.25f ? 2.0f : 0.0f);
}
static float sparse(float u, float v) {
  return u > 0.97f ? v * 1000 : 0;
}
static float negative(float u, float v) {
  (void)v;
  return u * u - 0.5f;
}
static float offset(float u, float v) {
  return 10000 + u + v;
}
static float few_steps(float u, float v) {
  (void)v;
  return 1 + floorf(u * 600) * 0x1p-23f;
}
static float two_values(float u, float v) {
  (void)v;
  return u < 0.01f ? 1000 : 0;
}
static float bytes(float u, float v) {
  return floorf(u * v * 256);
}
static float shorts(float u, float v) {
  return floorf((u + v) * 3000) - 1000;
}
static float gap(float u, float v) {
  return v < 0.1f ? 60000 : floorf(u * 9);
}

static const struct {
  const char *name;
  float (*value)(float u, float v);
} formulas[] = {{"uniform", uniform}, {"bimodal", bimodal},       {"sparse", sparse},
                {"offset", offset},   {"negative", negative},     {"few-steps", few_steps},
                {"bytes", bytes},     {"two-values", two_values}, {"shorts", shorts},
                {"gap", gap}};
enum { FORMULAS = sizeof formulas / sizeof *formulas };

static struct willis_volume make(ptrdiff_t edge, const char *name) {
  struct willis_volume volume;
  struct willis_grid grid = willis_grid_cube(edge, 1, NULL);
  assert_int_equal(willis_volume_create(&volume, &grid, NULL), WILLIS_OK);
  size_t f = 0;
  while (f < FORMULAS && strcmp(formulas[f].name, name) != 0) f++;
  if (f == FORMULAS) fail_msg("no volume is called %s", name);
  for (uint32_t i = 0; i < edge * edge * edge; i++)
    volume.voxels[i] = formulas[f].value(hashed_unit(i, 1), hashed_unit(i, 2));
  return volume;
}

static void equals_scikit_image(void **state) {
  (void)state;
  struct oracle oracle = oracle_open("../oracle/volume_otsu.txt");
  char name[64];
  int cases = 0;
  for (; oracle_word(&oracle, name); cases++) {
    bool integral = oracle_number(&oracle) != 0;
    ptrdiff_t edge = (ptrdiff_t)oracle_number(&oracle);
    double found, expected = oracle_number(&oracle);
    struct willis_volume volume = make(edge, name);
    volume.integral = integral;
    assert_int_equal(willis_volume_otsu(&volume, &found, NULL), WILLIS_OK);
    if (found != expected) fail_msg("%s: %.17g, expected %.17g", name, found, expected);
    willis_volume_release(&volume);
  }
  assert_int_equal(cases, 2 * FORMULAS);
  oracle_close(&oracle);
}

/* Values times 2 and shifted: so is the threshold, to a bin. */
static void moves_with_the_values(void **state) {
  (void)state;
  struct willis_volume volume = make(20, "bimodal");
  double before, after;
  assert_int_equal(willis_volume_otsu(&volume, &before, NULL), WILLIS_OK);
  for (int i = 0; i < 20 * 20 * 20; i++) volume.voxels[i] = 2 * volume.voxels[i] - 7;
  assert_int_equal(willis_volume_otsu(&volume, &after, NULL), WILLIS_OK);
  assert_true(fabs(after - (2 * before - 7)) <= 6.0 / 256);
  willis_volume_release(&volume);
}

static void a_constant_is_its_own_threshold(void **state) {
  (void)state;
  struct willis_volume volume = make(4, "uniform");
  double threshold = 0;
  for (int i = 0; i < 64; i++) volume.voxels[i] = -3.5f;
  assert_int_equal(willis_volume_otsu(&volume, &threshold, NULL), WILLIS_OK);
  assert_true(threshold == -3.5);
  willis_volume_release(&volume);
}

static void extreme_values_are_refused_or_served(void **state) {
  (void)state;
  struct willis_error err;
  double threshold;
  struct willis_volume volume = make(4, "uniform");
  volume.voxels[3] = NAN;
  assert_int_equal(willis_volume_otsu(&volume, &threshold, &err), WILLIS_NUMERIC);
  volume.voxels[3] = -FLT_MAX;
  volume.voxels[5] = FLT_MAX;
  assert_int_equal(willis_volume_otsu(&volume, &threshold, &err), WILLIS_NUMERIC);
  assert_non_null(strstr(err.message, "range"));
  volume.voxels[3] = 0;
  assert_int_equal(willis_volume_otsu(&volume, &threshold, &err), WILLIS_OK);
  assert_true(threshold > 0 && threshold < FLT_MAX);
  /* Two neighbouring denormal numbers. */
  for (int i = 0; i < 64; i++) volume.voxels[i] = i % 2 ? 0x1p-149f : 0x1p-148f;
  assert_int_equal(willis_volume_otsu(&volume, &threshold, &err), WILLIS_OK);
  /* Integers that float32 can't tell apart don't ask for a bin each. */
  volume.integral = true;
  for (int i = 0; i < 64; i++) volume.voxels[i] = i % 2 ? 4e9f : 0;
  assert_int_equal(willis_volume_otsu(&volume, &threshold, &err), WILLIS_OK);
  assert_true(threshold >= 0 && threshold < 4e9);
  willis_volume_release(&volume);
}

static void threads_do_not_matter(void **state) {
  (void)state;
  struct willis_volume volume = make(33, "bimodal"), whole = make(33, "shorts");
  whole.integral = true;
  double first[2], other[2];
  for (int threads = 1; threads <= 8; threads++) {
    willis_parallel_set_threads(threads);
    double *to = threads == 1 ? first : other;
    assert_int_equal(willis_volume_otsu(&volume, to, NULL), WILLIS_OK);
    assert_int_equal(willis_volume_otsu(&whole, to + 1, NULL), WILLIS_OK);
    if (threads > 1) assert_memory_equal(first, other, sizeof first);
  }
  willis_parallel_set_threads(0);
  willis_volume_release(&volume);
  willis_volume_release(&whole);
}

static void short_memory_is_reported(void **state) {
  (void)state;
  double threshold;
  struct willis_volume volume = make(8, "bytes");
  volume.integral = true;
  enum willis_status status = WILLIS_OUT_OF_MEMORY;
  int failures = 0;
  for (; status; failures++) {
    struct failing_allocator failing = {.until_failure = failures};
    failing_allocator_use(&failing);
    status = willis_volume_otsu(&volume, &threshold, NULL);
    failing_allocator_use(NULL);
    assert_int_equal(failing.held, 0);
    assert_true(status == WILLIS_OK || status == WILLIS_OUT_OF_MEMORY);
  }
  assert_true(failures > 3);
  willis_volume_release(&volume);
}

/* Its zeros only counted, a volume has the same classes; the threshold lies between them, a bin off
 * at most where values leave no gap. */
static void the_middle_is_the_threshold(void **state) {
  (void)state;
  static const char *const names[] = {"uniform", "sparse"};
  for (int n = 0; n < 2; n++) {
    struct willis_volume volume = make(40, names[n]);
    const ptrdiff_t all = 40 * 40 * 40;
    ptrdiff_t listed = 0;
    double threshold, middle, highest = 0;
    assert_int_equal(willis_volume_otsu(&volume, &threshold, NULL), WILLIS_OK);
    for (ptrdiff_t i = 0; i < all; i++) {
      highest = fmax(highest, (double)volume.voxels[i]);
      if (volume.voxels[i] != 0) volume.voxels[listed++] = volume.voxels[i];
    }
    assert_true(n == 0 || listed < all / 20);
    assert_int_equal(willis_otsu_middle(volume.voxels, listed, all - listed, &middle, NULL),
                     WILLIS_OK);
    assert_true(fabs(middle - threshold) <= highest / 256);
    willis_volume_release(&volume);
  }
}

static void the_middle_of_a_gap_is_its_middle(void **state) {
  (void)state;
  struct willis_error err;
  const float value[] = {8, 10, 10, 12};
  double middle;
  assert_int_equal(willis_otsu_middle(value, 4, 100, &middle, &err), WILLIS_OK);
  assert_true(fabs(middle - 5) <= 12.0 / 256);
  assert_int_equal(willis_otsu_middle(value + 1, 2, 0, &middle, &err), WILLIS_OK);
  assert_true(middle == 10);
  assert_int_equal(willis_otsu_middle(NULL, 0, 0, &middle, &err), WILLIS_OK);
  assert_true(middle == 0);
  assert_int_equal(willis_otsu_middle((float[]){0x1p-149f}, 1, 3, &middle, &err), WILLIS_OK);
  assert_true(middle >= 0 && middle <= 0x1p-149);
  assert_int_equal(willis_otsu_middle(value, 0, 3, &middle, &err), WILLIS_OK);
  assert_true(middle == 0);
  assert_int_equal(willis_otsu_middle((float[]){1, NAN}, 2, 1, &middle, &err), WILLIS_NUMERIC);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(equals_scikit_image),
      cmocka_unit_test(moves_with_the_values),
      cmocka_unit_test(a_constant_is_its_own_threshold),
      cmocka_unit_test(extreme_values_are_refused_or_served),
      cmocka_unit_test(threads_do_not_matter),
      cmocka_unit_test(short_memory_is_reported),
      cmocka_unit_test(the_middle_is_the_threshold),
      cmocka_unit_test(the_middle_of_a_gap_is_its_middle),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
