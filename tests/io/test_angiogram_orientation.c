/* Which way up pictures of angiograms are, and what of them is shown. */
#include "made_angiogram.h"

static void test_shutters(void **state) {
  (void)state;
  static const struct {
    struct change change[5];
    const char *shown; /* rows of four columns */
  } row[] = {
      {{{0x00181600, "CS", "RECTANGULAR"},
        {0x00181602, "IS", "2"},
        {0x00181604, "IS", "3"},
        {0x00181606, "IS", "1"},
        {0x00181608, "IS", "2"}},
       ".##..##....."},
      {{{0x00181600, "CS", "CIRCULAR"}, {0x00181610, "IS", "2\\2"}, {0x00181612, "IS", "1"}},
       ".#..###..#.."},
      {{{0x00181600, "CS", "POLYGONAL"}, {0x00181620, "IS", "0\\0\\0\\5\\4\\0"}}, "###.##..#..."},
      {{{0x00181600, "CS", "RECTANGULAR"}, {0x00181602, "IS", "x"}}, "############"},
  };
  for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
    struct willis_angiogram a;
    struct made made = make_run(row[i].change, 5);
    assert_ok(open_run(&made, &a, NULL, &err));
    for (int p = 0; p < 12; p++)
      if (willis_shutter_shows(willis_angiogram_shutter(&a, 0), p % 4, p / 4, 0) !=
          (row[i].shown[p] == '#'))
        fail_msg("shutter %zu, column %d, row %d", i, p % 4, p / 4);
    willis_angiogram_close(&a);
  }
}

/* At 30/-10 columns grow to the patient's left and back, rows to the feet. */
static void test_orientation(void **state) {
  (void)state;
  static const struct {
    const char *angle, *patient, *rotation, *flip;
    enum willis_orientation believe;
    int quarters; /* −1: refused */
    bool mirrored;
    const char *part;
  } row[] = {
      {"30", "L\\F", NULL, NULL, WILLIS_ORIENTATION_HEADER, 0, false, NULL},
      {"30", "LP\\FAR", NULL, NULL, WILLIS_ORIENTATION_HEADER, 0, false, NULL},
      {"30", "R\\F", NULL, NULL, WILLIS_ORIENTATION_HEADER, 0, true, NULL},
      {"30", "R\\H", NULL, NULL, WILLIS_ORIENTATION_HEADER, 2, false, NULL},
      {"30", "F\\L", NULL, NULL, WILLIS_ORIENTATION_HEADER, 1, true, NULL},
      {"90", "P\\F", NULL, NULL, WILLIS_ORIENTATION_HEADER, 0, false, NULL},
      {"90", "A\\F", NULL, NULL, WILLIS_ORIENTATION_HEADER, 0, true, NULL},
      {"-90", "A\\F", NULL, NULL, WILLIS_ORIENTATION_HEADER, 0, false, NULL},
      {"30", "R\\F", NULL, NULL, WILLIS_ORIENTATION_STORED, 0, false, NULL},
      {"30", "R\\F", NULL, NULL, WILLIS_ORIENTATION_FIELD_OF_VIEW, 0, false, NULL},
      {"30", NULL, "180", "YES", WILLIS_ORIENTATION_HEADER, 2, true, NULL},
      {"30", NULL, NULL, "YES", WILLIS_ORIENTATION_HEADER, 0, true, NULL},
      {"30", "R\\F", "0", "YES", WILLIS_ORIENTATION_HEADER, 0, true, NULL},
      {"30", "L\\F", "180", "NO", WILLIS_ORIENTATION_PATIENT, 0, false, NULL},
      {"30", "L\\F", "180", "NO", WILLIS_ORIENTATION_FIELD_OF_VIEW, 2, false, NULL},
      {"30", "L\\F", "180", "NO", WILLIS_ORIENTATION_HEADER, -1, false,
       "say --orientation patient, field-of-view or stored"},
      {"30", "L\\F", "0", "YES", WILLIS_ORIENTATION_HEADER, -1, false,
       "a picture turned by 0 degrees and not mirrored"},
      {"30", NULL, "45", NULL, WILLIS_ORIENTATION_HEADER, -1, false, "is 45, expected 0, 90"},
      {"90", "L\\F", NULL, NULL, WILLIS_ORIENTATION_HEADER, -1, false,
       "\"L\\F\" does not fit a picture seen at the angles 90 and -10; --orientation stored"},
      {"30", "L\\L", NULL, NULL, WILLIS_ORIENTATION_HEADER, -1, false, "does not fit"},
      {"30", "L", NULL, NULL, WILLIS_ORIENTATION_HEADER, -1, false, "expected two directions"},
      {"30", "LR\\F", NULL, NULL, WILLIS_ORIENTATION_HEADER, -1, false, "expected two directions"},
      {"30", "CR\\V", NULL, NULL, WILLIS_ORIENTATION_HEADER, -1, false, "expected two directions"},
  };
  for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
    const struct change change[] = {{0x00181510, "DS", row[i].angle},
                                    {0x00200020, "CS", row[i].patient},
                                    {0x00187032, "DS", row[i].rotation},
                                    {0x00187034, "CS", row[i].flip}};
    struct willis_angiogram a;
    struct willis_view view;
    struct willis_turn turn;
    struct made made = make_run(change, 4);
    assert_ok(open_run(&made, &a, NULL, &err));
    assert_ok(willis_angiogram_view(&a, 0, &none, &view, &err));
    assert_status(willis_angiogram_turn(&a, row[i].believe, &view, &turn, &err),
                  row[i].quarters < 0 ? WILLIS_GEOMETRY : WILLIS_OK, row[i].part);
    if (row[i].quarters >= 0 &&
        (turn.quarters != row[i].quarters || turn.mirrored != row[i].mirrored))
      fail_msg("row %zu: %d quarters, mirrored %d", i, turn.quarters, turn.mirrored);
    willis_angiogram_close(&a);
  }
}

/* There and back, and a shutter goes with its picture. */
static void test_turns(void **state) {
  (void)state;
  enum { WIDE = 9, HIGH = 5 };
  for (int k = 0; k < 8; k++) {
    const struct willis_turn turn = {k % 4, k > 3};
    const ptrdiff_t columns = k % 2 ? HIGH : WIDE, rows = k % 2 ? WIDE : HIGH;
    struct willis_shutter upright = {.any = true,
                                     .is_rectangle = true,
                                     .left = 1,
                                     .right = 7,
                                     .lower = 3,
                                     .is_circle = true,
                                     .centre_column = 5,
                                     .centre_row = 1,
                                     .radius = 3.5};
    struct willis_shutter stored = upright;
    const double c[2] = {1, 7}, r[2] = {0, 3};
    double at[2][2];
    for (int i = 0; i < 2; i++) {
      at[i][0] = c[i];
      at[i][1] = r[i];
      willis_turn_place(&turn, WIDE, HIGH, &at[i][0], &at[i][1]);
    }
    stored.left = fmin(at[0][0], at[1][0]), stored.right = fmax(at[0][0], at[1][0]);
    stored.upper = fmin(at[0][1], at[1][1]), stored.lower = fmax(at[0][1], at[1][1]);
    willis_turn_place(&turn, WIDE, HIGH, &stored.centre_column, &stored.centre_row);
    struct willis_shutter back = stored;
    willis_turn_shutter(&turn, columns, rows, &back);
    for (int p = 0; p < WIDE * HIGH; p++) {
      double column = p % WIDE, row = p / WIDE;
      willis_turn_place(&turn, WIDE, HIGH, &column, &row);
      assert_true(column >= 0 && column < (double)columns && row >= 0 && row < (double)rows);
      const bool shown = willis_shutter_shows(&stored, column, row, 0);
      willis_turn_undo(&turn, columns, rows, &column, &row);
      assert_true(column == p % WIDE && row == p / WIDE);
      assert_true(willis_shutter_shows(&upright, column, row, 0) == shown);
      assert_true(willis_shutter_shows(&back, column, row, 0) == shown);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_shutters),
      cmocka_unit_test(test_orientation),
      cmocka_unit_test(test_turns),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
