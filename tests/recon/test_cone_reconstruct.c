/* A head seen by a C-arm: what comes back lies, in patient mm, where the vessels are. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <willis/willis.h>

#include <math.h>
#include <string.h>

enum { SIZE = 40, VIEWS = 10, PIXELS = 128 };
static struct willis_tree tree;
static struct willis_volume head; /* of the tree */
static struct willis_projections stack;

/* Away from the frame's origin, and with the isocenter away from the volume's centre: a mistake in
 * either shows. */
static void aim_c_arm(void) {
  static const double beside_mm[3] = {5, -4, 3};
  double angle_deg[VIEWS];
  assert_int_equal(willis_views_arc(VIEWS, 90, angle_deg, NULL), WILLIS_OK);
  willis_grid_centre(&head.grid, stack.isocenter_mm);
  for (int a = 0; a < 3; a++) stack.isocenter_mm[a] += beside_mm[a];
  const double seen_mm = 1.8 * SIZE * head.grid.spacing_mm[0];
  for (int v = 0; v < VIEWS; v++)
    stack.view[v] = (struct willis_view){.kind = WILLIS_VIEW_CONE,
                                         .primary_angle_deg = angle_deg[v],
                                         .source_to_detector_mm = 1200,
                                         .source_to_isocenter_mm = 750,
                                         .column_spacing_mm = seen_mm * 1200 / 750 / PIXELS,
                                         .row_spacing_mm = seen_mm * 1200 / 750 / PIXELS,
                                         .principal_column = (PIXELS - 1) / 2.0,
                                         .principal_row = (PIXELS - 1) / 2.0};
  stack.mode = WILLIS_PROJECTION_MAX;
}

static int set_up(void **state) {
  (void)state;
  static const double away_mm[3] = {21, -37, 52};
  struct willis_voxelize_options options = willis_voxelize_defaults();
  options.size = SIZE;
  if (willis_tree_phantom(4, &tree, NULL)) return -1;
  for (ptrdiff_t i = 0; i < tree.node_count; i++)
    for (int a = 0; a < 3; a++) tree.node[i].position_mm[a] += away_mm[a];
  if (willis_tree_voxelize(&tree, &options, NULL, &head, NULL) ||
      willis_projections_create(&stack, PIXELS, PIXELS, VIEWS, NULL))
    return -1;
  aim_c_arm();
  return willis_project(&head, &stack, NULL) ? -1 : 0;
}

static int tear_down(void **state) {
  (void)state;
  willis_projections_release(&stack);
  willis_volume_release(&head);
  willis_tree_release(&tree);
  return 0;
}

/* From a point to the axis of the nearest vessel. */
static double distance_to_tree(const double point_mm[3]) {
  double least = INFINITY;
  for (ptrdiff_t i = 0; i < tree.node_count; i++) {
    const struct willis_tree_node *to = &tree.node[i];
    const struct willis_tree_node *from = to->parent < 0 ? to : &tree.node[to->parent];
    double along = 0, length = 0, distance = 0;
    for (int a = 0; a < 3; a++) {
      double step = to->position_mm[a] - from->position_mm[a];
      along += step * (point_mm[a] - from->position_mm[a]);
      length += step * step;
    }
    double t = length > 0 ? fmin(fmax(along / length, 0), 1) : 0;
    for (int a = 0; a < 3; a++) {
      double step = to->position_mm[a] - from->position_mm[a];
      distance += pow(from->position_mm[a] + t * step - point_mm[a], 2);
    }
    least = fmin(least, sqrt(distance));
  }
  return least;
}

static double mean_distance(const struct willis_mesh *mesh, const double shift_mm[3]) {
  double sum = 0;
  for (ptrdiff_t i = 0; i < mesh->vertex_count; i++) {
    double point[3];
    for (int a = 0; a < 3; a++) point[a] = mesh->vertex[3 * i + a] + shift_mm[a];
    sum += distance_to_tree(point);
  }
  return sum / (double)mesh->vertex_count;
}

/* The mesh lies nearest to the vessels where it is; two voxels to any side it lies farther away.
 * Its vertices are a vessel's radius from the axes, here 0.75 voxel or more. */
static void check_place(const struct willis_mesh *mesh, double most_mm) {
  assert_true(mesh->vertex_count > 500);
  const double here = mean_distance(mesh, (const double[3]){0, 0, 0});
  if (!(here < most_mm)) fail_msg("the mesh is %g mm from the vessels' axes", here);
  for (int side = 0; side < 6; side++) {
    double shift[3] = {0, 0, 0};
    shift[side / 2] = (side % 2 ? 2 : -2) * head.grid.spacing_mm[0];
    double there = mean_distance(mesh, shift);
    if (!(there > here)) fail_msg("side %d: %g mm, here %g mm", side, there, here);
  }
}

/* How much of the vessels' axes lies in voxels of at least `level`. */
static double share_held(const struct willis_volume *volume, double level) {
  ptrdiff_t held = 0;
  for (ptrdiff_t i = 0; i < tree.node_count; i++) {
    double index[3];
    willis_grid_to_index(&volume->grid, tree.node[i].position_mm, index);
    ptrdiff_t at[3];
    for (int a = 0; a < 3; a++) {
      at[a] = (ptrdiff_t)lround(index[a]);
      assert_true(at[a] >= 0 && at[a] < volume->grid.size[a]);
    }
    const ptrdiff_t *n = volume->grid.size;
    held += volume->voxels[(at[2] * n[1] + at[1]) * n[0] + at[0]] >= level;
  }
  return (double)held / (double)tree.node_count;
}

static void hull_surrounds_the_vessels(void **state) {
  (void)state;
  struct willis_grid grid;
  struct willis_volume hull;
  struct willis_mesh mesh;
  const double spacing_mm = head.grid.spacing_mm[0];
  /* Nothing but the stack says where: no stored grid, and another number of voxels. */
  assert_int_equal(willis_projections_output_grid(&stack, SIZE + 11, spacing_mm, &grid, NULL),
                   WILLIS_OK);
  assert_int_equal(willis_volume_create(&hull, &grid, NULL), WILLIS_OK);
  assert_int_equal(willis_hull(&stack, &hull, NULL), WILLIS_OK);
  float low, high;
  willis_volume_range(&head, &low, &high);
  assert_true(share_held(&hull, 0.3 * high) > 0.95);
  assert_int_equal(willis_isosurface(&hull, 0.3 * high, &mesh, NULL), WILLIS_OK);
  check_place(&mesh, 3 * spacing_mm);
  willis_mesh_release(&mesh);
  willis_volume_release(&hull);
}

static struct willis_volume probability_on(const struct willis_network *network,
                                           const struct willis_grid *grid) {
  struct willis_volume probability;
  struct willis_reconstruct_options options = {.grid = grid, .any_model = true};
  assert_int_equal(willis_reconstruct(&stack, network, &options, NULL, NULL, &probability, NULL),
                   WILLIS_OK);
  assert_true(willis_grid_equal(&probability.grid, grid));
  return probability;
}

/* What the network says belongs to a place in mm, not to a voxel's number: a grid that begins
 * 8 voxels (the stride of its three pools) before the other gives the same values at the same
 * places, but for those that the border reaches. */
static void network_answers_in_place(void **state) {
  (void)state;
  enum { SHIFT = 8, REACH = 16 };
  struct willis_network *network;
  assert_int_equal(willis_network_create("dae", 1, &network, NULL), WILLIS_OK);
  struct willis_grid wide = head.grid;
  for (int a = 0; a < 3; a++) {
    wide.size[a] += SHIFT;
    wide.origin_mm[a] -= SHIFT * wide.spacing_mm[a];
  }
  struct willis_volume here = probability_on(network, &head.grid);
  struct willis_volume there = probability_on(network, &wide);
  float low = INFINITY, high = -INFINITY;
  for (ptrdiff_t k = REACH; k < SIZE - REACH; k++)
    for (ptrdiff_t j = REACH; j < SIZE - REACH; j++)
      for (ptrdiff_t i = REACH; i < SIZE - REACH; i++) {
        const ptrdiff_t n = SIZE, m = SIZE + SHIFT;
        float p = here.voxels[(k * n + j) * n + i];
        float q = there.voxels[((k + SHIFT) * m + j + SHIFT) * m + i + SHIFT];
        low = fminf(low, p);
        high = fmaxf(high, p);
        if (fabsf(p - q) > 1e-5f) fail_msg("voxel %td %td %td: %g and %g", i, j, k, p, q);
      }
  assert_true(high - low > 1e-3f);
  willis_volume_release(&there);
  willis_volume_release(&here);
  willis_network_destroy(network);
}

static void models_know_the_angles_of_cones(void **state) {
  (void)state;
  struct willis_error err;
  struct willis_model_card card = {
      .views = VIEWS, .arc_deg = 90, .mode = WILLIS_PROJECTION_MAX, .size = SIZE};
  assert_int_equal(willis_model_check(&card, &stack, &err), WILLIS_OK);
  stack.view[3].secondary_angle_deg = 20;
  assert_int_equal(willis_model_check(&card, &stack, &err), WILLIS_MISMATCH);
  stack.view[3].secondary_angle_deg = 0;
}

/* Cones of training: points fall where the same C-arm's other pictures have them, and with a far
 * source where parallel beams do. */
static void training_knows_cones(void **state) {
  (void)state;
  static const double distance[2][2] = {{750, 1200}, {3e4, 9e4}}, point[3] = {17, -25, 11};
  struct willis_error err;
  struct willis_sampling sampling = willis_sampling_defaults();
  struct willis_projections cones[2], parallel;
  sampling.size = SIZE;
  sampling.views = VIEWS;
  assert_int_equal(willis_sampling_stack(&sampling, &head.grid, &parallel, &err), WILLIS_OK);
  for (int far = 0; far < 2; far++) {
    sampling.source_to_isocenter_mm = distance[far][0];
    sampling.source_to_detector_mm = distance[far][1];
    assert_int_equal(willis_sampling_stack(&sampling, &head.grid, &cones[far], &err), WILLIS_OK);
    assert_int_equal(willis_projections_check(&cones[far], &err), WILLIS_OK);
  }
  for (int v = 0; v < VIEWS; v++) {
    struct willis_view same = stack.view[v];
    double at[4][2];
    same.column_spacing_mm = same.row_spacing_mm = 1200.0 / 750 * head.grid.spacing_mm[0];
    same.principal_column = same.principal_row = (SIZE - 1) / 2.0;
    const struct willis_view *const view[] = {&same, &cones[0].view[v], &cones[1].view[v],
                                              &parallel.view[v]};
    for (int k = 0; k < 4; k++) willis_view_project_point(view[k], point, &at[k][0], &at[k][1]);
    assert_true(hypot(at[0][0] - at[1][0], at[0][1] - at[1][1]) < 1e-9);
    assert_true(hypot(at[2][0] - at[3][0], at[2][1] - at[3][1]) < 0.02);
  }
  struct willis_model_card card = {
      .views = VIEWS, .arc_deg = 90, .source_to_isocenter_mm = 750, .size = SIZE};
  assert_int_equal(willis_model_check(&card, &cones[0], &err), WILLIS_OK);
  assert_int_equal(willis_model_check(&card, &parallel, &err), WILLIS_MISMATCH);
  assert_non_null(strstr(err.message, "is a parallel beam of 0 mm"));
  card.source_to_isocenter_mm = 900;
  assert_int_equal(willis_model_check(&card, &cones[0], &err), WILLIS_MISMATCH);
  assert_non_null(strstr(err.message, "cone beams of 900 mm"));
  static const double bad[][2] = {{750, 0}, {0, 1200}, {1200, 750}, {-1, 5}, {NAN, 5}, {5, NAN}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    struct willis_projections none;
    sampling.source_to_isocenter_mm = bad[i][0];
    sampling.source_to_detector_mm = bad[i][1];
    assert_int_equal(willis_sampling_stack(&sampling, &head.grid, &none, &err), WILLIS_GEOMETRY);
  }
  willis_projections_release(&cones[0]);
  willis_projections_release(&cones[1]);
  willis_projections_release(&parallel);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(hull_surrounds_the_vessels),
      cmocka_unit_test(network_answers_in_place),
      cmocka_unit_test(models_know_the_angles_of_cones),
      cmocka_unit_test(training_knows_cones),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
