/* The ambiguity of hull voxels: by hand, against its definition written out, and what must hold. */
#include "xray/hull_ambiguity.h"
#include "xray_cases.h"

#include "failing_allocator.h"

enum { N = 24, SEEN = WILLIS_HULL_SET_SEEN, VOXEL = WILLIS_HULL_SET_VOXEL };

static struct willis_volume empty(void) {
  struct willis_volume volume = random_volume(N, 0.7, 1);
  memset(volume.voxels, 0, N * N * N * sizeof *volume.voxels);
  return volume;
}

/* A cube of 100 with edge 2·half + 1 about (x, y) in the middle slice. */
static void put_blob(struct willis_volume *volume, int x, int y, int half) {
  for (int k = N / 2 - half; k <= N / 2 + half; k++)
    for (int j = y - half; j <= y + half; j++)
      for (int i = x - half; i <= x + half; i++) volume->voxels[(k * N + j) * N + i] = 100;
}

static bool in_blob(int32_t voxel, int x, int y, int half) {
  return abs(voxel % N - x) <= half && abs(voxel / N % N - y) <= half;
}

/* A set of what views at these angles leave, with one probability everywhere. */
struct scene {
  struct willis_projections stack;
  struct willis_hull_set set;
  float *probability, *ambiguity;
};

static struct scene look(const struct willis_volume *volume, const double *angle, int views,
                         enum willis_projection_mode mode, float probability) {
  struct willis_error err;
  struct scene s;
  assert_ok(willis_projections_create(&s.stack, N, N, views, &err));
  willis_grid_centre(&volume->grid, s.stack.isocenter_mm);
  s.stack.mode = mode;
  for (int v = 0; v < views; v++) s.stack.view[v] = willis_view_parallel(angle[v], &volume->grid);
  assert_ok(willis_project(volume, &s.stack, &err));
  assert_ok(willis_hull_set_init(&s.set, &s.stack, &volume->grid, 0, &err));
  s.probability = willis_take(s.set.rows, sizeof(float));
  s.ambiguity = willis_take(s.set.rows, sizeof(float));
  for (ptrdiff_t i = 0; i < s.set.rows; i++) s.probability[i] = probability;
  return s;
}

static void ask(struct scene *s, const struct willis_volume *volume) {
  struct willis_error err;
  assert_ok(
      willis_hull_ambiguity(&s->set, &s->stack, &volume->grid, s->probability, s->ambiguity, &err));
}

static void scene_release(struct scene *s) {
  willis_projections_release(&s->stack);
  willis_hull_set_release(&s->set);
  willis_release(s->probability);
  willis_release(s->ambiguity);
}

/* Two blobs seen from the front and from the side might as well be at the other two crossings. From
 * 45° there is nothing. */
static void ghosts_are_in_doubt_until_a_third_view(void **state) {
  (void)state;
  static const double angle[] = {0, 90, 45};
  const enum willis_projection_mode modes[] = {WILLIS_PROJECTION_MAX, WILLIS_PROJECTION_SUM};
  struct willis_volume volume = empty();
  put_blob(&volume, 4, 6, 1);
  put_blob(&volume, 18, 13, 1);
  for (int m = 0; m < 2; m++) {
    struct scene two = look(&volume, angle, 2, modes[m], 0.5f);
    ask(&two, &volume);
    assert_int_equal(two.set.rows, 4 * 27);
    for (ptrdiff_t i = 0; i < two.set.rows; i++)
      assert_true(fabs((double)two.ambiguity[i] - 0.5) < 1e-6);
    /* When the network knows better, what it has chosen is less in doubt than what it has not. */
    for (ptrdiff_t i = 0; i < two.set.rows; i++)
      if (!in_blob(two.set.voxel[i], 4, 6, 1) && !in_blob(two.set.voxel[i], 18, 13, 1))
        two.probability[i] = 0.125f;
    ask(&two, &volume);
    for (ptrdiff_t i = 0; i < two.set.rows; i++) {
      const double expected = two.probability[i] < 0.5f ? 0.8 : 0.2;
      assert_true(fabs((double)two.ambiguity[i] - expected) < 1e-6);
    }
    scene_release(&two);
    struct scene three = look(&volume, angle, 3, modes[m], 0.5f);
    ask(&three, &volume);
    ptrdiff_t true_ones = 0;
    for (ptrdiff_t i = 0; i < three.set.rows; i++) {
      const int32_t voxel = three.set.voxel[i];
      assert_false(in_blob(voxel, 4, 13, 1) || in_blob(voxel, 18, 6, 1));
      if (!(volume.voxels[voxel] > 0)) continue;
      true_ones++;
      assert_true(three.ambiguity[i] <= 0);
    }
    assert_int_equal(true_ones, 2 * 27);
    scene_release(&three);
  }
  willis_volume_release(&volume);
}

/* A vessel far wider than what counts as near is not its own rival, unless it is in doubt itself.
 */
static void wide_vessels_are_one_thing(void **state) {
  (void)state;
  static const double angle[] = {0, 90};
  struct willis_volume volume = empty();
  put_blob(&volume, 11, 12, 6);
  struct scene s = look(&volume, angle, 2, WILLIS_PROJECTION_MAX, 0.9f);
  ask(&s, &volume);
  for (ptrdiff_t i = 0; i < s.set.rows; i++) assert_true(s.ambiguity[i] <= 0);
  for (ptrdiff_t i = 0; i < s.set.rows; i++) s.probability[i] = 0.4f;
  ask(&s, &volume);
  for (ptrdiff_t i = 0; i < s.set.rows; i++) {
    /* 13 voxels deep in both views; of the middle one 7 are near, of a corner 4. */
    assert_true(s.ambiguity[i] >= 6.0f / 13 - 1e-6f && s.ambiguity[i] <= 9.0f / 13 + 1e-6f);
  }
  scene_release(&s);
  willis_volume_release(&volume);
}

static void what_no_view_sees_is_in_doubt(void **state) {
  (void)state;
  static const double angle[] = {0, 90};
  struct willis_volume volume = empty();
  put_blob(&volume, 11, 12, 1);
  struct scene s = look(&volume, angle, 2, WILLIS_PROJECTION_MAX, 0.9f);
  s.set.place[0].ray = s.set.place[s.set.rows].ray = -1;
  s.set.place[1].ray = -1;
  ask(&s, &volume);
  assert_true(s.ambiguity[0] >= 1);
  for (ptrdiff_t i = 1; i < s.set.rows; i++) assert_true(s.ambiguity[i] <= 0);
  scene_release(&s);
  willis_volume_release(&volume);
}

/* ---- the definition, written out ---- */

static double depth_of(const struct scene *s, const struct willis_grid *grid, int v, ptrdiff_t i) {
  double beam[3], right[3], down[3], world[3], depth = 0;
  const int32_t voxel = s->set.voxel[i];
  const double place[3] = {voxel % N, (int)(voxel / N % N), (int)(voxel / N / N)};
  willis_view_axes(&s->stack.view[v], beam, right, down);
  willis_grid_to_world(grid, place, world);
  for (int a = 0; a < 3; a++) depth += (world[a] - s->stack.isocenter_mm[a]) * beam[a];
  return depth / grid->spacing_mm[0];
}

static double weight_on(const struct scene *s, int v, ptrdiff_t i, int32_t ray) {
  const struct willis_ray_taps taps =
      willis_ray_taps(&s->set.place[v * s->set.rows + i], s->set.pitch[v]);
  for (int t = 0; t < taps.count; t++)
    if (taps.ray[t] == ray) return (double)taps.weight[t];
  return 0;
}

static double counted(const struct scene *s, int v, ptrdiff_t j) {
  const double least = exp2((double)s->set.about_voxel[j * VOXEL]) - 1;
  const double pixel = exp2((double)s->set.seen[(v * s->set.rows + j) * SEEN]) - 1;
  const bool hidden = s->stack.mode != WILLIS_PROJECTION_SUM && least < 0.9 * pixel;
  return hidden ? 0 : (double)s->probability[j];
}

/* How far the run of certain voxels around voxel i reaches on a ray, upwards or downwards. */
static double run_end(const struct scene *s, const double *depth, int v, int32_t ray, ptrdiff_t i,
                      int sign) {
  double end = depth[i];
  for (bool grows = true; grows;) {
    grows = false;
    for (ptrdiff_t j = 0; j < s->set.rows; j++) {
      const double ahead = sign * (depth[j] - end);
      if (!(ahead > 0 && ahead <= 2 && s->probability[j] >= 0.5f && weight_on(s, v, j, ray) > 0))
        continue;
      end = depth[j];
      grows = true;
    }
  }
  return end;
}

static double rivals(const struct scene *s, const double *depth, int v, ptrdiff_t i) {
  const struct willis_ray_taps taps =
      willis_ray_taps(&s->set.place[v * s->set.rows + i], s->set.pitch[v]);
  double all = 0, elsewhere = 0;
  for (int t = 0; t < taps.count; t++) {
    const bool sure = s->probability[i] >= 0.5f;
    double low = depth[i], high = depth[i];
    if (sure) low = run_end(s, depth, v, taps.ray[t], i, -1);
    if (sure) high = run_end(s, depth, v, taps.ray[t], i, 1);
    for (ptrdiff_t j = 0; j < s->set.rows; j++) {
      const double part =
          (double)taps.weight[t] * weight_on(s, v, j, taps.ray[t]) * counted(s, v, j);
      const bool close = fabs(depth[j] - depth[i]) <= 3;
      all += part;
      if (!close && (depth[j] < low || depth[j] > high)) elsewhere += part;
    }
  }
  return all > 0 ? elsewhere / all : 1;
}

static void is_what_its_definition_says(void **state) {
  (void)state;
  static const double angle[] = {13, 71, 128};
  struct willis_volume volume = empty();
  put_blob(&volume, 6, 7, 2);
  put_blob(&volume, 17, 15, 1);
  put_blob(&volume, 9, 16, 0);
  for (int m = 0; m < 2; m++) {
    struct scene s = look(&volume, angle, 3, m ? WILLIS_PROJECTION_SUM : WILLIS_PROJECTION_MAX, 0);
    const ptrdiff_t rows = s.set.rows;
    double *depth = willis_take(3 * rows, sizeof *depth);
    bool between = false;
    for (ptrdiff_t i = 0; i < rows; i++)
      s.probability[i] = (float)willis_random_uniform(5, 0, (uint64_t)i);
    for (int v = 0; v < 3; v++)
      for (ptrdiff_t i = 0; i < rows; i++) depth[v * rows + i] = depth_of(&s, &volume.grid, v, i);
    ask(&s, &volume);
    for (ptrdiff_t i = 0; i < rows; i += 7) {
      double least = 1;
      for (int v = 0; v < 3; v++) least = fmin(least, rivals(&s, depth + v * rows, v, i));
      if (fabs(least - (double)s.ambiguity[i]) > 2e-6)
        fail_msg("voxel %td: %.9g, expected %.9g", i, (double)s.ambiguity[i], least);
      between |= least > 0.05 && least < 0.95;
    }
    assert_true(between);
    willis_release(depth);
    scene_release(&s);
  }
  willis_volume_release(&volume);
}

static void threads_change_nothing(void **state) {
  (void)state;
  static const double angle[] = {13, 71};
  struct willis_volume volume = empty();
  put_blob(&volume, 6, 7, 2);
  put_blob(&volume, 17, 15, 2);
  struct scene s = look(&volume, angle, 2, WILLIS_PROJECTION_MAX, 0.3f);
  ask(&s, &volume);
  float *first = willis_take(s.set.rows, sizeof *first);
  memcpy(first, s.ambiguity, (size_t)s.set.rows * sizeof *first);
  for (int threads = 1; threads <= 5; threads += 2) {
    willis_parallel_set_threads(threads);
    ask(&s, &volume);
    assert_memory_equal(s.ambiguity, first, (size_t)s.set.rows * sizeof *first);
  }
  willis_parallel_set_threads(0);
  willis_release(first);
  scene_release(&s);
  willis_volume_release(&volume);
}

static void every_allocation_may_fail(void **state) {
  (void)state;
  static const double angle[] = {0, 90};
  struct willis_volume volume = empty();
  put_blob(&volume, 11, 12, 1);
  struct scene s = look(&volume, angle, 2, WILLIS_PROJECTION_MAX, 0.3f);
  enum willis_status status = WILLIS_OUT_OF_MEMORY;
  for (int n = 0; status; n++) {
    struct failing_allocator failing = {n, 0};
    assert_true(n < 20);
    failing_allocator_use(&failing);
    status =
        willis_hull_ambiguity(&s.set, &s.stack, &volume.grid, s.probability, s.ambiguity, NULL);
    failing_allocator_use(NULL);
    assert_true(status == WILLIS_OK || status == WILLIS_OUT_OF_MEMORY);
    assert_int_equal(failing.held, 0);
  }
  scene_release(&s);
  willis_volume_release(&volume);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(ghosts_are_in_doubt_until_a_third_view),
      cmocka_unit_test(wide_vessels_are_one_thing),
      cmocka_unit_test(what_no_view_sees_is_in_doubt),
      cmocka_unit_test(is_what_its_definition_says),
      cmocka_unit_test(threads_change_nothing),
      cmocka_unit_test(every_allocation_may_fail),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
