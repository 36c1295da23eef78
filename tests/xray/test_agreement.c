/* Vessels in pictures, and views that agree or do not. */
#include "xray_cases.h"

#include <willis/agreement.h>

#include "failing_allocator.h"

enum { VIEWS = 4, EDGE = 96 };

static struct willis_view c_arm(double primary_deg, double secondary_deg) {
  return (struct willis_view){.kind = WILLIS_VIEW_CONE,
                              .primary_angle_deg = primary_deg,
                              .secondary_angle_deg = secondary_deg,
                              .source_to_detector_mm = 1200,
                              .source_to_isocenter_mm = 750,
                              .column_spacing_mm = 1.6,
                              .row_spacing_mm = 1.6,
                              .principal_column = (EDGE - 1) / 2.0,
                              .principal_row = (EDGE - 1) / 2.0};
}

/* Noise, a bright frame, a bar 9 pixels wide and a short, round spot. */
static void vessels_are_ridges(void **state) {
  (void)state;
  enum { N = 160, HALF = 4 };
  struct willis_error err;
  struct willis_projections picture, mask;
  struct willis_vessel_options options = willis_vessel_defaults();
  options.border_px = 10;
  assert_ok(willis_projections_create(&picture, N, N, 1, &err));
  picture.view[0] = c_arm(0, 0);
  for (ptrdiff_t i = 0; i < N * N; i++) {
    const ptrdiff_t c = i % N, r = i / N;
    const bool bar = llabs(c - 60) <= HALF && r > 20 && r < 140;
    const bool spot = (c - 110) * (c - 110) + (r - 80) * (r - 80) < 30;
    const bool frame = c < 4 || c >= N - 4;
    picture.pixels[i] =
        (float)(10 * (bar || spot || frame) + 8 * willis_random_uniform(3, (uint64_t)i, 0));
  }
  assert_ok(willis_vessels_segment(&picture, &options, &mask, &err));
  double both = 0, sum = 0, elsewhere = 0;
  for (ptrdiff_t i = 0; i < N * N; i++) {
    const ptrdiff_t c = i % N, r = i / N;
    const bool bar = llabs(c - 60) <= HALF && r > 20 && r < 140;
    both += bar && mask.pixels[i] > 0;
    sum += bar + (mask.pixels[i] > 0);
    elsewhere += llabs(c - 60) > 12 && mask.pixels[i] > 0;
  }
  if (!(2 * both / sum > 0.85)) fail_msg("Dice %g", 2 * both / sum);
  assert_true(elsewhere == 0);
  willis_projections_release(&mask);
  options.keep_values = true;
  assert_ok(willis_vessels_segment(&picture, &options, &mask, &err));
  assert_int_equal(mask.mode, WILLIS_PROJECTION_SUM);
  double within = 0; /* 10 above a median of 4, and as much noise on both */
  for (ptrdiff_t r = 30; r < 130; r++) within += (double)mask.pixels[r * N + 60] / 100;
  assert_true(fabs(within - 10) < 1);
  willis_projections_release(&mask);
  options.border_px = N / 2;
  assert_int_equal(willis_vessels_segment(&picture, &options, &mask, &err),
                   WILLIS_INVALID_ARGUMENT);
  options = willis_vessel_defaults();
  options.weak = 2;
  assert_int_equal(willis_vessels_segment(&picture, &options, &mask, &err),
                   WILLIS_INVALID_ARGUMENT);
  willis_projections_release(&picture);
}

static struct willis_projections masks_of(const struct willis_volume *vessels) {
  static const double angle[VIEWS][2] = {{-30, 0}, {30, 5}, {0, 30}, {-10, -25}};
  struct willis_error err;
  struct willis_projections mask;
  assert_ok(willis_projections_create(&mask, EDGE, EDGE, VIEWS, &err));
  for (int v = 0; v < VIEWS; v++) mask.view[v] = c_arm(angle[v][0], angle[v][1]);
  mask.mode = WILLIS_PROJECTION_MAX;
  assert_ok(willis_project(vessels, &mask, &err));
  for (ptrdiff_t i = 0; i < pixel_count(&mask); i++) mask.pixels[i] = mask.pixels[i] >= 0.5f;
  return mask;
}

/* Three bent tubes. */
static struct willis_volume tubes(void) {
  struct willis_error err;
  const struct willis_grid grid = willis_grid_cube(48, 1.5, NULL);
  struct willis_volume volume;
  assert_ok(willis_volume_create(&volume, &grid, &err));
  for (ptrdiff_t i = 0; i < 48 * 48 * 48; i++) {
    const double x = (double)(i % 48) - 23.5, y = (double)(i / 48 % 48) - 23.5;
    const double z = (double)(i / 48 / 48) - 23.5;
    const double a = hypot(x - 8 * sin(z / 10), y - 0.4 * z), b = hypot(y + 9, z - 0.5 * x);
    const double c = hypot(z + 10 - x * x / 40, y - 0.5 * x);
    volume.voxels[i] = (a < 1.8 || b < 1.8 || c < 1.8) && fabs(x) < 18 && fabs(z) < 18;
  }
  return volume;
}

static void mean_agreement(const struct willis_projections *mask, const struct willis_grid *grid,
                           struct willis_view_agreement *mean) {
  struct willis_error err;
  struct willis_view_agreement each[VIEWS];
  assert_ok(willis_views_agree(mask, grid, 0.5, each, NULL, &err));
  *mean = (struct willis_view_agreement){0, 0};
  for (int v = 0; v < VIEWS; v++) {
    mean->dice += each[v].dice / VIEWS;
    mean->centerline_mm += each[v].centerline_mm / VIEWS;
  }
}

/* What is left of shifts when what a move of the head explains is taken off, by steepest descent
 * and derivatives of willis_view_axes() at the isocenter. */
static void take_move_off(const struct willis_view *view, double shift[2 * VIEWS]) {
  const double pixels_a_mm = 1200 / 750.0 / 1.6;
  double move[3] = {0}, d[3], axis[2][3], rest[2 * VIEWS];
  for (int i = 0; i < 500; i++) {
    double slope[3] = {0};
    for (int v = 0; v < VIEWS; v++) {
      willis_view_axes(&view[v], d, axis[0], axis[1]);
      for (int k = 0; k < 2; k++) {
        const double scale = k == 0 ? pixels_a_mm : -pixels_a_mm;
        rest[2 * v + k] = shift[2 * v + k];
        for (int a = 0; a < 3; a++) rest[2 * v + k] -= scale * axis[k][a] * move[a];
        for (int a = 0; a < 3; a++) slope[a] += scale * axis[k][a] * rest[2 * v + k];
      }
    }
    for (int a = 0; a < 3; a++) move[a] += 0.2 * slope[a];
  }
  memcpy(shift, rest, sizeof rest);
}

/* Shifts that differ between the views are found but for what a move of the head explains, the head
 * stays, and the views agree nearly as well as they did. */
static void shifted_views_are_brought_back(void **state) {
  (void)state;
  static const double shift[VIEWS][2] = {{5, -4}, {-3, 0}, {0, 6}, {4, 3}};
  struct willis_error err;
  struct willis_volume vessels = tubes();
  const struct willis_grid grid = willis_grid_cube(64, 1.5, NULL);
  struct willis_projections mask = masks_of(&vessels);
  struct willis_view_agreement right, wrong, refined;
  double found[2 * VIEWS];
  struct willis_refine_options options = willis_refine_defaults();
  options.most_px = 10;
  mean_agreement(&mask, &grid, &right);
  for (int v = 0; v < VIEWS; v++) {
    mask.view[v].principal_column += shift[v][0];
    mask.view[v].principal_row += shift[v][1];
  }
  mean_agreement(&mask, &grid, &wrong);
  assert_ok(willis_views_refine(&mask, &grid, &options, found, NULL, &err));
  mean_agreement(&mask, &grid, &refined);
  assert_true(refined.dice > wrong.dice + 0.5 * (right.dice - wrong.dice));
  double wanted[2 * VIEWS], still[2 * VIEWS];
  memcpy(still, found, sizeof still);
  for (int i = 0; i < 2 * VIEWS; i++) wanted[i] = -shift[i / 2][i % 2];
  take_move_off(mask.view, wanted);
  take_move_off(mask.view, still);
  for (int v = 0; v < VIEWS; v++) {
    assert_true(
        fabs(mask.view[v].principal_column - (EDGE - 1) / 2.0 - shift[v][0] - found[2 * v]) < 1e-9);
    for (int k = 0; k < 2; k++) {
      assert_true(fabs(still[2 * v + k] - found[2 * v + k]) < 0.02);
      assert_true(fabs(wanted[2 * v + k] - found[2 * v + k]) < 0.8);
    }
  }
  willis_projections_release(&mask);
  willis_volume_release(&vessels);
}

static void refuses_what_cannot_be(void **state) {
  (void)state;
  struct willis_error err;
  struct willis_volume vessels = tubes();
  struct willis_projections mask = masks_of(&vessels);
  struct willis_view_agreement each[VIEWS];
  struct willis_refine_options options = willis_refine_defaults();
  double shift[2 * VIEWS];
  assert_int_equal(willis_views_agree(&mask, &vessels.grid, -1, each, NULL, &err),
                   WILLIS_INVALID_ARGUMENT);
  options.rounds = 0;
  assert_int_equal(willis_views_refine(&mask, &vessels.grid, &options, shift, NULL, &err),
                   WILLIS_INVALID_ARGUMENT);
  mask.view_count = 2;
  assert_int_equal(willis_views_agree(&mask, &vessels.grid, 1, each, NULL, &err),
                   WILLIS_INVALID_ARGUMENT);
  assert_non_null(strstr(err.message, "3 or more"));
  mask.view_count = VIEWS;
  willis_projections_release(&mask);
  willis_volume_release(&vessels);
}

static void threads_do_not_matter(void **state) {
  (void)state;
  struct willis_error err;
  struct willis_volume vessels = tubes();
  struct willis_refine_options options = {.most_px = 4, .rounds = 2};
  struct willis_view_agreement each[2][VIEWS];
  double shift[2][2 * VIEWS];
  for (int i = 0; i < 2; i++) {
    struct willis_projections mask = masks_of(&vessels);
    mask.view[1].principal_column += 2;
    willis_parallel_set_threads(i ? 5 : 1);
    assert_ok(willis_views_refine(&mask, &vessels.grid, &options, shift[i], NULL, &err));
    assert_ok(willis_views_agree(&mask, &vessels.grid, 1, each[i], NULL, &err));
    willis_projections_release(&mask);
  }
  willis_parallel_set_threads(0);
  assert_memory_equal(shift[0], shift[1], sizeof shift[0]);
  assert_memory_equal(each[0], each[1], sizeof each[0]);
  willis_volume_release(&vessels);
}

static bool stop(const char *what, double done, double total, const char *unit, void *context) {
  (void)what, (void)done, (void)total, (void)unit, (void)context;
  return false;
}

/* Every n-th allocation of one round, of one view left out, and of finding vessels. */
static void allocations_may_fail(void **state) {
  (void)state;
  struct willis_error err;
  struct willis_volume vessels = tubes();
  struct willis_projections mask = masks_of(&vessels), found;
  const struct willis_refine_options options = {.most_px = 1, .rounds = 2};
  const struct willis_vessel_options defaults = willis_vessel_defaults();
  const struct willis_progress impatient = {stop, NULL};
  const struct willis_view before = mask.view[0];
  for (int what = 0; what < 3; what++) {
    enum willis_status status = WILLIS_OUT_OF_MEMORY;
    for (int n = 0; status == WILLIS_OUT_OF_MEMORY; n++) {
      struct failing_allocator failing = {.until_failure = n};
      struct willis_view_agreement each[VIEWS];
      double shift[2 * VIEWS];
      found = (struct willis_projections){0};
      failing_allocator_use(&failing);
      status = what == 0 ? willis_vessels_segment(&mask, &defaults, &found, &err)
               : what == 1
                   ? willis_views_agree(&mask, &vessels.grid, 1, each, &impatient, &err)
                   : willis_views_refine(&mask, &vessels.grid, &options, shift, &impatient, &err);
      if (!status) willis_projections_release(&found);
      failing_allocator_use(NULL);
      assert_int_equal(failing.held, 0);
      assert_memory_equal(&mask.view[0], &before, sizeof before);
      assert_true(n < 200);
    }
    assert_int_equal(status, what == 0 ? WILLIS_OK : WILLIS_CANCELLED);
  }
  willis_projections_release(&mask);
  willis_volume_release(&vessels);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(vessels_are_ridges),     cmocka_unit_test(shifted_views_are_brought_back),
      cmocka_unit_test(refuses_what_cannot_be), cmocka_unit_test(threads_do_not_matter),
      cmocka_unit_test(allocations_may_fail),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
