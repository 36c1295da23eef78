/* Where voxels fall and the rays between which they lie: there and back, and against where points
 * project to. */
#include "base/ray_place.h"
#include "xray/hull_shadow.h"
#include "xray_cases.h"

enum { VIEWS = 6 };

/* Cones from anywhere with sources off the axis, and parallel beams, on pictures of odd sizes. */
static struct willis_projections odd_stack(const struct willis_grid *grid, uint64_t seed) {
  struct willis_error err;
  struct willis_projections stack;
  assert_ok(willis_projections_create(&stack, 41, 30, VIEWS, &err));
  willis_grid_centre(grid, stack.isocenter_mm);
  for (int v = 0; v < VIEWS; v++) {
    struct willis_view *view = stack.view + v;
    double u[8];
    for (uint64_t i = 0; i < 8; i++) u[i] = willis_random_uniform(seed, (uint64_t)v, i);
    *view = willis_view_parallel(360 * u[0] - 180, grid);
    view->secondary_angle_deg = 60 * u[1] - 30;
    view->in_plane_angle_deg = 40 * u[2] - 20;
    view->principal_column = 40 * u[3];
    view->principal_row = 14.5 - 3 * u[4];
    view->column_spacing_mm = 0.6 + u[5];
    view->row_spacing_mm = 0.6 + u[6];
    if (v % 2) continue;
    view->kind = WILLIS_VIEW_CONE;
    view->source_to_detector_mm = 1100;
    view->source_to_isocenter_mm = 700 + 50 * u[7];
    view->source_offset_mm[0] = 3 * u[1] - 2;
    view->source_offset_mm[1] = 2 * u[2] - 1;
  }
  return stack;
}

/* Rays of parallel views end where a cube of 9³ voxels of 1.3 mm does that is turned with them. */
static bool rays_reach(const struct willis_view *view, const double from_middle_mm[3]) {
  double d[3], u[3], v[3], along = 0;
  willis_view_axes(view, d, u, v);
  for (int a = 0; a < 3; a++) along += d[a] * from_middle_mm[a];
  return view->kind == WILLIS_VIEW_CONE || fabs(along) <= 4 * 1.3 + 1e-6;
}

/* A voxel has a hull's value where a view sees it. */
static void the_hull_sees_as_much(void **state) {
  (void)state;
  struct willis_error err;
  ptrdiff_t seen = 0, corners = 0;
  for (int v = 0; v < VIEWS; v++) {
    struct willis_volume hull = random_volume(9, 1.3, 1);
    struct willis_projections all = odd_stack(&hull.grid, 2), stack;
    assert_ok(willis_projections_create(&stack, all.columns, all.rows, 1, &err));
    memcpy(stack.isocenter_mm, all.isocenter_mm, sizeof stack.isocenter_mm);
    stack.view[0] = all.view[v];
    for (ptrdiff_t i = 0; i < stack.columns * stack.rows; i++) stack.pixels[i] = 1;
    struct willis_shadow shadow;
    willis_shadow_init(&shadow, &stack, 0, &hull.grid);
    assert_ok(willis_hull(&stack, &hull, &err));
    for (int32_t i = 0; i < 9 * 9 * 9; i++) {
      double place[3], column, row;
      willis_place_of(&hull.grid, i, place);
      const bool falls = willis_shadow_falls_on(&shadow, &stack, place, &column, &row);
      assert_int_equal(falls, hull.voxels[i] > 0);
      seen += falls;
      corners += !falls;
    }
    willis_projections_release(&stack);
    willis_projections_release(&all);
    willis_volume_release(&hull);
  }
  assert_true(seen > 2000 && corners > 100);
}

static void voxels_fall_where_points_project(void **state) {
  (void)state;
  ptrdiff_t on_picture = 0, beside = 0;
  for (uint64_t seed = 0; seed < 5; seed++) {
    struct willis_volume volume = random_volume(9, 1.3, seed);
    struct willis_projections stack = odd_stack(&volume.grid, seed);
    for (int v = 0; v < VIEWS; v++) {
      struct willis_shadow shadow;
      willis_shadow_init(&shadow, &stack, v, &volume.grid);
      for (int32_t i = 0; i < 9 * 9 * 9; i++) {
        double place[3], world[3], column, row, c, r;
        willis_place_of(&volume.grid, i, place);
        assert_int_equal((place[2] * 9 + place[1]) * 9 + place[0], i);
        willis_grid_to_world(&volume.grid, place, world);
        for (int a = 0; a < 3; a++) world[a] -= stack.isocenter_mm[a];
        willis_view_project_point(&stack.view[v], world, &c, &r);
        const bool falls = willis_shadow_falls_on(&shadow, &stack, place, &column, &row);
        assert_true(fabs(column - c) < 1e-9 && fabs(row - r) < 1e-9);
        const bool on = c >= -1e-6 && c <= 40 + 1e-6 && r >= -1e-6 && r <= 29 + 1e-6;
        assert_int_equal(falls, on && rays_reach(&stack.view[v], world));
        on_picture += falls;
        beside += !falls;
      }
    }
    willis_projections_release(&stack);
    willis_volume_release(&volume);
  }
  assert_true(on_picture > 5000 && beside > 50);
}

static void rays_and_their_middles_are_inverse(void **state) {
  (void)state;
  for (uint64_t seed = 0; seed < 5; seed++) {
    struct willis_volume volume = random_volume(9, 1.3, seed);
    struct willis_projections stack = odd_stack(&volume.grid, seed);
    for (int v = 0; v < VIEWS; v++) {
      struct willis_shadow shadow;
      double column, row, across, down;
      willis_shadow_init(&shadow, &stack, v, &volume.grid);
      for (ptrdiff_t i = 0; i < shadow.rays_across * shadow.rays_down; i++) {
        const ptrdiff_t x = i % shadow.rays_across, y = i / shadow.rays_across;
        willis_shadow_middle(&shadow, &stack, x, y, &column, &row);
        willis_shadow_ray(&shadow, &stack, column, row, &across, &down);
        assert_true(fabs(across - (double)x) < 1e-9 && fabs(down - (double)y) < 1e-9);
      }
      /* Every pixel is between two rays each way, so that linear weights never leave the list. */
      for (int corner = 0; corner < 4; corner++) {
        willis_shadow_ray(&shadow, &stack, corner & 1 ? 40 : 0, corner & 2 ? 29 : 0, &across,
                          &down);
        assert_true(across >= 0 && across + 1 < (double)shadow.rays_across);
        assert_true(down >= 0 && down + 1 < (double)shadow.rays_down);
      }
      /* A ray is as wide as a voxel at the isocenter. */
      const struct willis_view *view = &stack.view[v];
      const double magnification = view->kind == WILLIS_VIEW_CONE
                                       ? view->source_to_detector_mm / view->source_to_isocenter_mm
                                       : 1;
      assert_true(fabs(shadow.voxel_columns * view->column_spacing_mm - 1.3 * magnification) <
                  1e-9);
      assert_true(fabs(shadow.voxel_rows * view->row_spacing_mm - 1.3 * magnification) < 1e-9);
    }
    willis_projections_release(&stack);
    willis_volume_release(&volume);
  }
}

static void weights_are_parts_of_one(void **state) {
  (void)state;
  const int32_t pitch = 11;
  for (uint64_t i = 0; i < 2000; i++) {
    const double u = willis_random_uniform(2, 0, i), w = willis_random_uniform(2, 1, i);
    struct willis_ray_place place = {37, (float)u, (float)w};
    if (i % 4 == 1) place.across = 0;
    if (i % 4 == 2) place.down = 0;
    if (i % 8 == 7) place.across = place.down = 0;
    const struct willis_ray_taps taps = willis_ray_taps(&place, pitch);
    double whole = 0, across = 0, down = 0;
    assert_int_equal(taps.count, (place.across > 0 ? 2 : 1) * (place.down > 0 ? 2 : 1));
    for (int t = 0; t < taps.count; t++) {
      const int32_t step = taps.ray[t] - place.ray;
      assert_true(taps.weight[t] > 0);
      for (int other = 0; other < t; other++) assert_true(taps.ray[other] < taps.ray[t]);
      whole += (double)taps.weight[t];
      across += (double)taps.weight[t] * (step % pitch);
      down += (double)taps.weight[t] * (step >= pitch);
    }
    assert_true(fabs(whole - 1) < 1e-6);
    assert_true(fabs(across - (double)place.across) < 1e-6);
    assert_true(fabs(down - (double)place.down) < 1e-6);
  }
  const struct willis_ray_place unseen = {.ray = -1, .across = 0.5f, .down = 0.5f};
  assert_int_equal(willis_ray_taps(&unseen, pitch).count, 0);
}

/* Linear between pixels, and beyond the border as the border; pictures of one row or column too. */
static void pictures_are_linear_between_pixels(void **state) {
  (void)state;
  static const float image[6] = {0, 1, 2, 10, 11, 12};
  const struct willis_projections wide = {.columns = 3, .rows = 2},
                                  line = {.columns = 6, .rows = 1};
  const struct willis_projections post = {.columns = 1, .rows = 6};
  for (int i = 0; i < 100; i++) {
    const double c = 0.02 * i, r = 0.01 * i;
    assert_true(fabs(willis_picture_at(&wide, image, c, r) - c - 10 * r) < 1e-9);
    const double x = 0.05 * i, low = floor(x), part = x - low;
    const double expected =
        (1 - part) * (double)image[(int)low] + part * (double)image[(int)fmin(low + 1, 5)];
    assert_true(fabs(willis_picture_at(&line, image, x, 0.3) - expected) < 1e-9);
    assert_true(fabs(willis_picture_at(&post, image, -2, x) - expected) < 1e-9);
  }
  assert_true(fabs(willis_picture_at(&wide, image, -5, 9) - 10) <= 0);
  assert_true(fabs(willis_picture_at(&wide, image, 7, -1) - 2) <= 0);
}

static void shown_when_all_pixels_around_are(void **state) {
  (void)state;
  const struct willis_shutter none = {0};
  const struct willis_shutter window = {
      .any = true, .is_rectangle = true, .left = 3, .right = 8, .upper = 2, .lower = 9};
  assert_true(willis_shadow_shown(&none, -4, 1e6));
  for (int i = 0; i <= 120; i++)
    for (int j = 0; j <= 120; j++) {
      const double column = i * 0.1, row = j * 0.1;
      bool all = true;
      for (int c = 0; c < 4; c++)
        all = all && willis_shutter_shows(&window, c & 1 ? ceil(column) : floor(column),
                                          c & 2 ? ceil(row) : floor(row), 0);
      assert_int_equal(willis_shadow_shown(&window, column, row), all);
      if (column < 2.99 || column > 8.01 || row < 1.99 || row > 9.01) assert_false(all);
      if (column >= 4 && column <= 7 && row >= 3 && row <= 8) assert_true(all);
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(voxels_fall_where_points_project),
      cmocka_unit_test(the_hull_sees_as_much),
      cmocka_unit_test(rays_and_their_middles_are_inverse),
      cmocka_unit_test(weights_are_parts_of_one),
      cmocka_unit_test(pictures_are_linear_between_pixels),
      cmocka_unit_test(shown_when_all_pixels_around_are),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
