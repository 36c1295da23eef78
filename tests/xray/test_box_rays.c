/* The rays that make data for other tests and for bench/solve: exact lengths within voxels. */
#include "xray_cases.h"

#include "box_rays.h"

/* A grid that is neither cubic nor along the patient's axes. */
static struct willis_volume boxes(void) {
  const double c = cos(0.4), s = sin(0.4);
  const struct willis_grid grid = {.size = {5, 4, 3},
                                   .spacing_mm = {0.9, 1.3, 1.7},
                                   .origin_mm = {-2, -3, 41},
                                   .direction = {c, -s, 0, s, c, 0, 0, 0, 1}};
  struct willis_error err;
  struct willis_volume volume;
  assert_ok(willis_volume_create(&volume, &grid, &err));
  fill_random(volume.voxels, 5 * 4 * 3, 7);
  return volume;
}

static struct willis_projections views_of(const struct willis_grid *grid) {
  struct willis_error err;
  struct willis_projections stack;
  assert_ok(willis_projections_create(&stack, 23, 17, 6, &err));
  willis_grid_centre(grid, stack.isocenter_mm);
  stack.isocenter_mm[1] += 0.3;
  stack.mode = WILLIS_PROJECTION_SUM;
  for (int v = 0; v < 6; v++) {
    stack.view[v] = (struct willis_view){.primary_angle_deg = 67.0 * v - 90,
                                         .secondary_angle_deg = v == 4 ? 35 : 0,
                                         .column_spacing_mm = 0.41,
                                         .row_spacing_mm = 0.5,
                                         .principal_column = 10.6,
                                         .principal_row = 8.25};
    if (v % 2 == 0) continue;
    stack.view[v].kind = WILLIS_VIEW_CONE;
    stack.view[v].source_to_isocenter_mm = 300;
    stack.view[v].source_to_detector_mm = 520;
    stack.view[v].source_offset_mm[0] = 0.1 * v;
  }
  return stack;
}

/* How long the line through two points (index space) is within voxel (i, j, k), as a share of their
 * distance: between the last of its faces that it enters and the first that it leaves. */
static double within(const double from[3], const double to[3], const ptrdiff_t at[3]) {
  double enter = 0, leave = 1;
  for (int a = 0; a < 3; a++) {
    const double low = (double)at[a] - 0.5 - from[a], high = low + 1, way = to[a] - from[a];
    if (way == 0 && (low > 0 || high < 0)) return 0;
    if (way == 0) continue;
    enter = fmax(enter, fmin(low / way, high / way));
    leave = fmin(leave, fmax(low / way, high / way));
  }
  return fmax(leave - enter, 0);
}

/* Every voxel asked by itself, instead of walking from one to the next. */
static void lengths_are_exact(void **state) {
  (void)state;
  struct willis_volume volume = boxes();
  struct willis_projections stack = views_of(&volume.grid);
  box_rays_project(&volume, &stack, 1);
  double most = 0;
  for (ptrdiff_t p = 0; p < pixel_count(&stack); p++) {
    const ptrdiff_t column = p % 23, row = p / 23 % 17, v = p / 23 / 17;
    double end[2][3], index[2][3], sum = 0;
    box_rays_ends(&stack.view[v], (double)column, (double)row, 50, end[0], end[1]);
    for (int e = 0; e < 2; e++) {
      for (int a = 0; a < 3; a++) end[e][a] += stack.isocenter_mm[a];
      willis_grid_to_index(&volume.grid, end[e], index[e]);
    }
    const double length =
        hypot(hypot(end[1][0] - end[0][0], end[1][1] - end[0][1]), end[1][2] - end[0][2]);
    for (ptrdiff_t i = 0; i < 5 * 4 * 3; i++)
      sum += length * (double)volume.voxels[i] *
             within(index[0], index[1], (const ptrdiff_t[3]){i % 5, i / 5 % 4, i / 20});
    most = fmax(most, fabs(sum));
    if (!(fabs((double)stack.pixels[p] - sum) < 1e-5))
      fail_msg("pixel %td: %g, expected %g", p, (double)stack.pixels[p], sum);
  }
  assert_true(most > 2);
  willis_projections_release(&stack);
  willis_volume_release(&volume);
}

/* Where the detector is: the heaviest pixel of one small voxel is the one its centre falls on. */
static void rays_meet_the_detector_where_points_do(void **state) {
  (void)state;
  struct willis_volume volume = boxes();
  struct willis_projections stack = views_of(&volume.grid);
  for (ptrdiff_t i = 0; i < 5 * 4 * 3; i++) volume.voxels[i] = i == 33;
  box_rays_project(&volume, &stack, 3);
  const double index[3] = {33 % 5, 33 / 5 % 4, 33 / 20};
  double centre[3];
  willis_grid_to_world(&volume.grid, index, centre);
  for (int a = 0; a < 3; a++) centre[a] -= stack.isocenter_mm[a];
  for (int v = 0; v < 6; v++) {
    double column, row, sum = 0, mean[2] = {0, 0};
    willis_view_project_point(&stack.view[v], centre, &column, &row);
    for (ptrdiff_t p = 0; p < 23 * 17; p++) {
      const double value = (double)stack.pixels[v * 23 * 17 + p];
      sum += value;
      mean[0] += value * (double)(p % 23);
      mean[1] += value * (double)(p / 23);
    }
    /* The detector cuts nothing off; a cone shows the near half larger. */
    if (!(fabs(mean[0] / sum - column) < 0.1 && fabs(mean[1] / sum - row) < 0.1))
      fail_msg("view %d: %g %g, expected %g %g", v, mean[0] / sum, mean[1] / sum, column, row);
  }
  willis_projections_release(&stack);
  willis_volume_release(&volume);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(lengths_are_exact),
      cmocka_unit_test(rays_meet_the_detector_where_points_do),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
