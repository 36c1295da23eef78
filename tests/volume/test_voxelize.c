/* Shapes with known volumes, rays through corners and edges, holes, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <willis/volume.h>

#include "base/parallel.h"
#include "failing_allocator.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_VERTICES = 40000, MOST_TRIANGLES = 80000 };
static float vertex[3 * MOST_VERTICES];
static uint32_t triangle[3 * MOST_TRIANGLES];

static struct willis_mesh empty_mesh(void) {
  return (struct willis_mesh){.vertex = vertex, .triangle = triangle};
}

static void add_vertex(struct willis_mesh *mesh, double x, double y, double z) {
  assert_true(mesh->vertex_count < MOST_VERTICES);
  float *v = mesh->vertex + 3 * mesh->vertex_count++;
  v[0] = (float)x;
  v[1] = (float)y;
  v[2] = (float)z;
}

static void add_triangle(struct willis_mesh *mesh, ptrdiff_t a, ptrdiff_t b, ptrdiff_t c) {
  assert_true(mesh->triangle_count < MOST_TRIANGLES);
  uint32_t *t = mesh->triangle + 3 * mesh->triangle_count++;
  t[0] = (uint32_t)a;
  t[1] = (uint32_t)b;
  t[2] = (uint32_t)c;
}

/* A closed torus about z: radius of the ring, radius of the tube. */
static void add_torus(struct willis_mesh *mesh, const double centre[3], double ring, double tube,
                      int around, int across) {
  ptrdiff_t first = mesh->vertex_count;
  for (int i = 0; i < around; i++)
    for (int j = 0; j < across; j++) {
      double a = 2 * M_PI * i / around, b = 2 * M_PI * j / across, r = ring + tube * cos(b);
      add_vertex(mesh, centre[0] + r * cos(a), centre[1] + r * sin(a), centre[2] + tube * sin(b));
    }
  for (int i = 0; i < around; i++)
    for (int j = 0; j < across; j++) {
      ptrdiff_t next_i = (i + 1) % around, next_j = (j + 1) % across;
      ptrdiff_t a = first + i * across + j, b = first + next_i * across + j;
      ptrdiff_t c = first + next_i * across + next_j, d = first + i * across + next_j;
      add_triangle(mesh, a, b, c);
      add_triangle(mesh, a, c, d);
    }
}

/* A closed sphere from rings of latitude; `rings` ≥ 2. */
static void add_sphere(struct willis_mesh *mesh, const double centre[3], double radius, int rings) {
  int around = 2 * rings;
  ptrdiff_t first = mesh->vertex_count;
  add_vertex(mesh, centre[0], centre[1], centre[2] - radius);
  for (int i = 1; i < rings; i++)
    for (int j = 0; j < around; j++) {
      double a = M_PI * i / rings, b = 2 * M_PI * j / around;
      add_vertex(mesh, centre[0] + radius * sin(a) * cos(b), centre[1] + radius * sin(a) * sin(b),
                 centre[2] - radius * cos(a));
    }
  add_vertex(mesh, centre[0], centre[1], centre[2] + radius);
  for (int j = 0; j < around; j++) {
    int next = (j + 1) % around;
    add_triangle(mesh, first, first + 1 + next, first + 1 + j);
    for (int i = 0; i < rings - 2; i++) {
      ptrdiff_t row = first + 1 + i * around;
      add_triangle(mesh, row + j, row + next, row + around + next);
      add_triangle(mesh, row + j, row + around + next, row + around + j);
    }
    ptrdiff_t last = first + 1 + (rings - 2) * around;
    add_triangle(mesh, last + j, last + next, last + around);
  }
}

static void add_box(struct willis_mesh *mesh, const double low[3], const double high[3]) {
  static const int face[12][3] = {{0, 2, 1}, {1, 2, 3}, {4, 5, 6}, {5, 7, 6}, {0, 1, 4}, {1, 5, 4},
                                  {2, 6, 3}, {3, 6, 7}, {0, 4, 2}, {2, 4, 6}, {1, 3, 5}, {3, 7, 5}};
  ptrdiff_t first = mesh->vertex_count;
  for (int c = 0; c < 8; c++)
    add_vertex(mesh, c & 1 ? high[0] : low[0], c & 2 ? high[1] : low[1], c & 4 ? high[2] : low[2]);
  for (int f = 0; f < 12; f++)
    add_triangle(mesh, first + face[f][0], first + face[f][1], first + face[f][2]);
}

static double volume_mm3(const struct willis_volume *volume) {
  double sum = 0;
  for (ptrdiff_t i = 0; i < willis_grid_count(&volume->grid); i++) {
    assert_true(volume->voxels[i] >= 0 && volume->voxels[i] <= 1000);
    sum += volume->voxels[i] / 1000;
  }
  const double *s = volume->grid.spacing_mm;
  return sum * s[0] * s[1] * s[2];
}

static struct willis_volume voxelized(const struct willis_mesh *mesh,
                                      const struct willis_voxelize_options *options) {
  struct willis_volume volume;
  struct willis_error err;
  if (willis_mesh_voxelize(mesh, options, NULL, &volume, &err)) fail_msg("%s", err.message);
  return volume;
}

static double mesh_mm3(const struct willis_mesh *mesh, ptrdiff_t size) {
  struct willis_voxelize_options options = willis_voxelize_defaults();
  options.size = size;
  struct willis_volume volume = voxelized(mesh, &options);
  double found = volume_mm3(&volume);
  willis_volume_release(&volume);
  return found;
}

static void assert_near(double found, double expected, double part) {
  if (!(fabs(found - expected) <= part * expected))
    fail_msg("%.6g, expected %.6g within %g", found, expected, part);
}

static const double origin[3] = {0, 0, 0}, aside[3] = {1.3, -40.7, 12.9};

static void closed_forms(void **state) {
  (void)state;
  struct willis_mesh mesh = empty_mesh();
  add_sphere(&mesh, aside, 17, 80);
  assert_near(mesh_mm3(&mesh, 64), 4 * M_PI / 3 * 17 * 17 * 17, 0.005);
  mesh = empty_mesh();
  add_torus(&mesh, aside, 20, 6, 180, 60);
  assert_near(mesh_mm3(&mesh, 64), 2 * M_PI * M_PI * 20 * 6 * 6, 0.005);
}

/* Corners, edges and faces of the box, and its cut across, lie exactly on samples. */
static void a_box_on_the_lattice_is_exact(void **state) {
  (void)state;
  struct willis_grid grid = willis_grid_cube(16, 1, NULL);
  struct willis_voxelize_options options = willis_voxelize_defaults();
  options.grid = &grid;
  for (int shift = 0; shift < 4; shift++) {
    /* Voxels' faces lie at whole numbers, samples at odd eighths. */
    double s = shift / 8.0, low[3] = {-3 + s, -2 + s, -5 + s}, high[3] = {4 + s, 3 + s, 6 + s};
    struct willis_mesh mesh = empty_mesh();
    add_box(&mesh, low, high);
    struct willis_volume volume = voxelized(&mesh, &options);
    assert_near(volume_mm3(&volume), 7 * 5 * 11, 1e-9);
    if (shift == 0)
      for (ptrdiff_t i = 0; i < 16 * 16 * 16; i++)
        assert_true(volume.voxels[i] == 0 || volume.voxels[i] == 1000);
    willis_volume_release(&volume);
  }
}

/* Poles and meridians of the spheres lie on samples, and many of their edges too. */
static void no_ray_leaks(void **state) {
  (void)state;
  struct willis_grid grid = willis_grid_cube(24, 1, NULL);
  struct willis_voxelize_options options = willis_voxelize_defaults();
  options.grid = &grid;
  for (int rings = 2; rings <= 12; rings++)
    for (int shift = 0; shift < 3; shift++) {
      double s = shift / 8.0, centre[3] = {s, s, s};
      struct willis_mesh mesh = empty_mesh();
      add_sphere(&mesh, centre, 9, rings);
      struct willis_volume volume = voxelized(&mesh, &options);
      for (ptrdiff_t v = 0; v < 24 * 24 * 24; v++) {
        double index[3] = {(double)(v % 24), (double)(v / 24 % 24), (double)(v / 576)}, x[3];
        willis_grid_to_world(&grid, index, x);
        double r =
            sqrt((x[0] - s) * (x[0] - s) + (x[1] - s) * (x[1] - s) + (x[2] - s) * (x[2] - s));
        if (r > 9 + 0.9) assert_true(volume.voxels[v] == 0);
        /* The inner radius of the double pyramid and its finer kin. */
        if (rings >= 4 && r < 9 * cos(M_PI / rings) - 0.9) assert_true(volume.voxels[v] == 1000);
      }
      willis_volume_release(&volume);
    }
}

static void orientation_and_overlap(void **state) {
  (void)state;
  const double next[3] = {10, 0, 0};
  struct willis_mesh mesh = empty_mesh();
  add_sphere(&mesh, origin, 10, 40);
  add_sphere(&mesh, next, 10, 40);
  /* Two balls at a distance of one radius: less the lens, 5/12 π r³. */
  double together = (8.0 / 3 - 5.0 / 12) * M_PI * 1000;
  assert_near(mesh_mm3(&mesh, 64), together, 0.01);
  for (ptrdiff_t t = 0; t < mesh.triangle_count; t++) { /* inside out */
    uint32_t swap = triangle[3 * t];
    triangle[3 * t] = triangle[3 * t + 1];
    triangle[3 * t + 1] = swap;
  }
  assert_near(mesh_mm3(&mesh, 64), together, 0.01);
  /* Not oriented: parity. One ball does not mind. */
  mesh = empty_mesh();
  add_sphere(&mesh, origin, 10, 40);
  double ball = mesh_mm3(&mesh, 64);
  for (ptrdiff_t t = 0; t < mesh.triangle_count; t += 3) {
    uint32_t swap = triangle[3 * t];
    triangle[3 * t] = triangle[3 * t + 1];
    triangle[3 * t + 1] = swap;
  }
  assert_true(mesh_mm3(&mesh, 64) == ball);
  /* A hollow ball: the inner surface turned inwards. */
  mesh = empty_mesh();
  add_sphere(&mesh, origin, 10, 40);
  ptrdiff_t outer = mesh.triangle_count;
  add_sphere(&mesh, origin, 6, 40);
  for (ptrdiff_t t = outer; t < mesh.triangle_count; t++) {
    uint32_t swap = triangle[3 * t];
    triangle[3 * t] = triangle[3 * t + 1];
    triangle[3 * t + 1] = swap;
  }
  assert_near(mesh_mm3(&mesh, 64), 4 * M_PI / 3 * (1000 - 216), 0.01);
}

static void note_warning(const char *message, void *context) {
  snprintf(context, 512, "%s", message);
}

/* One triangle gone: rays along one axis suffer, two of three still know. */
static void a_hole_heals_with_a_warning(void **state) {
  (void)state;
  char message[512] = "";
  struct willis_warnings warnings = {note_warning, message};
  struct willis_voxelize_options options = willis_voxelize_defaults();
  struct willis_volume volume;
  struct willis_mesh mesh = empty_mesh();
  options.size = 48;
  add_torus(&mesh, origin, 20, 6, 60, 24);
  assert_int_equal(willis_mesh_voxelize(&mesh, &options, &warnings, &volume, NULL), WILLIS_OK);
  assert_string_equal(message, "");
  double whole = volume_mm3(&volume);
  willis_volume_release(&volume);
  /* The upper side of one stretch; seen along z only. */
  memmove(triangle + 3 * 4 * 2, triangle + 3 * 8 * 2,
          (size_t)(mesh.triangle_count - 16) * 3 * sizeof *triangle);
  mesh.triangle_count -= 8;
  assert_int_equal(willis_mesh_voxelize(&mesh, &options, &warnings, &volume, NULL), WILLIS_OK);
  assert_non_null(strstr(message, "10 of"));
  assert_near(volume_mm3(&volume), whole, 0.01);
  willis_volume_release(&volume);
}

/* The same shape without shared indices (STL) is as closed as with them. */
static void corners_at_one_place_are_joined(void **state) {
  (void)state;
  char message[512] = "";
  struct willis_warnings warnings = {note_warning, message};
  struct willis_voxelize_options options = willis_voxelize_defaults();
  struct willis_volume shared, loose;
  struct willis_mesh mesh = empty_mesh(), soup = {0};
  options.size = 32;
  add_sphere(&mesh, aside, 5, 12);
  soup.vertex = malloc(9 * (size_t)mesh.triangle_count * sizeof(float));
  soup.triangle = malloc(3 * (size_t)mesh.triangle_count * sizeof(uint32_t));
  soup.triangle_count = mesh.triangle_count;
  soup.vertex_count = 3 * mesh.triangle_count;
  for (ptrdiff_t c = 0; c < soup.vertex_count; c++) {
    memcpy(soup.vertex + 3 * c, vertex + 3 * (ptrdiff_t)triangle[c], 3 * sizeof(float));
    soup.triangle[c] = (uint32_t)c;
  }
  assert_int_equal(willis_mesh_voxelize(&mesh, &options, &warnings, &shared, NULL), WILLIS_OK);
  assert_int_equal(willis_mesh_voxelize(&soup, &options, &warnings, &loose, NULL), WILLIS_OK);
  assert_string_equal(message, "");
  assert_memory_equal(shared.voxels, loose.voxels, 32 * 32 * 32 * sizeof(float));
  willis_volume_release(&shared);
  willis_volume_release(&loose);
  free(soup.vertex);
  free(soup.triangle);
}

static struct willis_tree_node node(double x, double y, double z, double r, ptrdiff_t parent) {
  return (struct willis_tree_node){{x, y, z}, r, parent, 0};
}

static double tree_mm3(struct willis_tree_node *nodes, ptrdiff_t count) {
  struct willis_voxelize_options options = willis_voxelize_defaults();
  struct willis_tree tree = {nodes, count};
  struct willis_volume volume;
  options.size = 80;
  assert_int_equal(willis_tree_voxelize(&tree, &options, NULL, &volume, NULL), WILLIS_OK);
  double found = volume_mm3(&volume);
  willis_volume_release(&volume);
  return found;
}

static void capsules_have_their_volume(void **state) {
  (void)state;
  struct willis_tree_node ball[] = {node(3, 4, 5, 7, -1)};
  assert_near(tree_mm3(ball, 1), 4 * M_PI / 3 * 343, 0.005);
  /* Along a slanted line of 30 mm; the parent comes after its child. */
  struct willis_tree_node capsule[] = {node(20, 20, 10, 5, 1), node(0, 0, 0, 5, -1)};
  assert_near(tree_mm3(capsule, 2), 4 * M_PI / 3 * 125 + M_PI * 25 * 30, 0.005);
  /* Tapered: the union of the balls is a cone that touches both, with what of the balls lies
   * beyond where it touches. sinus = (r0 − r1)/L. */
  double r0 = 9, r1 = 3, length = 24, sine = (r0 - r1) / length, cosine = sqrt(1 - sine * sine);
  struct willis_tree_node cone[] = {node(0, 0, 0, r0, -1), node(0, 0, length, r1, 0)};
  double a = r0 * cosine, b = r1 * cosine, height = length - (r0 - r1) * sine;
  double frustum = M_PI * height / 3 * (a * a + a * b + b * b);
  double below = M_PI * r0 * r0 * r0 / 3 * (1 + sine) * (1 + sine) * (2 - sine);
  double above = M_PI * r1 * r1 * r1 / 3 * (1 - sine) * (1 - sine) * (2 + sine);
  assert_near(tree_mm3(cone, 2), frustum + below + above, 0.005);
  /* One ball inside the other. */
  struct willis_tree_node inner[] = {node(0, 0, 0, 9, -1), node(0, 0, 2, 3, 0)};
  assert_near(tree_mm3(inner, 2), 4 * M_PI / 3 * 729, 0.005);
}

static void thin_vessels_are_drawn_and_told(void **state) {
  (void)state;
  char message[512] = "";
  struct willis_warnings warnings = {note_warning, message};
  struct willis_tree_node line[] = {node(0, 0, 0, 0.01, -1), node(20, 10, 55, 0, 0)};
  struct willis_tree tree = {line, 2};
  struct willis_voxelize_options options = willis_voxelize_defaults();
  struct willis_volume volume;
  options.size = 32;
  assert_int_equal(willis_tree_voxelize(&tree, &options, &warnings, &volume, NULL), WILLIS_OK);
  assert_non_null(strstr(message, "1 of 2 nodes"));
  double r = 0.75 * volume.grid.spacing_mm[0];
  assert_near(volume_mm3(&volume), M_PI * r * r * sqrt(3525) + 4 * M_PI / 3 * r * r * r, 0.03);
  willis_volume_release(&volume);
}

/* The cube has its margin and the shape lies in its middle. */
static void the_margin_is_free(void **state) {
  (void)state;
  struct willis_mesh mesh = empty_mesh();
  const double low[3] = {10, 20, 30}, high[3] = {20, 60, 50};
  struct willis_voxelize_options options = willis_voxelize_defaults();
  options.size = 50;
  add_box(&mesh, low, high);
  struct willis_volume volume = voxelized(&mesh, &options);
  assert_near(volume.grid.spacing_mm[1], 40 / (1 - 0.08) / 50, 1e-12);
  assert_true(willis_grid_is_lps_cube(&volume.grid));
  for (ptrdiff_t v = 0; v < 50 * 50 * 50; v++)
    if (v / 50 % 50 < 2 || v / 50 % 50 > 47) assert_true(volume.voxels[v] == 0);
  assert_near(volume_mm3(&volume), 10 * 40 * 20, 0.03);
  willis_volume_release(&volume);
}

/* On a turned grid whose voxels are not cubes. */
static void any_grid_will_do(void **state) {
  (void)state;
  struct willis_grid grid = {.size = {70, 60, 40}, .spacing_mm = {0.5, 0.6, 1}};
  double c = cos(0.4), s = sin(0.4);
  const double direction[9] = {c, -s, 0, s, c, 0, 0, 0, -1}, middle[3] = {34.5, 29.5, 19.5};
  memcpy(grid.direction, direction, sizeof direction);
  struct willis_voxelize_options options = willis_voxelize_defaults();
  options.grid = &grid;
  double centre[3];
  willis_grid_to_world(&grid, middle, centre);
  struct willis_mesh mesh = empty_mesh();
  add_sphere(&mesh, centre, 12, 60);
  struct willis_volume volume = voxelized(&mesh, &options);
  assert_near(volume_mm3(&volume), 4 * M_PI / 3 * 1728, 0.005);
  struct willis_tree_node ball[] = {node(centre[0], centre[1], centre[2], 12, -1)};
  struct willis_tree tree = {ball, 1};
  struct willis_volume other;
  assert_int_equal(willis_tree_voxelize(&tree, &options, NULL, &other, NULL), WILLIS_OK);
  assert_near(volume_mm3(&other), 4 * M_PI / 3 * 1728, 0.005);
  willis_volume_release(&volume);
  willis_volume_release(&other);
  /* Partly outside the grid, on any side: cut off there. */
  for (int axis = 0; axis < 3; axis++)
    for (int end = 0; end < 2; end++) {
      double index[3] = {34.5, 29.5, 19.5}, border[3];
      index[axis] = end ? (double)grid.size[axis] - 0.5 : -0.5;
      willis_grid_to_world(&grid, index, border);
      mesh = empty_mesh();
      add_sphere(&mesh, border, 10, 60);
      volume = voxelized(&mesh, &options);
      assert_near(volume_mm3(&volume), 2 * M_PI / 3 * 1000, 0.01);
      willis_volume_release(&volume);
    }
}

static void noise_and_tissue(void **state) {
  (void)state;
  struct willis_mesh mesh = empty_mesh();
  struct willis_voxelize_options options = willis_voxelize_defaults();
  options.size = 40;
  options.margin = 0.3;
  add_sphere(&mesh, origin, 10, 30);
  struct willis_volume clean = voxelized(&mesh, &options), noisy, again;
  options.noise_sd = 25;
  options.seed = 3;
  noisy = voxelized(&mesh, &options);
  again = voxelized(&mesh, &options);
  double mean = 0, square = 0, count = 40 * 40 * 40;
  for (int i = 0; i < 40 * 40 * 40; i++) {
    double d = (double)noisy.voxels[i] - (double)clean.voxels[i];
    mean += d / count;
    square += d * d / count;
  }
  assert_true(fabs(mean) < 4 * 25 / sqrt(count));
  assert_near(sqrt(square), 25, 0.02);
  assert_memory_equal(noisy.voxels, again.voxels, 40 * 40 * 40 * sizeof(float));
  willis_volume_release(&again);
  options.seed = 4;
  again = voxelized(&mesh, &options);
  assert_true(again.voxels[0] != noisy.voxels[0]);
  willis_volume_release(&noisy);
  willis_volume_release(&again);
  options.noise_sd = 0;
  options.tissue = true;
  again = voxelized(&mesh, &options);
  bool bone = false, soft = false;
  for (int i = 0; i < 40 * 40 * 40; i++) {
    if (clean.voxels[i] == 1000) assert_true(again.voxels[i] == 1000);
    bone |= again.voxels[i] > 100 && clean.voxels[i] == 0;
    soft |= again.voxels[i] == 40;
    assert_true(again.voxels[i] >= clean.voxels[i] && again.voxels[i] <= 1000);
  }
  assert_true(bone && soft && again.voxels[0] == 0);
  willis_volume_release(&again);
  willis_volume_release(&clean);
}

static void threads_do_not_matter(void **state) {
  (void)state;
  struct willis_mesh mesh = empty_mesh();
  struct willis_voxelize_options options = willis_voxelize_defaults();
  struct willis_volume first, other;
  options.size = 33;
  options.noise_sd = 1;
  options.tissue = true;
  add_torus(&mesh, aside, 20, 6, 40, 20);
  willis_parallel_set_threads(1);
  first = voxelized(&mesh, &options);
  for (int threads = 2; threads <= 8; threads++) {
    willis_parallel_set_threads(threads);
    other = voxelized(&mesh, &options);
    assert_memory_equal(first.voxels, other.voxels, 33 * 33 * 33 * sizeof(float));
    willis_volume_release(&other);
  }
  willis_parallel_set_threads(0);
  willis_volume_release(&first);
}

static void assert_mesh_refused(const struct willis_mesh *mesh, struct willis_voxelize_options o,
                                enum willis_status expected, const char *part) {
  struct willis_error err;
  struct willis_volume volume = {0};
  assert_int_equal(willis_mesh_voxelize(mesh, &o, NULL, &volume, &err), expected);
  if (!strstr(err.message, part)) fail_msg("'%s' does not say '%s'", err.message, part);
  assert_null(volume.voxels);
}

static void what_makes_no_sense_is_refused(void **state) {
  (void)state;
  const struct willis_voxelize_options good = willis_voxelize_defaults();
  struct willis_mesh mesh = empty_mesh();
  assert_mesh_refused(&mesh, good, WILLIS_INVALID_ARGUMENT, "no triangles");
  add_sphere(&mesh, origin, 10, 6);
  struct willis_voxelize_options o = good;
  o.size = 0;
  assert_mesh_refused(&mesh, o, WILLIS_INVALID_ARGUMENT, "size");
  o = good;
  o.margin = 0.5;
  assert_mesh_refused(&mesh, o, WILLIS_INVALID_ARGUMENT, "margin");
  o = good;
  o.noise_sd = NAN;
  assert_mesh_refused(&mesh, o, WILLIS_INVALID_ARGUMENT, "noise");
  struct willis_grid grid = willis_grid_cube(8, 1e-9, NULL);
  o = good;
  o.grid = &grid;
  assert_mesh_refused(&mesh, o, WILLIS_GEOMETRY, "too far");
  vertex[4] = NAN;
  assert_mesh_refused(&mesh, good, WILLIS_NUMERIC, "vertex 1 ");
  mesh = empty_mesh();
  add_sphere(&mesh, origin, 10, 6);
  triangle[7] = (uint32_t)mesh.vertex_count;
  assert_mesh_refused(&mesh, good, WILLIS_INVALID_ARGUMENT, "triangle 2");
  for (int i = 0; i < 30; i++) vertex[i] = 5;
  mesh.triangle_count = 1;
  triangle[0] = triangle[1] = triangle[2] = 0;
  assert_mesh_refused(&mesh, good, WILLIS_GEOMETRY, "extent");

  struct willis_error err;
  struct willis_volume volume = {0};
  struct willis_tree_node bad[] = {node(0, 0, 0, 1, -1), node(0, 0, 9, 1, 2)};
  struct willis_tree tree = {bad, 2}, none = {0};
  assert_int_equal(willis_tree_voxelize(&none, &good, NULL, &volume, &err),
                   WILLIS_INVALID_ARGUMENT);
  assert_int_equal(willis_tree_voxelize(&tree, &good, NULL, &volume, &err),
                   WILLIS_INVALID_ARGUMENT);
  bad[1] = node(0, 0, 9, -1, 0);
  assert_int_equal(willis_tree_voxelize(&tree, &good, NULL, &volume, &err), WILLIS_GEOMETRY);
  bad[1] = node(0, NAN, 9, 1, 0);
  assert_int_equal(willis_tree_voxelize(&tree, &good, NULL, &volume, &err), WILLIS_NUMERIC);
}

static void short_memory_is_reported(void **state) {
  (void)state;
  struct willis_mesh mesh = empty_mesh();
  struct willis_tree_node ball[] = {node(0, 0, 0, 3, -1)};
  struct willis_tree tree = {ball, 1};
  struct willis_voxelize_options options = willis_voxelize_defaults();
  options.size = 8;
  add_sphere(&mesh, origin, 5, 4);
  for (int shape = 0; shape < 2; shape++) {
    enum willis_status status = WILLIS_OUT_OF_MEMORY;
    int failures = 0;
    for (; status; failures++) {
      struct willis_volume volume = {0};
      struct failing_allocator failing = {.until_failure = failures};
      failing_allocator_use(&failing);
      status = shape ? willis_tree_voxelize(&tree, &options, NULL, &volume, NULL)
                     : willis_mesh_voxelize(&mesh, &options, NULL, &volume, NULL);
      willis_volume_release(&volume);
      failing_allocator_use(NULL);
      assert_int_equal(failing.held, 0);
      assert_true(status == WILLIS_OK || status == WILLIS_OUT_OF_MEMORY);
    }
    assert_true(failures > 3);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(closed_forms),
      cmocka_unit_test(a_box_on_the_lattice_is_exact),
      cmocka_unit_test(no_ray_leaks),
      cmocka_unit_test(orientation_and_overlap),
      cmocka_unit_test(a_hole_heals_with_a_warning),
      cmocka_unit_test(corners_at_one_place_are_joined),
      cmocka_unit_test(capsules_have_their_volume),
      cmocka_unit_test(thin_vessels_are_drawn_and_told),
      cmocka_unit_test(the_margin_is_free),
      cmocka_unit_test(any_grid_will_do),
      cmocka_unit_test(noise_and_tissue),
      cmocka_unit_test(threads_do_not_matter),
      cmocka_unit_test(what_makes_no_sense_is_refused),
      cmocka_unit_test(short_memory_is_reported),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
