/* Which views there are, where a C-arm's axes point, and where points fall on its detector. */
#include "xray_cases.h"

static void selection_is_exact(void **state) {
  (void)state;
  struct willis_error err;
  for (int n = 2; n <= 90; n++) {
    int index[90];
    assert_ok(willis_views_select(n, index, &err));
    assert_int_equal(index[0], 0);
    assert_int_equal(index[n - 1], 89);
    for (int k = 0; k < n - 1; k++) {
      assert_true(index[k] < index[k + 1]);
      /* floor(90k/(n−1)) without dividing: the largest integer i with i·(n−1) ≤ 90k. */
      assert_true(index[k] * (n - 1) <= 90 * k && (index[k] + 1) * (n - 1) > 90 * k);
    }
  }
}

static void selection_is_the_papers(void **state) {
  (void)state;
  static const int expected[][11] = {{2, 0, 89},
                                     {3, 0, 45, 89},
                                     {5, 0, 22, 45, 67, 89},
                                     {10, 0, 10, 20, 30, 40, 50, 60, 70, 80, 89}};
  struct willis_error err;
  int index[90];
  for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
    assert_ok(willis_views_select(expected[i][0], index, &err));
    for (int k = 0; k < expected[i][0]; k++) assert_int_equal(index[k], expected[i][k + 1]);
  }
  assert_ok(willis_views_select(46, index, &err));
  for (int k = 0; k < 45; k++) assert_int_equal(index[k], 2 * k);
  assert_int_equal(index[45], 89);
}

static void arcs_end_where_they_should(void **state) {
  (void)state;
  struct willis_error err;
  double angle[90];
  static const double arc[] = {90, 180, 200, 360, 0.5};
  for (size_t i = 0; i < sizeof arc / sizeof *arc; i++) {
    assert_ok(willis_views_arc(90, arc[i], angle, &err));
    assert_true(angle[0] == 0 && angle[89] == arc[i]);
    assert_true(fabs(angle[44] - arc[i] * 44 / 89) < 1e-12);
  }
  assert_refused(willis_views_arc(1, 90, angle, &err), WILLIS_INVALID_ARGUMENT, &err, "2 to 90");
  assert_refused(willis_views_arc(91, 90, angle, &err), WILLIS_INVALID_ARGUMENT, &err, "2 to 90");
  assert_refused(willis_views_arc(5, NAN, angle, &err), WILLIS_GEOMETRY, &err, "arc");
  assert_refused(willis_views_arc(5, 0, angle, &err), WILLIS_GEOMETRY, &err, "arc");
  assert_refused(willis_views_arc(5, -90, angle, &err), WILLIS_GEOMETRY, &err, "arc");
}

static void assert_vector(const double a[3], double x, double y, double z, double tolerance) {
  assert_true(fabs(a[0] - x) <= tolerance);
  assert_true(fabs(a[1] - y) <= tolerance);
  assert_true(fabs(a[2] - z) <= tolerance);
}

static void axes_are_those_of_dicom(void **state) {
  (void)state;
  double d[3], u[3], v[3];
  struct willis_view view = {.primary_angle_deg = 30, .secondary_angle_deg = 25};
  willis_view_axes(&view, d, u, v);
  assert_vector(d, 0.45315, -0.78489, 0.42262, 5e-6); /* METHOD's test vector */
  view = (struct willis_view){0};
  willis_view_axes(&view, d, u, v);
  assert_vector(d, 0, -1, 0, 0); /* detector in front of the patient, exactly */
  assert_vector(u, 1, 0, 0, 0);
  assert_vector(v, 0, 0, 1, 0);
  view.primary_angle_deg = 90;
  willis_view_axes(&view, d, u, v);
  assert_vector(d, 1, 0, 0, 0); /* at the patient's left */
  view = (struct willis_view){.secondary_angle_deg = 90};
  willis_view_axes(&view, d, u, v);
  assert_vector(d, 0, 0, 1, 0); /* above the head */
}

static double dot(const double a[3], const double b[3]) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

static void axes_are_orthonormal(void **state) {
  (void)state;
  for (uint64_t i = 0; i < 200; i++) {
    double d[3], u[3], v[3];
    struct willis_view view = {.primary_angle_deg = 720 * willis_random_uniform(5, 0, i) - 360,
                               .secondary_angle_deg = 180 * willis_random_uniform(5, 1, i) - 90};
    willis_view_axes(&view, d, u, v);
    assert_true(fabs(dot(d, d) - 1) < 1e-14 && fabs(dot(u, u) - 1) < 1e-14);
    assert_true(fabs(dot(v, v) - 1) < 1e-14);
    assert_true(fabs(dot(d, u)) < 1e-14 && fabs(dot(d, v)) < 1e-14 && fabs(dot(u, v)) < 1e-14);
    assert_true(u[2] == 0); /* columns stay horizontal */
  }
}

/* A point anywhere on the line from the source through a pixel falls on that pixel. */
static void points_of_a_ray_fall_on_its_pixel(void **state) {
  (void)state;
  struct willis_view view = {.kind = WILLIS_VIEW_CONE,
                             .source_to_detector_mm = 1100,
                             .source_to_isocenter_mm = 740,
                             .column_spacing_mm = 0.4,
                             .row_spacing_mm = 0.3,
                             .principal_column = 255.5,
                             .principal_row = 240.25};
  for (uint64_t i = 0; i < 100; i++) {
    view.primary_angle_deg = 360 * willis_random_uniform(6, 0, i) - 180;
    view.secondary_angle_deg = 90 * willis_random_uniform(6, 1, i) - 45;
    view.kind = i % 2 ? WILLIS_VIEW_CONE : WILLIS_VIEW_PARALLEL;
    double column = 512 * willis_random_uniform(6, 2, i), found_column, found_row;
    double row = 512 * willis_random_uniform(6, 3, i), t = willis_random_uniform(6, 4, i);
    double d[3], u[3], v[3], point[3];
    willis_view_axes(&view, d, u, v);
    for (int a = 0; a < 3; a++) {
      double offset = (column - view.principal_column) * view.column_spacing_mm * u[a] -
                      (row - view.principal_row) * view.row_spacing_mm * v[a];
      double source = -view.source_to_isocenter_mm * d[a];
      double pixel = source + view.source_to_detector_mm * d[a] + offset;
      point[a] = view.kind == WILLIS_VIEW_CONE ? source + (0.05 + t) * (pixel - source)
                                               : offset + (t - 0.5) * 300 * d[a];
    }
    willis_view_project_point(&view, point, &found_column, &found_row);
    assert_true(fabs(found_column - column) < 1e-9 && fabs(found_row - row) < 1e-9);
  }
}

/* Without a stored grid: the largest cube that every view sees, and not one voxel more. */
static void output_grid_is_what_all_views_see(void **state) {
  (void)state;
  struct willis_error err;
  struct willis_projections stack;
  struct willis_grid grid;
  assert_ok(willis_projections_create(&stack, 101, 81, 3, &err));
  struct willis_grid pixel = willis_grid_cube(2, 0.5, NULL);
  for (int v = 0; v < 3; v++) {
    stack.view[v] = willis_view_parallel(45 * v, &pixel);
    stack.view[v].principal_column = 50;
    stack.view[v].principal_row = 40;
  }
  stack.isocenter_mm[2] = 900;
  assert_ok(willis_projections_output_grid(&stack, 0, 0, &grid, &err));
  /* At 45° the diagonal of (n−1)·0.5 mm must fit into 100·0.5 mm: n − 1 ≤ 100/√2 = 70.7. */
  assert_int_equal(grid.size[0], 71);
  assert_true(fabs(grid.spacing_mm[0] - 0.5) < 1e-12);
  double centre[3];
  willis_grid_centre(&grid, centre);
  assert_vector(centre, 0, 0, 900, 1e-9);

  assert_ok(willis_projections_output_grid(&stack, 142, 0, &grid, &err)); /* the same edge */
  assert_true(grid.size[1] == 142 && fabs(grid.spacing_mm[1] - 0.25) < 1e-12);
  assert_ok(willis_projections_output_grid(&stack, 0, 1, &grid, &err));
  assert_true(grid.size[2] == 36 && grid.spacing_mm[2] == 1);
  assert_ok(willis_projections_output_grid(&stack, 20, 2, &grid, &err));
  assert_true(grid.size[0] == 20 && grid.spacing_mm[0] == 2);

  stack.has_grid = true;
  stack.grid = willis_grid_cube(33, 0.75, NULL);
  assert_ok(willis_projections_output_grid(&stack, 0, 0, &grid, &err));
  assert_memory_equal(&grid, &stack.grid, sizeof grid);
  stack.has_grid = false;

  assert_refused(willis_projections_output_grid(&stack, -1, 0, &grid, &err),
                 WILLIS_INVALID_ARGUMENT, &err, "size");
  assert_refused(willis_projections_output_grid(&stack, 0, NAN, &grid, &err),
                 WILLIS_INVALID_ARGUMENT, &err, "spacing");
  stack.view[0].principal_column = -5;
  assert_refused(willis_projections_output_grid(&stack, 0, 0, &grid, &err), WILLIS_GEOMETRY, &err,
                 "no voxel");
  willis_projections_release(&stack);
}

/* A cone sees less of a cube than its detector is wide at the isocenter. */
static void output_grid_knows_cones(void **state) {
  (void)state;
  struct willis_error err;
  struct willis_projections stack;
  struct willis_grid grid;
  assert_ok(willis_projections_create(&stack, 201, 201, 1, &err));
  stack.view[0] = (struct willis_view){.kind = WILLIS_VIEW_CONE,
                                       .source_to_detector_mm = 1000,
                                       .source_to_isocenter_mm = 500,
                                       .column_spacing_mm = 1,
                                       .row_spacing_mm = 1,
                                       .principal_column = 100,
                                       .principal_row = 100};
  assert_ok(willis_projections_output_grid(&stack, 0, 0, &grid, &err));
  /* Half edge h at depth 500 − h, magnified by 1000/(500 − h), reaches 100 mm: h = 500/11. */
  assert_true(grid.spacing_mm[0] == 0.5);
  assert_int_equal(grid.size[0], (int)floor(2 * (500.0 / 11) / 0.5) + 1);
  willis_projections_release(&stack);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(selection_is_exact),
      cmocka_unit_test(selection_is_the_papers),
      cmocka_unit_test(arcs_end_where_they_should),
      cmocka_unit_test(axes_are_those_of_dicom),
      cmocka_unit_test(axes_are_orthonormal),
      cmocka_unit_test(points_of_a_ray_fall_on_its_pixel),
      cmocka_unit_test(output_grid_is_what_all_views_see),
      cmocka_unit_test(output_grid_knows_cones),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
