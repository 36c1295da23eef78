/* Measuring, cleaning, smoothing and simplifying meshes. */
#include "surface/shapes.h"

#include "base/parallel.h"
#include "failing_allocator.h"

/* A copy that the caller may change and releases. */
static struct willis_mesh make_mesh(const float *vertex, ptrdiff_t vertices,
                                    const uint32_t *triangle, ptrdiff_t triangles) {
  struct willis_mesh mesh = {willis_take(vertices, 12), willis_take(triangles, 12), vertices,
                             triangles};
  memcpy(mesh.vertex, vertex, 12 * (size_t)vertices);
  memcpy(mesh.triangle, triangle, 12 * (size_t)triangles);
  return mesh;
}

/* Three sides along the axes and a slanted one; at (100,0,0), so that far away is tested too. */
static struct willis_mesh tetrahedron(void) {
  const float vertex[] = {100, 0, 0, 102, 0, 0, 100, 3, 0, 100, 0, 4};
  const uint32_t triangle[] = {0, 2, 1, 0, 1, 3, 0, 3, 2, 1, 2, 3};
  return make_mesh(vertex, 4, triangle, 4);
}

static struct willis_mesh ball(double radius, double spacing_mm) {
  ptrdiff_t n = 2 * (ptrdiff_t)(radius / spacing_mm) + 5;
  struct willis_volume volume = shape_volume(n, n, n, spacing_mm);
  shape_draw(&volume, shape_ball, &radius);
  struct willis_mesh mesh = shape_surface(&volume, 0);
  willis_volume_release(&volume);
  return mesh;
}

static void a_tetrahedron_is_measured(void **state) {
  (void)state;
  struct willis_mesh mesh = tetrahedron();
  struct willis_mesh_measure m = shape_check_closed(&mesh);
  shape_near("volume", m.volume_mm3, 4, 1e-12);
  shape_near("area", m.area_mm2, 3 + 4 + 6 + sqrt(61), 1e-12); /* |(12, 8, 6)| / 2 */
  assert_int_equal(m.components, 1);
  willis_mesh_release(&mesh);
}

static void broken_edges_are_counted(void **state) {
  (void)state;
  struct willis_mesh mesh = tetrahedron();
  mesh.triangle_count = 3;
  struct willis_mesh_measure m = shape_measure(&mesh);
  assert_true(m.open_edges == 3 && m.odd_edges == 0 && m.flipped_edges == 0);
  mesh.triangle_count = 4;
  mesh.triangle[1] = 1, mesh.triangle[2] = 2;
  m = shape_measure(&mesh);
  assert_true(m.open_edges == 0 && m.odd_edges == 0 && m.flipped_edges == 3);
  memcpy(mesh.triangle, mesh.triangle + 3, 12);
  m = shape_measure(&mesh);
  assert_true(m.open_edges == 2 && m.odd_edges == 2 && m.flipped_edges == 1);
  willis_mesh_release(&mesh);
}

static void bad_meshes_are_refused(void **state) {
  (void)state;
  struct willis_mesh mesh = tetrahedron();
  struct willis_mesh_measure m;
  struct willis_error err;
  mesh.triangle[4] = 4;
  assert_int_equal(willis_mesh_measure(&mesh, &m, &err), WILLIS_INVALID_ARGUMENT);
  assert_non_null(strstr(err.message, "triangle 1 has vertex 4"));
  assert_int_equal(willis_mesh_smooth(&mesh, 1, NULL), WILLIS_INVALID_ARGUMENT);
  assert_int_equal(willis_mesh_simplify(&mesh, 0.5, NULL), WILLIS_INVALID_ARGUMENT);
  assert_int_equal(willis_mesh_keep_largest(&mesh, 1, NULL), WILLIS_INVALID_ARGUMENT);
  mesh.triangle[4] = 1;
  mesh.vertex[5] = NAN;
  assert_int_equal(willis_mesh_measure(&mesh, &m, NULL), WILLIS_INVALID_ARGUMENT);
  mesh.vertex[5] = 0;
  const double fraction[] = {0, -1, 1.01, NAN};
  for (int i = 0; i < 4; i++)
    assert_int_equal(willis_mesh_simplify(&mesh, fraction[i], NULL), WILLIS_INVALID_ARGUMENT);
  assert_int_equal(willis_mesh_smooth(&mesh, -1, NULL), WILLIS_INVALID_ARGUMENT);
  assert_int_equal(willis_mesh_keep_largest(&mesh, 0, NULL), WILLIS_INVALID_ARGUMENT);
  willis_mesh_release(&mesh);
}

static void empty_meshes_stay_empty(void **state) {
  (void)state;
  struct willis_mesh mesh = {0};
  struct willis_mesh_measure m = shape_check_closed(&mesh);
  assert_true(m.area_mm2 == 0 && m.components == 0);
  assert_int_equal(willis_mesh_smooth(&mesh, 3, NULL), WILLIS_OK);
  assert_int_equal(willis_mesh_simplify(&mesh, 0.5, NULL), WILLIS_OK);
  assert_int_equal(willis_mesh_keep_largest(&mesh, 3, NULL), WILLIS_OK);
  assert_int_equal(mesh.triangle_count, 0);
}

/* Three balls of different sizes; the second largest comes first in memory. */
static void the_largest_are_kept(void **state) {
  (void)state;
  struct willis_volume volume = shape_volume(70, 20, 20, 1);
  const double radius[3] = {5, 3, 7}, centre[3] = {-25, -5, 20};
  for (ptrdiff_t v = 0; v < willis_grid_count(&volume.grid); v++) {
    double x = (double)(v % 70) - 34.5, y = (double)(v / 70 % 20) - 9.5;
    double z = (double)(v / 1400) - 9.5, value = -100;
    for (int b = 0; b < 3; b++)
      value = fmax(value, radius[b] - sqrt((x - centre[b]) * (x - centre[b]) + y * y + z * z));
    volume.voxels[v] = (float)value;
  }
  for (int n = 1; n <= 4; n++) {
    struct willis_mesh mesh = shape_surface(&volume, 0);
    assert_int_equal(shape_check_closed(&mesh).components, 3);
    assert_int_equal(willis_mesh_keep_largest(&mesh, n, NULL), WILLIS_OK);
    struct willis_mesh_measure m = shape_check_closed(&mesh);
    assert_int_equal(m.components, n < 3 ? n : 3);
    double expected = 343 + (n > 1 ? 125 : 0) + (n > 2 ? 27 : 0);
    shape_near("volume", m.volume_mm3, 4 * M_PI / 3 * expected, 0.02);
    willis_mesh_release(&mesh);
  }
  willis_volume_release(&volume);
}

static void smoothing_keeps_volume_and_topology(void **state) {
  (void)state;
  const double radius = 12;
  struct willis_volume volume = shape_volume(31, 31, 31, 1);
  shape_draw(&volume, shape_ball, &radius);
  for (ptrdiff_t v = 0; v < willis_grid_count(&volume.grid); v++)
    volume.voxels[v] = volume.voxels[v] >= 0;
  struct willis_mesh mesh = shape_surface(&volume, 0.5), rough = shape_surface(&volume, 0.5);
  struct willis_mesh_measure before = shape_measure(&rough);
  assert_int_equal(willis_mesh_smooth(&mesh, 0, NULL), WILLIS_OK);
  assert_memory_equal(mesh.vertex, rough.vertex, 12 * (size_t)mesh.vertex_count);
  assert_int_equal(willis_mesh_smooth(&mesh, 20, NULL), WILLIS_OK);
  struct willis_mesh_measure after = shape_check_closed(&mesh);
  assert_memory_equal(mesh.triangle, rough.triangle, 12 * (size_t)mesh.triangle_count);
  shape_near("volume", after.volume_mm3, before.volume_mm3, 0.01);
  double ideal = 4 * M_PI * pow(after.volume_mm3 * 3 / (4 * M_PI), 2.0 / 3);
  assert_true(before.area_mm2 > 1.05 * ideal); /* steps of the mask … */
  assert_true(after.area_mm2 < 1.01 * ideal);  /* … are gone */
  willis_mesh_release(&mesh);
  willis_mesh_release(&rough);
  willis_volume_release(&volume);
}

static void smoothing_is_the_same_for_any_threads(void **state) {
  (void)state;
  struct willis_mesh one = ball(20, 0.7);
  willis_parallel_set_threads(1);
  assert_int_equal(willis_mesh_smooth(&one, 5, NULL), WILLIS_OK);
  for (int threads = 2; threads <= 8; threads *= 2) {
    willis_parallel_set_threads(threads);
    struct willis_mesh many = ball(20, 0.7);
    assert_int_equal(willis_mesh_smooth(&many, 5, NULL), WILLIS_OK);
    assert_memory_equal(many.vertex, one.vertex, 12 * (size_t)one.vertex_count);
    willis_mesh_release(&many);
  }
  willis_parallel_set_threads(0);
  willis_mesh_release(&one);
}

static void a_simple_sphere_is_a_sphere(void **state) {
  (void)state;
  const double radius = 10;
  for (double fraction = 0.5; fraction > 0.01; fraction /= 5) {
    struct willis_mesh mesh = ball(radius, 0.5);
    ptrdiff_t before = mesh.triangle_count;
    assert_int_equal(willis_mesh_simplify(&mesh, fraction, NULL), WILLIS_OK);
    struct willis_mesh_measure m = shape_check_closed(&mesh);
    assert_in_range(mesh.triangle_count, (ptrdiff_t)(fraction * (double)before) - 2,
                    (ptrdiff_t)(fraction * (double)before) + 1);
    assert_int_equal(mesh.vertex_count - mesh.triangle_count / 2, 2);
    /* Inscribed with n triangles, a polyhedron has 11/n less volume; this comes nearer. */
    double tolerance = 0.002 + 6 / (double)mesh.triangle_count;
    shape_near("area", m.area_mm2, 4 * M_PI * radius * radius, tolerance);
    shape_near("volume", m.volume_mm3, 4 * M_PI / 3 * pow(radius, 3), tolerance);
    willis_mesh_release(&mesh);
  }
}

/* Whatever the noise: as many pieces and handles as before, and closed. */
static void simplification_keeps_topology(void **state) {
  (void)state;
  struct willis_volume volume = shape_volume(24, 23, 22, 0.5);
  shape_noise(&volume, 21);
  const double radius[2] = {4, 1.5};
  for (int shape = 0; shape < 2; shape++) {
    if (shape == 1) shape_draw(&volume, shape_torus, radius);
    struct willis_mesh mesh = shape_surface(&volume, shape == 0 ? 0.5 : 0);
    ptrdiff_t euler = mesh.vertex_count - mesh.triangle_count / 2;
    ptrdiff_t pieces = shape_measure(&mesh).components;
    assert_int_equal(willis_mesh_simplify(&mesh, 0.1, NULL), WILLIS_OK);
    assert_int_equal(shape_check_closed(&mesh).components, pieces);
    assert_int_equal(mesh.vertex_count - mesh.triangle_count / 2, euler);
    if (shape == 1) assert_int_equal(euler, 0);
    willis_mesh_release(&mesh);
  }
  willis_volume_release(&volume);
}

/* A flat square sheet: its inside melts, its border stays. */
static void open_borders_stay(void **state) {
  (void)state;
  enum { N = 12 };
  float vertex[3 * N * N];
  uint32_t triangle[6 * (N - 1) * (N - 1)], *t = triangle;
  for (int v = 0; v < N * N; v++) {
    vertex[3 * v] = (float)(v % N);
    vertex[3 * v + 1] = (float)(v / N);
    vertex[3 * v + 2] = 5;
    if (v % N == N - 1 || v / N == N - 1) continue;
    const uint32_t corner[] = {0, 1, N, N, 1, N + 1};
    for (int i = 0; i < 6; i++) *t++ = (uint32_t)v + corner[i];
  }
  struct willis_mesh mesh = make_mesh(vertex, N * N, triangle, 2 * (N - 1) * (N - 1));
  assert_int_equal(willis_mesh_simplify(&mesh, 0.3, NULL), WILLIS_OK);
  struct willis_mesh_measure m = shape_measure(&mesh);
  assert_true(m.open_edges == 4 * (N - 1) && m.odd_edges == 0 && m.flipped_edges == 0);
  shape_near("area", m.area_mm2, (N - 1) * (N - 1), 1e-6);
  assert_true(mesh.triangle_count < (N - 1) * (N - 1));
  willis_mesh_release(&mesh);
}

static void short_memory_is_reported(void **state) {
  (void)state;
  for (int what = 0; what < 4; what++) {
    int failures = 0;
    for (enum willis_status status = WILLIS_OUT_OF_MEMORY; status != WILLIS_OK; failures++) {
      struct willis_mesh mesh = ball(4, 1);
      struct willis_mesh_measure m;
      struct failing_allocator failing = {.until_failure = failures};
      struct willis_mesh before = mesh;
      failing_allocator_use(&failing);
      if (what == 0) status = willis_mesh_measure(&mesh, &m, NULL);
      if (what == 1) status = willis_mesh_keep_largest(&mesh, 1, NULL);
      if (what == 2) status = willis_mesh_smooth(&mesh, 2, NULL);
      if (what == 3) status = willis_mesh_simplify(&mesh, 0.3, NULL);
      failing_allocator_use(NULL);
      assert_int_equal(failing.held, 0);
      assert_true(mesh.vertex == before.vertex && mesh.triangle == before.triangle);
      if (status) assert_int_equal(status, WILLIS_OUT_OF_MEMORY);
      (void)shape_check_closed(&mesh);
      willis_mesh_release(&mesh);
    }
    assert_true(failures > 3);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_tetrahedron_is_measured),
      cmocka_unit_test(broken_edges_are_counted),
      cmocka_unit_test(bad_meshes_are_refused),
      cmocka_unit_test(empty_meshes_stay_empty),
      cmocka_unit_test(the_largest_are_kept),
      cmocka_unit_test(smoothing_keeps_volume_and_topology),
      cmocka_unit_test(smoothing_is_the_same_for_any_threads),
      cmocka_unit_test(a_simple_sphere_is_a_sphere),
      cmocka_unit_test(simplification_keeps_topology),
      cmocka_unit_test(open_borders_stay),
      cmocka_unit_test(short_memory_is_reported),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
