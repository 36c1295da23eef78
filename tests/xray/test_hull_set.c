/* The list of a hull's voxels, and what the views show of them: against the hull itself, against
 * where points project to, and against pictures that are known everywhere. */
#include "xray/hull_set.h"
#include "xray_cases.h"

#include "failing_allocator.h"

enum { N = 24, SEEN = WILLIS_HULL_SET_SEEN, VOXEL = WILLIS_HULL_SET_VOXEL };

/* A box of 100 in voxels [low, high) along every axis. */
static struct willis_volume box(ptrdiff_t low, ptrdiff_t high) {
  struct willis_volume volume = random_volume(N, 0.7, 1);
  for (ptrdiff_t i = 0; i < N * N * N; i++) {
    const ptrdiff_t x = i % N, y = i / N % N, z = i / N / N;
    const bool in = x >= low && x < high && y >= low && y < high && z >= low && z < high;
    volume.voxels[i] = in ? 100 : 0;
  }
  return volume;
}

static struct willis_projections views_of(const struct willis_volume *volume, int views,
                                          double step_deg, enum willis_projection_mode mode) {
  struct willis_error err;
  struct willis_projections stack;
  assert_ok(willis_projections_create(&stack, N, N, views, &err));
  willis_grid_centre(&volume->grid, stack.isocenter_mm);
  stack.mode = mode;
  for (int v = 0; v < views; v++) stack.view[v] = willis_view_parallel(step_deg * v, &volume->grid);
  assert_ok(willis_project(volume, &stack, &err));
  return stack;
}

static void lists_what_the_hull_leaves(void **state) {
  (void)state;
  struct willis_error err;
  struct willis_hull_set set;
  struct willis_volume volume = box(8, 15), hull;
  struct willis_projections stack = views_of(&volume, 4, 31, WILLIS_PROJECTION_MAX);
  assert_ok(willis_volume_create(&hull, &volume.grid, &err));
  assert_ok(willis_hull(&stack, &hull, &err));
  assert_ok(willis_hull_set_init(&set, &stack, &volume.grid, 0, &err));
  ptrdiff_t row = 0;
  for (int32_t i = 0; i < N * N * N; i++) {
    if ((double)hull.voxels[i] < 100 * WILLIS_HULL_SET_LEAST_MAX) continue;
    assert_true(row < set.rows);
    assert_int_equal(set.voxel[row], i);
    const double least = (double)hull.voxels[i] / 100;
    assert_true(fabs((double)set.about_voxel[row * VOXEL] - log2(1 + least)) < 1e-5);
    row++;
  }
  assert_int_equal(row, set.rows);
  /* The least over the views is the hull's value. */
  for (row = 0; row < set.rows; row++) {
    double least = INFINITY, mean = 0;
    for (int v = 0; v < set.views; v++) {
      least = fmin(least, (double)set.seen[(v * set.rows + row) * SEEN]);
      mean += (double)set.seen[(v * set.rows + row) * SEEN] / set.views;
    }
    assert_true(fabs(least - (double)set.about_voxel[row * VOXEL]) < 1e-5);
    assert_true(fabs(mean - (double)set.about_voxel[row * VOXEL + 2]) < 1e-5);
    assert_true(fabs((double)set.share[row] - 0.25) <= 0);
  }
  willis_hull_set_release(&set);
  willis_projections_release(&stack);
  willis_volume_release(&volume);
  willis_volume_release(&hull);
}

/* Whether a row of the set is no further from the middle than the rays of a parallel view go. */
static bool rays_reach(const struct willis_hull_set *set, const struct willis_projections *stack,
                       const struct willis_grid *grid, ptrdiff_t row, int v) {
  const int32_t i = set->voxel[row];
  double place[3] = {i % grid->size[0], (int)(i / grid->size[0] % grid->size[1]),
                     (int)(i / grid->size[0] / grid->size[1])};
  double world[3], d[3], across[3], along[3], depth = 0;
  willis_grid_to_world(grid, place, world);
  willis_view_axes(&stack->view[v], d, across, along);
  for (int a = 0; a < 3; a++) depth += d[a] * (world[a] - stack->isocenter_mm[a]);
  return fabs(depth) <= (double)(grid->size[0] - 1) / 2 * grid->spacing_mm[0];
}

/* The column and row on which a row of the set falls. */
static void project(const struct willis_hull_set *set, const struct willis_projections *stack,
                    const struct willis_grid *grid, ptrdiff_t row, int v, double *column,
                    double *down) {
  const int32_t i = set->voxel[row];
  double place[3] = {i % grid->size[0], (int)(i / grid->size[0] % grid->size[1]),
                     (int)(i / grid->size[0] / grid->size[1])};
  double world[3];
  willis_grid_to_world(grid, place, world);
  for (int a = 0; a < 3; a++) world[a] -= stack->isocenter_mm[a];
  willis_view_project_point(&stack->view[v], world, column, down);
}

static struct willis_projections ramp_stack(const struct willis_grid *grid, bool cone) {
  struct willis_error err;
  struct willis_projections stack;
  const ptrdiff_t columns = 60, rows = 50;
  assert_ok(willis_projections_create(&stack, columns, rows, 2, &err));
  willis_grid_centre(grid, stack.isocenter_mm);
  for (int v = 0; v < 2; v++) {
    struct willis_view *view = &stack.view[v];
    *view = willis_view_parallel(70 * v - 20, grid);
    view->secondary_angle_deg = 10 * v;
    view->column_spacing_mm = 0.5;
    view->row_spacing_mm = 0.4;
    view->principal_column = (double)(columns - 1) / 2 + 1;
    view->principal_row = (double)(rows - 1) / 2;
    if (cone) {
      view->kind = WILLIS_VIEW_CONE;
      view->source_to_detector_mm = 300;
      view->source_to_isocenter_mm = 200;
    }
  }
  for (ptrdiff_t i = 0; i < columns * rows * 2; i++)
    stack.pixels[i] = (float)(100 + i % columns + 3 * (i / columns % rows));
  return stack;
}

/* On a picture that is linear everywhere interpolation is exact, and so is every neighbour. */
static void sees_linear_pictures_exactly(void **state) {
  (void)state;
  struct willis_error err;
  const struct willis_grid grid = willis_grid_cube(16, 0.7, (double[]){5, -3, 8});
  for (int cone = 0; cone < 2; cone++) {
    struct willis_projections stack = ramp_stack(&grid, cone);
    struct willis_hull_set set;
    assert_ok(willis_hull_set_init(&set, &stack, &grid, 0, &err));
    assert_int_equal(set.rows, 16 * 16 * 16);
    ptrdiff_t inner_rows = 0;
    for (ptrdiff_t row = 0; row < set.rows; row++)
      for (int v = 0; v < 2; v++) {
        double column, down;
        project(&set, &stack, &grid, row, v, &column, &down);
        const bool on = column >= 0 && column <= 59 && down >= 0 && down <= 49 &&
                        (cone || rays_reach(&set, &stack, &grid, row, v));
        const float *seen = set.seen + (v * set.rows + row) * SEEN;
        assert_int_equal(set.place[v * set.rows + row].ray >= 0, on);
        assert_true(set.place[v * set.rows + row].ray < set.rays);
        if (!on) continue;
        const double p = (100 + column + 3 * down) / set.unit;
        assert_true(fabs((double)seen[0] - log2(1 + p)) < 1e-5);
        assert_true(fabs((double)seen[1] - log2(p + 0.0625)) < 1e-5);
        const double step = 0.7 / 0.5 * (cone ? 1.5 : 1);
        if (column + step > 59 || down - 3 < 0) continue;
        const double right = (100 + column + step + 3 * down) / set.unit;
        assert_true(fabs((double)seen[3] - log2((1 + right) / (1 + p))) < 1e-5);
        inner_rows++;
      }
    assert_true(inner_rows > set.rows);
    willis_hull_set_release(&set);
    willis_projections_release(&stack);
  }
}

/* Rays are a voxel apart, and a voxel lies between them where its shadow does: the weighted middle
 * of its rays is its shadow, counted from the middle of the picture. */
static void rays_are_a_voxel_apart(void **state) {
  (void)state;
  struct willis_error err;
  struct willis_hull_set set;
  struct willis_volume volume = box(9, 14);
  struct willis_projections stack = views_of(&volume, 3, 40, WILLIS_PROJECTION_MAX);
  assert_ok(willis_hull_set_init(&set, &stack, &volume.grid, 0, &err));
  for (int v = 0; v < set.views; v++)
    for (ptrdiff_t a = 0; a < set.rows; a++) {
      double column, down, across_mean = 0, down_mean = 0, whole = 0;
      project(&set, &stack, &volume.grid, a, v, &column, &down);
      const struct willis_ray_taps taps =
          willis_ray_taps(&set.place[v * set.rows + a], set.pitch[v]);
      assert_true(taps.count >= 1);
      for (int t = 0; t < taps.count; t++) {
        assert_true(taps.ray[t] >= 0 && taps.ray[t] < set.rays);
        across_mean += (double)taps.weight[t] * (taps.ray[t] % set.pitch[v]);
        down_mean += (double)taps.weight[t] * (int)(taps.ray[t] / set.pitch[v]);
        whole += (double)taps.weight[t];
      }
      const double middle = (double)(set.pitch[v] - 1) / 2 - (double)(N - 1) / 2;
      assert_true(fabs(whole - 1) < 1e-6);
      assert_true(fabs(across_mean - column - middle) < 1e-5);
      assert_true(fabs(down_mean - down - middle) < 1e-5);
    }
  willis_hull_set_release(&set);
  willis_projections_release(&stack);
  willis_volume_release(&volume);
}

static void scale_of_the_pictures_is_of_no_account(void **state) {
  (void)state;
  struct willis_error err;
  struct willis_volume volume = box(8, 15);
  for (int mode = 0; mode < 2; mode++) {
    struct willis_hull_set set, louder;
    struct willis_projections stack = views_of(&volume, 3, 31, (enum willis_projection_mode)mode);
    assert_ok(willis_hull_set_init(&set, &stack, &volume.grid, 0, &err));
    for (ptrdiff_t i = 0; i < pixel_count(&stack); i++) stack.pixels[i] *= 8;
    assert_ok(willis_hull_set_init(&louder, &stack, &volume.grid, 0, &err));
    assert_int_equal(set.rows, louder.rows);
    assert_true(set.rows > 0);
    assert_memory_equal(set.voxel, louder.voxel, (size_t)set.rows * sizeof *set.voxel);
    assert_memory_equal(set.seen, louder.seen, (size_t)(set.rows * 3 * SEEN) * sizeof *set.seen);
    assert_memory_equal(set.about_voxel, louder.about_voxel,
                        (size_t)(set.rows * VOXEL) * sizeof *set.seen);
    assert_true(fabs((double)set.about_voxel[7] - mode) <= 0);
    willis_hull_set_release(&set);
    willis_hull_set_release(&louder);
    willis_projections_release(&stack);
  }
  willis_volume_release(&volume);
}

/* A box seen from its sides is its own hull: every pixel is its depth times one voxel's share, half
 * of which lies between its two classes. */
static void unit_of_line_integrals_is_a_part_of_a_voxel(void **state) {
  (void)state;
  struct willis_error err;
  struct willis_hull_set set;
  struct willis_volume volume = box(8, 15);
  struct willis_projections stack = views_of(&volume, 2, 90, WILLIS_PROJECTION_SUM);
  assert_ok(willis_hull_set_init(&set, &stack, &volume.grid, 0, &err));
  assert_int_equal(set.rows, 7 * 7 * 7);
  const double voxels = set.unit / (100 * 0.7);
  assert_true(fabs(voxels * WILLIS_HULL_SET_MIDDLE - 0.5) < 0.005);
  assert_true(fabs((double)set.seen[0] - log2(1 + 7 / voxels)) < 1e-4);
  willis_hull_set_release(&set);
  willis_projections_release(&stack);
  willis_volume_release(&volume);
}

/* What is twenty times as dense as a vessel, a coil, moves the unit by a factor of two at most. */
static void metal_does_not_make_vessels_small(void **state) {
  (void)state;
  struct willis_error err;
  struct willis_hull_set set;
  struct willis_volume volume = box(8, 15);
  for (ptrdiff_t i = 0; i < N * N * N; i++)
    if (i % N >= 13 && i / N % N >= 13 && volume.voxels[i] > 0) volume.voxels[i] = 2000;
  struct willis_projections stack = views_of(&volume, 5, 20, WILLIS_PROJECTION_SUM);
  assert_ok(willis_hull_set_init(&set, &stack, &volume.grid, 0, &err));
  assert_true(set.unit >= set.list_unit / 2 && set.unit <= set.list_unit * 2);
  assert_true(set.rows >= 7 * 7 * 7);
  willis_hull_set_release(&set);
  willis_projections_release(&stack);
  willis_volume_release(&volume);
}

static float is_vessel(const void *volume, const double place[3]) {
  const struct willis_volume *v = volume;
  const ptrdiff_t x = (ptrdiff_t)place[0], y = (ptrdiff_t)place[1], z = (ptrdiff_t)place[2];
  return v->voxels[(z * N + y) * N + x] > 0 ? 0.9f : 0.1f;
}

/* The same voxels, listed on a finer grid, with the same beliefs. */
static void is_believed_from_the_first(const struct willis_hull_set *set,
                                       const struct willis_projections *stack,
                                       const struct willis_volume *volume) {
  struct willis_error err;
  struct willis_hull_set finer;
  uint8_t within[N * N * N / 8];
  const struct willis_hull_belief belief = {is_vessel, volume};
  memset(within, 1, sizeof within);
  assert_ok(willis_hull_set_refine(&finer, stack, &volume->grid, within, set->list_unit, &belief, 0,
                                   &err));
  assert_int_equal(finer.rows, set->rows);
  for (ptrdiff_t i = 0; i < set->rows; i++) {
    const float *to = finer.about_voxel + i * VOXEL, *of = set->about_voxel + i * VOXEL;
    assert_memory_equal(to + WILLIS_HULL_SET_BELIEF, of + WILLIS_HULL_SET_BELIEF, 2 * sizeof *to);
    if (!finer.solution) assert_memory_equal(to, of, VOXEL * sizeof *to);
  }
  /* Of what is believed in half a voxel of vessel lies between the two classes. */
  if (finer.solution)
    assert_true(fabs(finer.unit * WILLIS_HULL_SET_MIDDLE / (100 * 0.7) - 0.5) < 0.05);
  willis_hull_set_release(&finer);
}

/* Two boxes and their two ghosts, which two views cannot tell apart: whoever is believed in
 * explains the line integrals, and what the others had goes over to it. Nothing else changes. */
static void what_is_believed_in_explains(void **state) {
  (void)state;
  struct willis_error err;
  struct willis_volume volume = box(0, 0);
  for (ptrdiff_t i = 0; i < N * N * N; i++) {
    const ptrdiff_t x = i % N, y = i / N % N, z = i / N / N;
    const bool one = x >= 4 && x < 8 && y >= 4 && y < 8,
               other = x >= 14 && x < 18 && y >= 14 && y < 18;
    if ((one || other) && z >= 8 && z < 14) volume.voxels[i] = 100;
  }
  for (int mode = 0; mode < 2; mode++) {
    struct willis_hull_set set, before;
    struct willis_projections stack = views_of(&volume, 2, 90, (enum willis_projection_mode)mode);
    assert_ok(willis_hull_set_init(&set, &stack, &volume.grid, 0, &err));
    assert_ok(willis_hull_set_init(&before, &stack, &volume.grid, 0, &err));
    assert_int_equal(set.rows, 4 * 4 * 4 * 6);
    float *probability = willis_take(set.rows, sizeof *probability);
    for (ptrdiff_t i = 0; i < set.rows; i++)
      probability[i] = volume.voxels[set.voxel[i]] > 0 ? 0.9f : 0.1f;
    assert_ok(willis_hull_set_believe(&set, &stack, &volume.grid, probability, &err));
    double least_vessel = INFINITY, most_ghost = 0;
    for (ptrdiff_t i = 0; i < set.rows; i++) {
      const float *now = set.about_voxel + i * VOXEL, *then = before.about_voxel + i * VOXEL;
      const double x = exp2((double)now[WILLIS_HULL_SET_SOLUTION]) - 1,
                   x_then = exp2((double)then[WILLIS_HULL_SET_SOLUTION]) - 1;
      assert_memory_equal(now, then, WILLIS_HULL_SET_SOLUTION * sizeof *now);
      assert_true(fabs((double)(now[WILLIS_HULL_SET_BELIEF] - probability[i])) <= 0 &&
                  fabs((double)then[WILLIS_HULL_SET_BELIEF]) <= 0);
      assert_true(fabs(log2((double)probability[i] + 0.0625) -
                       (double)now[WILLIS_HULL_SET_BELIEF + 1]) < 1e-5);
      assert_true(!mode ||
                  fabs(log2(x + 0.0625) - (double)now[WILLIS_HULL_SET_SOLUTION + 1]) < 1e-4);
      if (!mode) continue;
      assert_true(x_then > 0.1);
      const bool vessel = volume.voxels[set.voxel[i]] > 0;
      least_vessel = vessel ? fmin(least_vessel, x / x_then) : least_vessel;
      most_ghost = vessel ? most_ghost : fmax(most_ghost, x / x_then);
    }
    if (mode) assert_true(least_vessel > 1.5 && most_ghost < 0.4);
    if (!mode) assert_null(set.solution);
    assert_true(fabs(set.unit - before.unit) <= 0);
    assert_memory_equal(set.seen, before.seen, (size_t)(set.rows * 2 * SEEN) * sizeof *set.seen);
    is_believed_from_the_first(&set, &stack, &volume);
    willis_release(probability);
    willis_hull_set_release(&set);
    willis_hull_set_release(&before);
    willis_projections_release(&stack);
  }
  willis_volume_release(&volume);
}

static void black_pictures_show_nothing(void **state) {
  (void)state;
  struct willis_error err;
  struct willis_volume volume = box(0, 0);
  for (int mode = 0; mode < 2; mode++) {
    struct willis_hull_set set;
    struct willis_projections stack = views_of(&volume, 2, 90, (enum willis_projection_mode)mode);
    assert_ok(willis_hull_set_init(&set, &stack, &volume.grid, 0, &err));
    assert_int_equal(set.rows, 0);
    willis_hull_set_release(&set);
    willis_projections_release(&stack);
  }
  willis_volume_release(&volume);
}

static void same_bits_for_any_threads(void **state) {
  (void)state;
  struct willis_error err;
  struct willis_hull_set first, other;
  struct willis_volume volume = box(7, 16);
  struct willis_projections stack = views_of(&volume, 3, 31, WILLIS_PROJECTION_SUM);
  willis_parallel_set_threads(1);
  assert_ok(willis_hull_set_init(&first, &stack, &volume.grid, 0, &err));
  for (int threads = 2; threads <= 8; threads *= 2) {
    willis_parallel_set_threads(threads);
    assert_ok(willis_hull_set_init(&other, &stack, &volume.grid, 0, &err));
    assert_int_equal(other.rows, first.rows);
    assert_memory_equal(other.seen, first.seen,
                        (size_t)(first.rows * 3 * SEEN) * sizeof *first.seen);
    assert_memory_equal(other.place, first.place, (size_t)(first.rows * 3) * sizeof *first.place);
    assert_memory_equal(other.about_voxel, first.about_voxel,
                        (size_t)(first.rows * VOXEL) * sizeof *first.about_voxel);
    willis_hull_set_release(&other);
  }
  willis_parallel_set_threads(0);
  willis_hull_set_release(&first);
  willis_projections_release(&stack);
  willis_volume_release(&volume);
}

static void every_allocation_may_fail(void **state) {
  (void)state;
  struct willis_volume volume = box(8, 15);
  struct willis_projections stack = views_of(&volume, 3, 31, WILLIS_PROJECTION_SUM);
  enum willis_status status = WILLIS_OUT_OF_MEMORY;
  for (int n = 0; status; n++) {
    struct failing_allocator failing = {n, 0};
    struct willis_hull_set set;
    assert_true(n < 100);
    failing_allocator_use(&failing);
    status = willis_hull_set_init(&set, &stack, &volume.grid, 0, NULL);
    if (!status) willis_hull_set_release(&set);
    failing_allocator_use(NULL);
    assert_true(status == WILLIS_OK || status == WILLIS_OUT_OF_MEMORY);
    assert_int_equal(failing.held, 0);
  }
  willis_projections_release(&stack);
  willis_volume_release(&volume);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(lists_what_the_hull_leaves),
      cmocka_unit_test(sees_linear_pictures_exactly),
      cmocka_unit_test(rays_are_a_voxel_apart),
      cmocka_unit_test(scale_of_the_pictures_is_of_no_account),
      cmocka_unit_test(unit_of_line_integrals_is_a_part_of_a_voxel),
      cmocka_unit_test(metal_does_not_make_vessels_small),
      cmocka_unit_test(what_is_believed_in_explains),
      cmocka_unit_test(black_pictures_show_nothing),
      cmocka_unit_test(same_bits_for_any_threads),
      cmocka_unit_test(every_allocation_may_fail),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
