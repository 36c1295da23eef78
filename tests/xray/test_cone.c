/* Cone beams: transposes, closed forms, the parallel limit, kernels, threads, what is skipped. */
#include "xray_cases.h"

#include "failing_allocator.h"
#include "xray/rays.h"

/* A grid that is neither cubic nor along the patient's axes. */
static struct willis_grid slanted_grid(void) {
  const double c = cos(0.3), s = sin(0.3);
  return (struct willis_grid){.size = {13, 9, 17},
                              .spacing_mm = {0.9, 1.3, 0.7},
                              .origin_mm = {-4, -7, -3},
                              .direction = {c, -s, 0, s, c, 0, 0, 0, 1}};
}

static struct willis_volume random_on(const struct willis_grid *grid, uint64_t seed) {
  struct willis_error err;
  struct willis_volume volume;
  assert_ok(willis_volume_create(&volume, grid, &err));
  fill_random(volume.voxels, willis_grid_count(grid), seed);
  return volume;
}

/* Any cameras around the grid's centre: turned, tilted, turned in their plane, offset, close. */
static struct willis_projections cone_stack(const struct willis_grid *grid, int views,
                                            double distance_mm, uint64_t seed) {
  struct willis_error err;
  struct willis_projections stack;
  assert_ok(willis_projections_create(&stack, 29, 21, views, &err));
  willis_grid_centre(grid, stack.isocenter_mm);
  stack.mode = WILLIS_PROJECTION_SUM;
  for (int v = 0; v < views; v++) {
    double r[6];
    for (int i = 0; i < 6; i++) r[i] = willis_random_uniform(seed, (uint64_t)i, (uint64_t)v) - 0.5;
    stack.view[v] = (struct willis_view){.kind = WILLIS_VIEW_CONE,
                                         .primary_angle_deg = 360 * r[0],
                                         .secondary_angle_deg = 120 * r[1],
                                         .source_to_detector_mm = 1.6 * distance_mm,
                                         .source_to_isocenter_mm = distance_mm,
                                         .column_spacing_mm = 1.1,
                                         .row_spacing_mm = 1.4,
                                         .principal_column = 14 + 4 * r[2],
                                         .principal_row = 10 + 4 * r[3],
                                         .in_plane_angle_deg = 180 * r[4],
                                         .source_offset_mm = {3 * r[5], -2 * r[2]}};
  }
  fill_random(stack.pixels, pixel_count(&stack), seed + 1);
  return stack;
}

static void check_adjoints(const struct willis_grid *grid, double distance_mm) {
  struct willis_error err;
  struct willis_volume volume = random_on(grid, 3);
  struct willis_projections stack = cone_stack(grid, 7, distance_mm, 5);
  ptrdiff_t voxels = willis_grid_count(grid), pixels = pixel_count(&stack);
  float *x = copy_of(volume.voxels, voxels), *y = copy_of(stack.pixels, pixels);

  assert_ok(willis_project(&volume, &stack, &err));
  double left = inner(stack.pixels, y, pixels);
  double norms = sqrt(inner(stack.pixels, stack.pixels, pixels) * inner(y, y, pixels));
  memcpy(stack.pixels, y, (size_t)pixels * sizeof *y);
  assert_ok(willis_project_adjoint(&stack, &volume, &err));
  double gap = fabs(left - inner(x, volume.voxels, voxels)) / norms;
  if (!(norms > 0 && gap <= 1e-6)) fail_msg("projection: adjoint gap %g", gap);

  assert_ok(willis_backproject(&stack, &volume, &err));
  left = inner(volume.voxels, x, voxels);
  norms = sqrt(inner(volume.voxels, volume.voxels, voxels) * inner(x, x, voxels));
  memcpy(volume.voxels, x, (size_t)voxels * sizeof *x);
  assert_ok(willis_backproject_adjoint(&volume, &stack, &err));
  gap = fabs(left - inner(y, stack.pixels, pixels)) / norms;
  if (!(norms > 0 && gap <= 1e-6)) fail_msg("back-projection: adjoint gap %g", gap);
  free(x);
  free(y);
  willis_projections_release(&stack);
  willis_volume_release(&volume);
}

static void adjoints_are_transposes(void **state) {
  (void)state;
  struct willis_grid slanted = slanted_grid(), cube = willis_grid_cube(24, 0.8, NULL),
                     one = willis_grid_cube(1, 3, NULL);
  for (int plain = 0; plain < 2; plain++) {
    if (plain) willis_cpu_mask(0);
    check_adjoints(&slanted, 700);
    check_adjoints(&slanted, 40); /* so near that shadows are very unequal */
    check_adjoints(&cube, 300);
    check_adjoints(&one, 300);
  }
  willis_cpu_mask(~0u);
}

/* All operators on one input, one after another in one array. */
static float *run_all(const struct willis_grid *grid, ptrdiff_t *count) {
  struct willis_error err;
  struct willis_volume x = random_on(grid, 3), back = random_on(grid, 4);
  struct willis_projections stack = cone_stack(grid, 7, 60, 5);
  ptrdiff_t voxels = willis_grid_count(grid), pixels = pixel_count(&stack), used = 0;
  float *y = copy_of(stack.pixels, pixels);
  float *all = calloc((size_t)(3 * (voxels + pixels)), sizeof *all);
  assert_non_null(all);
  for (int what = 0; what < 6; what++) {
    bool to_images = what < 3;
    memcpy(stack.pixels, y, (size_t)pixels * sizeof *y);
    stack.mode = what == 0 ? WILLIS_PROJECTION_MAX : WILLIS_PROJECTION_SUM;
    assert_ok(what < 2    ? willis_project(&x, &stack, &err)
              : what == 2 ? willis_backproject_adjoint(&x, &stack, &err)
              : what == 3 ? willis_project_adjoint(&stack, &back, &err)
              : what == 4 ? willis_backproject(&stack, &back, &err)
                          : willis_hull(&stack, &back, &err));
    ptrdiff_t n = to_images ? pixels : voxels;
    memcpy(all + used, to_images ? stack.pixels : back.voxels, (size_t)n * sizeof *all);
    used += n;
  }
  *count = used;
  free(y);
  willis_projections_release(&stack);
  willis_volume_release(&x);
  willis_volume_release(&back);
  return all;
}

static void kernels_agree_and_threads_do_not_matter(void **state) {
  (void)state;
  struct willis_grid grid = slanted_grid();
  ptrdiff_t count;
  willis_parallel_set_threads(1);
  float *fast = run_all(&grid, &count);
  for (int threads = 2; threads <= 8; threads += 3) {
    willis_parallel_set_threads(threads);
    float *again = run_all(&grid, &count);
    assert_memory_equal(fast, again, (size_t)count * sizeof *fast);
    free(again);
  }
  willis_parallel_set_threads(0);
  willis_cpu_mask(0);
  float *plain = run_all(&grid, &count);
  willis_cpu_mask(~0u);
  double most = largest_difference(fast, plain, count), range = value_range(plain, count);
  if (!(most < 2e-6 * range)) fail_msg("kernels differ by %g of %g", most, range);
  free(fast);
  free(plain);
}

/* Part of the voxel (4³ samples) inside a ball. */
static struct willis_volume ball(ptrdiff_t n, double spacing_mm, double radius_mm) {
  struct willis_error err;
  struct willis_grid grid = willis_grid_cube(n, spacing_mm, NULL);
  struct willis_volume volume;
  assert_ok(willis_volume_create(&volume, &grid, &err));
  for (ptrdiff_t v = 0; v < n * n * n; v++) {
    int in = 0;
    for (int s = 0; s < 64; s++) {
      const double at[3] = {(double)(v % n) + (s % 4 - 1.5) / 4,
                            (double)(v / n % n) + (s / 4 % 4 - 1.5) / 4,
                            (double)(v / n / n) + (s / 16 - 1.5) / 4};
      double mm[3];
      willis_grid_to_world(&grid, at, mm);
      in += mm[0] * mm[0] + mm[1] * mm[1] + mm[2] * mm[2] < radius_mm * radius_mm;
    }
    volume.voxels[v] = (float)in / 64;
  }
  return volume;
}

/* The chords of rays that do not graze the ball, to 0.5 % in the mean square, and the sum of all.
 */
static void a_ball_has_its_chords(void **state) {
  (void)state;
  struct willis_error err;
  struct willis_projections stack;
  const double radius = 15;
  struct willis_volume volume = ball(64, 0.6, radius);
  assert_ok(willis_projections_create(&stack, 70, 70, 4, &err));
  static const double angle[4][3] = {{0, 0, 0}, {38, 0, 0}, {-115, 33, 0}, {45, 45, 20}};
  stack.mode = WILLIS_PROJECTION_SUM;
  for (int v = 0; v < 4; v++)
    stack.view[v] = (struct willis_view){.kind = WILLIS_VIEW_CONE,
                                         .primary_angle_deg = angle[v][0],
                                         .secondary_angle_deg = angle[v][1],
                                         .source_to_detector_mm = 300,
                                         .source_to_isocenter_mm = 200,
                                         .column_spacing_mm = 0.8,
                                         .row_spacing_mm = 0.8,
                                         .principal_column = 34.5,
                                         .principal_row = 34.5,
                                         .in_plane_angle_deg = angle[v][2]};
  assert_ok(willis_project(&volume, &stack, &err));
  for (int v = 0; v < 4; v++) {
    double off = 0, seen = 0, expected = 0;
    ptrdiff_t hit = 0;
    for (ptrdiff_t p = 0; p < 70 * 70; p++) {
      /* Source at (0,0,−200), pixel at (x,y,100): how far the ray passes from the origin. */
      double x = 0.8 * ((double)(p % 70) - 34.5), y = 0.8 * ((double)(p / 70) - 34.5);
      double sine = hypot(x, y) / sqrt(x * x + y * y + 300.0 * 300.0), apart = 200 * sine;
      double chord = apart < radius ? 2 * sqrt(radius * radius - apart * apart) : 0;
      double value = (double)stack.pixels[v * 70 * 70 + p];
      seen += value;
      expected += chord;
      if (apart > 0.9 * radius) continue;
      off += (value / chord - 1) * (value / chord - 1);
      hit++;
    }
    assert_true(hit > 1000);
    off = sqrt(off / (double)hit);
    if (!(off < 0.005)) fail_msg("view %d: chords off by %g", v, off);
    if (!(fabs(seen / expected - 1) < 0.002)) fail_msg("view %d: mass %g", v, seen / expected);
  }
  willis_projections_release(&stack);
  willis_volume_release(&volume);
}

/* Three unlike spots, nowhere near a plane of symmetry, one after the other: the middle of each
 * one's picture lies where its place is projected to, and the pictures together put it back there.
 * A sign that is wrong in one of the operators, or a turn the wrong way round, misses by many
 * pixels. */
static void an_asymmetric_phantom_falls_where_it_should(void **state) {
  (void)state;
  enum { EDGE = 120, N = 48, COUNT = N * N * N };
  static const double angle[4][3] = {{0, 0, 0}, {38, -20, 0}, {-115, 33, 15}, {70, 10, -40}};
  static const double spot[3][3] = {{-11.3, 4.2, 13.7}, {9.1, -12.6, 2.9}, {3.4, 8.8, -14.1}};
  struct willis_error err;
  const struct willis_grid grid = willis_grid_cube(N, 0.9, NULL);
  struct willis_volume volume, back;
  struct willis_projections stack;
  assert_ok(willis_volume_create(&volume, &grid, &err));
  assert_ok(willis_volume_create(&back, &grid, &err));
  assert_ok(willis_projections_create(&stack, EDGE, EDGE, 4, &err));
  stack.mode = WILLIS_PROJECTION_SUM;
  for (int v = 0; v < 4; v++)
    stack.view[v] = (struct willis_view){.kind = WILLIS_VIEW_CONE,
                                         .primary_angle_deg = angle[v][0],
                                         .secondary_angle_deg = angle[v][1],
                                         .source_to_detector_mm = 900,
                                         .source_to_isocenter_mm = 600,
                                         .column_spacing_mm = 0.7,
                                         .row_spacing_mm = 0.8,
                                         .principal_column = 57,
                                         .principal_row = 63,
                                         .in_plane_angle_deg = angle[v][2],
                                         .source_offset_mm = {4, -7}};
  for (int s = 0; s < 3; s++) {
    for (ptrdiff_t i = 0; i < COUNT; i++) {
      const double index[3] = {(double)(i % N), (double)(i / N % N), (double)(i / N / N)};
      double mm[3], squared = 0;
      willis_grid_to_world(&grid, index, mm);
      for (int a = 0; a < 3; a++) squared += (mm[a] - spot[s][a]) * (mm[a] - spot[s][a]);
      volume.voxels[i] = (float)((s + 1) * exp(-squared / (2 * 1.5 * 1.5)));
    }
    assert_ok(willis_project(&volume, &stack, &err));
    for (int v = 0; v < 4; v++) {
      double sum[3] = {0, 0, 0}, column, row;
      for (ptrdiff_t p = 0; p < EDGE * EDGE; p++) {
        const double value = (double)stack.pixels[v * EDGE * EDGE + p];
        sum[0] += value;
        sum[1] += value * (double)(p % EDGE);
        sum[2] += value * (double)(p / EDGE);
      }
      willis_view_project_point(&stack.view[v], spot[s], &column, &row);
      const double off = hypot(sum[1] / sum[0] - column, sum[2] / sum[0] - row);
      if (!(off < 0.05)) fail_msg("spot %d, view %d: %g pixels beside its place", s, v, off);
    }
    assert_ok(willis_backproject(&stack, &back, &err));
    ptrdiff_t most = 0;
    for (ptrdiff_t i = 0; i < COUNT; i++)
      if (back.voxels[i] > back.voxels[most]) most = i;
    const double index[3] = {(double)(most % N), (double)(most / N % N), (double)(most / N / N)};
    double mm[3], off = 0;
    willis_grid_to_world(&grid, index, mm);
    for (int a = 0; a < 3; a++) off = fmax(off, fabs(mm[a] - spot[s][a]));
    if (!(off <= 0.9)) fail_msg("spot %d comes back %g mm beside its place", s, off);
  }
  willis_projections_release(&stack);
  willis_volume_release(&volume);
  willis_volume_release(&back);
}

/* With its source 1000 km away a cone is a parallel beam. Where the rays run along the grid both
 * projectors take the same samples; elsewhere their interpolation differs. */
static void a_far_source_is_a_parallel_beam(void **state) {
  (void)state;
  enum { n = 40 };
  struct willis_error err;
  struct willis_grid grid = willis_grid_cube(n, 1, NULL);
  struct willis_volume volume = random_on(&grid, 1);
  for (ptrdiff_t v = 0; v < n * n * n; v++) { /* smooth, and different on every side */
    double x = (double)(v % n) - 19.5, y = (double)(v / n % n) - 18, z = (double)(v / n / n) - 20;
    volume.voxels[v] = (float)(exp(-(x * x + 2 * y * y + z * z) / 90) * (1 + x / n));
  }
  static const double angle[] = {0, 90, 180, 31, -64};
  for (int mode = 0; mode < 2; mode++) {
    struct willis_projections cone, parallel;
    assert_ok(willis_projections_create(&parallel, n, n, 5, &err));
    assert_ok(willis_projections_create(&cone, n, n, 5, &err));
    parallel.mode = cone.mode = mode ? WILLIS_PROJECTION_SUM : WILLIS_PROJECTION_MAX;
    for (int v = 0; v < 5; v++) {
      parallel.view[v] = cone.view[v] = willis_view_parallel(angle[v], &volume.grid);
      cone.view[v].kind = WILLIS_VIEW_CONE;
      cone.view[v].source_to_isocenter_mm = 1e9;
      cone.view[v].source_to_detector_mm = 1e9 + 100;
    }
    assert_ok(willis_project(&volume, &parallel, &err));
    assert_ok(willis_project(&volume, &cone, &err));
    double range = value_range(parallel.pixels, pixel_count(&parallel));
    for (int v = 0; v < 5; v++) {
      double most = largest_difference(parallel.pixels + v * n * n, cone.pixels + v * n * n, n * n);
      double allowed = v < 3 ? 1e-5 : 0.02;
      if (!(most < allowed * range)) fail_msg("mode %d, %g deg: %g", mode, angle[v], most / range);
    }
    struct willis_volume from_cone = random_on(&grid, 1), from_parallel = random_on(&grid, 1);
    assert_ok(willis_backproject(&parallel, &from_parallel, &err));
    memcpy(cone.pixels, parallel.pixels, (size_t)pixel_count(&cone) * sizeof *cone.pixels);
    assert_ok(willis_backproject(&cone, &from_cone, &err));
    /* Inside the ball that every turned cube holds. */
    for (ptrdiff_t v = 0; v < n * n * n; v++) {
      double mm[3] = {(double)(v % n) - 19.5, (double)(v / n % n) - 19.5,
                      (double)(v / n / n) - 19.5};
      if (hypot(hypot(mm[0], mm[1]), mm[2]) > 19) continue;
      assert_true(fabsf(from_cone.voxels[v] - from_parallel.voxels[v]) < 1e-4 * range);
    }
    willis_volume_release(&from_cone);
    willis_volume_release(&from_parallel);
    willis_projections_release(&parallel);
    willis_projections_release(&cone);
  }
  willis_volume_release(&volume);
}

static void skipping_changes_nothing(void **state) {
  (void)state;
  struct willis_error err;
  struct willis_grid grid = willis_grid_cube(45, 0.7, NULL);
  struct willis_volume x = random_on(&grid, 1);
  ptrdiff_t count = willis_grid_count(&grid);
  for (ptrdiff_t i = 0; i < count; i++)
    if (willis_random_uniform(9, 0, (uint64_t)i) > 3e-4) x.voxels[i] = 0.25f;
  struct willis_projections stack = cone_stack(&grid, 5, 90, 2);
  ptrdiff_t pixels = pixel_count(&stack);
  for (int mode = 0; mode < 2; mode++) {
    float background = mode ? 0 : 0.25f;
    for (ptrdiff_t i = 0; i < count && mode; i++) x.voxels[i] -= 0.25f;
    struct willis_rays rays;
    assert_ok(willis_rays_init(&rays, &stack, NULL, 5, &grid, &err));
    willis_rays_project(&rays, 0, 1, x.voxels, (enum willis_projection_mode)mode, background,
                        stack.pixels);
    float *all = copy_of(stack.pixels, pixels);
    assert_ok(willis_rays_skip(&rays, x.voxels, background, &err));
    willis_rays_project(&rays, 0, 1, x.voxels, (enum willis_projection_mode)mode, background,
                        stack.pixels);
    assert_memory_equal(all, stack.pixels, (size_t)pixels * sizeof *all);
    assert_true(value_range(all, pixels) > 0);
    free(all);
    willis_rays_release(&rays);
  }
  willis_projections_release(&stack);
  willis_volume_release(&x);
}

/* A stack of both kinds gives what its halves give. */
static void kinds_may_be_mixed(void **state) {
  (void)state;
  enum { n = 21 };
  struct willis_error err;
  struct willis_grid grid = willis_grid_cube(n, 1, NULL);
  struct willis_volume x = random_on(&grid, 1), both = random_on(&grid, 1),
                       sum = random_on(&grid, 1);
  struct willis_projections mixed = cone_stack(&grid, 4, 200, 6), part;
  for (int v = 1; v < 4; v += 2) {
    mixed.view[v] = willis_view_parallel(30 * v, &grid);
    mixed.view[v].principal_column = 14;
  }
  ptrdiff_t image = mixed.columns * mixed.rows, voxels = willis_grid_count(&grid);
  assert_ok(willis_project(&x, &mixed, &err));
  assert_ok(willis_project_adjoint(&mixed, &both, &err));
  for (int kind = 0; kind < 2; kind++) {
    assert_ok(willis_projections_create(&part, mixed.columns, mixed.rows, 2, &err));
    memcpy(part.isocenter_mm, mixed.isocenter_mm, sizeof part.isocenter_mm);
    part.mode = mixed.mode;
    for (int v = 0; v < 2; v++) part.view[v] = mixed.view[2 * v + kind];
    assert_ok(willis_project(&x, &part, &err));
    for (int v = 0; v < 2; v++)
      assert_memory_equal(part.pixels + v * image, mixed.pixels + (2 * v + kind) * image,
                          (size_t)image * sizeof *part.pixels);
    assert_ok(willis_project_adjoint(&part, &sum, &err));
    for (ptrdiff_t i = 0; i < voxels; i++) both.voxels[i] -= sum.voxels[i];
    willis_projections_release(&part);
  }
  assert_true(value_range(both.voxels, voxels) < 1e-3);
  grid.size[1]--;
  x.grid = grid;
  assert_refused(willis_project(&x, &mixed, &err), WILLIS_GEOMETRY, &err, "cubic");
  willis_projections_release(&mixed);
  willis_volume_release(&x);
  willis_volume_release(&both);
  willis_volume_release(&sum);
}

static void a_source_inside_the_volume_is_refused(void **state) {
  (void)state;
  struct willis_error err;
  struct willis_grid grid = willis_grid_cube(20, 1, NULL);
  struct willis_volume x = random_on(&grid, 1);
  struct willis_projections stack = cone_stack(&grid, 2, 100, 6);
  stack.view[1].source_to_isocenter_mm = 9;
  static const char words[] = "view 1: the volume reaches its source";
  assert_refused(willis_project(&x, &stack, &err), WILLIS_GEOMETRY, &err, words);
  assert_refused(willis_project_adjoint(&stack, &x, &err), WILLIS_GEOMETRY, &err, words);
  assert_refused(willis_backproject(&stack, &x, &err), WILLIS_GEOMETRY, &err, words);
  assert_refused(willis_backproject_adjoint(&x, &stack, &err), WILLIS_GEOMETRY, &err, words);
  assert_refused(willis_hull(&stack, &x, &err), WILLIS_GEOMETRY, &err, words);
  willis_projections_release(&stack);
  willis_volume_release(&x);
}

static void allocations_may_fail(void **state) {
  (void)state;
  struct willis_error err;
  struct willis_grid grid = slanted_grid();
  struct willis_volume x = random_on(&grid, 1);
  struct willis_projections y = cone_stack(&grid, 2, 100, 6);
  for (int which = 0; which < 3; which++) {
    enum willis_status status = WILLIS_OUT_OF_MEMORY;
    for (int n = 0; status; n++) {
      struct failing_allocator failing = {.until_failure = n};
      failing_allocator_use(&failing);
      status = which == 0   ? willis_project(&x, &y, &err)
               : which == 1 ? willis_project_adjoint(&y, &x, &err)
                            : willis_hull(&y, &x, &err);
      failing_allocator_use(NULL);
      assert_int_equal(failing.held, 0);
      if (status) assert_refused(status, WILLIS_OUT_OF_MEMORY, &err, "memory");
      assert_true(n < 20);
    }
  }
  willis_projections_release(&y);
  willis_volume_release(&x);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(adjoints_are_transposes),
      cmocka_unit_test(kernels_agree_and_threads_do_not_matter),
      cmocka_unit_test(a_ball_has_its_chords),
      cmocka_unit_test(an_asymmetric_phantom_falls_where_it_should),
      cmocka_unit_test(a_far_source_is_a_parallel_beam),
      cmocka_unit_test(skipping_changes_nothing),
      cmocka_unit_test(kinds_may_be_mixed),
      cmocka_unit_test(a_source_inside_the_volume_is_refused),
      cmocka_unit_test(allocations_may_fail),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
