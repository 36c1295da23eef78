/* Reliability against NumPy, closed forms, and what must not be scored. */
#include "oracle/oracle.h"

#include <willis/metrics.h>

#include "base/memory.h"

#include <math.h>

enum { BINS = WILLIS_RELIABILITY_BINS };

static struct willis_volume create(const struct willis_grid *grid) {
  struct willis_volume volume;
  assert_int_equal(willis_volume_create(&volume, grid, NULL), WILLIS_OK);
  return volume;
}

static void check_near(const char *what, double value, double expected) {
  if (!(fabs(value - expected) <= 1e-9 * (1 + fabs(expected))))
    fail_msg("%s: %.15g, expected %.15g", what, value, expected);
}

static void check_all(struct oracle *oracle, const struct willis_reliability *r) {
  assert_int_equal(r->count, (ptrdiff_t)oracle_number(oracle));
  check_near("ece", r->ece, oracle_number(oracle));
  check_near("brier", r->brier, oracle_number(oracle));
  for (int b = 0; b < BINS; b++) {
    assert_int_equal(r->bin[b].count, (ptrdiff_t)oracle_number(oracle));
    const double mean = oracle_number(oracle), fraction = oracle_number(oracle);
    if (r->bin[b].count) {
      check_near("mean", r->bin[b].mean, mean);
      check_near("fraction", r->bin[b].fraction, fraction);
    } else {
      assert_true(isnan(r->bin[b].mean) && isnan(r->bin[b].fraction));
    }
  }
}

static void fill_bits(struct oracle *oracle, struct willis_volume *volume) {
  const ptrdiff_t count = willis_grid_count(&volume->grid);
  unsigned char *byte = willis_take(count, 1);
  oracle_bits(oracle, byte, count);
  for (ptrdiff_t v = 0; v < count; v++) volume->voxels[v] = byte[v];
  willis_release(byte);
}

static void equals_numpy(void **state) {
  (void)state;
  struct oracle oracle = oracle_open("../oracle/metrics_reliability.txt");
  int cases = 0;
  for (char word[64]; oracle_word(&oracle, word); cases++) {
    assert_string_equal(word, "case");
    struct willis_grid grid = willis_grid_cube(1, 1, NULL);
    for (int axis = 0; axis < 3; axis++) grid.size[axis] = (ptrdiff_t)oracle_number(&oracle);
    struct willis_volume truth = create(&grid), prediction = create(&grid), region = create(&grid);
    const ptrdiff_t count = willis_grid_count(&grid);
    unsigned char *byte = willis_take(count, 1);
    fill_bits(&oracle, &truth);
    oracle_bytes(&oracle, byte, count);
    for (ptrdiff_t v = 0; v < count; v++) prediction.voxels[v] = (float)byte[v] / 255.0f;
    fill_bits(&oracle, &region);
    struct willis_reliability where_positive = {0}, in_region = {0};
    assert_int_equal(willis_reliability_add(&where_positive, &prediction, &truth, NULL, NULL),
                     WILLIS_OK);
    assert_int_equal(willis_reliability_add(&in_region, &prediction, &truth, &region, NULL),
                     WILLIS_OK);
    check_all(&oracle, &where_positive);
    check_all(&oracle, &in_region);
    willis_release(byte);
    willis_volume_release(&truth);
    willis_volume_release(&prediction);
    willis_volume_release(&region);
  }
  assert_int_equal(cases, 2);
  oracle_close(&oracle);
}

/* Of 100 voxels with p = 0.75 as many are true as are asked for. */
static struct willis_reliability three_quarters(int positive, int times) {
  struct willis_grid grid = willis_grid_cube(1, 1, NULL);
  grid.size[0] = 101;
  struct willis_volume prediction = create(&grid), truth = create(&grid);
  struct willis_reliability r = {0};
  for (int v = 0; v < 100; v++) prediction.voxels[v] = 0.75f;
  for (int v = 0; v < positive; v++) truth.voxels[v] = 1;
  truth.voxels[100] = 1; /* p = 0: not counted */
  for (int t = 0; t < times; t++)
    assert_int_equal(willis_reliability_add(&r, &prediction, &truth, NULL, NULL), WILLIS_OK);
  willis_volume_release(&prediction);
  willis_volume_release(&truth);
  return r;
}

static void closed_forms(void **state) {
  (void)state;
  struct willis_reliability r = three_quarters(75, 1);
  assert_int_equal(r.count, 100);
  check_near("ece when calibrated", r.ece, 0);
  check_near("brier when calibrated", r.brier, 0.75 * 0.25);
  assert_int_equal(r.bin[7].count, 100);
  r = three_quarters(40, 1);
  check_near("ece", r.ece, 0.35);
  check_near("brier", r.brier, 0.4 * 0.0625 + 0.6 * 0.5625);
  /* The same case again changes no mean. */
  struct willis_reliability twice = three_quarters(40, 2);
  assert_int_equal(twice.count, 200);
  check_near("ece of two", twice.ece, r.ece);
  check_near("brier of two", twice.brier, r.brier);
}

static void ends_fall_into_the_outer_bins(void **state) {
  (void)state;
  struct willis_grid grid = willis_grid_cube(2, 1, NULL);
  struct willis_volume prediction = create(&grid), truth = create(&grid), all = create(&grid);
  struct willis_reliability r = {0};
  prediction.voxels[0] = 1;
  truth.voxels[0] = 1;
  for (int v = 0; v < 8; v++) all.voxels[v] = 1;
  assert_int_equal(willis_reliability_add(&r, &prediction, &truth, &all, NULL), WILLIS_OK);
  assert_int_equal(r.bin[0].count, 7);
  assert_int_equal(r.bin[BINS - 1].count, 1);
  check_near("ece", r.ece, 0);
  check_near("brier", r.brier, 0);
  willis_volume_release(&prediction);
  willis_volume_release(&truth);
  willis_volume_release(&all);
}

static void refuses_what_cannot_be_compared(void **state) {
  (void)state;
  struct willis_grid grid = willis_grid_cube(2, 1, NULL), other = willis_grid_cube(3, 1, NULL);
  struct willis_volume prediction = create(&grid), truth = create(&grid), region = create(&other);
  struct willis_reliability r = {0};
  struct willis_error err;
  assert_int_equal(willis_reliability_add(&r, &region, &truth, NULL, &err), WILLIS_MISMATCH);
  assert_int_equal(willis_reliability_add(&r, &prediction, &truth, &region, &err), WILLIS_MISMATCH);
  prediction.voxels[3] = NAN;
  assert_int_equal(willis_reliability_add(&r, &prediction, &truth, NULL, &err), WILLIS_NUMERIC);
  prediction.voxels[3] = 2;
  assert_int_equal(willis_reliability_add(&r, &prediction, &truth, NULL, &err),
                   WILLIS_INVALID_ARGUMENT);
  assert_int_equal(r.count, 0);
  /* Nothing to count: undefined. */
  prediction.voxels[3] = 0;
  assert_int_equal(willis_reliability_add(&r, &prediction, &truth, NULL, &err), WILLIS_OK);
  assert_true(r.count == 0 && isnan(r.ece) && isnan(r.brier));
  willis_volume_release(&prediction);
  willis_volume_release(&truth);
  willis_volume_release(&region);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(equals_numpy),
      cmocka_unit_test(closed_forms),
      cmocka_unit_test(ends_fall_into_the_outer_bins),
      cmocka_unit_test(refuses_what_cannot_be_compared),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
