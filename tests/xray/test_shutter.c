/* Pixels that are not shown: what a view does not see it does not vote on, in every operator. */
#include "xray_cases.h"

#include <willis/agreement.h>
#include <willis/solver.h>

#include "failing_allocator.h"

enum { N = 24, VIEWS = 4 };

static const struct willis_shutter shutters[VIEWS] = {
    {.any = true, .is_rectangle = true, .left = 4, .right = 17, .upper = 2, .lower = 19},
    {.any = true, .is_circle = true, .centre_column = 13, .centre_row = 10, .radius = 8.5},
    {.any = true,
     .is_rectangle = true,
     .left = 3,
     .right = 23,
     .upper = 0,
     .lower = 23,
     .corner_count = 3,
     .corner = {{-1, 2}, {20, 25}, {21, 4}}},
    {.any = false}};

static void set_shutters(struct willis_projections *stack) {
  for (int v = 0; v < VIEWS; v++) stack->view[v].shutter = shutters[v];
  willis_projections_hide(stack);
}

static struct willis_projections cones(const struct willis_volume *volume) {
  struct willis_projections stack = random_stack(volume, VIEWS, OBLIQUE, 9);
  for (int v = 0; v < VIEWS; v++) {
    stack.view[v].kind = WILLIS_VIEW_CONE;
    stack.view[v].source_to_isocenter_mm = 90;
    stack.view[v].source_to_detector_mm = 130;
  }
  return stack;
}

/* The least of what the views that see a point show there, straight from the definition. */
static double least_of(const struct willis_projections *stack, const double from_iso[3]) {
  double least = INFINITY;
  for (ptrdiff_t v = 0; v < stack->view_count; v++) {
    double column, row, value = 0;
    bool shown = true;
    willis_view_project_point(&stack->view[v], from_iso, &column, &row);
    if (!(column >= 0 && row >= 0 && column <= (double)(stack->columns - 1) &&
          row <= (double)(stack->rows - 1)))
      continue;
    for (int k = 0; k < 4; k++) {
      const double c = fmin(floor(column), (double)(stack->columns - 2)) + k % 2;
      const double r = fmin(floor(row), (double)(stack->rows - 2)) + k / 2;
      const ptrdiff_t at = (v * stack->rows + (ptrdiff_t)r) * stack->columns + (ptrdiff_t)c;
      const double weight = (1 - fabs(column - c)) * (1 - fabs(row - r));
      if (weight < 1e-9) continue; /* rows of slices: no neighbour has a part */
      shown = shown && willis_shutter_shows(&stack->view[v].shutter, c, r, 0);
      value += weight * (double)stack->pixels[at];
    }
    if (shown) least = fmin(least, value);
  }
  return isinf(least) ? 0 : least;
}

static void check_hull(const struct willis_projections *stack, struct willis_volume *volume) {
  struct willis_error err;
  ptrdiff_t differ = 0, seen = 0;
  assert_ok(willis_hull(stack, volume, &err));
  for (ptrdiff_t i = 0; i < N * N * N; i++) {
    const double index[3] = {(double)(i % N), (double)(i / N % N), (double)(i / N / N)};
    double place[3], middle = 0.5 * (N - 1);
    /* Parallel beams see what the cube holds however it is turned. */
    if (hypot(hypot(index[0] - middle, index[1] - middle), index[2] - middle) > middle) continue;
    willis_grid_to_world(&volume->grid, index, place);
    for (int a = 0; a < 3; a++) place[a] -= stack->isocenter_mm[a];
    seen++;
    /* A shadow on the very middle of a pixel may have either neighbour. */
    differ += fabs(least_of(stack, place) - (double)volume->voxels[i]) > 1e-4;
  }
  if (differ > seen / 500) fail_msg("%td of %td voxels differ", differ, seen);
}

static void the_hull_asks_those_who_see(void **state) {
  (void)state;
  struct willis_volume volume = random_volume(N, 1.1, 2);
  struct willis_error err;
  for (int k = 0; k <= KINDS; k++) {
    struct willis_projections stack =
        k == KINDS ? cones(&volume) : random_stack(&volume, VIEWS, (enum kind)k, 5);
    set_shutters(&stack);
    check_hull(&stack, &volume);
    willis_cpu_mask(~(unsigned)WILLIS_CPU_AVX2);
    check_hull(&stack, &volume);
    willis_cpu_mask(~0u);
    willis_parallel_set_threads(1);
    assert_ok(willis_hull(&stack, &volume, &err));
    float *one = copy_of(volume.voxels, N * N * N);
    willis_parallel_set_threads(3);
    assert_ok(willis_hull(&stack, &volume, &err));
    assert_memory_equal(one, volume.voxels, N * N * N * sizeof *one);
    willis_parallel_set_threads(0);
    free(one);
    willis_projections_release(&stack);
  }
  willis_volume_release(&volume);
}

static void sums_are_transposes_still(void **state) {
  (void)state;
  struct willis_error err;
  for (int k = 0; k <= KINDS; k++) {
    struct willis_volume volume = random_volume(N, 1.1, 2);
    struct willis_projections stack =
        k == KINDS ? cones(&volume) : random_stack(&volume, VIEWS, (enum kind)k, 5);
    const ptrdiff_t pixels = pixel_count(&stack), voxels = N * N * N;
    set_shutters(&stack);
    float *x = copy_of(volume.voxels, voxels), *y = copy_of(stack.pixels, pixels);
    assert_ok(willis_project(&volume, &stack, &err));
    ptrdiff_t hidden = 0;
    for (ptrdiff_t p = 0; p < pixels; p++) hidden += y[p] == 0 && stack.pixels[p] == 0;
    assert_true(hidden > pixels / 8);
    double left = inner(stack.pixels, y, pixels);
    double norms = sqrt(inner(stack.pixels, stack.pixels, pixels) * inner(y, y, pixels));
    memcpy(stack.pixels, y, (size_t)pixels * sizeof *y);
    assert_ok(willis_project_adjoint(&stack, &volume, &err));
    assert_true(fabs(left - inner(x, volume.voxels, voxels)) <= 1e-6 * norms);

    assert_ok(willis_backproject(&stack, &volume, &err));
    left = inner(volume.voxels, x, voxels);
    norms = sqrt(inner(volume.voxels, volume.voxels, voxels) * inner(x, x, voxels));
    memcpy(volume.voxels, x, (size_t)voxels * sizeof *x);
    assert_ok(willis_backproject_adjoint(&volume, &stack, &err));
    assert_true(fabs(left - inner(y, stack.pixels, pixels)) <= 1e-6 * norms);
    free(x);
    free(y);
    willis_projections_release(&stack);
    willis_volume_release(&volume);
  }
}

/* A ball seen by four cones, of which each hides a part of it. */
static struct willis_projections ball_views(struct willis_volume *ball) {
  struct willis_error err;
  struct willis_grid grid = willis_grid_cube(N, 1, NULL);
  struct willis_projections stack;
  assert_ok(willis_volume_create(ball, &grid, &err));
  for (ptrdiff_t i = 0; i < N * N * N; i++) {
    const double x = (double)(i % N) - 13, y = (double)(i / N % N) - 10, z = (double)(i / N / N);
    ball->voxels[i] = hypot(hypot(x, y), z - 12) < 5;
  }
  assert_ok(willis_projections_create(&stack, 40, 40, VIEWS, &err));
  stack.mode = WILLIS_PROJECTION_SUM;
  for (int v = 0; v < VIEWS; v++)
    stack.view[v] = (struct willis_view){.kind = WILLIS_VIEW_CONE,
                                         .primary_angle_deg = 45 * v,
                                         .source_to_detector_mm = 150,
                                         .source_to_isocenter_mm = 100,
                                         .column_spacing_mm = 1,
                                         .row_spacing_mm = 1,
                                         .principal_column = 19.5,
                                         .principal_row = 19.5};
  assert_ok(willis_project(ball, &stack, &err));
  return stack;
}

static double error_of(const struct willis_projections *stack, const struct willis_volume *truth,
                       enum willis_solver_method method) {
  struct willis_error err;
  struct willis_volume found;
  struct willis_solver_options options = willis_solver_defaults(method, VIEWS);
  options.iterations = 30;
  double off = 0;
  assert_ok(willis_volume_create(&found, &truth->grid, &err));
  assert_ok(willis_solve(stack, &options, NULL, &found, NULL, &err));
  for (ptrdiff_t i = 0; i < N * N * N; i++)
    off += pow((double)found.voxels[i] - (double)truth->voxels[i], 2);
  willis_volume_release(&found);
  return sqrt(off);
}

static void solvers_have_no_equations_there(void **state) {
  (void)state;
  static const enum willis_solver_method methods[] = {WILLIS_SOLVER_SART, WILLIS_SOLVER_SIRT,
                                                      WILLIS_SOLVER_CGLS, WILLIS_SOLVER_TV};
  struct willis_volume ball, same;
  struct willis_projections stack = ball_views(&ball), black = ball_views(&same);
  for (int v = 0; v < VIEWS; v++)
    stack.view[v].shutter = (struct willis_shutter){.any = true,
                                                    .is_rectangle = true,
                                                    .left = v % 2 ? 0 : 20,
                                                    .right = v % 2 ? 22 : 39,
                                                    .lower = 39};
  willis_projections_hide(&stack);
  memcpy(black.pixels, stack.pixels, (size_t)pixel_count(&stack) * sizeof *stack.pixels);
  for (size_t m = 0; m < sizeof methods / sizeof *methods; m++) {
    const double known = error_of(&stack, &ball, methods[m]);
    const double taken_for_air = error_of(&black, &ball, methods[m]);
    if (!(known < 0.75 * taken_for_air))
      fail_msg("method %zu: %g, and %g when hidden pixels count", m, known, taken_for_air);
  }
  willis_projections_release(&stack);
  willis_projections_release(&black);
  willis_volume_release(&ball);
  willis_volume_release(&same);
}

/* One that covers something, that is: a shutter as large as the picture changes nothing. */
static void fdk_wants_whole_pictures(void **state) {
  (void)state;
  struct willis_error err;
  struct willis_volume ball, found;
  struct willis_projections stack = ball_views(&ball);
  const struct willis_solver_options fdk = willis_solver_defaults(WILLIS_SOLVER_FDK, VIEWS);
  struct willis_shutter *shutter = &stack.view[1].shutter;
  *shutter = (struct willis_shutter){.any = true, .is_rectangle = true, .right = 39, .lower = 39};
  const double open = error_of(&stack, &ball, WILLIS_SOLVER_FDK);
  shutter->right = 38;
  assert_ok(willis_volume_create(&found, &ball.grid, &err));
  assert_refused(willis_solve(&stack, &fdk, NULL, &found, NULL, &err), WILLIS_UNSUPPORTED, &err,
                 "view 1: a shutter covers part of the picture, but fdk needs all of it");
  shutter->any = false;
  assert_true(error_of(&stack, &ball, WILLIS_SOLVER_FDK) == open);
  willis_projections_release(&stack);
  willis_volume_release(&ball);
  willis_volume_release(&found);
}

/* A bright picture whose shutter has an edge as sharp as a vessel's. */
static void a_shutter_is_no_vessel(void **state) {
  (void)state;
  enum { EDGE = 240 };
  struct willis_error err;
  struct willis_projections picture, mask;
  struct willis_vessel_options options = willis_vessel_defaults();
  assert_ok(willis_projections_create(&picture, EDGE, EDGE, 1, &err));
  picture.view[0] = (struct willis_view){.kind = WILLIS_VIEW_CONE,
                                         .source_to_detector_mm = 1200,
                                         .source_to_isocenter_mm = 750,
                                         .column_spacing_mm = 1,
                                         .row_spacing_mm = 1};
  picture.view[0].shutter = (struct willis_shutter){
      .any = true, .is_circle = true, .centre_column = 120, .centre_row = 110, .radius = 100};
  for (ptrdiff_t i = 0; i < EDGE * EDGE; i++)
    picture.pixels[i] =
        (float)(100 + 8 * (llabs(i % EDGE - 120) < 3) + willis_random_uniform(3, (uint64_t)i, 0));
  willis_projections_hide(&picture);
  assert_true(picture.pixels[0] == 0 && picture.pixels[110 * EDGE + 120] > 100);
  assert_ok(willis_vessels_segment(&picture, &options, &mask, &err));
  assert_true(mask.view[0].shutter.is_circle && mask.view[0].shutter.radius == 100);
  ptrdiff_t inside = 0, elsewhere = 0;
  for (ptrdiff_t i = 0; i < EDGE * EDGE; i++) {
    const bool bar = llabs(i % EDGE - 120) < 10;
    inside += mask.pixels[i] > 0 && bar;
    elsewhere += mask.pixels[i] > 0 && !bar;
  }
  if (!(inside > 500 && elsewhere == 0)) fail_msg("%td and %td pixels", inside, elsewhere);
  willis_projections_release(&mask);
  willis_projections_release(&picture);
}

static enum willis_status solve_ball(const struct willis_projections *stack,
                                     struct willis_volume *volume, struct willis_error *err) {
  struct willis_solver_options options = willis_solver_defaults(WILLIS_SOLVER_SIRT, VIEWS);
  options.iterations = 1;
  enum willis_status status = willis_hull(stack, volume, err);
  return status ? status : willis_solve(stack, &options, NULL, volume, NULL, err);
}

static void every_allocation_may_fail(void **state) {
  (void)state;
  struct willis_volume ball;
  struct willis_projections stack = ball_views(&ball);
  set_shutters(&stack);
  for (int n = 0;; n++) {
    struct failing_allocator failing = {.until_failure = n};
    struct willis_error err;
    failing_allocator_use(&failing);
    enum willis_status status = solve_ball(&stack, &ball, &err);
    failing_allocator_use(NULL);
    assert_int_equal(failing.held, 0);
    if (failing.until_failure >= 0) {
      assert_int_equal(status, WILLIS_OK);
      assert_true(n > 4);
      break;
    }
    assert_int_equal(status, WILLIS_OUT_OF_MEMORY);
  }
  willis_projections_release(&stack);
  willis_volume_release(&ball);
}

/* The cube that every view sees ends where a shutter does. */
static void the_output_grid_ends_there(void **state) {
  (void)state;
  struct willis_error err;
  struct willis_volume ball;
  struct willis_grid whole, part;
  struct willis_projections stack = ball_views(&ball);
  stack.has_grid = false;
  assert_ok(willis_projections_output_grid(&stack, 0, 0, &whole, &err));
  stack.view[1].shutter = (struct willis_shutter){
      .any = true, .is_circle = true, .centre_column = 19.5, .centre_row = 19.5, .radius = 14};
  assert_ok(willis_projections_output_grid(&stack, 0, 0, &part, &err));
  assert_true(part.size[0] < whole.size[0] && part.size[0] > 8);
  stack.view[1].shutter.radius = -1;
  assert_int_equal(willis_projections_check(&stack, &err), WILLIS_GEOMETRY);
  willis_projections_release(&stack);
  willis_volume_release(&ball);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_hull_asks_those_who_see),
      cmocka_unit_test(sums_are_transposes_still),
      cmocka_unit_test(solvers_have_no_equations_there),
      cmocka_unit_test(fdk_wants_whole_pictures),
      cmocka_unit_test(a_shutter_is_no_vessel),
      cmocka_unit_test(every_allocation_may_fail),
      cmocka_unit_test(the_output_grid_ends_there),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
