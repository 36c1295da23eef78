/* The phantom: what every head has, and that no two are alike. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <willis/volume.h>

#include "failing_allocator.h"

#include <math.h>
#include <string.h>

enum { HEADS = 40 };

static struct willis_tree phantom(uint64_t seed) {
  struct willis_tree tree;
  assert_int_equal(willis_tree_phantom(seed, &tree, NULL), WILLIS_OK);
  return tree;
}

static double distance(const struct willis_tree_node *a, const struct willis_tree_node *b) {
  double square = 0;
  for (int axis = 0; axis < 3; axis++) {
    double d = a->position_mm[axis] - b->position_mm[axis];
    square += d * d;
  }
  return sqrt(square);
}

static void every_head_is_plausible(void **state) {
  (void)state;
  for (uint64_t seed = 0; seed < HEADS; seed++) {
    struct willis_tree tree = phantom(seed);
    double low[3] = {INFINITY, INFINITY, INFINITY}, high[3] = {-INFINITY, -INFINITY, -INFINITY};
    int roots = 0;
    assert_true(tree.node_count >= 600 && tree.node_count <= 2600);
    for (ptrdiff_t i = 0; i < tree.node_count; i++) {
      const struct willis_tree_node *node = tree.node + i;
      assert_true(node->radius_mm >= 0.4 && node->radius_mm <= 2.5);
      assert_true(node->parent < i); /* parents first, so there is no cycle */
      roots += node->parent < 0;
      if (node->parent >= 0) {
        double step = distance(node, tree.node + node->parent);
        assert_true(step > 0 && step < 6);
      }
      for (int axis = 0; axis < 3; axis++) {
        low[axis] = fmin(low[axis], node->position_mm[axis]);
        high[axis] = fmax(high[axis], node->position_mm[axis]);
      }
    }
    assert_int_equal(roots, 4); /* two carotid, two vertebral arteries */
    for (int axis = 0; axis < 3; axis++)
      assert_true(high[axis] - low[axis] > 75 && high[axis] - low[axis] < 150);
    willis_tree_release(&tree);
  }
}

/* Where the branches of a territory fork, r0³ = r1³ + r2³ up to the least radius. */
static void forks_follow_murray(void **state) {
  (void)state;
  int forks = 0, exact = 0;
  for (uint64_t seed = 0; seed < 5; seed++) {
    struct willis_tree tree = phantom(seed);
    for (ptrdiff_t i = 0; i < tree.node_count; i++) {
      double sum = 0, radius = tree.node[i].radius_mm;
      int children = 0;
      bool same = true, least = false;
      for (ptrdiff_t c = i + 1; c < tree.node_count; c++) {
        if (tree.node[c].parent != i) continue;
        /* A leaf's branch thins from its first node on: the radius it starts with is not stored. */
        ptrdiff_t next = c + 1;
        bool thins = next < tree.node_count && tree.node[next].parent == c &&
                     tree.node[next].radius_mm != tree.node[c].radius_mm;
        least |= thins || tree.node[c].radius_mm <= 0.4;
        sum += pow(tree.node[c].radius_mm, 3);
        children++;
        same &= tree.node[c].kind == tree.node[i].kind;
      }
      if (children != 2 || !same || least) continue;
      forks++;
      exact += fabs(cbrt(sum) - radius) < 1e-9;
    }
    willis_tree_release(&tree);
  }
  assert_true(forks > 30);
  assert_int_equal(exact, forks);
}

static struct willis_volume drawn(uint64_t seed, const struct willis_grid *grid, bool tissue) {
  struct willis_volume volume;
  struct willis_tree tree = phantom(seed);
  struct willis_voxelize_options options = willis_voxelize_defaults();
  options.grid = grid;
  options.size = 64;
  options.tissue = tissue;
  assert_int_equal(willis_tree_voxelize(&tree, &options, NULL, &volume, NULL), WILLIS_OK);
  willis_tree_release(&tree);
  return volume;
}

/* Dice of two masks, voxels above a value. */
static double dice(const struct willis_volume *a, const struct willis_volume *b, double at_a,
                   double at_b) {
  double both = 0, sum = 0;
  for (ptrdiff_t i = 0; i < willis_grid_count(&a->grid); i++) {
    bool in_a = a->voxels[i] > at_a, in_b = b->voxels[i] > at_b;
    both += in_a && in_b;
    sum += in_a + in_b;
  }
  return 2 * both / sum;
}

static void the_same_seed_is_the_same_head(void **state) {
  (void)state;
  struct willis_tree a = phantom(7), b = phantom(7);
  assert_int_equal(a.node_count, b.node_count);
  assert_memory_equal(a.node, b.node, (size_t)a.node_count * sizeof *a.node);
  willis_tree_release(&a);
  willis_tree_release(&b);
}

static void other_seeds_are_other_heads(void **state) {
  (void)state;
  struct willis_grid grid = willis_grid_cube(64, 2.2, NULL);
  struct willis_volume head[6];
  for (uint64_t seed = 0; seed < 6; seed++) head[seed] = drawn(seed, &grid, false);
  for (int a = 0; a < 6; a++)
    for (int b = 0; b < a; b++) assert_true(dice(&head[a], &head[b], 500, 500) < 0.35);
  for (int a = 0; a < 6; a++) willis_volume_release(&head[a]);
}

/* Soft tissue and skull stay below Otsu's threshold. */
static void otsu_finds_vessels_in_tissue(void **state) {
  (void)state;
  for (uint64_t seed = 0; seed < 4; seed++) {
    double threshold;
    struct willis_volume clean = drawn(seed, NULL, false), dressed = drawn(seed, NULL, true);
    assert_int_equal(willis_volume_otsu(&dressed, &threshold, NULL), WILLIS_OK);
    assert_true(dice(&clean, &dressed, 400, threshold) > 0.85);
    willis_volume_release(&clean);
    willis_volume_release(&dressed);
  }
}

static void short_memory_is_reported(void **state) {
  (void)state;
  enum willis_status status = WILLIS_OUT_OF_MEMORY;
  int failures = 0;
  for (; status; failures++) {
    struct willis_tree tree = {0};
    struct failing_allocator failing = {.until_failure = failures};
    failing_allocator_use(&failing);
    status = willis_tree_phantom(1, &tree, NULL);
    willis_tree_release(&tree);
    failing_allocator_use(NULL);
    assert_int_equal(failing.held, 0);
    assert_true(status == WILLIS_OK || status == WILLIS_OUT_OF_MEMORY);
  }
  assert_true(failures >= 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_head_is_plausible),
      cmocka_unit_test(forks_follow_murray),
      cmocka_unit_test(the_same_seed_is_the_same_head),
      cmocka_unit_test(other_seeds_are_other_heads),
      cmocka_unit_test(otsu_finds_vessels_in_tissue),
      cmocka_unit_test(short_memory_is_reported),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
