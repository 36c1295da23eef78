/* What a step of training shows: 48 poses of a cube, cut off or not, and a target that is what is
 * left of the truth. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"
#include "recon/hull_shown.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N = 8, ALL = N * N * N };

/* Grey values of which those above a half are vessel. */
static void make_head(double vessel, struct willis_volume *head, struct willis_volume *truth) {
  const struct willis_grid grid = willis_grid_cube(N, 1, NULL);
  assert_int_equal(willis_volume_create(head, &grid, NULL), WILLIS_OK);
  assert_int_equal(willis_volume_create(truth, &grid, NULL), WILLIS_OK);
  for (ptrdiff_t i = 0; i < ALL; i++) {
    const double u = willis_random_uniform(1, 2, (uint64_t)i);
    head->voxels[i] = (float)(u < vessel ? 0.5 + u : u / 2 - 0.1);
    truth->voxels[i] = u < vessel;
  }
}

static void poses_are_48_and_lose_nothing(void **state) {
  (void)state;
  ptrdiff_t seen[WILLIS_SHOWN_POSES][ALL];
  for (int p = 0; p < WILLIS_SHOWN_POSES; p++) {
    const struct willis_shown shown = willis_shown_pose(N, p);
    bool there[ALL] = {false};
    for (ptrdiff_t i = 0; i < ALL; i++) {
      const ptrdiff_t was = seen[p][i] = willis_shown_source(&shown, i);
      assert_true(was >= 0 && was < ALL && !there[was]);
      there[was] = true;
      /* Neighbours stay neighbours. */
      if (i % N == 0) continue;
      const ptrdiff_t step = labs((long)(was - seen[p][i - 1]));
      assert_true(step == 1 || step == N || step == N * N);
    }
    for (int q = 0; q < p; q++) assert_memory_not_equal(seen[p], seen[q], sizeof seen[p]);
  }
  for (ptrdiff_t i = 0; i < ALL; i++) {
    assert_int_equal(seen[0][i], i);
    assert_int_equal(seen[1][i], i - i % N + N - 1 - i % N);
  }
}

static void a_target_is_what_is_shown(void **state) {
  (void)state;
  struct willis_volume head, truth, turned;
  make_head(0.2, &head, &truth);
  int cuts[3][2] = {{0}};
  for (int p = 0; p < WILLIS_SHOWN_POSES; p++)
    for (int place = 0; place < 12; place++) {
      struct willis_shown shown = willis_shown_pose(N, p);
      willis_shown_cut(&shown, (place + 0.5) / 12, &truth);
      assert_true(shown.cut);
      cuts[shown.axis][shown.above]++;
      /* Never the middle away from a whole half: 0.35 to 0.65 of the edge. */
      assert_true(shown.plane >= (ptrdiff_t)(0.35 * N) && shown.plane <= (ptrdiff_t)(0.65 * N));
      assert_int_equal(willis_shown_volume(&shown, &head, &turned, NULL), WILLIS_OK);
      ptrdiff_t left = 0, gone = 0;
      for (ptrdiff_t i = 0; i < ALL; i++) {
        const ptrdiff_t step[3] = {1, N, N * N}, at = i / step[shown.axis] % N;
        const bool off = shown.above ? at >= shown.plane : at < shown.plane;
        const float was = head.voxels[willis_shown_source(&shown, i)];
        const float target = willis_shown_target(&shown, &truth, i);
        assert_true((target > 0) == (turned.voxels[i] > 0.4f));
        assert_true(fabs((double)(turned.voxels[i] - (off ? fminf(was, 0) : was))) <= 0);
        left += target > 0;
        gone += off && was > 0.4f;
      }
      assert_true(left > 0 && gone > 0);
      willis_volume_release(&turned);
    }
  for (int a = 0; a < 3; a++) assert_true(cuts[a][0] == 96 && cuts[a][1] == 96);
  willis_volume_release(&head);
  willis_volume_release(&truth);
}

/* One true voxel: whatever the plane, it stays, and where that cannot be nothing is cut. */
static void no_head_is_cut_to_nothing(void **state) {
  (void)state;
  struct willis_volume head, truth;
  int cut = 0, uncut = 0;
  make_head(0, &head, &truth);
  for (ptrdiff_t i = 0; i < ALL; i += 5) {
    memset(truth.voxels, 0, ALL * sizeof *truth.voxels);
    truth.voxels[i] = 1;
    for (int place = 0; place < 60; place++) {
      struct willis_shown shown = willis_shown_pose(N, (i + place) % WILLIS_SHOWN_POSES);
      double whole = 0;
      willis_shown_cut(&shown, place / 60.0, &truth);
      for (ptrdiff_t v = 0; v < ALL; v++) whole += (double)willis_shown_target(&shown, &truth, v);
      assert_true(fabs(whole - 1) <= 0);
      cut += shown.cut;
      uncut += !shown.cut;
    }
  }
  assert_true(cut > 1000 && uncut > 1000);
  willis_volume_release(&head);
  willis_volume_release(&truth);
}

/* Halved some times: counted here from the fine voxels up, each at the coarse one that it is in. */
static void a_coarse_target_is_vessel_from_a_third_on(void **state) {
  (void)state;
  enum { ODD = 7 };
  static const ptrdiff_t edges[] = {7, 4, 2, 1};
  const struct willis_grid grid = willis_grid_cube(ODD, 1, NULL);
  struct willis_volume truth;
  assert_int_equal(willis_volume_create(&truth, &grid, NULL), WILLIS_OK);
  for (ptrdiff_t i = 0; i < ODD * ODD * ODD; i++)
    truth.voxels[i] = willis_random_uniform(5, 6, (uint64_t)i) < 0.5 || i == ODD * ODD * ODD - 1;
  for (int p = 0; p < WILLIS_SHOWN_POSES; p += 7)
    for (int halved = 0; halved < 4; halved++) {
      const struct willis_shown shown = willis_shown_pose(ODD, p);
      const ptrdiff_t edge = edges[halved], each = (ptrdiff_t)1 << halved;
      int vessel[ODD * ODD * ODD] = {0}, ones = 0;
      for (ptrdiff_t i = 0; i < ODD * ODD * ODD; i++) {
        const ptrdiff_t x = i % ODD / each, y = i / ODD % ODD / each, z = i / ODD / ODD / each;
        vessel[(z * edge + y) * edge + x] += willis_shown_target(&shown, &truth, i) > 0;
      }
      for (ptrdiff_t i = 0; i < edge * edge * edge; i++) {
        const bool expected = 25 * vessel[i] >= 9 * each * each * each; /* 0.36 */
        assert_int_equal(willis_shown_target_on(&shown, &truth, edge, i) > 0, expected);
        ones += expected;
      }
      assert_true(halved > 2 || (ones > 0 && ones < edge * edge * edge));
    }
  willis_volume_release(&truth);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(poses_are_48_and_lose_nothing),
      cmocka_unit_test(a_target_is_what_is_shown),
      cmocka_unit_test(a_coarse_target_is_vessel_from_a_third_on),
      cmocka_unit_test(no_head_is_cut_to_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
