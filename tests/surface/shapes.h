/* Volumes and checks that the tests of this room share. */
#ifndef TESTS_SURFACE_SHAPES_H
#define TESTS_SURFACE_SHAPES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <willis/surface.h>

#include "base/random.h"

#include <math.h>
#include <string.h>

static inline struct willis_volume shape_volume(ptrdiff_t x, ptrdiff_t y, ptrdiff_t z,
                                                double spacing_mm) {
  struct willis_volume volume;
  struct willis_grid grid = willis_grid_cube(1, spacing_mm, NULL);
  const ptrdiff_t size[3] = {x, y, z};
  for (int axis = 0; axis < 3; axis++) {
    grid.size[axis] = size[axis];
    grid.origin_mm[axis] = -0.5 * (double)(size[axis] - 1) * spacing_mm;
  }
  assert_int_equal(willis_volume_create(&volume, &grid, NULL), WILLIS_OK);
  return volume;
}

/* value = f(world point in mm, context) */
static inline void shape_draw(struct willis_volume *volume,
                              double (*f)(const double p[3], const void *context),
                              const void *context) {
  const ptrdiff_t *n = volume->grid.size;
  for (ptrdiff_t v = 0; v < willis_grid_count(&volume->grid); v++) {
    const double index[3] = {(double)(v % n[0]), (double)(v / n[0] % n[1]),
                             (double)(v / n[0] / n[1])};
    double world[3];
    willis_grid_to_world(&volume->grid, index, world);
    volume->voxels[v] = (float)f(world, context);
  }
}

/* Radius minus distance from the origin: level 0 is the sphere. `context`: the radius. */
static inline double shape_ball(const double p[3], const void *context) {
  return *(const double *)context - sqrt(p[0] * p[0] + p[1] * p[1] + p[2] * p[2]);
}

/* Level 0 is a torus about z; `context`: radii of the ring and of the tube. */
static inline double shape_torus(const double p[3], const void *context) {
  const double *radius = context;
  double from_ring = hypot(p[0], p[1]) - radius[0];
  return radius[1] - hypot(from_ring, p[2]);
}

static inline void shape_noise(struct willis_volume *volume, uint64_t seed) {
  for (ptrdiff_t v = 0; v < willis_grid_count(&volume->grid); v++)
    volume->voxels[v] = (float)willis_random_uniform(seed, 0, (uint64_t)v);
}

static inline struct willis_mesh shape_surface(const struct willis_volume *volume, double level) {
  struct willis_mesh mesh;
  struct willis_error err = {0};
  if (willis_isosurface(volume, level, &mesh, &err)) fail_msg("%s", err.message);
  return mesh;
}

static inline struct willis_mesh_measure shape_measure(const struct willis_mesh *mesh) {
  struct willis_mesh_measure measure;
  struct willis_error err = {0};
  if (willis_mesh_measure(mesh, &measure, &err)) fail_msg("%s", err.message);
  return measure;
}

/* Closed and all facing outwards; returns the measure. */
static inline struct willis_mesh_measure shape_check_closed(const struct willis_mesh *mesh) {
  struct willis_mesh_measure m = shape_measure(mesh);
  if (m.open_edges || m.odd_edges || m.flipped_edges)
    fail_msg("%td open, %td odd, %td flipped edges", m.open_edges, m.odd_edges, m.flipped_edges);
  return m;
}

static inline void shape_near(const char *what, double value, double expected, double tolerance) {
  if (!(fabs(value - expected) <= tolerance * fabs(expected)))
    fail_msg("%s: %.9g, expected %.9g", what, value, expected);
}

#endif
