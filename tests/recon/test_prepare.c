/* From DICOM angiograms (tests/oracle/angiograms.py) to a projection stack. */
#include <willis/prepare.h>
#include <willis/willis.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/parallel.h"
#include "failing_allocator.h"

enum { ROWS = 14, COLUMNS = 20, COUNT = ROWS * COLUMNS };

static const char *const files[] = {"../io/angiograms/explicit.dcm",
                                    "../io/angiograms/jpeg_2000.dcm",
                                    "../io/angiograms/big_endian_8.dcm"};
static struct willis_error err;
static char heard[2048];

static void hear(const char *message, void *context) {
  (void)context;
  size_t have = strlen(heard);
  snprintf(heard + have, sizeof heard - have, "%s\n", message);
}
static const struct willis_warnings listener = {hear, NULL};

static enum willis_status prepare(ptrdiff_t count, const struct willis_prepare_options *options,
                                  struct willis_projections *stack,
                                  struct willis_prepared_view **done) {
  heard[0] = 0;
  return willis_prepare(files, count, options, stack, done, NULL, &listener, &err);
}
static void assert_ok(enum willis_status status) {
  if (status) fail_msg("%s", err.message);
}

/* −ln of the intensity of frame f (0-based). */
static double attenuation(int f, int p) {
  const int r = p / COLUMNS, c = p % COLUMNS;
  return -log(fmax((700 * f + 37 * r + 3 * c * c) % 4096, 0.5));
}

static void a_frame_less_its_mask(void **state) {
  (void)state;
  struct willis_projections stack;
  struct willis_prepared_view *done;
  struct willis_prepare_options o = willis_prepare_defaults();
  o.choice = WILLIS_FRAME_NUMBER;
  o.frame = 3;
  o.subtract = WILLIS_SUBTRACT_MASK;
  o.mask_first = 1;
  o.mask_last = 2;
  assert_ok(prepare(2, &o, &stack, &done));
  assert_true(stack.columns == COLUMNS && stack.rows == ROWS && stack.view_count == 2);
  assert_int_equal(stack.mode, WILLIS_PROJECTION_SUM);
  for (int v = 0; v < 2; v++)
    for (int p = 0; p < COUNT; p++) {
      const double want = attenuation(2, p) - (attenuation(0, p) + attenuation(1, p)) / 2;
      assert_true(fabs(stack.pixels[v * COUNT + p] - want) < 1e-4);
    }
  assert_true(done[1].run == 1 && done[1].first_frame == 3 && done[1].last_frame == 3);
  assert_int_equal(done[1].subtraction, WILLIS_SUBTRACTION_AVERAGE);
  assert_true(stack.view[0].primary_angle_deg == 30 && stack.view[0].kind == WILLIS_VIEW_CONE);
  assert_non_null(strstr(heard, "no two views are more than 0 degrees apart"));
  willis_projections_release(&stack);
  willis_prepared_release(done);
}

static void bins_keep_their_place(void **state) {
  (void)state;
  static const double apart[] = {0, 0, 90, 0};
  struct willis_projections whole, half;
  struct willis_prepared_view *done;
  struct willis_prepare_options o = willis_prepare_defaults();
  o.choice = WILLIS_FRAME_NUMBER;
  o.angle_deg = apart;
  o.angle_count = 2;
  assert_ok(prepare(2, &o, &whole, &done));
  assert_string_equal(heard, "");
  willis_prepared_release(done);
  o.bin = 2;
  assert_ok(prepare(2, &o, &half, &done));
  willis_prepared_release(done);
  assert_true(half.columns == COLUMNS / 2 && half.rows == ROWS / 2);
  const float *p = whole.pixels, *q = half.pixels;
  for (int r = 0; r < ROWS / 2; r++)
    for (int c = 0; c < COLUMNS / 2; c++) {
      const float *at = p + 2 * r * COLUMNS + 2 * c;
      const double mean = (at[0] + at[1] + at[COLUMNS] + at[COLUMNS + 1]) / 4;
      assert_true(fabs(q[r * (COLUMNS / 2) + c] - mean) < 1e-5);
    }
  /* A point falls on the middle of the same four pixels. */
  const double point[3] = {1.5, 2.5, -0.75};
  double column[2], row[2];
  for (int v = 0; v < 2; v++) {
    willis_view_project_point(&whole.view[v], point, &column[0], &row[0]);
    willis_view_project_point(&half.view[v], point, &column[1], &row[1]);
    assert_true(fabs(2 * column[1] + 0.5 - column[0]) < 1e-9);
    assert_true(fabs(2 * row[1] + 0.5 - row[0]) < 1e-9);
  }
  /* A frame without a mask has its brightest pixel at 0. */
  float least = p[0];
  for (int i = 1; i < COUNT; i++) least = fminf(least, p[i]);
  assert_true(least == 0);
  willis_projections_release(&whole);
  willis_projections_release(&half);
}

static void windows_and_all(void **state) {
  (void)state;
  struct willis_projections stack;
  struct willis_prepared_view *done;
  struct willis_prepare_options o = willis_prepare_defaults();
  o.choice = WILLIS_FRAME_ALL;
  assert_ok(prepare(1, &o, &stack, &done));
  assert_true(stack.view_count == 3 && done[2].first_frame == 3);
  willis_projections_release(&stack);
  willis_prepared_release(done);
  o = willis_prepare_defaults();
  o.window = 3;
  assert_ok(prepare(1, &o, &stack, &done));
  assert_true(done[0].first_frame == 1 && done[0].last_frame == 3);
  double base = INFINITY;
  for (int p = 0; p < COUNT; p++)
    base = fmin(base, fmax(attenuation(0, p), fmax(attenuation(1, p), attenuation(2, p))));
  for (int p = 0; p < COUNT; p++) {
    const double most = fmax(attenuation(0, p), fmax(attenuation(1, p), attenuation(2, p)));
    assert_true(fabs(stack.pixels[p] - (most - base)) < 1e-4);
  }
  willis_projections_release(&stack);
  willis_prepared_release(done);
}

static void views_from_elsewhere(void **state) {
  (void)state;
  struct willis_projections plain, turned;
  struct willis_prepared_view *done;
  struct willis_prepare_options o = willis_prepare_defaults();
  const bool mirrored = true;
  o.choice = WILLIS_FRAME_NUMBER;
  assert_ok(prepare(1, &o, &plain, &done));
  willis_prepared_release(done);
  struct willis_view view = plain.view[0];
  view.in_plane_angle_deg = 5;
  o.view = &view;
  o.view_count = 1;
  o.mirrored = &mirrored;
  assert_ok(prepare(1, &o, &turned, &done));
  willis_prepared_release(done);
  assert_true(turned.view[0].in_plane_angle_deg == 5);
  for (int p = 0; p < COUNT; p++)
    assert_true(turned.pixels[p] == plain.pixels[p - p % COLUMNS + (COLUMNS - 1 - p % COLUMNS)]);
  willis_projections_release(&plain);
  willis_projections_release(&turned);
}

/* One picture turned and mirrored in every way (tests/oracle/angiogram_orientation.py) is one view.
 */
static void pictures_become_upright(void **state) {
  (void)state;
  struct willis_projections upright = {0}, stack;
  struct willis_prepared_view *done;
  struct willis_prepare_options o = willis_prepare_defaults();
  for (int k = 0; k < 16; k++) {
    char path[64];
    const char *const one = path;
    const int quarters = k % 4;
    const bool mirrored = k & 4;
    snprintf(path, sizeof path, "../io/angiograms/laid_%s_%d%s.dcm", k & 8 ? "field" : "patient",
             quarters, mirrored ? "m" : "");
    o.orientation = WILLIS_ORIENTATION_HEADER;
    assert_ok(willis_prepare(&one, 1, &o, &stack, &done, NULL, NULL, &err));
    assert_true(done->turn.quarters == quarters && done->turn.mirrored == mirrored);
    willis_prepared_release(done);
    assert_true(stack.columns == 12 && stack.rows == 8);
    if (k == 0) {
      upright = stack;
      assert_true(upright.pixels[0] == 0 && upright.pixels[1 * 12 + 2] > 0);
      assert_true(upright.view->shutter.left == 2 && upright.view->shutter.right == 9);
      assert_true(upright.view->shutter.upper == 1 && upright.view->shutter.lower == 7);
      continue;
    }
    const struct willis_view *a = upright.view, *b = stack.view;
    assert_memory_equal(stack.pixels, upright.pixels, 12 * 8 * sizeof *stack.pixels);
    assert_true(a->column_spacing_mm == b->column_spacing_mm);
    assert_true(a->row_spacing_mm == b->row_spacing_mm);
    assert_true(a->principal_column == b->principal_column);
    assert_true(a->principal_row == b->principal_row);
    for (int p = 0; p < 12 * 8; p++)
      assert_true(willis_shutter_shows(&a->shutter, p % 12, p / 12, 0) ==
                  willis_shutter_shows(&b->shutter, p % 12, p / 12, 0));
    willis_projections_release(&stack);
    o.orientation = WILLIS_ORIENTATION_STORED;
    assert_ok(willis_prepare(&one, 1, &o, &stack, &done, NULL, NULL, &err));
    assert_true(done->turn.quarters == 0 && !done->turn.mirrored);
    assert_true(stack.columns == (quarters % 2 ? 8 : 12));
    willis_prepared_release(done);
    willis_projections_release(&stack);
  }
  willis_projections_release(&upright);
}

static void windows_may_be_means(void **state) {
  (void)state;
  struct willis_projections stack;
  struct willis_prepared_view *done;
  struct willis_prepare_options o = willis_prepare_defaults();
  o.choice = WILLIS_FRAME_NUMBER;
  o.frame = 2;
  o.window = 2;
  o.combine = WILLIS_COMBINE_MEAN;
  o.subtract = WILLIS_SUBTRACT_MASK;
  o.mask_first = o.mask_last = 1;
  assert_ok(prepare(1, &o, &stack, &done));
  for (int p = 0; p < COUNT; p++) {
    const double want = (attenuation(1, p) + attenuation(2, p)) / 2 - attenuation(0, p);
    assert_true(fabs(stack.pixels[p] - want) < 1e-4);
  }
  willis_projections_release(&stack);
  willis_prepared_release(done);
}

static void the_same_bytes_for_any_number_of_threads(void **state) {
  (void)state;
  struct willis_projections one = {0}, many;
  struct willis_prepared_view *done;
  struct willis_prepare_options o = willis_prepare_defaults();
  o.window = 2;
  for (int threads = 1; threads <= 8; threads += 3) {
    willis_parallel_set_threads(threads);
    assert_ok(prepare(2, &o, &many, &done));
    willis_prepared_release(done);
    if (threads == 1) {
      one = many;
      continue;
    }
    assert_memory_equal(one.pixels, many.pixels, 2 * COUNT * sizeof *one.pixels);
    willis_projections_release(&many);
  }
  willis_parallel_set_threads(0);
  willis_projections_release(&one);
}

static void every_allocation_may_fail(void **state) {
  (void)state;
  struct willis_projections stack;
  struct willis_prepared_view *done;
  struct willis_prepare_options o = willis_prepare_defaults();
  o.window = 2;
  o.subtract = WILLIS_SUBTRACT_MASK;
  o.mask_first = o.mask_last = 1;
  for (int n = 0;; n++) {
    struct failing_allocator failing = {.until_failure = n};
    failing_allocator_use(&failing);
    const enum willis_status status = prepare(2, &o, &stack, &done);
    if (!status) willis_projections_release(&stack);
    if (!status) willis_prepared_release(done);
    failing_allocator_use(NULL);
    assert_int_equal(failing.held, 0);
    if (failing.until_failure >= 0) {
      assert_int_equal(status, WILLIS_OK);
      assert_true(n > 30);
      break;
    }
    assert_int_equal(status, WILLIS_OUT_OF_MEMORY);
    assert_null(done);
  }
}

static void refused(void **state) {
  (void)state;
  struct willis_projections stack;
  struct willis_prepared_view *done;
  static const double angles[2] = {0, 0};
  struct row {
    struct willis_prepare_options o;
    ptrdiff_t files;
    enum willis_status status;
    const char *part;
  } row[7];
  for (size_t i = 0; i < 7; i++) row[i] = (struct row){.o = willis_prepare_defaults(), .files = 1};
  row[0].o.choice = WILLIS_FRAME_NUMBER;
  row[0].o.frame = 4;
  row[0].part = "frame 4, expected 1 to 3";
  row[1].o.window = 4;
  row[1].part = "a window of 4 frames out of 3";
  row[2].o.bin = 3;
  row[2].part = "expected a divisor";
  row[3].o.angle_deg = angles;
  row[3].o.angle_count = 1;
  row[3].files = 2;
  row[3].part = "1 pairs of angles for 2 runs";
  row[4].o.subtract = WILLIS_SUBTRACT_MASK;
  row[4].o.mask_first = 2;
  row[4].o.mask_last = 9;
  row[4].part = "mask frame 9";
  row[5].o.override.source_to_isocenter_mm = 2000;
  row[5].part = "source to isocenter is 2000 mm";
  row[6].o.subtract = WILLIS_SUBTRACT_MASK;
  row[6].o.mask_first = 1;
  row[6].o.mask_last = 3;
  row[6].part = "mask frames 1 to 3 of 3: expected fewer";
  for (size_t i = 0; i < 7; i++) {
    assert_true(prepare(row[i].files, &row[i].o, &stack, &done) != WILLIS_OK);
    if (!strstr(err.message, row[i].part)) fail_msg("'%s' not in '%s'", row[i].part, err.message);
    assert_null(stack.pixels);
    assert_null(done);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_frame_less_its_mask),
      cmocka_unit_test(bins_keep_their_place),
      cmocka_unit_test(windows_and_all),
      cmocka_unit_test(views_from_elsewhere),
      cmocka_unit_test(pictures_become_upright),
      cmocka_unit_test(windows_may_be_means),
      cmocka_unit_test(the_same_bytes_for_any_number_of_threads),
      cmocka_unit_test(every_allocation_may_fail),
      cmocka_unit_test(refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
