/* Projection and back-projection against SciPy's rotate() (M4, M5), with every kernel. */
#include "xray_cases.h"

static void read_numbers(struct oracle *oracle, float *value, ptrdiff_t count) {
  for (ptrdiff_t i = 0; i < count; i++) value[i] = (float)oracle_number(oracle);
}

static void expect_word(struct oracle *oracle, const char *expected) {
  char word[64];
  assert_true(oracle_word(oracle, word));
  assert_string_equal(word, expected);
}

static void read_volume(struct oracle *oracle, ptrdiff_t n, struct willis_volume *volume) {
  struct willis_error err;
  double lowest = oracle_number(oracle), spacing = oracle_number(oracle);
  static const double centre[3] = {-3.1, 44.7, 910.3};
  struct willis_grid grid = willis_grid_cube(n, spacing, centre);
  assert_ok(willis_volume_create(volume, &grid, &err));
  volume->integral = lowest == 0;
  for (ptrdiff_t i = 0; i < n * n * n; i++) volume->voxels[i] = (float)lowest;
}

static void add_bytes(struct oracle *oracle, struct willis_volume *volume) {
  ptrdiff_t count = willis_grid_count(&volume->grid);
  unsigned char *byte = malloc((size_t)count);
  assert_non_null(byte);
  oracle_bytes(oracle, byte, count);
  for (ptrdiff_t i = 0; i < count; i++) volume->voxels[i] += byte[i];
  free(byte);
}

static struct willis_projections empty_stack(const struct willis_volume *volume, ptrdiff_t views,
                                             enum willis_projection_mode mode) {
  struct willis_error err;
  struct willis_projections stack;
  ptrdiff_t n = volume->grid.size[0];
  assert_ok(willis_projections_create(&stack, n, n, views, &err));
  willis_grid_centre(&volume->grid, stack.isocenter_mm);
  stack.mode = mode;
  return stack;
}

static void assert_near(const float *found, const float *expected, ptrdiff_t count, double range) {
  double error = largest_difference(found, expected, count);
  if (!(error <= 1e-5 * range)) fail_msg("off by %g of a range of %g", error, range);
}

static void check_projection(const struct willis_volume *volume,
                             const struct willis_projections *expected) {
  struct willis_error err;
  struct willis_projections found = empty_stack(volume, expected->view_count, expected->mode);
  memcpy(found.view, expected->view, (size_t)found.view_count * sizeof *found.view);
  assert_ok(willis_project(volume, &found, &err));
  ptrdiff_t count = pixel_count(&found);
  assert_near(found.pixels, expected->pixels, count,
              found.mode == WILLIS_PROJECTION_MAX
                  ? value_range(volume->voxels, willis_grid_count(&volume->grid))
                  : value_range(expected->pixels, count));
  willis_projections_release(&found);
}

static void check_example(struct oracle *oracle) {
  struct willis_error err;
  struct willis_volume volume, back;
  ptrdiff_t n = (ptrdiff_t)oracle_number(oracle);
  read_volume(oracle, n, &volume);
  ptrdiff_t angles = (ptrdiff_t)oracle_number(oracle), slices = (ptrdiff_t)oracle_number(oracle);
  add_bytes(oracle, &volume);
  struct willis_projections most = empty_stack(&volume, angles, WILLIS_PROJECTION_MAX);
  struct willis_projections integral = empty_stack(&volume, angles, WILLIS_PROJECTION_SUM);
  for (ptrdiff_t v = 0; v < angles; v++) {
    expect_word(oracle, "angle");
    most.view[v] = integral.view[v] = willis_view_parallel(oracle_number(oracle), &volume.grid);
    read_numbers(oracle, most.pixels + v * n * n, n * n);
    read_numbers(oracle, integral.pixels + v * n * n, n * n);
  }
  check_projection(&volume, &most);
  check_projection(&volume, &integral);

  assert_ok(willis_volume_create(&back, &volume.grid, &err));
  assert_ok(willis_backproject(&most, &back, &err));
  double range = value_range(back.voxels, n * n * n);
  float *slice = malloc((size_t)(n * n) * sizeof *slice);
  assert_non_null(slice);
  for (ptrdiff_t s = 0; s < slices; s++) {
    expect_word(oracle, "slice");
    ptrdiff_t k = (ptrdiff_t)oracle_number(oracle);
    read_numbers(oracle, slice, n * n);
    assert_near(back.voxels + k * n * n, slice, n * n, range);
  }
  free(slice);
  willis_volume_release(&back);
  willis_volume_release(&volume);
  willis_projections_release(&most);
  willis_projections_release(&integral);
}

static void check_file(void) {
  struct oracle oracle = oracle_open("../oracle/xray_scipy.txt");
  int examples = 0;
  for (char word[64]; oracle_word(&oracle, word); examples++) {
    assert_string_equal(word, "size");
    check_example(&oracle);
  }
  assert_true(examples >= 3);
  oracle_close(&oracle);
}

static void best_kernels(void **state) {
  (void)state;
  check_file();
}

static void plain_kernels(void **state) {
  (void)state;
  willis_cpu_mask(0);
  check_file();
  willis_cpu_mask(~0u);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(best_kernels),
                                     cmocka_unit_test(plain_kernels)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
