/* Geometry of other software: RTK's XML, 3×4 matrices, the text of a projection stack. */
#include "io/geometry_file.h"

#include "io_test.h"
#include "oracle/oracle.h"

static const struct willis_view_file of = {320, 240, 0.8};

static void test_points_fall_where_numpy_says(void **state) {
  (void)state;
  static const char *const paths[] = {"../oracle/io_geometry.xml",
                                      "../oracle/io_geometry_matrices.txt"};
  for (size_t i = 0; i < 2; i++) {
    struct willis_view_list list;
    struct oracle oracle = oracle_open("../oracle/io_geometry.txt");
    assert_ok(willis_views_read(paths[i], &of, &list, &err));
    assert_int_equal(list.count, (ptrdiff_t)oracle_number(&oracle));
    for (ptrdiff_t v = 0; v < list.count; v++) {
      assert_false(list.mirrored[v]);
      assert_true(fabs(list.view[v].source_to_detector_mm - 1536) < 1e-6);
      assert_true(fabs(list.view[v].source_to_isocenter_mm - 1000) < 1e-6);
      for (int p = 0; p < 4; p++) {
        double point[3], column, row;
        for (int a = 0; a < 3; a++) point[a] = oracle_number(&oracle);
        willis_view_project_point(&list.view[v], point, &column, &row);
        assert_true(fabs(column - oracle_number(&oracle)) < 1e-6);
        assert_true(fabs(row - oracle_number(&oracle)) < 1e-6);
      }
    }
    willis_view_list_release(&list);
    oracle_close(&oracle);
  }
}

/* A camera of computer vision: columns to the right, rows down, depth away, seen from the source.
 */
static void test_a_mirrored_view(void **state) {
  (void)state;
  static const char text[] = "1500 0 0 119500\n0 0 -1500 99500\n 0 1 0 1000\n";
  const struct willis_view_file small = {240, 200, 1};
  static const char flipped[] = "1500 0 0 119500  0 0 -1500 99500  0 -1 0 1000";
  struct willis_view_list list;
  assert_ok(willis_views_parse((const unsigned char *)text, sizeof text - 1, &small, &list, &err));
  assert_int_equal(list.count, 1);
  assert_true(list.mirrored[0]);
  willis_view_list_release(&list);
  assert_ok(
      willis_views_parse((const unsigned char *)flipped, sizeof flipped - 1, &small, &list, &err));
  assert_false(list.mirrored[0]); /* from the other side it is a C-arm's */
  assert_true(list.view[0].primary_angle_deg == 0 && list.view[0].secondary_angle_deg == 0);
  willis_view_list_release(&list);
}

static enum willis_status parse(const unsigned char *bytes, size_t size, struct willis_error *err) {
  struct willis_view_list list;
  enum willis_status status = willis_views_parse(bytes, size, &of, &list, err);
  willis_view_list_release(&list);
  return status;
}

#define RTK(inside) "<RTKThreeDCircularGeometry>" inside "</RTKThreeDCircularGeometry>"
#define FAR "<SourceToDetectorDistance>1500</SourceToDetectorDistance>"
#define NEAR "<SourceToIsocenterDistance>1000</SourceToIsocenterDistance>"
#define SHOT(inside) "<Projection>" inside "</Projection>"
#define GANTRY "<GantryAngle>10</GantryAngle>"

static void test_refused(void **state) {
  (void)state;
  static const struct {
    const char *text;
    enum willis_status status;
    const char *part;
  } row[] = {
      {"", WILLIS_FORMAT, "expected 12 a view"},
      {"1 2 3", WILLIS_FORMAT, "3 numbers left over"},
      {"1 2 x", WILLIS_FORMAT, "line 1: expected a number"},
      {"1 2 3 4\n5 nan 7 8\n9 10 11 12", WILLIS_FORMAT, "line 2"},
      {"0 0 0 0 0 0 0 0 0 0 0 0", WILLIS_GEOMETRY, "no source"},
      {"1 0 0 0 0 1 0 0 0 0 1 0", WILLIS_GEOMETRY, "no source at a distance"},
      {"1 0 0 5 1 0.5 0 5 0 0 1 9", WILLIS_GEOMETRY, "slant"},
      {"<a/>", WILLIS_FORMAT, "expected <RTKThreeDCircularGeometry>"},
      {"<RTKThreeDCircularGeometry>", WILLIS_FORMAT, "line 1"},
      {RTK(""), WILLIS_FORMAT, "no <Projection>"},
      {RTK(SHOT(GANTRY)), WILLIS_GEOMETRY, "without a matrix"},
      {RTK(FAR NEAR SHOT("<GantryAngle>x</GantryAngle>")), WILLIS_FORMAT, "<GantryAngle> holds"},
      {RTK(FAR NEAR SHOT(GANTRY "<Matrix>1 0 0 0 0 1 0 0 0 0 1 9</Matrix>")), WILLIS_GEOMETRY,
       "matrix is not that of its angles"},
      {RTK(FAR NEAR "<RadiusCylindricalDetector>5</RadiusCylindricalDetector>" SHOT(GANTRY)),
       WILLIS_UNSUPPORTED, "cylindrical"},
      {"<!DOCTYPE a [<!ENTITY b \"c\">]><RTKThreeDCircularGeometry/>", WILLIS_UNSUPPORTED,
       "entity"},
      {"{}", WILLIS_GEOMETRY, "frame is missing"},
      {"{\"views\": 3}", WILLIS_GEOMETRY, "frame is missing"},
      {"{\"views\": [{}, {}]}", WILLIS_FORMAT, "views[0] has 0 members"},
  };
  for (size_t i = 0; i < sizeof row / sizeof *row; i++)
    assert_status(parse((const unsigned char *)row[i].text, strlen(row[i].text), &err),
                  row[i].status, row[i].part);
  const struct willis_view_file unknown = {320, 240, 0};
  struct willis_view_list list;
  assert_status(willis_views_read("../oracle/io_geometry.xml", &unknown, &list, &err),
                WILLIS_GEOMETRY, "--pixel-spacing MM");
}

static void test_json(void **state) {
  (void)state;
  static const char text[] =
      "{\"frame\": \"LPS\", \"mode\": \"sum\", \"isocenter_mm\": [0, 0, 0], \"views\": [{\"kind\": "
      "\"cone\", \"primary_angle_deg\": 20, \"secondary_angle_deg\": -5, \"column_spacing_mm\": 1, "
      "\"row_spacing_mm\": 1, \"source_to_detector_mm\": 1200, \"source_to_isocenter_mm\": 700, "
      "\"in_plane_angle_deg\": 3, \"source_offset_mm\": [1, -2]}]}";
  struct willis_view_list list;
  assert_ok(willis_views_parse((const unsigned char *)text, sizeof text - 1, &of, &list, &err));
  assert_int_equal(list.count, 1);
  assert_true(list.view[0].principal_column == 159.5 && list.view[0].in_plane_angle_deg == 3);
  assert_true(list.view[0].source_offset_mm[0] == 1 && list.view[0].source_offset_mm[1] == -2);
  willis_view_list_release(&list);
}

static void test_any_bytes(void **state) {
  (void)state;
  static const char text[] = RTK(FAR NEAR SHOT(GANTRY) SHOT(GANTRY));
  change_everywhere(parse, (const unsigned char *)text, sizeof text - 1);
  starve(parse, (const unsigned char *)text, sizeof text - 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_points_fall_where_numpy_says),
      cmocka_unit_test(test_a_mirrored_view),
      cmocka_unit_test(test_refused),
      cmocka_unit_test(test_json),
      cmocka_unit_test(test_any_bytes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
