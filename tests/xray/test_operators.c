/* Invariants of the operators: transposes, threads, kernels, parts, what is seen, what is refused.
 */
#include "xray_cases.h"

#include "failing_allocator.h"
#include "xray/operators.h"

static const ptrdiff_t sizes[] = {1, 2, 7, 16, 33};
enum { SIZES = sizeof sizes / sizeof *sizes };

static void assert_gap(double ax_y, double x_aty, double norms) {
  double gap = fabs(ax_y - x_aty) / norms;
  /* n = 2: at most angles nothing lies inside the turned cube, and both sides are 0. */
  if (norms > 0 && !(gap <= 1e-6)) fail_msg("adjoint gap %g", gap);
  if (norms == 0) assert_true(ax_y == 0 && x_aty == 0);
}

/* ⟨Ax,y⟩ = ⟨x,Aᵀy⟩ for the line integrals, ⟨Bᵀx,y⟩ = ⟨x,By⟩ for the back-projection. */
static void check_adjoints(ptrdiff_t n, int views, enum kind kind) {
  struct willis_error err;
  struct willis_volume volume = random_volume(n, 0.7, (uint64_t)n);
  struct willis_projections stack = random_stack(&volume, views, kind, (uint64_t)(n + views));
  ptrdiff_t voxels = n * n * n, pixels = pixel_count(&stack);
  float *x = copy_of(volume.voxels, voxels), *y = copy_of(stack.pixels, pixels);

  assert_ok(willis_project(&volume, &stack, &err));
  double left = inner(stack.pixels, y, pixels);
  double norms = sqrt(inner(stack.pixels, stack.pixels, pixels) * inner(y, y, pixels));
  memcpy(stack.pixels, y, (size_t)pixels * sizeof *y);
  assert_ok(willis_project_adjoint(&stack, &volume, &err));
  assert_gap(left, inner(x, volume.voxels, voxels), norms);

  assert_ok(willis_backproject(&stack, &volume, &err));
  left = inner(volume.voxels, x, voxels);
  norms = sqrt(inner(volume.voxels, volume.voxels, voxels) * inner(x, x, voxels));
  memcpy(volume.voxels, x, (size_t)voxels * sizeof *x);
  assert_ok(willis_backproject_adjoint(&volume, &stack, &err));
  assert_gap(left, inner(y, stack.pixels, pixels), norms);

  free(x);
  free(y);
  willis_projections_release(&stack);
  willis_volume_release(&volume);
}

static void adjoints_are_transposes(void **state) {
  (void)state;
  static const int views[] = {1, 3, 11};
  for (int plain = 0; plain < 2; plain++) {
    if (plain) willis_cpu_mask(0);
    for (int s = 0; s < SIZES; s++)
      for (size_t v = 0; v < sizeof views / sizeof *views; v++)
        for (int kind = 0; kind < KINDS; kind++) check_adjoints(sizes[s], views[v], kind);
  }
  willis_cpu_mask(~0u);
}

/* The five operators one after another on fixed inputs; what each leaves, for comparison. */
enum { MAXIMUM, INTEGRAL, INTEGRAL_ADJOINT, BACK, BACK_ADJOINT, HULL, RUNS };

struct outcome {
  float *value[RUNS];
  ptrdiff_t count[RUNS];
};

static struct outcome run_all(ptrdiff_t n, enum kind kind, bool sparse) {
  enum { VIEWS = 7 };
  struct willis_error err;
  struct outcome out;
  struct willis_volume x = random_volume(n, 0.7, 5);
  for (ptrdiff_t i = 0; i < n * n * n && sparse; i++)
    x.voxels[i] = x.voxels[i] > 2.5f ? x.voxels[i] : 0;
  struct willis_projections y = random_stack(&x, VIEWS, kind, 6);
  for (int i = 0; i < RUNS; i++) {
    struct willis_volume volume = random_volume(n, 0.7, 7);
    struct willis_projections stack = random_stack(&x, VIEWS, kind, 6);
    stack.mode = i == MAXIMUM ? WILLIS_PROJECTION_MAX : WILLIS_PROJECTION_SUM;
    enum willis_status status = i == MAXIMUM || i == INTEGRAL ? willis_project(&x, &stack, &err)
                                : i == INTEGRAL_ADJOINT ? willis_project_adjoint(&y, &volume, &err)
                                : i == BACK             ? willis_backproject(&y, &volume, &err)
                                : i == BACK_ADJOINT ? willis_backproject_adjoint(&x, &stack, &err)
                                                    : willis_hull(&y, &volume, &err);
    assert_ok(status);
    bool image = i == MAXIMUM || i == INTEGRAL || i == BACK_ADJOINT;
    out.count[i] = image ? pixel_count(&stack) : n * n * n;
    out.value[i] = copy_of(image ? stack.pixels : volume.voxels, out.count[i]);
    willis_projections_release(&stack);
    willis_volume_release(&volume);
  }
  willis_projections_release(&y);
  willis_volume_release(&x);
  return out;
}

static void release(struct outcome *out) {
  for (int i = 0; i < RUNS; i++) free(out->value[i]);
}

static void any_number_of_threads_gives_the_same_bytes(void **state) {
  (void)state;
  static const int threads[] = {2, 3, 8};
  for (int plain = 0; plain < 2; plain++) {
    if (plain) willis_cpu_mask(0);
    for (int kind = WIDE; kind < KINDS; kind++) {
      willis_parallel_set_threads(1);
      struct outcome one = run_all(35, kind, false);
      for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) {
        willis_parallel_set_threads(threads[t]);
        struct outcome many = run_all(35, kind, false);
        for (int i = 0; i < RUNS; i++)
          assert_memory_equal(one.value[i], many.value[i],
                              (size_t)one.count[i] * sizeof *one.value[i]);
        release(&many);
      }
      release(&one);
    }
  }
  willis_cpu_mask(~0u);
  willis_parallel_set_threads(0);
}

static void kernels_agree(void **state) {
  (void)state;
  for (int s = 0; s < 2 * SIZES; s++) {
    for (int kind = 0; kind <= WIDE; kind++) {
      struct outcome fast = run_all(sizes[s / 2], kind, s % 2);
      willis_cpu_mask(0);
      struct outcome plain = run_all(sizes[s / 2], kind, s % 2);
      willis_cpu_mask(~0u);
      for (int i = 0; i < RUNS; i++) {
        double range = fmax(value_range(plain.value[i], plain.count[i]), 1);
        double error = largest_difference(fast.value[i], plain.value[i], plain.count[i]);
        if (!(error <= 4e-6 * range)) fail_msg("operator %d: %g of %g", i, error, range);
      }
      release(&fast);
      release(&plain);
    }
  }
}

/* The general way must give what the planar one gives where both apply. */
static void oblique_agrees_with_planar(void **state) {
  (void)state;
  enum { n = 19 };
  struct willis_error err;
  struct willis_volume x = random_volume(n, 0.7, 1), back = random_volume(n, 0.7, 2);
  struct willis_projections y = random_stack(&x, 1, WIDE, 3), image = random_stack(&x, 1, WIDE, 4);
  image.view[0] = y.view[0];
  struct willis_view_set set;
  assert_ok(willis_view_set_init(&set, &y, NULL, 0, &x.grid, &err));
  assert_int_equal(set.planar.view_count, 1);
  ptrdiff_t pixels = pixel_count(&y), voxels = n * n * n;
  float *found = copy_of(y.pixels, pixels), *volume = copy_of(back.voxels, voxels);
  const struct willis_slab all = {0, n, volume};

  for (int mode = 0; mode < 2; mode++) {
    image.mode = mode;
    assert_ok(willis_project(&x, &image, &err));
    float least, most;
    willis_volume_range(&x, &least, &most);
    willis_oblique_project(set.map, x.voxels, n, mode, mode ? 0 : least, found, y.columns, y.rows);
    for (ptrdiff_t i = 0; i < pixels && mode; i++) found[i] *= 0.7f;
    assert_true(largest_difference(found, image.pixels, pixels) < 1e-5);
  }
  for (int how = 0; how < 2; how++) {
    assert_ok(how ? willis_hull(&y, &back, &err) : willis_backproject(&y, &back, &err));
    for (ptrdiff_t i = 0; i < voxels; i++) volume[i] = willis_gather_start(how);
    willis_oblique_gather(set.map, y.pixels, y.columns, y.rows, how, n, &all);
    for (ptrdiff_t i = 0; i < voxels; i++)
      if (volume[i] == willis_gather_start(how)) volume[i] = 0;
    assert_true(largest_difference(volume, back.voxels, voxels) < 1e-5);
  }
  free(found);
  free(volume);
  willis_view_set_release(&set);
  willis_projections_release(&y);
  willis_projections_release(&image);
  willis_volume_release(&back);
  willis_volume_release(&x);
}

/* From above the head (β = 90°) the maximum over z, row 0 being the patient's back. */
static void a_view_from_above_looks_along_z(void **state) {
  (void)state;
  enum { n = 9 };
  struct willis_error err;
  struct willis_volume x = random_volume(n, 2, 8);
  struct willis_projections stack = random_stack(&x, 1, PLANAR, 9);
  stack.view[0].primary_angle_deg = 0;
  stack.view[0].secondary_angle_deg = 90;
  stack.mode = WILLIS_PROJECTION_MAX;
  assert_ok(willis_project(&x, &stack, &err));
  for (ptrdiff_t j = 0; j < n; j++) {
    for (ptrdiff_t i = 0; i < n; i++) {
      float most = -INFINITY;
      for (ptrdiff_t k = 0; k < n; k++) most = fmaxf(most, x.voxels[(k * n + j) * n + i]);
      assert_true(fabsf(stack.pixels[(n - 1 - j) * n + i] - most) < 1e-6f);
    }
  }
  willis_projections_release(&stack);
  willis_volume_release(&x);
}

/* What no ray loses: a ball in the middle has the same mass from everywhere. */
static void line_integrals_keep_the_mass(void **state) {
  (void)state;
  enum { n = 40 };
  struct willis_error err;
  struct willis_volume x = random_volume(n, 0.5, 1);
  double mass = 0, middle = (n - 1) / 2.0;
  for (ptrdiff_t v = 0; v < n * n * n; v++) {
    double r = hypot(hypot((double)(v % n) - middle, (double)(v / n % n) - middle),
                     (double)(v / n / n) - middle);
    x.voxels[v] = (float)fmax(0, fmin(1, 13 - r)); /* soft edge */
    mass += (double)x.voxels[v] * 0.125;
  }
  struct willis_projections stack = random_stack(&x, 8, PLANAR, 5);
  for (int v = 0; v < 8; v += 2) stack.view[v].secondary_angle_deg = 11 * v - 30;
  assert_ok(willis_project(&x, &stack, &err));
  for (int v = 0; v < 8; v++) {
    double seen = 0;
    for (ptrdiff_t p = 0; p < n * n; p++) seen += (double)stack.pixels[v * n * n + p] * 0.25;
    assert_true(fabs(seen / mass - 1) < 2e-3);
  }
  willis_projections_release(&stack);
  willis_volume_release(&x);
}

static void parts_are_parts_of_the_whole(void **state) {
  (void)state;
  enum { n = 37 };
  struct willis_error err;
  for (int kind = 0; kind < KINDS; kind++) {
    struct willis_volume all = random_volume(n, 1, 1), some = random_volume(n, 1, 2);
    struct willis_projections y = random_stack(&all, 9, kind, 3), chosen;
    assert_ok(willis_backproject(&y, &all, &err));
    float *slab = malloc(n * n * 10 * sizeof *slab);
    assert_non_null(slab);
    assert_ok(willis_backproject_slab(&y, NULL, 0, &all.grid, 11, 21, slab, &err));
    assert_memory_equal(slab, all.voxels + 11 * n * n, n * n * 10 * sizeof *slab);
    free(slab);

    static const ptrdiff_t view[] = {0, 4, 5, 8};
    ptrdiff_t image = y.columns * y.rows;
    assert_ok(willis_projections_create(&chosen, y.columns, y.rows, 4, &err));
    memcpy(chosen.isocenter_mm, y.isocenter_mm, sizeof y.isocenter_mm);
    for (int v = 0; v < 4; v++) {
      chosen.view[v] = y.view[view[v]];
      memcpy(chosen.pixels + v * image, y.pixels + view[v] * image,
             (size_t)image * sizeof *y.pixels);
    }
    assert_ok(willis_backproject(&chosen, &all, &err));
    assert_ok(willis_backproject_slab(&y, view, 4, &all.grid, 0, n, some.voxels, &err));
    assert_memory_equal(all.voxels, some.voxels, n * n * n * sizeof *some.voxels);
    willis_projections_release(&chosen);
    willis_projections_release(&y);
    willis_volume_release(&all);
    willis_volume_release(&some);
  }
}

/* Views along the axes do not interpolate: there the hull of maximum projections holds its volume,
 * and more views never make it larger. */
static void the_hull_holds_its_volume(void **state) {
  (void)state;
  enum { n = 21 };
  struct willis_error err;
  struct willis_volume x = random_volume(n, 1, 1), two = random_volume(n, 1, 2),
                       four = random_volume(n, 1, 3);
  struct willis_projections y = random_stack(&x, 4, PLANAR, 4), first = y;
  static const double angle[] = {0, 90, 33, 71};
  for (int v = 0; v < 4; v++) y.view[v] = willis_view_parallel(angle[v], &x.grid);
  y.mode = first.mode = WILLIS_PROJECTION_MAX;
  assert_ok(willis_project(&x, &y, &err));
  first.view_count = 2;
  assert_ok(willis_hull(&first, &two, &err));
  assert_ok(willis_hull(&y, &four, &err));
  for (ptrdiff_t i = 0; i < n * n * n; i++) {
    assert_true(two.voxels[i] >= x.voxels[i] - 1e-6f); /* a + (b − a) may miss b */
    assert_true(four.voxels[i] <= two.voxels[i]);
  }
  willis_projections_release(&y);
  willis_volume_release(&x);
  willis_volume_release(&two);
  willis_volume_release(&four);
}

static void a_view_that_sees_nothing_does_not_vote(void **state) {
  (void)state;
  enum { n = 20 };
  struct willis_error err;
  for (int kind = PLANAR; kind <= OBLIQUE; kind += OBLIQUE) {
    struct willis_volume hull = random_volume(n, 1, 1);
    struct willis_projections y = random_stack(&hull, 2, kind, 4);
    for (ptrdiff_t p = 0; p < pixel_count(&y); p++) y.pixels[p] = 5;
    for (int v = 0; v < 2; v++) y.view[v].primary_angle_deg = 45;
    assert_ok(willis_hull(&y, &hull, &err));
    assert_true(hull.voxels[0] == 0); /* a corner that none sees */
    assert_true(fabsf(hull.voxels[n / 2 * (n * n + n + 1)] - 5) < 1e-5f); /* the middle */
    y.view[1].primary_angle_deg = 0;
    y.view[1].secondary_angle_deg = 0;
    y.view[1].row_spacing_mm = 1;
    y.view[1].principal_row = (n - 1) / 2.0;
    assert_ok(willis_hull(&y, &hull, &err));
    assert_true(fabsf(hull.voxels[0] - 5) < 1e-5f); /* now one view does */
    willis_projections_release(&y);
    willis_volume_release(&hull);
  }
}

/* Every operator refuses the same things in the same words. */
static void check_refusal(const struct willis_volume *volume, const struct willis_projections *y,
                          enum willis_status expected, const char *words) {
  struct willis_error err;
  struct willis_volume to = *volume;
  struct willis_projections stack = *y;
  assert_refused(willis_project(&to, &stack, &err), expected, &err, words);
  assert_refused(willis_project_adjoint(&stack, &to, &err), expected, &err, words);
  assert_refused(willis_backproject(&stack, &to, &err), expected, &err, words);
  assert_refused(willis_backproject_adjoint(&to, &stack, &err), expected, &err, words);
  assert_refused(willis_hull(&stack, &to, &err), expected, &err, words);
}

static void bad_input_is_refused(void **state) {
  (void)state;
  struct willis_error err;
  struct willis_volume x = random_volume(6, 1, 1), bad = x;
  struct willis_projections y = random_stack(&x, 2, PLANAR, 2), worse = y;
  struct willis_view good = y.view[1];

  bad.grid.size[2] = 5;
  check_refusal(&bad, &y, WILLIS_GEOMETRY, "cubic");
  bad = x;
  bad.grid.spacing_mm[1] = 1.2;
  check_refusal(&bad, &y, WILLIS_GEOMETRY, "cubic");
  bad = x;
  bad.grid.direction[0] = bad.grid.direction[4] = -1;
  check_refusal(&bad, &y, WILLIS_GEOMETRY, "LPS");
  bad = x;
  bad.grid.spacing_mm[0] = NAN;
  check_refusal(&bad, &y, WILLIS_GEOMETRY, "volume");

  worse.view_count = 0;
  check_refusal(&x, &worse, WILLIS_GEOMETRY, "0 views");
  y.view[1].primary_angle_deg = NAN;
  check_refusal(&x, &y, WILLIS_GEOMETRY, "view 1: primary angle");
  y.view[1] = good;
  y.view[1].row_spacing_mm = 0;
  check_refusal(&x, &y, WILLIS_GEOMETRY, "view 1: row spacing");
  y.view[1] = good;

  static const ptrdiff_t none[] = {2};
  assert_refused(willis_backproject_slab(&y, none, 1, &x.grid, 0, 6, x.voxels, &err),
                 WILLIS_INVALID_ARGUMENT, &err, "view 2 of a stack of 2");
  assert_refused(willis_backproject_slab(&y, none, 0, &x.grid, 0, 6, x.voxels, &err),
                 WILLIS_INVALID_ARGUMENT, &err, "no views");
  assert_refused(willis_backproject_slab(&y, NULL, 0, &x.grid, 3, 3, x.voxels, &err),
                 WILLIS_INVALID_ARGUMENT, &err, "slices 3 to 3");
  assert_refused(willis_backproject_slab(&y, NULL, 0, &x.grid, 0, 7, x.voxels, &err),
                 WILLIS_INVALID_ARGUMENT, &err, "slices 0 to 7");
  willis_projections_release(&y);
  willis_volume_release(&x);
}

/* Whichever allocation fails: a status, a message, nothing kept. */
static void allocations_may_fail(void **state) {
  (void)state;
  struct willis_error err;
  struct willis_volume x = random_volume(9, 1, 1);
  struct willis_projections y = random_stack(&x, 3, MIXED, 2);
  for (int plain = 0; plain < 2; plain++) {
    if (plain) willis_cpu_mask(0);
    for (int which = 0; which < 5; which++) {
      enum willis_status status = WILLIS_OUT_OF_MEMORY;
      for (int n = 0; status; n++) {
        struct failing_allocator failing = {.until_failure = n};
        failing_allocator_use(&failing);
        status = which == 0   ? willis_project(&x, &y, &err)
                 : which == 1 ? willis_project_adjoint(&y, &x, &err)
                 : which == 2 ? willis_backproject(&y, &x, &err)
                 : which == 3 ? willis_backproject_adjoint(&x, &y, &err)
                              : willis_hull(&y, &x, &err);
        failing_allocator_use(NULL);
        assert_int_equal(failing.held, 0);
        if (status) assert_refused(status, WILLIS_OUT_OF_MEMORY, &err, "memory");
        assert_true(n < 20);
      }
    }
  }
  willis_cpu_mask(~0u);
  willis_projections_release(&y);
  willis_volume_release(&x);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(adjoints_are_transposes),
      cmocka_unit_test(any_number_of_threads_gives_the_same_bytes),
      cmocka_unit_test(kernels_agree),
      cmocka_unit_test(oblique_agrees_with_planar),
      cmocka_unit_test(a_view_from_above_looks_along_z),
      cmocka_unit_test(line_integrals_keep_the_mass),
      cmocka_unit_test(parts_are_parts_of_the_whole),
      cmocka_unit_test(the_hull_holds_its_volume),
      cmocka_unit_test(a_view_that_sees_nothing_does_not_vote),
      cmocka_unit_test(bad_input_is_refused),
      cmocka_unit_test(allocations_may_fail),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
