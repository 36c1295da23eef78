/* Scores against NumPy, SciPy and scikit-image, closed forms, and what must not be scored. */
#include "oracle/oracle.h"

#include <willis/metrics.h>

#include "base/memory.h"
#include "base/parallel.h"
#include "base/random.h"
#include "failing_allocator.h"

#include <math.h>

static struct willis_volume create(ptrdiff_t n, double spacing_mm) {
  struct willis_volume volume;
  struct willis_grid grid = willis_grid_cube(n, spacing_mm, NULL);
  assert_int_equal(willis_volume_create(&volume, &grid, NULL), WILLIS_OK);
  return volume;
}

/* Sets the box [x0,x1)×[y0,y1)×[z0,z1) to 1. */
static void fill_box(struct willis_volume *volume, const int low[3], const int high[3]) {
  const ptrdiff_t *size = volume->grid.size;
  for (int z = low[2]; z < high[2]; z++)
    for (int y = low[1]; y < high[1]; y++)
      for (int x = low[0]; x < high[0]; x++) volume->voxels[(z * size[1] + y) * size[0] + x] = 1;
}

static void check_near(const char *what, double value, double expected) {
  if (!(fabs(value - expected) <= 1e-9 * (1 + fabs(expected))))
    fail_msg("%s: %.15g, expected %.15g", what, value, expected);
}

static void equal_other_peoples(void **state) {
  (void)state;
  struct oracle oracle = oracle_open("../oracle/metrics_scores.txt");
  int cases = 0;
  for (char word[64]; oracle_word(&oracle, word); cases++) {
    assert_string_equal(word, "case");
    struct willis_grid grid = willis_grid_cube(1, 1, NULL);
    struct willis_volume prediction, truth;
    for (int axis = 0; axis < 3; axis++) grid.size[axis] = (ptrdiff_t)oracle_number(&oracle);
    for (int axis = 0; axis < 3; axis++) grid.spacing_mm[axis] = oracle_number(&oracle);
    double threshold = oracle_number(&oracle);
    ptrdiff_t count = willis_grid_count(&grid);
    assert_int_equal(willis_volume_create(&prediction, &grid, NULL), WILLIS_OK);
    assert_int_equal(willis_volume_create(&truth, &grid, NULL), WILLIS_OK);
    unsigned char *byte = willis_take(count, 1);
    oracle_bits(&oracle, byte, count);
    for (ptrdiff_t v = 0; v < count; v++) truth.voxels[v] = byte[v];
    oracle_bytes(&oracle, byte, count);
    for (ptrdiff_t v = 0; v < count; v++) prediction.voxels[v] = (float)byte[v] / 255.0f;
    willis_release(byte);
    struct willis_scores scores;
    assert_int_equal(willis_scores_compute(&prediction, &truth, threshold, &scores, NULL),
                     WILLIS_OK);
    for (int i = 0; i < willis_scores_count(); i++)
      check_near(willis_scores_name(i), willis_scores_value(&scores, i), oracle_number(&oracle));
    willis_volume_release(&prediction);
    willis_volume_release(&truth);
  }
  assert_int_equal(cases, 3);
  oracle_close(&oracle);
}

static void perfect_is_perfect(void **state) {
  (void)state;
  struct willis_volume truth = create(16, 0.5);
  fill_box(&truth, (int[]){3, 4, 5}, (int[]){12, 9, 12});
  struct willis_scores s;
  assert_int_equal(willis_scores_compute(&truth, &truth, 0.5, &s, NULL), WILLIS_OK);
  const double one[] = {s.iou, s.dice, s.cldice, s.accuracy, s.precision, s.recall};
  const double zero[] = {s.hd95_mm, s.assd_mm, s.mse, s.mae, s.mse_mask, s.mae_mask};
  for (int i = 0; i < 6; i++) assert_true(one[i] == 1 && zero[i] == 0);
  willis_volume_release(&truth);
}

/* Two parallel plates of one voxel, d apart: every distance is d. */
static void plates_have_their_distance(void **state) {
  (void)state;
  struct willis_volume a = create(20, 0.7), b = create(20, 0.7);
  fill_box(&a, (int[]){0, 0, 4}, (int[]){20, 20, 5});
  fill_box(&b, (int[]){0, 0, 11}, (int[]){20, 20, 12});
  struct willis_scores s;
  assert_int_equal(willis_scores_compute(&a, &b, 0.5, &s, NULL), WILLIS_OK);
  check_near("hd95", s.hd95_mm, 7 * 0.7);
  check_near("assd", s.assd_mm, 7 * 0.7);
  assert_true(s.iou == 0 && s.dice == 0 && s.cldice == 0 && s.precision == 0 && s.recall == 0);
  willis_volume_release(&a);
  willis_volume_release(&b);
}

/* A far speck of under 5 % of the surface does not reach HD95, which is what the 95 are for; and
 * the scores do not depend on which is called truth, precision and recall apart. */
static void specks_and_symmetry(void **state) {
  (void)state;
  struct willis_volume a = create(24, 1), b = create(24, 1);
  fill_box(&a, (int[]){2, 2, 2}, (int[]){9, 9, 9});
  fill_box(&b, (int[]){2, 2, 2}, (int[]){9, 9, 11});
  fill_box(&a, (int[]){22, 22, 22}, (int[]){23, 23, 23});
  struct willis_scores ab, ba;
  assert_int_equal(willis_scores_compute(&a, &b, 0.5, &ab, NULL), WILLIS_OK);
  assert_int_equal(willis_scores_compute(&b, &a, 0.5, &ba, NULL), WILLIS_OK);
  assert_true(ab.hd95_mm == 2);
  assert_true(ab.hd95_mm == ba.hd95_mm && ab.iou == ba.iou && ab.dice == ba.dice);
  assert_true(ab.precision == ba.recall && ab.recall == ba.precision);
  check_near("assd", ab.assd_mm, ba.assd_mm);
  check_near("cldice", ab.cldice, ba.cldice);
  check_near("dice of iou", ab.dice, 2 * ab.iou / (1 + ab.iou));
  willis_volume_release(&a);
  willis_volume_release(&b);
}

static void empty_masks(void **state) {
  (void)state;
  struct willis_volume none = create(8, 1), some = create(8, 1);
  fill_box(&some, (int[]){2, 2, 2}, (int[]){5, 5, 5});
  struct willis_scores s;
  assert_int_equal(willis_scores_compute(&none, &none, 0.5, &s, NULL), WILLIS_OK);
  assert_true(s.dice == 1 && isnan(s.iou) && isnan(s.cldice) && isnan(s.hd95_mm));
  assert_true(isnan(s.precision) && isnan(s.recall) && s.accuracy == 1 && s.mse == 0);
  assert_int_equal(willis_scores_compute(&none, &some, 0.5, &s, NULL), WILLIS_OK);
  assert_true(s.dice == 0 && s.iou == 0 && s.cldice == 0 && s.recall == 0);
  assert_true(isnan(s.precision) && isnan(s.hd95_mm) && isnan(s.assd_mm));
  assert_int_equal(willis_scores_compute(&some, &none, 0.5, &s, NULL), WILLIS_OK);
  assert_true(s.dice == 0 && s.iou == 0 && s.cldice == 0 && s.precision == 0 && isnan(s.recall));
  willis_volume_release(&none);
  willis_volume_release(&some);
}

/* Thinning can leave nothing of a solid box of even edges; that is no score of 0. */
static void a_vanished_skeleton_is_undefined(void **state) {
  (void)state;
  struct willis_volume box = create(8, 1), empty = create(8, 1);
  fill_box(&box, (int[]){2, 2, 2}, (int[]){4, 4, 4});
  struct willis_scores s;
  assert_int_equal(willis_scores_compute(&box, &box, 0.5, &s, NULL), WILLIS_OK);
  assert_true(s.dice == 1 && isnan(s.cldice));
  assert_int_equal(willis_scores_compute(&empty, &box, 0.5, &s, NULL), WILLIS_OK);
  assert_true(s.cldice == 0);
  willis_volume_release(&box);
  willis_volume_release(&empty);
}

static void overlap_leaves_the_others_undefined(void **state) {
  (void)state;
  struct willis_volume truth = create(8, 1);
  fill_box(&truth, (int[]){2, 2, 2}, (int[]){5, 5, 5});
  struct willis_scores s;
  assert_int_equal(willis_scores_overlap(&truth, &truth, 0.5, &s, NULL), WILLIS_OK);
  assert_true(s.iou == 1 && isnan(s.cldice) && isnan(s.hd95_mm) && isnan(s.assd_mm));
  willis_volume_release(&truth);
}

static void threads_do_not_matter(void **state) {
  (void)state;
  struct willis_volume truth = create(48, 0.5), prediction = create(48, 0.5);
  for (ptrdiff_t v = 0; v < willis_grid_count(&truth.grid); v++) {
    truth.voxels[v] = willis_random_uniform(1, 0, (uint64_t)v) < 0.1;
    prediction.voxels[v] = (float)willis_random_uniform(2, 0, (uint64_t)v);
  }
  struct willis_scores one, many;
  willis_parallel_set_threads(1);
  assert_int_equal(willis_scores_compute(&prediction, &truth, 0.9, &one, NULL), WILLIS_OK);
  for (int threads = 2; threads <= 8; threads *= 2) {
    willis_parallel_set_threads(threads);
    assert_int_equal(willis_scores_compute(&prediction, &truth, 0.9, &many, NULL), WILLIS_OK);
    assert_memory_equal(&one, &many, sizeof one);
  }
  willis_parallel_set_threads(0);
  willis_volume_release(&truth);
  willis_volume_release(&prediction);
}

static void refused(const struct willis_volume *prediction, const struct willis_volume *truth,
                    double threshold, enum willis_status expected, const char *part) {
  struct willis_scores scores;
  struct willis_error err = {0};
  assert_int_equal(willis_scores_compute(prediction, truth, threshold, &scores, &err), expected);
  if (!strstr(err.message, part)) fail_msg("\"%s\" does not say \"%s\"", err.message, part);
}

static void what_is_refused(void **state) {
  (void)state;
  struct willis_volume a = create(8, 1), b = create(8, 1), moved = create(8, 1),
                       larger = create(9, 1);
  moved.grid.origin_mm[1] += 0.5;
  refused(&a, &larger, 0.5, WILLIS_MISMATCH, "9 x 9 x 9");
  refused(&a, &moved, 0.5, WILLIS_MISMATCH, "origin");
  refused(&a, &b, NAN, WILLIS_INVALID_ARGUMENT, "threshold");
  a.voxels[5] = 255;
  refused(&a, &b, 0.5, WILLIS_INVALID_ARGUMENT, "255");
  a.voxels[5] = -0.5f;
  refused(&a, &b, 0.5, WILLIS_INVALID_ARGUMENT, "-0.5");
  a.voxels[5] = NAN;
  refused(&a, &b, 0.5, WILLIS_NUMERIC, "prediction");
  a.voxels[5] = 0;
  b.voxels[7] = 1000;
  b.voxels[8] = 400;
  refused(&a, &b, 0.5, WILLIS_INVALID_ARGUMENT, "1000");
  b.voxels[8] = INFINITY;
  refused(&a, &b, 0.5, WILLIS_NUMERIC, "truth");
  b.voxels[7] = b.voxels[8] = a.voxels[7] = 1;
  struct willis_scores of_ones, of_255;
  assert_int_equal(willis_scores_compute(&a, &b, 0.5, &of_ones, NULL), WILLIS_OK);
  b.voxels[7] = b.voxels[8] = 255;
  assert_int_equal(willis_scores_compute(&a, &b, 0.5, &of_255, NULL), WILLIS_OK);
  assert_memory_equal(&of_ones, &of_255, sizeof of_ones);
  willis_volume_release(&a);
  willis_volume_release(&b);
  willis_volume_release(&moved);
  willis_volume_release(&larger);
}

static void short_memory_is_reported(void **state) {
  (void)state;
  struct willis_volume a = create(12, 1);
  fill_box(&a, (int[]){2, 2, 2}, (int[]){8, 7, 9});
  int failures = 0;
  for (enum willis_status status = WILLIS_OUT_OF_MEMORY; status != WILLIS_OK;) {
    struct willis_scores scores;
    struct failing_allocator failing = {.until_failure = failures};
    failing_allocator_use(&failing);
    status = willis_scores_compute(&a, &a, 0.5, &scores, NULL);
    failing_allocator_use(NULL);
    assert_int_equal(failing.held, 0);
    if (status == WILLIS_OK) break;
    assert_int_equal(status, WILLIS_OUT_OF_MEMORY);
    failures++;
  }
  assert_true(failures > 10);
  willis_volume_release(&a);
}

static void names_and_definitions(void **state) {
  (void)state;
  for (int i = 0; i < willis_scores_count(); i++) {
    assert_non_null(willis_scores_name(i));
    assert_non_null(willis_scores_unit(i));
    assert_true(strlen(willis_scores_definition(i)) >= 10);
  }
  struct willis_scores scores = {.dice = 0.25};
  assert_string_equal(willis_scores_name(1), "dice");
  assert_true(willis_scores_value(&scores, 1) == 0.25);
  assert_null(willis_scores_name(-1));
  assert_null(willis_scores_definition(willis_scores_count()));
  assert_true(isnan(willis_scores_value(&scores, willis_scores_count())));
}

/* Quartiles of 1…4 by NumPy's default: 1.75, 2.5, 3.25; standard deviation √(5/3). */
static void summaries(void **state) {
  (void)state;
  struct willis_summary s;
  const double value[] = {4, NAN, 1, 3, 2, NAN};
  assert_int_equal(willis_summarize(value, 6, &s, NULL), WILLIS_OK);
  assert_int_equal(s.n, 4);
  assert_true(s.mean == 2.5 && s.median == 2.5 && s.q1 == 1.75 && s.q3 == 3.25);
  check_near("sd", s.sd, sqrt(5.0 / 3));
  assert_int_equal(willis_summarize(value, 1, &s, NULL), WILLIS_OK);
  assert_true(s.n == 1 && s.mean == 4 && s.median == 4 && s.q3 == 4 && isnan(s.sd));
  assert_int_equal(willis_summarize(value + 1, 1, &s, NULL), WILLIS_OK);
  assert_true(s.n == 0 && isnan(s.mean) && isnan(s.median));
  assert_int_equal(willis_summarize(value, 0, &s, NULL), WILLIS_OK);
  assert_int_equal(s.n, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(equal_other_peoples),
      cmocka_unit_test(perfect_is_perfect),
      cmocka_unit_test(plates_have_their_distance),
      cmocka_unit_test(specks_and_symmetry),
      cmocka_unit_test(empty_masks),
      cmocka_unit_test(a_vanished_skeleton_is_undefined),
      cmocka_unit_test(overlap_leaves_the_others_undefined),
      cmocka_unit_test(threads_do_not_matter),
      cmocka_unit_test(what_is_refused),
      cmocka_unit_test(short_memory_is_reported),
      cmocka_unit_test(names_and_definitions),
      cmocka_unit_test(summaries),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
