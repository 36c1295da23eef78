/* A head made of another: what a change must keep, what it does to lengths and walls, and what may
 * be drawn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "failing_allocator.h"
#include "volume/shape_change.h"

#include <math.h>
#include <string.h>

enum { HEADS = 1000 };

static struct willis_shape_change nothing(void) {
  return (struct willis_shape_change){
      .turn = {1, 0, 0, 0, 1, 0, 0, 0, 1}, .stretch = {1, 1, 1}, .by = {1, 2, 0}};
}

/* The turn of some drawn change. */
static struct willis_shape_change turn_only(uint64_t number) {
  const struct willis_shape_change drawn = willis_shape_change_draw(3, number);
  struct willis_shape_change change = nothing();
  memcpy(change.turn, drawn.turn, sizeof change.turn);
  return change;
}

static struct willis_tree phantom(void) {
  struct willis_tree tree;
  assert_int_equal(willis_tree_phantom(4, &tree, NULL), WILLIS_OK);
  return tree;
}

/* An octahedron about `centre`, outwards, and one more vertex that no triangle with area has. */
enum { CORNERS = 7, FACES = 9 };
static float corner[CORNERS * 3];
static uint32_t face[FACES * 3];

static struct willis_mesh octahedron(double radius) {
  static const double centre[3] = {12, -7, 100};
  for (int v = 0; v < 6; v++)
    for (int a = 0; a < 3; a++)
      corner[3 * v + a] = (float)(centre[a] + (a == v / 2 ? (v % 2 ? -radius : radius) : 0));
  for (int a = 0; a < 3; a++) corner[18 + a] = (float)centre[a];
  for (uint32_t f = 0; f < 8; f++) {
    /* Corner x, y, z of an octant; an odd number of mirrors turns it over. */
    const uint32_t x = f & 1, y = 2 + (f >> 1 & 1), z = 4 + (f >> 2);
    const bool odd = ((f & 1) + (f >> 1 & 1) + (f >> 2)) % 2;
    memcpy(face + 3 * f, (uint32_t[3]){x, odd ? z : y, odd ? y : z}, 3 * sizeof *face);
  }
  memcpy(face + 24, (uint32_t[3]){6, 6, 6}, 3 * sizeof *face);
  return (struct willis_mesh){
      .vertex = corner, .triangle = face, .vertex_count = CORNERS, .triangle_count = FACES};
}

static double distance(const double a[3], const double b[3]) {
  return sqrt(pow(a[0] - b[0], 2) + pow(a[1] - b[1], 2) + pow(a[2] - b[2], 2));
}

static void no_change_keeps_every_bit(void **state) {
  (void)state;
  const struct willis_shape_change change = nothing();
  struct willis_tree tree = phantom(), same;
  assert_int_equal(willis_tree_change(&tree, &change, &same, NULL), WILLIS_OK);
  assert_int_equal(same.node_count, tree.node_count);
  for (ptrdiff_t i = 0; i < tree.node_count; i++) {
    assert_memory_equal(same.node[i].position_mm, tree.node[i].position_mm, 3 * sizeof(double));
    assert_true(fabs(same.node[i].radius_mm - tree.node[i].radius_mm) <= 0);
    assert_int_equal(same.node[i].parent, tree.node[i].parent);
  }
  willis_tree_release(&same);
  willis_tree_release(&tree);
  struct willis_mesh mesh = octahedron(30.1), copy;
  assert_int_equal(willis_mesh_change(&mesh, &change, &copy, NULL), WILLIS_OK);
  assert_int_equal(copy.vertex_count, CORNERS);
  assert_int_equal(copy.triangle_count, FACES);
  assert_memory_equal(copy.vertex, corner, sizeof corner);
  assert_memory_equal(copy.triangle, face, sizeof face);
  willis_mesh_release(&copy);
}

static void a_turn_keeps_distances(void **state) {
  (void)state;
  struct willis_tree tree = phantom(), turned;
  for (uint64_t number = 0; number < 20; number++) {
    const struct willis_shape_change change = turn_only(number);
    double moved = 0;
    assert_int_equal(willis_tree_change(&tree, &change, &turned, NULL), WILLIS_OK);
    for (ptrdiff_t i = 1; i < tree.node_count; i += 7)
      for (ptrdiff_t j = i % 11; j < i; j += 101) {
        const double before = distance(tree.node[i].position_mm, tree.node[j].position_mm);
        const double after = distance(turned.node[i].position_mm, turned.node[j].position_mm);
        assert_true(fabs(before - after) < 1e-10 * (1 + before));
        moved = fmax(moved, distance(tree.node[i].position_mm, turned.node[i].position_mm));
      }
    assert_true(moved > 0.1);
    willis_tree_release(&turned);
  }
  willis_tree_release(&tree);
}

static void a_stretch_scales_about_the_middle(void **state) {
  (void)state;
  static const double factor[3] = {1.1, 0.9, 1.05};
  struct willis_shape_change change = nothing();
  struct willis_tree tree = phantom(), stretched;
  double low[3], high[3];
  memcpy(change.stretch, factor, sizeof factor);
  assert_int_equal(willis_tree_change(&tree, &change, &stretched, NULL), WILLIS_OK);
  for (int a = 0; a < 3; a++) {
    low[a] = INFINITY, high[a] = -INFINITY;
    for (ptrdiff_t i = 0; i < tree.node_count; i++) {
      low[a] = fmin(low[a], tree.node[i].position_mm[a]);
      high[a] = fmax(high[a], tree.node[i].position_mm[a]);
    }
    for (ptrdiff_t i = 0; i < tree.node_count; i++) {
      const double middle = (low[a] + high[a]) / 2;
      const double expected = middle + factor[a] * (tree.node[i].position_mm[a] - middle);
      assert_true(fabs(stretched.node[i].position_mm[a] - expected) < 1e-10);
    }
  }
  willis_tree_release(&stretched);
  willis_tree_release(&tree);
}

/* Turned after it is bent and stretched, q_a + amplitude·sin(wave·q_by + phase) on the longest half
 * edge: written down again here. */
static void a_bend_is_the_sine_that_it_says(void **state) {
  (void)state;
  struct willis_tree_node node[3] = {
      {{-10, 1, 2}, 1, -1, 0}, {{30, 5, -4}, 1, 0, 0}, {{7, 4, 1}, 1, 1, 0}};
  const struct willis_tree tree = {.node = node, .node_count = 3};
  const double middle[3] = {10, 3, -1}, half = 20;
  for (uint64_t number = 0; number < 50; number++) {
    const struct willis_shape_change c = willis_shape_change_draw(8, number);
    struct willis_tree bent;
    assert_int_equal(willis_tree_change(&tree, &c, &bent, NULL), WILLIS_OK);
    for (int i = 0; i < 3; i++) {
      double q[3], s[3];
      for (int a = 0; a < 3; a++) q[a] = (node[i].position_mm[a] - middle[a]) / half;
      for (int a = 0; a < 3; a++)
        s[a] = c.stretch[a] * (q[a] + c.amplitude[a] * sin(c.wave[a] * q[c.by[a]] + c.phase[a]));
      for (int a = 0; a < 3; a++) {
        const double at =
            c.turn[3 * a] * s[0] + c.turn[3 * a + 1] * s[1] + c.turn[3 * a + 2] * s[2];
        assert_true(fabs(bent.node[i].position_mm[a] - middle[a] - half * at) < 1e-12);
      }
    }
    willis_tree_release(&bent);
  }
}

static void walls_move_outwards(void **state) {
  (void)state;
  struct willis_shape_change change = nothing();
  struct willis_mesh mesh = octahedron(30), thicker;
  for (int sign = -1; sign <= 1; sign += 2) {
    change.thicken_mm = sign * 0.25;
    assert_int_equal(willis_mesh_change(&mesh, &change, &thicker, NULL), WILLIS_OK);
    for (int v = 0; v < 6; v++)
      for (int a = 0; a < 3; a++) {
        const double outwards = a == v / 2 ? (v % 2 ? -1 : 1) : 0;
        const double moved = (double)thicker.vertex[3 * v + a] - (double)corner[3 * v + a];
        assert_true(fabs(moved - outwards * change.thicken_mm) < 1e-5);
      }
    /* No triangle with area, no outside. */
    assert_memory_equal(thicker.vertex + 18, corner + 18, 3 * sizeof *corner);
    willis_mesh_release(&thicker);
  }
  struct willis_tree tree = phantom(), wider;
  for (int step = -30; step <= 30; step += 20) {
    change.thicken_mm = step * 0.05;
    assert_int_equal(willis_tree_change(&tree, &change, &wider, NULL), WILLIS_OK);
    for (ptrdiff_t i = 0; i < tree.node_count; i++) {
      const double expected = fmax(0, tree.node[i].radius_mm + change.thicken_mm);
      assert_true(fabs(wider.node[i].radius_mm - expected) < 1e-12);
    }
    willis_tree_release(&wider);
  }
  willis_tree_release(&tree);
}

static double determinant(const double m[9]) {
  return m[0] * (m[4] * m[8] - m[5] * m[7]) - m[1] * (m[3] * m[8] - m[5] * m[6]) +
         m[2] * (m[3] * m[7] - m[4] * m[6]);
}

static void what_is_drawn_is_within_bounds(void **state) {
  (void)state;
  static const double most_stretch = 0.12, hair = 1e-12;
  const double least_cosine = cos(25 * M_PI / 180);
  double widest_turn = 1, thinnest = 1, thickest = -1, narrowest = 1, farthest = 0;
  for (uint64_t number = 0; number < HEADS; number++) {
    const struct willis_shape_change c = willis_shape_change_draw(11, number);
    const struct willis_shape_change again = willis_shape_change_draw(11, number);
    assert_memory_equal(c.turn, again.turn, sizeof c.turn);
    assert_memory_equal(c.stretch, again.stretch, sizeof c.stretch);
    assert_memory_equal(c.amplitude, again.amplitude, sizeof c.amplitude);
    assert_memory_equal(c.wave, again.wave, sizeof c.wave);
    assert_memory_equal(c.phase, again.phase, sizeof c.phase);
    assert_memory_equal(c.by, again.by, sizeof c.by);
    assert_memory_equal(&c.thicken_mm, &again.thicken_mm, sizeof c.thicken_mm);
    assert_memory_equal(&c.margin, &again.margin, sizeof c.margin);
    for (int a = 0; a < 3; a++)
      for (int b = 0; b < 3; b++) {
        double product = 0;
        for (int k = 0; k < 3; k++) product += c.turn[3 * a + k] * c.turn[3 * b + k];
        assert_true(fabs(product - (a == b)) < hair);
      }
    assert_true(fabs(determinant(c.turn) - 1) < hair);
    const double cosine = (c.turn[0] + c.turn[4] + c.turn[8] - 1) / 2;
    assert_true(cosine >= least_cosine - hair);
    widest_turn = fmin(widest_turn, cosine);
    for (int a = 0; a < 3; a++) {
      assert_true(fabs(log(c.stretch[a])) <= most_stretch + hair);
      assert_true(c.amplitude[a] >= 0 && c.amplitude[a] <= 0.06);
      assert_true(c.wave[a] >= 1 && c.wave[a] <= 4);
      assert_true(fabs(c.phase[a]) <= M_PI);
      /* Bent by another axis, and never so much that a head would fold: |∂bend| < 1. */
      assert_in_range(c.by[a], 0, 2);
      assert_int_not_equal(c.by[a], a);
      assert_true(c.amplitude[a] * c.wave[a] < 0.25);
    }
    assert_true(c.thicken_mm >= -0.1 && c.thicken_mm <= 0.2);
    assert_true(c.margin >= 0.02 && c.margin <= 0.1);
    thinnest = fmin(thinnest, c.thicken_mm), thickest = fmax(thickest, c.thicken_mm);
    narrowest = fmin(narrowest, c.margin), farthest = fmax(farthest, c.margin);
  }
  /* The bounds are what is drawn, not far from it: of 1000 the widest are within 1 %. */
  assert_true(acos(widest_turn) > 0.99 * 25 * M_PI / 180);
  assert_true(thinnest < -0.097 && thickest > 0.197);
  assert_true(narrowest < 0.0208 && farthest > 0.0992);
}

static void seeds_and_numbers_differ(void **state) {
  (void)state;
  for (uint64_t number = 0; number < HEADS; number++) {
    const struct willis_shape_change c = willis_shape_change_draw(11, number);
    const struct willis_shape_change next = willis_shape_change_draw(11, number + 1);
    const struct willis_shape_change other = willis_shape_change_draw(12, number);
    assert_true(fabs(c.margin - next.margin) > 0 && fabs(c.turn[0] - next.turn[0]) > 0);
    assert_true(fabs(c.margin - other.margin) > 0 && fabs(c.turn[0] - other.turn[0]) > 0);
  }
}

/* Nothing to turn about: it stays, but grows thicker. */
static void shapes_without_extent_stay(void **state) {
  (void)state;
  const struct willis_shape_change change = willis_shape_change_draw(2, 5);
  struct willis_tree_node node[2] = {{{3, -4, 5}, 0.5, -1, 0}, {{3, -4, 5}, 0.7, 0, 0}};
  for (int count = 1; count <= 2; count++) {
    const struct willis_tree tree = {.node = node, .node_count = count};
    struct willis_tree changed;
    assert_int_equal(willis_tree_change(&tree, &change, &changed, NULL), WILLIS_OK);
    for (int i = 0; i < count; i++) {
      assert_memory_equal(changed.node[i].position_mm, node[0].position_mm, 3 * sizeof(double));
      assert_true(fabs(changed.node[i].radius_mm - node[i].radius_mm - change.thicken_mm) < 1e-12);
    }
    willis_tree_release(&changed);
  }
  struct willis_mesh point = octahedron(0), same;
  assert_int_equal(willis_mesh_change(&point, &change, &same, NULL), WILLIS_OK);
  assert_memory_equal(same.vertex, corner, sizeof corner);
  willis_mesh_release(&same);
}

/* Flat in one axis: the others have an extent, so nothing is divided by 0. */
static void flat_shapes_change(void **state) {
  (void)state;
  static float flat[] = {0, 0, 5, 10, 0, 5, 0, 10, 5};
  static uint32_t one[] = {0, 1, 2};
  struct willis_mesh mesh = {
      .vertex = flat, .triangle = one, .vertex_count = 3, .triangle_count = 1};
  for (uint64_t number = 0; number < 100; number++) {
    const struct willis_shape_change change = willis_shape_change_draw(2, number);
    struct willis_mesh changed;
    assert_int_equal(willis_mesh_change(&mesh, &change, &changed, NULL), WILLIS_OK);
    for (int i = 0; i < 9; i++) assert_true(isfinite(changed.vertex[i]));
    willis_mesh_release(&changed);
  }
}

static void every_allocation_may_fail(void **state) {
  (void)state;
  const struct willis_shape_change change = willis_shape_change_draw(2, 5);
  struct willis_mesh mesh = octahedron(9);
  struct willis_tree tree = phantom();
  for (int kind = 0; kind < 2; kind++) {
    enum willis_status status = WILLIS_OUT_OF_MEMORY;
    for (int n = 0; status; n++) {
      struct failing_allocator failing = {n, 0};
      struct willis_mesh changed_mesh = {0};
      struct willis_tree changed_tree = {0};
      struct willis_error err;
      assert_true(n < 10);
      failing_allocator_use(&failing);
      status = kind ? willis_mesh_change(&mesh, &change, &changed_mesh, &err)
                    : willis_tree_change(&tree, &change, &changed_tree, &err);
      assert_true(status == WILLIS_OK || status == WILLIS_OUT_OF_MEMORY);
      if (status) assert_int_equal(failing.held, 0);
      willis_mesh_release(&changed_mesh);
      willis_tree_release(&changed_tree);
      failing_allocator_use(NULL);
      assert_int_equal(failing.held, 0);
      if (!status) assert_int_equal(n, kind ? 3 : 1);
    }
  }
  willis_tree_release(&tree);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(no_change_keeps_every_bit),
      cmocka_unit_test(a_turn_keeps_distances),
      cmocka_unit_test(a_stretch_scales_about_the_middle),
      cmocka_unit_test(a_bend_is_the_sine_that_it_says),
      cmocka_unit_test(walls_move_outwards),
      cmocka_unit_test(what_is_drawn_is_within_bounds),
      cmocka_unit_test(seeds_and_numbers_differ),
      cmocka_unit_test(shapes_without_extent_stay),
      cmocka_unit_test(flat_shapes_change),
      cmocka_unit_test(every_allocation_may_fail),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
