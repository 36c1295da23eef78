/* Centre lines: length, place and radius of a tube; pieces, loops, nothing. */
#include "surface/shapes.h"

enum { N = 41 };

static struct willis_volume empty(void) {
  struct willis_volume volume;
  const struct willis_grid grid = willis_grid_cube(N, 0.5, (const double[3]){10, -20, 30});
  assert_int_equal(willis_volume_create(&volume, &grid, NULL), WILLIS_OK);
  return volume;
}

static double length_of(const struct willis_tree *tree, ptrdiff_t *roots) {
  double length = 0;
  *roots = 0;
  for (ptrdiff_t i = 0; i < tree->node_count; i++) {
    const struct willis_tree_node *a = &tree->node[i],
                                  *b = &tree->node[a->parent < 0 ? i : a->parent];
    assert_true(a->parent < i);
    *roots += a->parent < 0;
    double sum = 0;
    for (int k = 0; k < 3; k++) sum += pow(a->position_mm[k] - b->position_mm[k], 2);
    length += sqrt(sum);
  }
  return length;
}

/* 14 mm along z with a radius of 2 mm. */
static void a_tube_has_one_axis(void **state) {
  (void)state;
  struct willis_volume tube = empty();
  struct willis_tree tree;
  ptrdiff_t roots;
  for (ptrdiff_t i = 0; i < N * N * N; i++) {
    double x = 0.5 * (double)(i % N - 20), y = 0.5 * (double)(i / N % N - 20);
    tube.voxels[i] = hypot(x, y) < 2.1 && fabs((double)(i / N / N - 20)) <= 14;
  }
  assert_int_equal(willis_centerline(&tube, &tree, NULL), WILLIS_OK);
  double length = length_of(&tree, &roots);
  assert_int_equal(roots, 1);
  assert_true(length > 14 - 2 * 2.5 && length < 14.6);
  for (ptrdiff_t i = 0; i < tree.node_count; i++) {
    const struct willis_tree_node *node = &tree.node[i];
    assert_true(hypot(node->position_mm[0] - 10, node->position_mm[1] + 20) < 0.51);
    if (fabs(node->position_mm[2] - 30) < 4) assert_true(fabs(node->radius_mm - 2.1) < 0.5);
  }
  willis_tree_release(&tree);
  willis_volume_release(&tube);
}

/* A ring stays one tree, cut once; a piece apart is a tree of its own. */
static void loops_are_cut_and_pieces_kept(void **state) {
  (void)state;
  struct willis_volume ring = empty();
  struct willis_tree tree;
  ptrdiff_t roots;
  for (ptrdiff_t i = 0; i < N * N * N; i++) {
    double x = 0.5 * (double)(i % N - 20), y = 0.5 * (double)(i / N % N - 20);
    double z = 0.5 * (double)(i / N / N - 20);
    ring.voxels[i] = hypot(hypot(x, y) - 6, z) < 1.2 || (hypot(x, y) < 1.1 && fabs(z) < 4);
  }
  assert_int_equal(willis_centerline(&ring, &tree, NULL), WILLIS_OK);
  double length = length_of(&tree, &roots);
  assert_int_equal(roots, 2);
  assert_true(length > 2 * 3.14 * 6 * 0.9 && length < 2 * 3.14 * 6 * 1.15 + 9);
  willis_tree_release(&tree);
  willis_volume_release(&ring);
}

static void nothing_has_no_lines(void **state) {
  (void)state;
  struct willis_volume volume = empty();
  struct willis_tree tree;
  assert_int_equal(willis_centerline(&volume, &tree, NULL), WILLIS_OK);
  assert_int_equal(tree.node_count, 0);
  willis_tree_release(&tree);
  volume.grid.spacing_mm[1] = 0;
  assert_int_equal(willis_centerline(&volume, &tree, NULL), WILLIS_GEOMETRY);
  volume.grid.spacing_mm[1] = 0.5;
  willis_volume_release(&volume);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_tube_has_one_axis),
      cmocka_unit_test(loops_are_cut_and_pieces_kept),
      cmocka_unit_test(nothing_has_no_lines),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
