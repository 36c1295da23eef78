/* The hull with a continuity prior: a slice that can be worked out by hand, and what must hold for
 * any. */
#include "xray/hull_set.h"
#include "xray_cases.h"

enum { N = 24 };

static struct willis_projections views_of(const struct willis_volume *volume, int views,
                                          double step_deg) {
  struct willis_error err;
  struct willis_projections stack;
  const ptrdiff_t n = volume->grid.size[0];
  assert_ok(willis_projections_create(&stack, n, n, views, &err));
  willis_grid_centre(&volume->grid, stack.isocenter_mm);
  stack.mode = WILLIS_PROJECTION_MAX;
  for (int v = 0; v < views; v++) stack.view[v] = willis_view_parallel(step_deg * v, &volume->grid);
  assert_ok(willis_project(volume, &stack, &err));
  return stack;
}

static ptrdiff_t at(ptrdiff_t x, ptrdiff_t y, ptrdiff_t z) {
  return (z * N + y) * N + x;
}

static struct willis_volume empty(void) {
  struct willis_volume volume = random_volume(N, 0.7, 1);
  for (ptrdiff_t i = 0; i < N * N * N; i++) volume.voxels[i] = 0;
  return volume;
}

/* Two vessels of two voxels along z, A below and B above, that share the slice 10; there the hull
 * has two ghosts. A and B have a neighbour each, of weight w = exp(−½); a ghost has none, and meets
 * A on one ray and B on the other. So A and B keep their 1, and a ghost of belief g gets the share
 * g/(1 + w) and the belief (g/(1 + w))². */
static void a_slice_by_hand(void **state) {
  (void)state;
  struct willis_error err;
  struct willis_volume volume = empty(), belief;
  static const ptrdiff_t a[2] = {6, 7}, b[2] = {14, 15};
  volume.voxels[at(a[0], a[1], 9)] = volume.voxels[at(a[0], a[1], 10)] = 100;
  volume.voxels[at(b[0], b[1], 10)] = volume.voxels[at(b[0], b[1], 11)] = 100;
  struct willis_projections stack = views_of(&volume, 2, 90);
  assert_ok(willis_volume_create(&belief, &volume.grid, &err));
  assert_ok(willis_hull_continuity(&stack, &belief, &err));
  for (int i = 0; i < 4; i++) {
    const ptrdiff_t *of = i < 2 ? a : b;
    assert_true(fabs((double)belief.voxels[at(of[0], of[1], 9 + i - i / 2)] - 1) < 1e-6);
  }
  double ghost = 1;
  for (int round = 0; round < 6; round++) ghost = pow(ghost / (1 + exp(-0.5)), 2);
  const double found[2] = {(double)belief.voxels[at(a[0], b[1], 10)],
                           (double)belief.voxels[at(b[0], a[1], 10)]};
  for (int g = 0; g < 2; g++) assert_true(fabs(found[g] / ghost - 1) < 1e-3);
  double sum = 0;
  for (ptrdiff_t i = 0; i < N * N * N; i++) sum += (double)belief.voxels[i];
  assert_true(fabs(sum - 4) < 1e-5);
  willis_volume_release(&belief);
  willis_projections_release(&stack);
  willis_volume_release(&volume);
}

/* Against tests/oracle/xray_continuity.py. */
static void as_in_numpy(void **state) {
  (void)state;
  enum { EDGE = 14 };
  struct willis_error err;
  struct willis_volume volume = random_volume(EDGE, 1, 1), belief;
  struct oracle oracle = oracle_open("../oracle/xray_continuity.txt");
  double *expected = calloc(EDGE * EDGE * EDGE, sizeof *expected);
  assert_non_null(expected);
  for (ptrdiff_t i = 0; i < EDGE * EDGE * EDGE; i++) volume.voxels[i] = 0;
  for (int part = 0; part < 2; part++) {
    const ptrdiff_t count = (ptrdiff_t)oracle_number(&oracle);
    for (ptrdiff_t i = 0; i < count; i++) {
      ptrdiff_t place = 0, scale = 1;
      for (int a = 0; a < 3; a++, scale *= EDGE) place += scale * (ptrdiff_t)oracle_number(&oracle);
      if (part)
        expected[place] = oracle_number(&oracle);
      else
        volume.voxels[place] = (float)oracle_number(&oracle);
    }
  }
  oracle_close(&oracle);
  struct willis_projections stack = views_of(&volume, 2, 90);
  assert_ok(willis_volume_create(&belief, &volume.grid, &err));
  assert_ok(willis_hull_continuity(&stack, &belief, &err));
  for (ptrdiff_t i = 0; i < EDGE * EDGE * EDGE; i++)
    assert_true(fabs((double)belief.voxels[i] - expected[i]) < 1e-4 * expected[i] + 2e-6);
  free(expected);
  willis_volume_release(&belief);
  willis_projections_release(&stack);
  willis_volume_release(&volume);
}

/* Some tubes of some brightness. */
static struct willis_volume tubes(void) {
  struct willis_volume volume = empty();
  for (int k = 0; k < 5; k++)
    for (ptrdiff_t z = 3 + k; z < 15 + k; z++) {
      const ptrdiff_t x = 3 + 4 * k + z % 2, y = 20 - 3 * k - z / 3;
      volume.voxels[at(x, y, z)] = (float)(100 - 9 * k);
      volume.voxels[at(x + 1, y, z)] = (float)(60 + 5 * k);
    }
  return volume;
}

/* Inside the hull and below it; and every ray keeps one voxel that explains what is seen of it. */
static void explains_every_picture(void **state) {
  (void)state;
  struct willis_error err;
  struct willis_volume volume = tubes(), belief, hull;
  for (int views = 2; views <= 3; views++) {
    struct willis_projections stack = views_of(&volume, views, 45);
    struct willis_hull_set set;
    assert_ok(willis_volume_create(&belief, &volume.grid, &err));
    assert_ok(willis_volume_create(&hull, &volume.grid, &err));
    assert_ok(willis_hull(&stack, &hull, &err));
    assert_ok(willis_hull_continuity(&stack, &belief, &err));
    for (ptrdiff_t i = 0; i < N * N * N; i++) {
      assert_true(belief.voxels[i] >= 0);
      assert_true((double)belief.voxels[i] <= (double)hull.voxels[i] / 100 + 1e-5);
    }
    assert_ok(willis_hull_set_init(&set, &stack, &volume.grid, 0, &err));
    for (int v = 0; v < set.views; v++)
      for (ptrdiff_t ray = 0; ray < set.rays; ray++) {
        bool crossed = false, explained = false;
        for (ptrdiff_t i = 0; i < set.rows; i++) {
          if (willis_ray_nearest(&set.place[v * set.rows + i], set.pitch[v]) != ray) continue;
          crossed = true;
          explained |= fabs((double)belief.voxels[set.voxel[i]] -
                            (double)hull.voxels[set.voxel[i]] / 100) < 1e-4;
        }
        assert_true(explained == crossed);
      }
    willis_hull_set_release(&set);
    willis_volume_release(&belief);
    willis_volume_release(&hull);
    willis_projections_release(&stack);
  }
  willis_volume_release(&volume);
}

/* It is worth something: at a recall of one it lets through less than the hull does. */
static void fewer_ghosts_than_the_hull(void **state) {
  (void)state;
  struct willis_error err;
  struct willis_volume volume = tubes(), belief, hull;
  struct willis_projections stack = views_of(&volume, 2, 90);
  assert_ok(willis_volume_create(&belief, &volume.grid, &err));
  assert_ok(willis_volume_create(&hull, &volume.grid, &err));
  assert_ok(willis_hull(&stack, &hull, &err));
  assert_ok(willis_hull_continuity(&stack, &belief, &err));
  float least[2] = {INFINITY, INFINITY};
  for (ptrdiff_t i = 0; i < N * N * N; i++) {
    if (volume.voxels[i] <= 0) continue;
    least[0] = fminf(least[0], hull.voxels[i]);
    least[1] = fminf(least[1], belief.voxels[i]);
  }
  ptrdiff_t size[2] = {0};
  for (ptrdiff_t i = 0; i < N * N * N; i++) {
    size[0] += hull.voxels[i] >= least[0];
    size[1] += belief.voxels[i] >= least[1];
  }
  assert_true(size[1] < size[0]);
  willis_volume_release(&belief);
  willis_volume_release(&hull);
  willis_projections_release(&stack);
  willis_volume_release(&volume);
}

static void same_bits_for_any_threads(void **state) {
  (void)state;
  struct willis_error err;
  const int before = willis_parallel_threads();
  struct willis_volume volume = tubes(), first, again;
  struct willis_projections stack = views_of(&volume, 3, 45);
  assert_ok(willis_volume_create(&first, &volume.grid, &err));
  assert_ok(willis_volume_create(&again, &volume.grid, &err));
  for (int threads = 1; threads <= 8; threads++) {
    willis_parallel_set_threads(threads);
    assert_ok(willis_hull_continuity(&stack, threads == 1 ? &first : &again, &err));
    if (threads > 1)
      assert_memory_equal(first.voxels, again.voxels, N * N * N * sizeof *first.voxels);
  }
  willis_parallel_set_threads(before);
  willis_volume_release(&first);
  willis_volume_release(&again);
  willis_projections_release(&stack);
  willis_volume_release(&volume);
}

static void nothing_is_seen(void **state) {
  (void)state;
  struct willis_error err;
  struct willis_volume volume = empty(), belief;
  struct willis_projections stack = views_of(&volume, 2, 90);
  assert_ok(willis_volume_create(&belief, &volume.grid, &err));
  assert_ok(willis_hull_continuity(&stack, &belief, &err));
  for (ptrdiff_t i = 0; i < N * N * N; i++) assert_true(!(belief.voxels[i] > 0));
  willis_volume_release(&belief);
  willis_projections_release(&stack);
  willis_volume_release(&volume);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_slice_by_hand),           cmocka_unit_test(as_in_numpy),
      cmocka_unit_test(explains_every_picture),    cmocka_unit_test(fewer_ghosts_than_the_hull),
      cmocka_unit_test(same_bits_for_any_threads), cmocka_unit_test(nothing_is_seen),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
