/* Cone-beam views: where points fall, beside an independent evaluation; and axes into angles. */
#include "oracle/oracle.h"
#include "xray_cases.h"

static void method_vectors(void **state) {
  (void)state;
  static const struct {
    double primary, secondary, d[3];
  } row[] = {
      {30, 25, {0.45315, -0.78489, 0.42262}},
      {0, 0, {0, -1, 0}},
      {90, 0, {1, 0, 0}},
      {0, 90, {0, 0, 1}},
  };
  for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
    struct willis_view view = {.primary_angle_deg = row[i].primary,
                               .secondary_angle_deg = row[i].secondary};
    double d[3], u[3], v[3];
    willis_view_axes(&view, d, u, v);
    for (int a = 0; a < 3; a++) assert_true(fabs(d[a] - row[i].d[a]) < 5e-6);
    /* The picture is seen from the detector: u to the right, v up, d towards the eye. */
    for (int a = 0; a < 3; a++) {
      int p = (a + 1) % 3, q = (a + 2) % 3;
      assert_true(fabs(u[p] * v[q] - u[q] * v[p] - d[a]) < 1e-12);
    }
  }
}

/* The signs in words: seen from the front, the patient's left is on the right of the picture and
 * the head above; what is nearer to the source is larger. */
static void signs_in_words(void **state) {
  (void)state;
  struct willis_view view = {.kind = WILLIS_VIEW_CONE,
                             .source_to_detector_mm = 1200,
                             .source_to_isocenter_mm = 750,
                             .column_spacing_mm = 0.3,
                             .row_spacing_mm = 0.3,
                             .principal_column = 100,
                             .principal_row = 80};
  double column, row, back;
  willis_view_project_point(&view, (const double[]){10, 0, 0}, &column, &row);
  assert_true(column > 100 && row == 80);
  willis_view_project_point(&view, (const double[]){0, 0, 10}, &column, &row);
  assert_true(column == 100 && row < 80);
  willis_view_project_point(&view, (const double[]){10, 30, 0}, &back, &row); /* the back: nearer */
  willis_view_project_point(&view, (const double[]){10, 0, 0}, &column, &row);
  assert_true(back > column);
  willis_view_project_point(&view, (const double[]){0, 800, 0}, &column, &row);
  assert_true(isnan(column) && isnan(row));
}

static void points_fall_where_numpy_says(void **state) {
  (void)state;
  struct oracle oracle = oracle_open("../oracle/xray_cone.txt");
  char word[64];
  int views = 0;
  while (oracle_word(&oracle, word)) {
    double n[11] = {strtod(word, NULL)};
    for (int i = 1; i < 11; i++) n[i] = oracle_number(&oracle);
    struct willis_view view = {.kind = WILLIS_VIEW_CONE,
                               .primary_angle_deg = n[0],
                               .secondary_angle_deg = n[1],
                               .in_plane_angle_deg = n[2],
                               .source_offset_mm = {n[3], n[4]},
                               .source_to_detector_mm = n[5],
                               .source_to_isocenter_mm = n[6],
                               .column_spacing_mm = n[7],
                               .row_spacing_mm = n[8],
                               .principal_column = n[9],
                               .principal_row = n[10]};
    for (int p = 0; p < 8; p++) {
      double point[3], column, row;
      for (int a = 0; a < 3; a++) point[a] = oracle_number(&oracle);
      willis_view_project_point(&view, point, &column, &row);
      assert_true(fabs(column - oracle_number(&oracle)) < 1e-9);
      assert_true(fabs(row - oracle_number(&oracle)) < 1e-9);
    }
    views++;
  }
  assert_int_equal(views, 8);
  oracle_close(&oracle);
}

static void axes_give_their_angles_back(void **state) {
  (void)state;
  struct willis_error err;
  for (int primary = -170; primary <= 180; primary += 35)
    for (int secondary = -90; secondary <= 90; secondary += 30)
      for (int turn = -135; turn <= 180; turn += 45) {
        struct willis_view view = {.primary_angle_deg = primary,
                                   .secondary_angle_deg = secondary,
                                   .in_plane_angle_deg = turn},
                           other = {.column_spacing_mm = 3};
        double axes[3][3], again[3][3];
        willis_view_axes(&view, axes[0], axes[1], axes[2]);
        assert_ok(willis_view_set_axes(&other, axes[0], axes[1], &err));
        willis_view_axes(&other, again[0], again[1], again[2]);
        for (int a = 0; a < 9; a++)
          assert_true(fabs(axes[a / 3][a % 3] - again[a / 3][a % 3]) < 1e-12);
        assert_true(other.column_spacing_mm == 3);
        if (abs(secondary) < 90)
          assert_true(fabs(remainder(other.primary_angle_deg - primary, 360)) < 1e-9);
      }
}

static void axes_that_are_none(void **state) {
  (void)state;
  static const double bad[][6] = {
      {1, 0, 0, 1, 0, 0}, {2, 0, 0, 0, 1, 0}, {1, 0, 0, 0, 0, 0}, {NAN, 0, 0, 0, 1, 0}};
  struct willis_error err;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    struct willis_view view = {.primary_angle_deg = 7};
    assert_int_equal(willis_view_set_axes(&view, bad[i], bad[i] + 3, &err), WILLIS_GEOMETRY);
    assert_true(view.primary_angle_deg == 7);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(method_vectors),
      cmocka_unit_test(signs_in_words),
      cmocka_unit_test(points_fall_where_numpy_says),
      cmocka_unit_test(axes_give_their_angles_back),
      cmocka_unit_test(axes_that_are_none),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
