/* Every case of a cell, noise, closed forms, other frames, scikit-image. */
#include "oracle/oracle.h"
#include "surface/shapes.h"

#include "base/parallel.h"
#include "failing_allocator.h"
#include "surface/cell_cases.h"
#include "volume/mesh_edges.h"

/* Closed also for a file that knows points only by their place (STL). */
static void check_closed_by_place(const struct willis_mesh *mesh) {
  struct willis_mesh_edges edges;
  assert_int_equal(willis_mesh_count_edges(mesh, &edges, NULL), WILLIS_OK);
  assert_true(edges.open == 0 && edges.oriented);
  assert_int_equal(2 * edges.edges, 3 * mesh->triangle_count);
}

/* A vertex whose triangles form more than one fan would be a point where two sheets touch. */
static void check_one_fan_a_vertex(const struct willis_mesh *mesh) {
  for (ptrdiff_t v = 0; v < mesh->vertex_count; v++) {
    uint32_t after[64], before[64];
    int count = 0, steps = 0;
    for (ptrdiff_t c = 0; c < 3 * mesh->triangle_count; c++)
      if (mesh->triangle[c] == v) {
        assert_true(count < 64);
        after[count] = mesh->triangle[c / 3 * 3 + (c + 1) % 3];
        before[count++] = mesh->triangle[c / 3 * 3 + (c + 2) % 3];
      }
    assert_true(count >= 3);
    uint32_t at = after[0];
    do {
      for (int i = 0; i < count; i++)
        if (after[i] == at) {
          at = before[i];
          break;
        }
      steps++;
    } while (at != after[0] && steps <= count);
    assert_int_equal(steps, count);
  }
}

static void every_cell_is_closed(void **state) {
  (void)state;
  struct willis_volume volume = shape_volume(2, 2, 2, 1);
  for (unsigned inside = 0; inside < 256; inside++) {
    for (int corner = 0; corner < 8; corner++) volume.voxels[corner] = inside >> corner & 1;
    struct willis_mesh mesh = shape_surface(&volume, 0.5);
    struct willis_mesh_measure m = shape_check_closed(&mesh);
    assert_true(inside == 0 ? mesh.triangle_count == 0 : m.volume_mm3 > 0);
    check_one_fan_a_vertex(&mesh);
    willis_mesh_release(&mesh);
  }
  willis_volume_release(&volume);
}

/* Inside and outside changed over, the same edges are crossed; triangles join crossed edges only.
 */
static void the_table_is_consistent(void **state) {
  (void)state;
  struct willis_cell_cases cases;
  willis_cell_cases_fill(&cases);
  for (unsigned inside = 0; inside < 256; inside++) {
    assert_int_equal(cases.crossed[inside], cases.crossed[255 - inside]);
    unsigned used = 0;
    for (int i = 0; i < 3 * cases.triangles[inside]; i++) used |= 1u << cases.edge[inside][i];
    assert_int_equal(used, cases.crossed[inside]);
  }
}

/* All 4096 pairs of cells with a common face. */
static void every_pair_of_cells_is_closed(void **state) {
  (void)state;
  willis_parallel_set_threads(1); /* for so little, starting threads is most of the work */
  for (int axis = 0; axis < 3; axis++) {
    struct willis_volume volume =
        shape_volume(2 + (axis == 0), 2 + (axis == 1), 2 + (axis == 2), 1);
    for (unsigned inside = 0; inside < 4096; inside++) {
      for (int v = 0; v < 12; v++) volume.voxels[v] = inside >> v & 1;
      struct willis_mesh mesh = shape_surface(&volume, 0.5);
      (void)shape_check_closed(&mesh);
      willis_mesh_release(&mesh);
    }
    willis_volume_release(&volume);
  }
  willis_parallel_set_threads(0);
}

static void noise_is_closed(void **state) {
  (void)state;
  const ptrdiff_t size[][3] = {{1, 1, 1},  {1, 7, 3},   {62, 9, 8},  {63, 8, 7},  {64, 7, 9},
                               {65, 9, 5}, {127, 5, 6}, {129, 6, 5}, {24, 25, 26}};
  for (size_t i = 0; i < sizeof size / sizeof size[0]; i++) {
    struct willis_volume volume = shape_volume(size[i][0], size[i][1], size[i][2], 0.4);
    shape_noise(&volume, i);
    for (double level = 0.1; level < 1; level += 0.2) {
      struct willis_mesh mesh = shape_surface(&volume, level);
      (void)shape_check_closed(&mesh);
      check_closed_by_place(&mesh);
      if (i == 3) check_one_fan_a_vertex(&mesh);
      willis_mesh_release(&mesh);
    }
    willis_volume_release(&volume);
  }
}

/* Values that lie on the level itself: still no two vertices in one place. */
static void values_on_the_level(void **state) {
  (void)state;
  struct willis_volume volume = shape_volume(20, 19, 18, 0.3);
  shape_noise(&volume, 5);
  for (ptrdiff_t v = 0; v < willis_grid_count(&volume.grid); v++)
    volume.voxels[v] = roundf(4 * volume.voxels[v]) / 4;
  struct willis_mesh mesh = shape_surface(&volume, 0.5);
  (void)shape_check_closed(&mesh);
  check_closed_by_place(&mesh);
  willis_mesh_release(&mesh);
  willis_volume_release(&volume);
}

static void sphere_has_its_area_and_volume(void **state) {
  (void)state;
  const double radius = 11.3;
  struct willis_volume volume = shape_volume(60, 61, 62, 0.4);
  shape_draw(&volume, shape_ball, &radius);
  struct willis_mesh mesh = shape_surface(&volume, 0);
  struct willis_mesh_measure m = shape_check_closed(&mesh);
  assert_int_equal(m.components, 1);
  assert_int_equal(mesh.vertex_count - mesh.triangle_count / 2, 2); /* Euler: V − E + F */
  double second_order = pow(0.4 / radius, 2);
  shape_near("area", m.area_mm2, 4 * M_PI * radius * radius, second_order);
  shape_near("volume", m.volume_mm3, 4 * M_PI / 3 * pow(radius, 3), second_order);
  for (ptrdiff_t v = 0; v < mesh.vertex_count; v++) {
    const float *p = mesh.vertex + 3 * v;
    double distance = sqrt((double)p[0] * p[0] + (double)p[1] * p[1] + (double)p[2] * p[2]);
    assert_true(fabs(distance - radius) < 0.002);
  }
  willis_mesh_release(&mesh);
  willis_volume_release(&volume);
}

/* A grid that is turned, stretched and left-handed shows the same ball, facing outwards. */
static void any_grid_shows_the_same_ball(void **state) {
  (void)state;
  const double radius = 9, c = 0.8, s = 0.6;
  const double direction[][9] = {{c, -s, 0, s, c, 0, 0, 0, 1}, {c, s, 0, s, -c, 0, 0, 0, 1}};
  for (int i = 0; i < 2; i++) {
    struct willis_volume volume = shape_volume(60, 48, 34, 1);
    const double spacing[3] = {0.35, 0.5, 0.65};
    memcpy(volume.grid.spacing_mm, spacing, sizeof spacing);
    memcpy(volume.grid.direction, direction[i], sizeof direction[i]);
    double centre[3];
    willis_grid_centre(&volume.grid, centre);
    for (int axis = 0; axis < 3; axis++) volume.grid.origin_mm[axis] -= centre[axis];
    shape_draw(&volume, shape_ball, &radius);
    struct willis_mesh mesh = shape_surface(&volume, 0);
    struct willis_mesh_measure m = shape_check_closed(&mesh);
    shape_near("area", m.area_mm2, 4 * M_PI * radius * radius, 2e-3);
    shape_near("volume", m.volume_mm3, 4 * M_PI / 3 * pow(radius, 3), 2e-3);
    willis_mesh_release(&mesh);
    willis_volume_release(&volume);
  }
}

/* All inside: the box of the voxels, with its edges and corners cut by half a voxel. */
static void a_full_volume_is_its_box(void **state) {
  (void)state;
  struct willis_volume volume = shape_volume(7, 5, 4, 2);
  for (ptrdiff_t v = 0; v < willis_grid_count(&volume.grid); v++) volume.voxels[v] = 3;
  struct willis_mesh mesh = shape_surface(&volume, 0.5);
  struct willis_mesh_measure m = shape_check_closed(&mesh);
  for (int axis = 0; axis < 3; axis++) {
    float low = 0, high = 0;
    for (ptrdiff_t v = 0; v < mesh.vertex_count; v++) {
      low = fminf(low, mesh.vertex[3 * v + axis]);
      high = fmaxf(high, mesh.vertex[3 * v + axis]);
    }
    assert_true(high == (float)volume.grid.size[axis] && low == -high);
  }
  /* Twelve edges lose a prism of 1/8 voxel along voxels' centres; eight corners keep 1/48 of the
   * 1/8 voxel around them. */
  double voxels = 7 * 5 * 4 - 4 * (6 + 4 + 3) / 8.0 - 8 * (1 / 8.0 - 1 / 48.0);
  shape_near("volume", m.volume_mm3, 8 * voxels, 1e-6);
  willis_mesh_release(&mesh);
  willis_volume_release(&volume);
}

static void voxels_at_corners_are_joined(void **state) {
  (void)state;
  struct willis_volume volume = shape_volume(9, 9, 9, 1);
  /* 0 10 20 touch along edges, 20 and 111 at a corner, 364 and 365 at a face. */
  const int at[] = {0, 10, 20, 111, 364, 365, 728};
  for (size_t i = 0; i < sizeof at / sizeof at[0]; i++) volume.voxels[at[i]] = 1;
  struct willis_mesh mesh = shape_surface(&volume, 0.5);
  assert_int_equal(shape_check_closed(&mesh).components, 3);
  willis_mesh_release(&mesh);
  willis_volume_release(&volume);
}

/* A hollow piece has a second surface; so few voxels are inside here that none is hollow. */
static void pieces_are_26_connected(void **state) {
  (void)state;
  struct willis_volume volume = shape_volume(30, 31, 32, 0.4), mask;
  for (uint64_t seed = 0; seed < 5; seed++) {
    shape_noise(&volume, seed);
    ptrdiff_t found, kept;
    double level = 0.9 + 0.02 * (double)seed;
    assert_int_equal(willis_volume_threshold(&volume, level, true, &mask, NULL), WILLIS_OK);
    assert_int_equal(willis_mask_keep_components(&mask, 0, 1, &found, &kept, NULL), WILLIS_OK);
    struct willis_mesh mesh = shape_surface(&volume, level);
    assert_int_equal(shape_check_closed(&mesh).components, found);
    willis_mesh_release(&mesh);
    willis_volume_release(&mask);
  }
  willis_volume_release(&volume);
}

static void area_is_scikit_images(void **state) {
  (void)state;
  struct oracle oracle = oracle_open("../oracle/surface_area.txt");
  ptrdiff_t n[3];
  for (int axis = 0; axis < 3; axis++) n[axis] = (ptrdiff_t)oracle_number(&oracle);
  struct willis_volume volume = shape_volume(n[0], n[1], n[2], 1);
  for (int axis = 0; axis < 3; axis++) volume.grid.spacing_mm[axis] = oracle_number(&oracle);
  unsigned char *byte = willis_take(n[0] * n[1] * n[2], 1);
  oracle_bytes(&oracle, byte, n[0] * n[1] * n[2]);
  for (ptrdiff_t v = 0; v < n[0] * n[1] * n[2]; v++) volume.voxels[v] = (float)(byte[v] / 255.0);
  willis_release(byte);
  for (int i = 0; i < 3; i++) {
    struct willis_mesh mesh = shape_surface(&volume, oracle_number(&oracle));
    struct willis_mesh_measure m = shape_check_closed(&mesh);
    shape_near("area", m.area_mm2, oracle_number(&oracle), 5e-3);
    shape_near("volume", m.volume_mm3, oracle_number(&oracle), 5e-3);
    assert_int_equal(mesh.vertex_count, (ptrdiff_t)oracle_number(&oracle));
    willis_mesh_release(&mesh);
  }
  willis_volume_release(&volume);
  oracle_close(&oracle);
}

static void threads_do_not_matter(void **state) {
  (void)state;
  struct willis_volume volume = shape_volume(40, 41, 42, 0.4);
  shape_noise(&volume, 9);
  willis_parallel_set_threads(1);
  struct willis_mesh one = shape_surface(&volume, 0.5);
  for (int threads = 2; threads <= 8; threads *= 2) {
    willis_parallel_set_threads(threads);
    struct willis_mesh many = shape_surface(&volume, 0.5);
    assert_int_equal(many.vertex_count, one.vertex_count);
    assert_int_equal(many.triangle_count, one.triangle_count);
    assert_memory_equal(many.vertex, one.vertex, 12 * (size_t)one.vertex_count);
    assert_memory_equal(many.triangle, one.triangle, 12 * (size_t)one.triangle_count);
    willis_mesh_release(&many);
  }
  willis_parallel_set_threads(0);
  willis_mesh_release(&one);
  willis_volume_release(&volume);
}

static void what_is_refused(void **state) {
  (void)state;
  struct willis_volume volume = shape_volume(5, 5, 5, 1);
  struct willis_mesh mesh;
  struct willis_error err;
  assert_int_equal(willis_isosurface(&volume, NAN, &mesh, &err), WILLIS_INVALID_ARGUMENT);
  assert_int_equal(willis_isosurface(&volume, INFINITY, &mesh, &err), WILLIS_INVALID_ARGUMENT);
  volume.voxels[31] = NAN;
  assert_int_equal(willis_isosurface(&volume, 0.5, &mesh, &err), WILLIS_NUMERIC);
  volume.voxels[31] = INFINITY;
  assert_int_equal(willis_isosurface(&volume, 0.5, &mesh, &err), WILLIS_NUMERIC);
  assert_null(mesh.vertex);
  volume.voxels[31] = 0;
  mesh = shape_surface(&volume, 0.5);
  assert_true(mesh.triangle_count == 0 && mesh.vertex_count == 0);
  willis_mesh_release(&mesh);
  volume.grid.spacing_mm[1] = -1;
  assert_int_equal(willis_isosurface(&volume, 0.5, &mesh, &err), WILLIS_GEOMETRY);
  willis_volume_release(&volume);
}

static void short_memory_is_reported(void **state) {
  (void)state;
  struct willis_volume volume = shape_volume(5, 5, 5, 1);
  volume.voxels[62] = 1;
  int failures = 0;
  for (enum willis_status status = WILLIS_OUT_OF_MEMORY; status != WILLIS_OK; failures++) {
    struct willis_mesh mesh;
    struct failing_allocator failing = {.until_failure = failures};
    failing_allocator_use(&failing);
    status = willis_isosurface(&volume, 0.5, &mesh, NULL);
    assert_int_equal(status, failing.until_failure < 0 ? WILLIS_OUT_OF_MEMORY : WILLIS_OK);
    willis_mesh_release(&mesh);
    failing_allocator_use(NULL);
    assert_int_equal(failing.held, 0);
  }
  assert_int_equal(failures, 7);
  willis_volume_release(&volume);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_cell_is_closed),
      cmocka_unit_test(the_table_is_consistent),
      cmocka_unit_test(every_pair_of_cells_is_closed),
      cmocka_unit_test(noise_is_closed),
      cmocka_unit_test(values_on_the_level),
      cmocka_unit_test(sphere_has_its_area_and_volume),
      cmocka_unit_test(any_grid_shows_the_same_ball),
      cmocka_unit_test(a_full_volume_is_its_box),
      cmocka_unit_test(voxels_at_corners_are_joined),
      cmocka_unit_test(pieces_are_26_connected),
      cmocka_unit_test(area_is_scikit_images),
      cmocka_unit_test(threads_do_not_matter),
      cmocka_unit_test(what_is_refused),
      cmocka_unit_test(short_memory_is_reported),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
