/* Solvers: each finds a phantom again, says how well, and does not depend on threads. Parallel
 * stacks of willis_project() come from another model of a ray than the solvers', so less is reached
 * there; box_rays.h is another model for both. */
#include "xray_cases.h"

#include <willis/solver.h>

#include "box_rays.h"
#include "failing_allocator.h"

enum { N = 24, VIEWS = 20 };

/* Two balls and a bar of other values, off the middle, without symmetry. */
static struct willis_volume phantom(void) {
  struct willis_error err;
  struct willis_grid grid = willis_grid_cube(N, 1, NULL);
  struct willis_volume volume;
  assert_ok(willis_volume_create(&volume, &grid, &err));
  for (ptrdiff_t v = 0; v < N * N * N; v++) {
    double x = (double)(v % N) - 11.5, y = (double)(v / N % N) - 11.5,
           z = (double)(v / N / N) - 11.5;
    double near = hypot(hypot(x - 3, y + 2), z), far = hypot(hypot(x + 4, y - 4), z - 4);
    volume.voxels[v] = (float)(near < 4                         ? 1
                               : far < 3                        ? 0.6
                               : fabs(z + 6) < 1 && fabs(y) < 6 ? 0.8
                                                                : 0);
  }
  return volume;
}

static struct willis_projections stack_of(const struct willis_volume *truth, int views, double arc,
                                          enum willis_view_kind kind) {
  struct willis_error err;
  struct willis_projections stack;
  assert_ok(willis_projections_create(&stack, 48, 48, views, &err));
  stack.mode = WILLIS_PROJECTION_SUM;
  for (int v = 0; v < views; v++) {
    struct willis_view *view = stack.view + v;
    *view = willis_view_parallel(arc * v / views - 40, &truth->grid);
    view->principal_column = view->principal_row = 23.5;
    view->row_spacing_mm = 0.99; /* no planar view: rays along the grid are the exception */
    if (kind == WILLIS_VIEW_PARALLEL) continue;
    view->kind = kind;
    view->source_to_isocenter_mm = 100;
    view->source_to_detector_mm = 150;
  }
  assert_ok(willis_project(truth, &stack, &err));
  return stack;
}

static double psnr_of(const struct willis_projections *stack, const struct willis_volume *truth,
                      const struct willis_solver_options *options,
                      struct willis_solver_report *report) {
  struct willis_error err;
  struct willis_volume found;
  assert_ok(willis_volume_create(&found, &truth->grid, &err));
  assert_ok(willis_solve(stack, options, NULL, &found, report, &err));
  double off = 0;
  for (ptrdiff_t i = 0; i < N * N * N; i++) {
    double d = (double)found.voxels[i] - (double)truth->voxels[i];
    assert_true(found.voxels[i] >= 0);
    off += d * d / (N * N * N);
  }
  willis_volume_release(&found);
  return -10 * log10(off);
}

/* What each method reaches on data by the solvers' own rays and on exact lengths within voxels,
 * which no solver can explain to the end. */
static void every_method_finds_the_phantom(void **state) {
  (void)state;
  static const struct {
    enum willis_solver_method method;
    int iterations;
    double least[2], exact[2]; /* parallel, cone */
  } row[] = {{WILLIS_SOLVER_FDK, 1, {17, 17}, {24, 22}},
             {WILLIS_SOLVER_SART, 10, {27, 32}, {32, 32}},
             {WILLIS_SOLVER_SIRT, 60, {24, 24}, {31, 32}},
             {WILLIS_SOLVER_CGLS, 15, {24, 24}, {31, 31}},
             {WILLIS_SOLVER_TV, 50, {23, 45}, {34, 33}}};
  struct willis_volume truth = phantom();
  for (int run = 0; run < 4; run++) {
    const int kind = run % 2, exact = run / 2;
    struct willis_projections stack =
        stack_of(&truth, VIEWS, kind ? 240 : 180, (enum willis_view_kind)kind);
    if (exact) box_rays_project(&truth, &stack, 2);
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
      struct willis_solver_report report;
      struct willis_solver_options options = willis_solver_defaults(row[i].method, VIEWS);
      options.iterations = row[i].iterations;
      double psnr = psnr_of(&stack, &truth, &options, &report);
      double least = exact ? row[i].exact[kind] : row[i].least[kind];
      if (!(psnr > least))
        fail_msg("run %d, method %zu: %g dB, residual %g", run, i, psnr, report.residual);
      if (row[i].method == WILLIS_SOLVER_FDK) continue;
      assert_true(report.unknowns < N * N * N && report.residual < 0.2);
    }
    willis_projections_release(&stack);
  }
  willis_volume_release(&truth);
}

/* More iterations never leave more of the data. */
static void residuals_fall(void **state) {
  (void)state;
  struct willis_volume truth = phantom();
  struct willis_projections stack = stack_of(&truth, 6, 180, WILLIS_VIEW_CONE);
  for (int m = WILLIS_SOLVER_SART; m <= WILLIS_SOLVER_TV; m++) {
    double before = INFINITY;
    for (int iterations = 1; iterations <= 16; iterations *= 4) {
      struct willis_solver_report report;
      struct willis_solver_options options =
          willis_solver_defaults((enum willis_solver_method)m, 6);
      options.iterations = iterations;
      psnr_of(&stack, &truth, &options, &report);
      if (!(report.residual < before)) fail_msg("method %d: %g, %g", m, before, report.residual);
      before = report.residual;
    }
  }
  willis_projections_release(&stack);
  willis_volume_release(&truth);
}

/* Of a ball's middle FDK knows the value: full turns, half turns and a fan, and what is between. */
static void fdk_keeps_values(void **state) {
  (void)state;
  struct willis_error err;
  struct willis_volume truth = phantom(), found = phantom();
  for (ptrdiff_t v = 0; v < N * N * N; v++) {
    double x = (double)(v % N) - 15, y = (double)(v / N % N) - 9, z = (double)(v / N / N) - 11.5;
    truth.voxels[v] = (float)exp(-(x * x + y * y + z * z) / 18);
  }
  static const double arc[] = {180, 220, 290, 360};
  for (int i = 0; i < 4; i++) {
    for (int kind = 0; kind < 2; kind++) {
      struct willis_projections stack = stack_of(&truth, 120, arc[i], (enum willis_view_kind)kind);
      struct willis_solver_options options = willis_solver_defaults(WILLIS_SOLVER_FDK, 120);
      assert_ok(willis_solve(&stack, &options, NULL, &found, NULL, &err));
      double value = (double)found.voxels[(11 * N + 9) * N + 15];
      double expected = (double)truth.voxels[(11 * N + 9) * N + 15];
      double allowed = kind && i == 0 ? 0.15 : 0.06;
      if (!(fabs(value / expected - 1) < allowed))
        fail_msg("kind %d, %g degrees: %g for %g", kind, arc[i], value, expected);
      willis_projections_release(&stack);
    }
  }
  willis_volume_release(&truth);
  willis_volume_release(&found);
}

static void threads_do_not_matter(void **state) {
  (void)state;
  struct willis_error err;
  struct willis_volume truth = phantom(), one = phantom(), many = phantom();
  struct willis_projections stack = stack_of(&truth, 5, 180, WILLIS_VIEW_CONE);
  for (int m = 0; m <= WILLIS_SOLVER_TV; m++) {
    struct willis_solver_options options = willis_solver_defaults((enum willis_solver_method)m, 5);
    options.iterations = 2;
    willis_parallel_set_threads(1);
    assert_ok(willis_solve(&stack, &options, NULL, &one, NULL, &err));
    for (int threads = 2; threads <= 8; threads += 3) {
      willis_parallel_set_threads(threads);
      assert_ok(willis_solve(&stack, &options, NULL, &many, NULL, &err));
      assert_memory_equal(one.voxels, many.voxels, N * N * N * sizeof *one.voxels);
    }
  }
  willis_parallel_set_threads(0);
  willis_projections_release(&stack);
  willis_volume_release(&truth);
  willis_volume_release(&one);
  willis_volume_release(&many);
}

static bool stop(const char *what, double done, double total, const char *unit, void *context) {
  (void)what, (void)done, (void)total, (void)unit, (void)context;
  return false;
}

static void bad_input_is_refused(void **state) {
  (void)state;
  struct willis_error err;
  struct willis_volume x = phantom();
  struct willis_projections stack = stack_of(&x, 3, 180, WILLIS_VIEW_CONE);
  const struct willis_solver_options good = willis_solver_defaults(WILLIS_SOLVER_TV, 3);
  static const struct {
    int method, iterations, subsets;
    double lambda;
    const char *words;
  } row[] = {{9, 1, 1, 0, "method 9"},
             {WILLIS_SOLVER_TV, 0, 1, 0, "0 iterations"},
             {WILLIS_SOLVER_TV, 1, 4, 0, "4 subsets of 3 views"},
             {WILLIS_SOLVER_TV, 1, 1, -1, "lambda is -1"},
             {WILLIS_SOLVER_TV, 1, 1, NAN, "lambda is"},
             {WILLIS_SOLVER_SART, 1, 1, 0, "relaxation"},
             {WILLIS_SOLVER_SIRT, 1, 1, 2, "relaxation"},
             {WILLIS_SOLVER_CGLS, 1, 2, 0, "all views at once"}};
  for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
    struct willis_solver_options bad = {(enum willis_solver_method)row[i].method, row[i].iterations,
                                        row[i].subsets, row[i].lambda, true};
    assert_refused(willis_solve(&stack, &bad, NULL, &x, NULL, &err), WILLIS_INVALID_ARGUMENT, &err,
                   row[i].words);
  }
  struct willis_progress impatient = {stop, NULL};
  assert_refused(willis_solve(&stack, &good, &impatient, &x, NULL, &err), WILLIS_CANCELLED, &err,
                 "stopped after 0");
  stack.mode = WILLIS_PROJECTION_MAX;
  assert_refused(willis_solve(&stack, &good, NULL, &x, NULL, &err), WILLIS_UNSUPPORTED, &err,
                 "line integrals");
  stack.mode = WILLIS_PROJECTION_SUM;
  stack.pixels[48 * 48 + 50] = NAN;
  assert_refused(willis_solve(&stack, &good, NULL, &x, NULL, &err), WILLIS_NUMERIC, &err,
                 "view 1: pixel (2, 1)");
  stack.pixels[48 * 48 + 50] = 0;
  stack.view[2].secondary_angle_deg = 20;
  struct willis_solver_options fdk = willis_solver_defaults(WILLIS_SOLVER_FDK, 3);
  assert_refused(willis_solve(&stack, &fdk, NULL, &x, NULL, &err), WILLIS_UNSUPPORTED, &err,
                 "view 2: secondary angle 20");
  stack.view[2].source_to_isocenter_mm = 5;
  assert_refused(willis_solve(&stack, &good, NULL, &x, NULL, &err), WILLIS_GEOMETRY, &err,
                 "view 2: the volume reaches its source");
  willis_projections_release(&stack);
  willis_volume_release(&x);
}

/* Nothing in the images is nothing in the volume, and no division by it. */
static void empty_images_give_an_empty_volume(void **state) {
  (void)state;
  struct willis_error err;
  struct willis_volume x = phantom();
  struct willis_projections stack = stack_of(&x, 3, 180, WILLIS_VIEW_CONE);
  for (ptrdiff_t p = 0; p < pixel_count(&stack); p++) stack.pixels[p] = 0;
  for (int m = 0; m <= WILLIS_SOLVER_TV; m++) {
    struct willis_solver_options options = willis_solver_defaults((enum willis_solver_method)m, 3);
    assert_ok(willis_solve(&stack, &options, NULL, &x, NULL, &err));
    for (ptrdiff_t i = 0; i < N * N * N; i++) assert_true(x.voxels[i] == 0);
  }
  willis_projections_release(&stack);
  willis_volume_release(&x);
}

static void allocations_may_fail(void **state) {
  (void)state;
  struct willis_error err;
  struct willis_volume x = phantom();
  struct willis_projections stack = stack_of(&x, 2, 180, WILLIS_VIEW_CONE);
  for (int m = 0; m <= WILLIS_SOLVER_TV; m++) {
    if (m == WILLIS_SOLVER_SIRT) continue; /* SART's code */
    struct willis_solver_options options = willis_solver_defaults((enum willis_solver_method)m, 2);
    options.iterations = options.subsets = 1;
    enum willis_status status = WILLIS_OUT_OF_MEMORY;
    for (int n = 0; status; n++) {
      struct failing_allocator failing = {.until_failure = n};
      failing_allocator_use(&failing);
      status = willis_solve(&stack, &options, NULL, &x, NULL, &err);
      failing_allocator_use(NULL);
      assert_int_equal(failing.held, 0);
      if (status) assert_refused(status, WILLIS_OUT_OF_MEMORY, &err, "memory");
      assert_true(n < 40);
    }
  }
  willis_projections_release(&stack);
  willis_volume_release(&x);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_method_finds_the_phantom),
      cmocka_unit_test(residuals_fall),
      cmocka_unit_test(fdk_keeps_values),
      cmocka_unit_test(threads_do_not_matter),
      cmocka_unit_test(bad_input_is_refused),
      cmocka_unit_test(empty_images_give_an_empty_volume),
      cmocka_unit_test(allocations_may_fail),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
