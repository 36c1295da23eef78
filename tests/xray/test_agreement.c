/* Vessels in pictures, and views that agree or do not. */
#include "xray_cases.h"

#include <willis/agreement.h>

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

/* Shifts that differ between the views are found but for what a move of the model explains, and
 * the views agree nearly as well as they did. */
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
  for (int v = 0; v < VIEWS; v++)
    assert_true(
        fabs(mask.view[v].principal_column - (EDGE - 1) / 2.0 - shift[v][0] - found[2 * v]) < 1e-9);
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

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(vessels_are_ridges),
      cmocka_unit_test(shifted_views_are_brought_back),
      cmocka_unit_test(refuses_what_cannot_be),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
