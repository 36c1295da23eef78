/* Digital subtraction of runs made here: which mask, which frames, shifts, logarithms. */
#include "xray/subtraction.h"

#include "oracle/oracle.h"

#include <math.h>
#include <stdlib.h>

enum { COLUMNS = 9, ROWS = 7, COUNT = COLUMNS * ROWS, FRAMES = 12 };

static struct willis_error err;

/* Frame f: a smooth background, and contrast of f² / 100 in one pixel, in powers of e. */
static double attenuation(ptrdiff_t f, int i) {
  return 0.01 * (i % COLUMNS) + 0.02 * (i / COLUMNS) + (i == 31 ? 0.01 * (double)(f * f) : 0);
}
static enum willis_status read_linear(void *context, ptrdiff_t f, float *pixels,
                                      struct willis_error *why) {
  (void)context, (void)why;
  for (int i = 0; i < COUNT; i++) pixels[i] = (float)(3000 * exp(-attenuation(f, i)));
  return WILLIS_OK;
}
static enum willis_status read_logarithmic(void *context, ptrdiff_t f, float *pixels,
                                           struct willis_error *why) {
  (void)context, (void)why;
  for (int i = 0; i < COUNT; i++) pixels[i] = (float)(5 - attenuation(f, i));
  return WILLIS_OK;
}
static const struct willis_frames runs[] = {
    {COLUMNS, ROWS, FRAMES, WILLIS_INTENSITY_LINEAR, read_linear, NULL},
    {COLUMNS, ROWS, FRAMES, WILLIS_INTENSITY_LOGARITHMIC, read_logarithmic, NULL},
};

/* The mean of (0.01 f²) over a list of frames. */
static double mean(const ptrdiff_t *frame, int count) {
  double sum = 0;
  for (int i = 0; i < count; i++) sum += 0.01 * (double)(frame[i] * frame[i]);
  return sum / count;
}

static void expect(const struct willis_subtraction *operation, ptrdiff_t frame, double contrast) {
  float got[COUNT];
  for (size_t r = 0; r < 2; r++) {
    assert_int_equal(willis_subtract(&runs[r], operation, frame, got, &err), WILLIS_OK);
    for (int i = 0; i < COUNT; i++) {
      const double want = i == 31 ? contrast : 0;
      if (!(fabs(got[i] - want) < 2e-5)) fail_msg("pixel %d is %g, not %g", i, got[i], want);
    }
  }
}

static void average_of_masks(void **state) {
  (void)state;
  ptrdiff_t mask[] = {0, 2}, range[] = {4, 6, 9, 10};
  const struct willis_subtraction one = {.kind = WILLIS_SUBTRACTION_AVERAGE,
                                         .mask = mask,
                                         .mask_count = 2,
                                         .range = range,
                                         .range_count = 2,
                                         .averaging = 1};
  expect(&one, 5, 0.25 - mean(mask, 2));
  struct willis_subtraction three = one;
  three.averaging = 3;
  expect(&three, 9, mean((const ptrdiff_t[]){9, 10, 11}, 3) - mean(mask, 2));
  /* Contrast averaging may not reach beyond the run, ranges are inclusive. */
  assert_true(willis_subtraction_applies(&three, 9, FRAMES));
  assert_false(willis_subtraction_applies(&three, 10, FRAMES));
  assert_true(willis_subtraction_applies(&one, 4, FRAMES));
  assert_true(willis_subtraction_applies(&one, 6, FRAMES));
  assert_false(willis_subtraction_applies(&one, 7, FRAMES));
  assert_false(willis_subtraction_applies(&one, 3, FRAMES));
  float got[COUNT];
  assert_int_equal(willis_subtract(&runs[0], &one, 7, got, &err), WILLIS_INVALID_ARGUMENT);
}

static void intervals(void **state) {
  (void)state;
  ptrdiff_t range[] = {5, 8};
  const struct willis_subtraction tid = {
      .kind = WILLIS_SUBTRACTION_INTERVAL, .averaging = 1, .interval = 2};
  expect(&tid, 7, 0.49 - 0.25);
  assert_false(willis_subtraction_applies(&tid, 1, FRAMES)); /* no frame −1 */
  assert_true(willis_subtraction_applies(&tid, 2, FRAMES));
  struct willis_subtraction later = tid;
  later.interval = -3;
  expect(&later, 2, 0.04 - 0.25);
  assert_false(willis_subtraction_applies(&later, 9, FRAMES));
  /* REV_TID: contrast 5, 6, 7, 8 with an offset of 2 has masks 3, 2, 1, 0. */
  struct willis_subtraction reversed = tid;
  reversed.kind = WILLIS_SUBTRACTION_REV_INTERVAL;
  reversed.range = range;
  reversed.range_count = 1;
  for (ptrdiff_t f = 5; f <= 8; f++) {
    assert_int_equal(willis_subtraction_mask(&reversed, f), 8 - f);
    expect(&reversed, f, 0.01 * (double)(f * f - (8 - f) * (8 - f)));
  }
}

static void first_that_applies(void **state) {
  (void)state;
  ptrdiff_t mask[] = {0}, early[] = {1, 5}, late[] = {4, 11};
  const struct willis_subtraction first = {.kind = WILLIS_SUBTRACTION_AVERAGE,
                                           .range = early,
                                           .range_count = 1,
                                           .mask = mask,
                                           .mask_count = 1,
                                           .averaging = 1};
  struct willis_subtraction fixed[3] = {
      {.kind = WILLIS_SUBTRACTION_NONE, .averaging = 1}, first, first};
  fixed[2].range = late;
  assert_ptr_equal(willis_subtraction_find(fixed, 3, 4, FRAMES), &fixed[1]);
  assert_ptr_equal(willis_subtraction_find(fixed, 3, 6, FRAMES), &fixed[2]);
  assert_null(willis_subtraction_find(fixed, 3, 0, FRAMES));
}

/* The background is linear, so a shifted mask differs from it by the shift times the slope: down by
 * 0.5 rows of 0.02 and right by 0.25 columns of 0.01. */
static void shift_is_down_and_right(void **state) {
  (void)state;
  ptrdiff_t mask[] = {0};
  const struct willis_subtraction shifted = {.kind = WILLIS_SUBTRACTION_AVERAGE,
                                             .mask = mask,
                                             .mask_count = 1,
                                             .averaging = 1,
                                             .shift_rows = 0.5,
                                             .shift_columns = 0.25};
  float got[COUNT];
  assert_int_equal(willis_subtract(&runs[1], &shifted, 0, got, &err), WILLIS_OK);
  for (int r = 1; r < ROWS; r++)
    for (int c = 1; c < COLUMNS; c++)
      assert_true(fabs(got[r * COLUMNS + c] - (0.5 * 0.02 + 0.25 * 0.01)) < 2e-6);
}

static void no_mask_and_no_light(void **state) {
  (void)state;
  float got[COUNT];
  assert_int_equal(willis_subtract(&runs[0], NULL, 0, got, &err), WILLIS_OK);
  for (int i = 0; i < COUNT; i++)
    assert_true(fabs(got[i] - (attenuation(0, i) - log(3000))) < 2e-5);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(average_of_masks),     cmocka_unit_test(intervals),
      cmocka_unit_test(first_that_applies),   cmocka_unit_test(shift_is_down_and_right),
      cmocka_unit_test(no_mask_and_no_light),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
