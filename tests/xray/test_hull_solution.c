/* Line integrals explained on a hull's voxels: against the least that another method finds
 * (oracle/xray_hull_solution.py), and what any such solution must have. */
#include "xray/hull_shadow.h"
#include "xray/hull_solution.h"
#include "xray_cases.h"

#include "failing_allocator.h"

enum { CASES = 5, MOST_VIEWS = 32 };
static const struct willis_hull_turn all_views = {0, 1};

/* A list of voxels, views of a cube, and where the one falls on the others. */
struct lit {
  struct willis_hull_set set;
  struct willis_projections stack;
  struct willis_grid grid;
};

static void place_rows(struct lit *l) {
  struct willis_hull_set *set = &l->set;
  for (int v = 0; v < set->views; v++) {
    struct willis_shadow shadow;
    willis_shadow_init(&shadow, &l->stack, v, &l->grid);
    set->pitch[v] = (int32_t)shadow.rays_across;
    for (ptrdiff_t i = 0; i < set->rows; i++) {
      struct willis_ray_place *to = &set->place[v * set->rows + i];
      double at[3], column, row, across, down;
      willis_place_of(&l->grid, set->voxel[i], at);
      *to = (struct willis_ray_place){.ray = -1};
      if (!willis_shadow_falls_on(&shadow, &l->stack, at, &column, &row) ||
          !willis_shadow_shown(&l->stack.view[v].shutter, column, row))
        continue;
      willis_shadow_ray(&shadow, &l->stack, column, row, &across, &down);
      const double x = floor(across + 1e-6), y = floor(down + 1e-6);
      *to = (struct willis_ray_place){.ray = (int32_t)y * set->pitch[v] + (int32_t)x,
                                      .across = (float)fmax(across - x, 0),
                                      .down = (float)fmax(down - y, 0)};
      if (to->across < 1e-6f) to->across = 0;
      if (to->down < 1e-6f) to->down = 0;
    }
  }
}

static struct lit light(ptrdiff_t n, int views, const double *angle_deg, ptrdiff_t rows,
                        const int32_t *voxel) {
  struct willis_error err;
  struct willis_shadow shadow;
  struct lit l = {.grid = willis_grid_cube(n, 1, NULL),
                  .set = {.rows = rows, .views = views, .unit = 1}};
  assert_ok(willis_projections_create(&l.stack, n, n, views, &err));
  willis_grid_centre(&l.grid, l.stack.isocenter_mm);
  l.stack.mode = WILLIS_PROJECTION_SUM;
  for (int v = 0; v < views; v++) l.stack.view[v] = willis_view_parallel(angle_deg[v], &l.grid);
  willis_shadow_init(&shadow, &l.stack, 0, &l.grid);
  l.set.rays = shadow.rays_across * shadow.rays_down;
  l.set.voxel = willis_take(rows, sizeof *l.set.voxel);
  l.set.place = willis_take(rows * views, sizeof *l.set.place);
  l.set.pitch = willis_take(views, sizeof *l.set.pitch);
  memcpy(l.set.voxel, voxel, (size_t)rows * sizeof *voxel);
  place_rows(&l);
  return l;
}

static void put_out(struct lit *l) {
  willis_hull_set_release(&l->set);
  willis_projections_release(&l->stack);
}

static float *solve(const struct lit *l) {
  struct willis_error err;
  float *x = willis_take(l->set.rows, sizeof *x);
  assert_ok(willis_hull_solution(&l->set, &l->stack, &l->grid, NULL, x, &err));
  return x;
}

/* By what is believed. */
static float *solve_again(const struct lit *l, const float *probability, const float *start) {
  struct willis_error err;
  float *x = willis_take(l->set.rows, sizeof *x);
  memcpy(x, start, (size_t)l->set.rows * sizeof *x);
  assert_ok(willis_hull_solution(&l->set, &l->stack, &l->grid, probability, x, &err));
  return x;
}

/* What is to be least, in double, for views whose rays lie on the pixels. */
static double objective(const struct lit *l, const float *probability, const float *x) {
  const struct willis_hull_set *set = &l->set;
  const ptrdiff_t n = l->grid.size[0], step[3] = {1, n, n * n};
  double data = 0, variation = 0, cost = 0;
  for (int v = 0; v < set->views; v++)
    for (ptrdiff_t row = 0; row < n; row++)
      for (ptrdiff_t column = 0; column < n; column++) {
        double sum = 0, whole = 0;
        const int32_t ray = (int32_t)((row + 1) * set->pitch[v] + column + 1);
        for (ptrdiff_t i = 0; i < set->rows; i++) {
          const struct willis_ray_taps taps =
              willis_ray_taps(&set->place[v * set->rows + i], set->pitch[v]);
          for (int t = 0; t < taps.count; t++) {
            if (taps.ray[t] != ray) continue;
            sum += (double)(taps.weight[t] * x[i]);
            whole += (double)taps.weight[t];
          }
        }
        const double p = (double)l->stack.pixels[(v * n + row) * n + column];
        if (whole > 0) data += pow(sum - p, 2) / whole;
      }
  for (ptrdiff_t i = 0; i < set->rows; i++) {
    double square = 0;
    for (int a = 0; a < 3; a++) {
      double next = 0;
      for (ptrdiff_t j = i; j < set->rows; j++)
        if (set->voxel[j] == set->voxel[i] + step[a] && set->voxel[i] / step[a] % n < n - 1)
          next = (double)x[j];
      square += pow(next - (double)x[i], 2);
    }
    variation += sqrt(square);
    if (probability) cost += fmax(0, log((double)probability[i] + 0.01) / log(0.01)) * (double)x[i];
  }
  return data / 2 + (double)willis_hull_solution_lambda(set->views) * (variation + 1.5 * cost);
}

/* Of nothing believed, then of `probability`. */
struct known {
  struct lit lit;
  float *probability;
  double of_nothing[2], of_truth[2], least[2];
  float *x[2]; /* that has the least */
};

static float *read_numbers(struct oracle *oracle, int count) {
  float *x = willis_take(count, sizeof *x);
  for (int i = 0; i < count; i++) x[i] = (float)oracle_number(oracle);
  return x;
}

static void read_case(struct oracle *oracle, struct known *known) {
  int32_t voxel[400];
  double angle[MOST_VIEWS];
  const ptrdiff_t n = (ptrdiff_t)oracle_number(oracle);
  const int views = (int)oracle_number(oracle), rows = (int)oracle_number(oracle);
  assert_true(views <= MOST_VIEWS && rows <= 400);
  for (int v = 0; v < views; v++) angle[v] = oracle_number(oracle);
  for (int i = 0; i < rows; i++) voxel[i] = (int32_t)oracle_number(oracle);
  known->lit = light(n, views, angle, rows, voxel);
  for (ptrdiff_t i = 0; i < n * n * views; i++)
    known->lit.stack.pixels[i] = (float)oracle_number(oracle);
  for (int b = 0; b < 2; b++) {
    if (b) known->probability = read_numbers(oracle, rows);
    known->of_nothing[b] = oracle_number(oracle);
    known->of_truth[b] = oracle_number(oracle);
    known->least[b] = oracle_number(oracle);
    known->x[b] = read_numbers(oracle, rows);
  }
}

static void release_case(struct known *known) {
  for (int b = 0; b < 2; b++) willis_release(known->x[b]);
  willis_release(known->probability);
  put_out(&known->lit);
}

/* The updates leave less than 1/500 of the least (again, half as many, 3/1000), with 26 views that
 * contradict each other 1/125, and of what can be gained over no vessel at all a ten thousandth. */
static void is_near_the_least(const struct known *k, int believed, const float *x) {
  static const double left = 1e-4;
  const float *p = believed ? k->probability : NULL;
  const double least = k->least[believed], of_nothing = k->of_nothing[believed];
  float *zero = willis_take_zeroed(k->lit.set.rows, sizeof *zero);
  for (ptrdiff_t i = 0; i < k->lit.set.rows; i++) assert_true(x[i] >= 0);
  /* Both mean the same by it. */
  assert_true(fabs(objective(&k->lit, p, zero) / of_nothing - 1) < 1e-5);
  assert_true(fabs(objective(&k->lit, p, k->x[believed]) / least - 1) < 1e-5);
  const double reached = objective(&k->lit, p, x), above = k->lit.set.views > 9 ? 8e-3
                                                           : believed           ? 3e-3
                                                                                : 2e-3;
  assert_true(reached > least * (1 - 1e-5));
  assert_true(reached < least * (1 + above));
  assert_true(reached - least < left * (of_nothing - least));
  assert_true(reached < k->of_truth[believed]);
  willis_release(zero);
}

static void comes_near_the_least(void **state) {
  (void)state;
  struct oracle oracle = oracle_open("../oracle/xray_hull_solution.txt");
  for (int c = 0; c < CASES; c++) {
    struct known k;
    read_case(&oracle, &k);
    float *x = solve(&k.lit);
    is_near_the_least(&k, 0, x);
    float *start = willis_take(k.lit.set.rows, sizeof *start);
    for (ptrdiff_t i = 0; i < k.lit.set.rows; i++) start[i] = sqrtf(x[i] * k.probability[i]);
    float *again = solve_again(&k.lit, k.probability, start);
    is_near_the_least(&k, 1, again);
    float *from_belief = solve_again(&k.lit, k.probability, k.probability);
    is_near_the_least(&k, 1, from_belief);
    /* What is believed has a say, most where few views leave it one. */
    if (k.lit.set.views < 6)
      assert_true(objective(&k.lit, k.probability, again) < objective(&k.lit, k.probability, x));
    willis_release(from_belief);
    willis_release(again);
    willis_release(start);
    willis_release(x);
    release_case(&k);
  }
  oracle_close(&oracle);
}

static void doubt_falls_from_one_to_none(void **state) {
  (void)state;
  assert_true(fabs((double)willis_hull_solution_doubt(0) - 1) < 1e-6);
  assert_true(fabs((double)willis_hull_solution_doubt(0.09f) - 0.5) < 1e-6);
  assert_true(fabs((double)willis_hull_solution_doubt(1)) <= 0);
  for (float p = 0.01f; p < 1; p += 0.01f)
    assert_true(willis_hull_solution_doubt(p) <= willis_hull_solution_doubt(p - 0.01f));
}

/* However many views there are: all in the course of the turns, once, and no turn is of many. */
static void every_view_has_its_turn(void **state) {
  (void)state;
  for (int views = 1; views <= 254; views++)
    for (int begin = 0; begin < 20; begin += 7) {
      int seen[254] = {0};
      const int turns = willis_hull_turn(views, 0).every;
      assert_true(turns >= 1 && turns <= 8 && (views + turns - 1) / turns <= (views > 24 ? 32 : 3));
      for (int k = begin; k < begin + turns; k++) {
        const struct willis_hull_turn turn = willis_hull_turn(views, k);
        for (int v = turn.first; v < views; v += turn.every) seen[v]++;
      }
      for (int v = 0; v < views; v++) assert_int_equal(seen[v], 1);
    }
}

/* The best multiple of what the rays say, spread back evenly. */
static void explains_more_than_a_back_projection(void **state) {
  (void)state;
  struct oracle oracle = oracle_open("../oracle/xray_hull_solution.txt");
  for (int c = 0; c < CASES; c++) {
    struct known k;
    read_case(&oracle, &k);
    const struct willis_hull_set *set = &k.lit.set;
    const ptrdiff_t n = k.lit.grid.size[0];
    float *share = willis_take_zeroed(set->rays * set->views, sizeof *share);
    float *spread = willis_take(set->rows, sizeof *spread), *x = solve(&k.lit);
    for (int v = 0; v < set->views; v++) {
      float *of_view = share + v * set->rays;
      willis_hull_rays_sum(set, v, NULL, of_view);
      for (ptrdiff_t r = 0; r < set->rays; r++) {
        const ptrdiff_t column = r % set->pitch[v] - 1, row = r / set->pitch[v] - 1;
        const bool on = column >= 0 && row >= 0 && column < n && row < n && of_view[r] > 0;
        of_view[r] = on ? k.lit.stack.pixels[(v * n + row) * n + column] / of_view[r] : 0;
      }
    }
    double best = INFINITY;
    for (double factor = 0.01; factor < 3; factor *= 1.05) {
      for (ptrdiff_t i = 0; i < set->rows; i++)
        spread[i] = fmaxf(0, (float)factor / (float)set->views *
                                 willis_hull_rays_gather(set, share, all_views, i));
      best = fmin(best, objective(&k.lit, NULL, spread));
    }
    assert_true(best < k.of_nothing[0]);
    assert_true(objective(&k.lit, NULL, x) < best);
    willis_release(x);
    willis_release(share);
    willis_release(spread);
    release_case(&k);
  }
  oracle_close(&oracle);
}

/* <A·x, y> = <x, Aᵀ·y>, and what a voxel spends on a view's rays is 1. */
static void sums_and_gathers_are_adjoint(void **state) {
  (void)state;
  struct oracle oracle = oracle_open("../oracle/xray_hull_solution.txt");
  for (int c = 0; c < CASES; c++) {
    struct known k;
    read_case(&oracle, &k);
    const struct willis_hull_set *set = &k.lit.set;
    const ptrdiff_t rays = set->rays * set->views;
    float *x = willis_take(set->rows, sizeof *x), *back = willis_take(set->rows, sizeof *back);
    float *y = willis_take(rays, sizeof *y), *sum = willis_take(rays, sizeof *sum);
    fill_random(x, set->rows, 3);
    fill_random(y, rays, 4);
    for (int v = 0; v < set->views; v++) willis_hull_rays_sum(set, v, x, sum + v * set->rays);
    for (ptrdiff_t i = 0; i < set->rows; i++)
      back[i] = willis_hull_rays_gather(set, y, all_views, i);
    const double one = inner(sum, y, rays), other = inner(x, back, set->rows);
    assert_true(fabs(one - other) < 1e-5 * sqrt(inner(sum, sum, rays) * inner(y, y, rays)));
    for (ptrdiff_t r = 0; r < rays; r++) y[r] = 1;
    for (ptrdiff_t i = 0; i < set->rows; i++) {
      int seen = 0;
      for (int v = 0; v < set->views; v++) seen += set->place[v * set->rows + i].ray >= 0;
      assert_true(fabs((double)willis_hull_rays_gather(set, y, all_views, i) - seen) < 1e-5);
    }
    willis_release(x);
    willis_release(back);
    willis_release(y);
    willis_release(sum);
    release_case(&k);
  }
  oracle_close(&oracle);
}

static ptrdiff_t row_of(const struct willis_hull_set *set, const struct willis_grid *grid,
                        ptrdiff_t x, ptrdiff_t y, ptrdiff_t z) {
  const ptrdiff_t *n = grid->size;
  if (x < 0 || y < 0 || z < 0 || x >= n[0] || y >= n[1] || z >= n[2]) return -1;
  for (ptrdiff_t i = 0; i < set->rows; i++)
    if (set->voxel[i] == (z * n[1] + y) * n[0] + x) return i;
  return -1;
}

/* In grids that are no cube, with lists that are almost empty to full. */
static void neighbours_are_those_beside(void **state) {
  (void)state;
  struct willis_grid grid = willis_grid_cube(4, 1, NULL);
  grid.size[0] = 5, grid.size[1] = 3, grid.size[2] = 4;
  for (int tenth = 1; tenth <= 10; tenth++) {
    int32_t voxel[60], next[180], last[180];
    struct willis_hull_set set = {.voxel = voxel};
    for (int32_t i = 0; i < 60; i++)
      if (willis_random_uniform(7, (uint64_t)tenth, (uint64_t)i) < tenth / 10.0)
        voxel[set.rows++] = i;
    willis_hull_neighbours_find(&set, &grid, next, last);
    for (ptrdiff_t i = 0; i < set.rows; i++)
      for (int a = 0; a < 3; a++) {
        const ptrdiff_t x = voxel[i] % 5, y = voxel[i] / 5 % 3, z = voxel[i] / 15;
        const ptrdiff_t dx = a == 0, dy = a == 1, dz = a == 2;
        assert_int_equal(next[3 * i + a], row_of(&set, &grid, x + dx, y + dy, z + dz));
        assert_int_equal(last[3 * i + a], row_of(&set, &grid, x - dx, y - dy, z - dz));
      }
  }
}

/* A box of ones whose sides the views see, and nothing else in the list. */
static void a_box_from_its_sides_is_a_box(void **state) {
  (void)state;
  enum { N = 16, LOW = 4, HIGH = 11, EDGE = HIGH - LOW };
  static const double sides[] = {0, 90};
  int32_t voxel[EDGE * EDGE * EDGE], rows = 0;
  for (int32_t i = 0; i < N * N * N; i++) {
    const int32_t x = i % N, y = i / N % N, z = i / N / N;
    if (x >= LOW && x < HIGH && y >= LOW && y < HIGH && z >= LOW && z < HIGH) voxel[rows++] = i;
  }
  struct lit l = light(N, 2, sides, rows, voxel);
  for (int v = 0; v < 2; v++)
    for (ptrdiff_t row = 0; row < N; row++)
      for (ptrdiff_t column = 0; column < N; column++) {
        const bool z = N - 1 - row >= LOW && N - 1 - row < HIGH;
        const bool in = z && column >= LOW && column < HIGH;
        l.stack.pixels[(v * N + row) * N + column] = in ? EDGE : 0;
      }
  float *x = solve(&l);
  /* Variation, 0.01 times itself, takes off a little at the faces, most at corners, and rays give
   * it to the others. */
  static const double little = 0.06;
  double mean = 0;
  for (ptrdiff_t i = 0; i < rows; i++) {
    assert_true(fabs((double)x[i] - 1) < little);
    mean += (double)x[i] / rows;
  }
  assert_true(fabs(mean - 1) < 2e-3);
  willis_release(x);
  put_out(&l);
}

static void same_bits_for_any_threads(void **state) {
  (void)state;
  struct oracle oracle = oracle_open("../oracle/xray_hull_solution.txt");
  for (int c = 0; c < CASES; c++) {
    struct known k;
    read_case(&oracle, &k);
    willis_parallel_set_threads(1);
    float *one = solve(&k.lit), *again = solve_again(&k.lit, k.probability, one);
    for (int threads = 2; threads <= 8; threads++) {
      willis_parallel_set_threads(threads);
      float *more = solve(&k.lit);
      float *more_again = solve_again(&k.lit, k.probability, more);
      assert_memory_equal(one, more, (size_t)k.lit.set.rows * sizeof *one);
      assert_memory_equal(again, more_again, (size_t)k.lit.set.rows * sizeof *again);
      willis_release(more_again);
      willis_release(more);
    }
    willis_parallel_set_threads(0);
    willis_release(again);
    willis_release(one);
    release_case(&k);
  }
  oracle_close(&oracle);
}

/* Under a shutter pixels mean nothing, and voxels that only fall there have no say. */
static void what_is_not_shown_does_not_count(void **state) {
  (void)state;
  struct oracle oracle = oracle_open("../oracle/xray_hull_solution.txt");
  struct known k;
  for (int c = 0; c < CASES; c++) {
    read_case(&oracle, &k);
    if (c < CASES - 1) release_case(&k);
  }
  struct lit *l = &k.lit;
  const ptrdiff_t n = l->grid.size[0];
  l->stack.view[1].shutter = (struct willis_shutter){.any = true,
                                                     .is_rectangle = true,
                                                     .left = 2,
                                                     .right = (double)n - 2,
                                                     .upper = 1,
                                                     .lower = (double)n - 1};
  place_rows(l);
  float *before = solve(l);
  ptrdiff_t hidden = 0;
  for (ptrdiff_t row = 0; row < n; row++)
    for (ptrdiff_t column = 0; column < n; column++) {
      if (willis_shutter_shows(&l->stack.view[1].shutter, (double)column, (double)row, 0)) continue;
      l->stack.pixels[(n + row) * n + column] = 1e4f;
      hidden++;
    }
  assert_true(hidden > n);
  float *after = solve(l);
  assert_memory_equal(before, after, (size_t)l->set.rows * sizeof *before);
  /* It is not as if the view were all there. */
  l->stack.view[1].shutter.any = false;
  place_rows(l);
  willis_release(after);
  after = solve(l);
  assert_true(largest_difference(before, after, l->set.rows) > 0.1);
  willis_release(before);
  willis_release(after);
  release_case(&k);
  oracle_close(&oracle);
}

/* Pixels far from all that is seen: the others are explained by those who see them. */
static void voxels_may_be_out_of_sight(void **state) {
  (void)state;
  struct oracle oracle = oracle_open("../oracle/xray_hull_solution.txt");
  struct known k;
  read_case(&oracle, &k);
  struct willis_hull_set *set = &k.lit.set;
  for (int v = 0; v < set->views; v++)
    for (ptrdiff_t i = 0; i < set->rows; i += 3) set->place[v * set->rows + i].ray = -1;
  float *x = solve(&k.lit), *zero = willis_take_zeroed(set->rows, sizeof *zero);
  for (ptrdiff_t i = 0; i < set->rows; i++) assert_true(x[i] >= 0 && isfinite(x[i]));
  assert_true(objective(&k.lit, NULL, x) < objective(&k.lit, NULL, zero));
  /* Nobody sees any. */
  for (ptrdiff_t i = 0; i < set->rows * set->views; i++) set->place[i].ray = -1;
  willis_release(x);
  x = solve(&k.lit);
  for (ptrdiff_t i = 0; i < set->rows; i++) assert_true(fabs((double)x[i]) <= 0);
  willis_release(x);
  willis_release(zero);
  release_case(&k);
  oracle_close(&oracle);
}

static void every_allocation_may_fail(void **state) {
  (void)state;
  struct oracle oracle = oracle_open("../oracle/xray_hull_solution.txt");
  struct known k;
  read_case(&oracle, &k);
  float *x = willis_take(k.lit.set.rows, sizeof *x);
  enum willis_status status = WILLIS_OUT_OF_MEMORY;
  int n = 0;
  for (; status; n++) {
    struct failing_allocator failing = {n, 0};
    struct willis_error err;
    assert_true(n < 10);
    failing_allocator_use(&failing);
    status = willis_hull_solution(&k.lit.set, &k.lit.stack, &k.lit.grid, NULL, x, &err);
    failing_allocator_use(NULL);
    assert_true(status == WILLIS_OK || status == WILLIS_OUT_OF_MEMORY);
    assert_int_equal(failing.held, 0);
  }
  assert_true(n > 1);
  willis_release(x);
  release_case(&k);
  oracle_close(&oracle);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(comes_near_the_least),
      cmocka_unit_test(doubt_falls_from_one_to_none),
      cmocka_unit_test(every_view_has_its_turn),
      cmocka_unit_test(explains_more_than_a_back_projection),
      cmocka_unit_test(sums_and_gathers_are_adjoint),
      cmocka_unit_test(neighbours_are_those_beside),
      cmocka_unit_test(a_box_from_its_sides_is_a_box),
      cmocka_unit_test(same_bits_for_any_threads),
      cmocka_unit_test(what_is_not_shown_does_not_count),
      cmocka_unit_test(voxels_may_be_out_of_sight),
      cmocka_unit_test(every_allocation_may_fail),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
