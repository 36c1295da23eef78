/* Shapes of shutters. */
#include <willis/geometry.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { COLUMNS = 7, ROWS = 5 };

static void expect(const struct willis_shutter *shutter, double margin_px, const char *shown) {
  for (int p = 0; p < COLUMNS * ROWS; p++)
    if (willis_shutter_shows(shutter, p % COLUMNS, p / COLUMNS, margin_px) != (shown[p] == '#'))
      fail_msg("column %d, row %d is %c", p % COLUMNS, p / COLUMNS, shown[p]);
}

static void shapes_and_margins(void **state) {
  (void)state;
  const struct willis_shutter none = {.any = false, .is_circle = true};
  const struct willis_shutter rectangle = {
      .any = true, .is_rectangle = true, .left = 1, .right = 5, .upper = 0, .lower = 3};
  const struct willis_shutter circle = {
      .any = true, .is_circle = true, .centre_column = 3, .centre_row = 2, .radius = 2};
  const struct willis_shutter corners = {
      .any = true,
      .corner_count = 4,
      .corner = {{-0.5, -0.5}, {4.5, -0.5}, {4.5, 6.5}, {3.4, 3.6}}};
  struct willis_shutter both = rectangle;
  both.is_circle = true;
  both.centre_row = 3;
  both.centre_column = 1;
  both.radius = 1;
  expect(&none, 1, "###################################");
  expect(&rectangle, 0,
         ".#####."
         ".#####."
         ".#####."
         ".#####."
         ".......");
  expect(&rectangle, 1,
         "......."
         "..###.."
         "..###.."
         "......."
         ".......");
  expect(&circle, 0,
         "...#..."
         "..###.."
         ".#####."
         "..###.."
         "...#...");
  expect(&circle, 1,
         "......."
         "...#..."
         "..###.."
         "...#..."
         ".......");
  expect(&corners, 0,
         "#......"
         "##....."
         "###...."
         "####..."
         "######.");
  expect(&corners, 1,
         "......."
         "......."
         "......."
         ".#....."
         ".......");
  expect(&both, 0,
         "......."
         "......."
         ".#....."
         ".##...."
         ".......");
}

/* A binned pixel is shown where the middle of its pixels is. */
static void bins(void **state) {
  (void)state;
  const struct willis_shutter fine = {.any = true,
                                      .is_rectangle = true,
                                      .left = 3,
                                      .right = 17,
                                      .upper = 2,
                                      .lower = 13,
                                      .is_circle = true,
                                      .centre_column = 11,
                                      .centre_row = 8,
                                      .radius = 7,
                                      .corner_count = 3,
                                      .corner = {{0, 1}, {14, 5}, {3, 19}}};
  struct willis_shutter coarse = fine;
  willis_shutter_bin(&coarse, 3);
  for (int r = 0; r < 6; r++)
    for (int c = 0; c < 7; c++)
      assert_true(willis_shutter_shows(&coarse, c, r, 0) ==
                  willis_shutter_shows(&fine, 3 * c + 1, 3 * r + 1, 0));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(shapes_and_margins),
      cmocka_unit_test(bins),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
