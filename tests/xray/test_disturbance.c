/* What a C-arm does to angiograms: how far views and photons stray, against what scipy says of
 * Poisson's law. */
#include "xray/disturbance.h"
#include "xray_cases.h"

enum { EDGE = 256, PIXELS = EDGE * EDGE, MOST_BINS = 128 };

/* One picture of one value. */
static struct willis_projections even_stack(float value) {
  struct willis_error err;
  struct willis_projections stack;
  assert_ok(willis_projections_create(&stack, EDGE, EDGE, 1, &err));
  stack.mode = WILLIS_PROJECTION_SUM;
  for (ptrdiff_t i = 0; i < PIXELS; i++) stack.pixels[i] = value;
  return stack;
}

/* How often each count was read; 0 reads as ½, which rounds to 0 or 1 by a hair. */
static double count_of(float pixel, double most, double photons) {
  const double k = photons * exp(-(double)pixel / most);
  if (k < 0.75) return 0;
  assert_true(fabs(k - rint(k)) < 0.01);
  return rint(k);
}

static void photons_follow_poisson(void **state) {
  (void)state;
  struct oracle oracle = oracle_open("../oracle/xray_disturbance.txt");
  const float most = 2.5f;
  for (int row = 0; row < 7; row++) {
    const double photons = oracle_number(&oracle), mean = oracle_number(&oracle);
    const double variance = oracle_number(&oracle);
    const int first = (int)oracle_number(&oracle), bins = (int)oracle_number(&oracle);
    const double critical = oracle_number(&oracle);
    double part[MOST_BINS], found[MOST_BINS] = {0}, sum = 0, squares = 0, chi = 0;
    double cumulative = 0, farthest = 0;
    struct willis_error err;
    struct willis_projections stack = even_stack(most);
    const struct willis_disturbance d = {.photons = photons, .seed = 5};
    assert_in_range(bins, 0, MOST_BINS);
    for (int b = 0; b < bins; b++) part[b] = oracle_number(&oracle);
    assert_ok(willis_projections_disturb(&stack, &d, &err));
    for (ptrdiff_t i = 0; i < PIXELS; i++) {
      const double k = count_of(stack.pixels[i], (double)most, photons);
      sum += k - mean;
      squares += (k - mean) * (k - mean);
      if (bins) found[(int)fmin(fmax(k - first + 1, 0), bins - 1)]++;
    }
    assert_true(fabs(sum / PIXELS) < 5 * sqrt(variance / PIXELS));
    /* The square of a Poisson's deviation has the variance 2μ² + μ. */
    assert_true(fabs(squares / PIXELS - variance) <
                5 * sqrt((2 * variance * variance + mean) / PIXELS));
    for (int b = 0; b < bins; b++) {
      chi += pow(found[b] - PIXELS * part[b], 2) / (PIXELS * part[b]);
      cumulative += found[b] / PIXELS - part[b];
      farthest = fmax(farthest, fabs(cumulative));
    }
    /* Kolmogorov's 1.63/√n happens once in a hundred; above a mean of 100 the normal is off too. */
    assert_true(farthest < (mean > 100 ? 0.01 : 0) + 1.63 / EDGE);
    if (mean <= 100) assert_true(chi < critical);
    willis_projections_release(&stack);
  }
  assert_true(oracle_number(&oracle) < 0.01);
  oracle_close(&oracle);
}

/* ln of a count is ln of its mean less 1/(2·mean), with a variance of 1/mean. */
static void many_photons_hardly_move_a_pixel(void **state) {
  (void)state;
  struct willis_error err;
  const double photons = 1e6, most = 4;
  struct willis_projections stack = even_stack(1);
  const struct willis_disturbance d = {.photons = photons, .seed = 6};
  stack.pixels[0] = (float)most;
  assert_ok(willis_projections_disturb(&stack, &d, &err));
  const double expected = photons * exp(-1 / most), variance = most * most / expected;
  double sum = 0, squares = 0;
  for (ptrdiff_t i = 1; i < PIXELS; i++) {
    const double off = (double)stack.pixels[i] - 1 - most / (2 * expected);
    sum += off / (PIXELS - 1);
    squares += off * off / (PIXELS - 1);
  }
  assert_true(fabs(sum) < 5 * sqrt(variance / PIXELS));
  assert_true(fabs(squares / variance - 1) < 5 * sqrt(2.0 / PIXELS));
  willis_projections_release(&stack);
}

/* Whoever lets nothing through reads as half a photon, not as infinitely dark. */
static void no_photon_is_finite(void **state) {
  (void)state;
  struct willis_error err;
  struct willis_projections stack = even_stack(3);
  const struct willis_disturbance d = {.photons = 1e-3, .seed = 1};
  assert_ok(willis_projections_disturb(&stack, &d, &err));
  for (ptrdiff_t i = 0; i < PIXELS; i++) assert_true(isfinite(stack.pixels[i]));
  assert_true(fabs((double)stack.pixels[0] + 3 * log(0.5 / 1e-3)) < 1e-5);
  willis_projections_release(&stack);
}

static void views_stray_as_they_are_told(void **state) {
  (void)state;
  enum { VIEWS = 90, SEEDS = 200, ERRORS = 3 };
  static const double sd[ERRORS] = {2.5, 1.5, 1.5}, told[ERRORS] = {10, 3, 4};
  double sum[ERRORS] = {0}, product[ERRORS][ERRORS] = {{0}};
  struct willis_error err;
  struct willis_projections stack;
  assert_ok(willis_projections_create(&stack, 4, 4, VIEWS, &err));
  for (uint64_t seed = 0; seed < SEEDS; seed++) {
    const struct willis_disturbance d = {sd[0], sd[1], 0, seed};
    for (int v = 0; v < VIEWS; v++) {
      stack.view[v].primary_angle_deg = told[0];
      stack.view[v].principal_column = told[1];
      stack.view[v].principal_row = told[2];
    }
    assert_ok(willis_projections_disturb(&stack, &d, &err));
    for (int v = 0; v < VIEWS; v++) {
      const double off[ERRORS] = {stack.view[v].primary_angle_deg - told[0],
                                  stack.view[v].principal_column - told[1],
                                  stack.view[v].principal_row - told[2]};
      for (int a = 0; a < ERRORS; a++) sum[a] += off[a] / sd[a];
      for (int a = 0; a < ERRORS; a++)
        for (int b = 0; b < ERRORS; b++) product[a][b] += off[a] / sd[a] * off[b] / sd[b];
    }
  }
  const double count = VIEWS * SEEDS;
  for (int a = 0; a < ERRORS; a++) {
    assert_true(fabs(sum[a] / count) < 5 / sqrt(count));
    for (int b = 0; b < ERRORS; b++)
      assert_true(fabs(product[a][b] / count - (a == b)) < 5 * sqrt((a == b ? 2 : 1) / count));
  }
  willis_projections_release(&stack);
}

/* Beyond a whole turn no stack can say what it is. */
static void angles_stay_within_a_turn(void **state) {
  (void)state;
  enum { VIEWS = 64 };
  struct willis_error err;
  struct willis_projections stack;
  struct willis_volume volume = random_volume(8, 1, 1);
  const struct willis_disturbance d = {.angle_sd_deg = 20, .seed = 3};
  assert_ok(willis_projections_create(&stack, 8, 8, VIEWS, &err));
  bool turned = false;
  for (int v = 0; v < VIEWS; v++)
    stack.view[v] = willis_view_parallel(v % 2 ? 360 : -360, &volume.grid);
  assert_ok(willis_projections_disturb(&stack, &d, &err));
  for (int v = 0; v < VIEWS; v++) {
    const double angle = stack.view[v].primary_angle_deg;
    assert_true(fabs(angle) <= 360);
    turned |= fabs(angle) < 180;
    /* From where it is to where it was is an error of a few deviations. */
    assert_true(fabs(remainder(angle, 360)) < 100 && fabs(remainder(angle, 360)) > 0);
  }
  assert_true(turned);
  assert_ok(willis_project(&volume, &stack, &err));
  willis_projections_release(&stack);
  willis_volume_release(&volume);
}

static void no_disturbance_changes_nothing(void **state) {
  (void)state;
  struct willis_error err;
  struct willis_volume volume = random_volume(8, 1, 1);
  struct willis_projections stack = random_stack(&volume, 3, OBLIQUE, 4);
  float *pixels = copy_of(stack.pixels, pixel_count(&stack));
  struct willis_view views[3];
  memcpy(views, stack.view, sizeof views);
  const struct willis_disturbance d = {.seed = 9};
  for (int mode = 0; mode < 2; mode++) {
    stack.mode = (enum willis_projection_mode)mode;
    assert_ok(willis_projections_disturb(&stack, &d, &err));
    assert_memory_equal(stack.pixels, pixels, (size_t)pixel_count(&stack) * sizeof *pixels);
    for (int v = 0; v < 3; v++) {
      assert_true(fabs(stack.view[v].primary_angle_deg - views[v].primary_angle_deg) <= 0);
      assert_true(fabs(stack.view[v].principal_column - views[v].principal_column) <= 0);
      assert_true(fabs(stack.view[v].principal_row - views[v].principal_row) <= 0);
    }
  }
  free(pixels);
  willis_projections_release(&stack);
  willis_volume_release(&volume);
}

/* Without a darkest ray nobody knows what a pixel lets through. */
static void black_pictures_stay_black(void **state) {
  (void)state;
  struct willis_error err;
  struct willis_projections stack = even_stack(0);
  const struct willis_disturbance d = {.photons = 10, .seed = 9};
  assert_ok(willis_projections_disturb(&stack, &d, &err));
  for (ptrdiff_t i = 0; i < PIXELS; i++) assert_true(fabs((double)stack.pixels[i]) <= 0);
  willis_projections_release(&stack);
}

static void same_bits_for_any_threads_other_bits_for_other_seeds(void **state) {
  (void)state;
  struct willis_error err;
  struct willis_disturbance d = {1, 1, 90, 21};
  struct willis_projections first = even_stack(1.5f);
  willis_parallel_set_threads(1);
  assert_ok(willis_projections_disturb(&first, &d, &err));
  for (int threads = 1; threads <= 8; threads *= 2) {
    struct willis_projections again = even_stack(1.5f);
    willis_parallel_set_threads(threads);
    assert_ok(willis_projections_disturb(&again, &d, &err));
    assert_memory_equal(again.pixels, first.pixels, PIXELS * sizeof *first.pixels);
    assert_memory_equal(&again.view[0].primary_angle_deg, &first.view[0].primary_angle_deg,
                        sizeof(double));
    willis_projections_release(&again);
  }
  willis_parallel_set_threads(0);
  struct willis_projections other = even_stack(1.5f);
  ptrdiff_t same = 0;
  d.seed++;
  assert_ok(willis_projections_disturb(&other, &d, &err));
  for (ptrdiff_t i = 0; i < PIXELS; i++) same += other.pixels[i] == first.pixels[i];
  assert_true(same < PIXELS / 10);
  assert_true(fabs(other.view[0].primary_angle_deg - first.view[0].primary_angle_deg) > 0);
  willis_projections_release(&other);
  willis_projections_release(&first);
}

static void refuses_what_cannot_be(void **state) {
  (void)state;
  static const struct willis_disturbance bad[] = {
      {-1, 0, 0, 0},  {NAN, 0, 0, 0}, {46, 0, 0, 0},  {0, -1e-9, 0, 0},    {0, NAN, 0, 0},
      {0, 1e5, 0, 0}, {0, 0, -1, 0},  {0, 0, NAN, 0}, {0, 0, INFINITY, 0},
  };
  struct willis_error err;
  struct willis_projections stack = even_stack(1);
  const struct willis_view view = stack.view[0];
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    assert_refused(willis_projections_disturb(&stack, &bad[i], &err), WILLIS_INVALID_ARGUMENT, &err,
                   "expected 0 to 45 degrees");
    assert_refused(willis_disturbance_check(&bad[i], &err), WILLIS_INVALID_ARGUMENT, &err,
                   "expected 0 to 45 degrees");
  }
  const struct willis_disturbance photons = {1, 1, 10, 0};
  stack.mode = WILLIS_PROJECTION_MAX;
  assert_refused(willis_projections_disturb(&stack, &photons, &err), WILLIS_INVALID_ARGUMENT, &err,
                 "not with maximum projections");
  /* Who is refused is as before. */
  assert_true(fabs(stack.view[0].primary_angle_deg - view.primary_angle_deg) <= 0);
  for (ptrdiff_t i = 0; i < PIXELS; i++) assert_true(fabs((double)stack.pixels[i] - 1) <= 0);
  willis_projections_release(&stack);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(photons_follow_poisson),
      cmocka_unit_test(many_photons_hardly_move_a_pixel),
      cmocka_unit_test(no_photon_is_finite),
      cmocka_unit_test(views_stray_as_they_are_told),
      cmocka_unit_test(angles_stay_within_a_turn),
      cmocka_unit_test(no_disturbance_changes_nothing),
      cmocka_unit_test(black_pictures_stay_black),
      cmocka_unit_test(same_bits_for_any_threads_other_bits_for_other_seeds),
      cmocka_unit_test(refuses_what_cannot_be),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
