/* Stacks of coarser pixels: what is averaged, and that points fall where they fell. */
#include <willis/geometry.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

enum { COLUMNS = 5, ROWS = 3, VIEWS = 2 };

static struct willis_projections stack_of(void) {
  struct willis_projections stack;
  assert_int_equal(willis_projections_create(&stack, COLUMNS, ROWS, VIEWS, NULL), WILLIS_OK);
  stack.mode = WILLIS_PROJECTION_SUM;
  stack.isocenter_mm[1] = -3;
  for (int i = 0; i < COLUMNS * ROWS * VIEWS; i++) stack.pixels[i] = (float)(i * i);
  for (int v = 0; v < VIEWS; v++)
    stack.view[v] = (struct willis_view){.primary_angle_deg = 70.0 * v,
                                         .column_spacing_mm = 0.5,
                                         .row_spacing_mm = 0.75,
                                         .principal_column = 0.5 * (COLUMNS - 1),
                                         .principal_row = 0.5 * (ROWS - 1)};
  struct willis_view *cone = &stack.view[1];
  cone->kind = WILLIS_VIEW_CONE;
  cone->source_to_isocenter_mm = 500;
  cone->source_to_detector_mm = 900;
  cone->in_plane_angle_deg = 20;
  return stack;
}

static void pixels_that_are_shown_are_averaged(void **state) {
  (void)state;
  struct willis_projections stack = stack_of(), binned;
  /* Of the second view the first two columns are covered. */
  stack.view[1].shutter = (struct willis_shutter){.any = true,
                                                  .is_rectangle = true,
                                                  .left = 2,
                                                  .right = COLUMNS - 1,
                                                  .upper = 0,
                                                  .lower = ROWS - 1};
  assert_int_equal(willis_projections_bin(&stack, 2, &binned, NULL), WILLIS_OK);
  assert_true(binned.columns == 3 && binned.rows == 2 && binned.view_count == VIEWS);
  assert_true(binned.mode == stack.mode && binned.isocenter_mm[1] == -3);
  const float expected[VIEWS][6] = {
      {(0 + 1 + 25 + 36) / 4.0f, (4 + 9 + 49 + 64) / 4.0f, (16 + 81) / 2.0f, (100 + 121) / 2.0f,
       (144 + 169) / 2.0f, 196},
      {0, (289 + 324 + 484 + 529) / 4.0f, (361 + 576) / 2.0f, 0, (729 + 784) / 2.0f, 841}};
  for (int i = 0; i < VIEWS * 6; i++) assert_true(binned.pixels[i] == expected[i / 6][i % 6]);
  assert_false(willis_shutter_shows(&binned.view[1].shutter, 0, 0, 0));
  assert_true(willis_shutter_shows(&binned.view[1].shutter, 1, 0, 0));
  willis_projections_release(&binned);
  willis_projections_release(&stack);
}

static void points_fall_where_they_fell(void **state) {
  (void)state;
  struct willis_projections stack = stack_of(), binned;
  for (int bin = 1; bin <= 4; bin++) {
    assert_int_equal(willis_projections_bin(&stack, bin, &binned, NULL), WILLIS_OK);
    for (int v = 0; v < VIEWS; v++) {
      const double point[3] = {0.3, -0.7, 0.2};
      double fine[2], coarse[2];
      willis_view_project_point(&stack.view[v], point, &fine[0], &fine[1]);
      willis_view_project_point(&binned.view[v], point, &coarse[0], &coarse[1]);
      for (int a = 0; a < 2; a++)
        assert_true(fabs(bin * (coarse[a] + 0.5) - (fine[a] + 0.5)) < 1e-12);
    }
    willis_projections_release(&binned);
  }
  assert_int_equal(willis_projections_bin(&stack, 0, &binned, NULL), WILLIS_INVALID_ARGUMENT);
  willis_projections_release(&stack);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(pixels_that_are_shown_are_averaged),
      cmocka_unit_test(points_fall_where_they_fell),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
