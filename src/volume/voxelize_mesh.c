/* Inside and outside of a triangle mesh, by rays along x, y and z through every sample.
 *
 * A ray meets a triangle when the sample's place in the plane across the ray lies in the triangle's
 * shadow there. That is decided in whole numbers, with the sample thought to be moved by (ε, ε²):
 * then no sample lies on an edge, each edge between two triangles belongs to one of them, and no
 * ray leaks through an edge or a vertex (simulation of simplicity; Edelsbrunner and Mücke, ACM
 * Trans. Graph. 9(1), 1990). Depth only decides which sample along the ray comes first after the
 * surface, so there rounding does no harm.
 *
 * Along a ray the crossings add up to a winding number (surfaces that overlap stay full) or, when
 * the triangles are not oriented consistently, to a parity. A ray whose crossings don't add up to
 * nothing went through a hole and counts as outside. A sample is inside if two of the three rays
 * through it say so. */
#include "base/error.h"
#include "base/memory.h"
#include "volume/mesh_edges.h"
#include "volume/voxelize.h"

#include <math.h>

enum {
  MOST_BITS = 29,    /* of a coordinate, so that products of differences fit 62 */
  MOST_FRACTION = 16 /* of these, behind the point */
};

/* The rays along one axis. Ray (u,v) is number v·size_u + u, where u and v are the other two axes
 * in order; crossings [start[ray], start[ray + 1]) are sorted. */
struct rays {
  int axis, u, v;
  ptrdiff_t size_u, size_v, length;
  ptrdiff_t *start;
  int32_t *crossing; /* first sample at or behind the surface, ·2, + 1 for one of two senses */
};

struct mesh_shape {
  const struct willis_mesh *mesh;
  int32_t *place; /* vertices in samples, fixed point */
  int fraction;
  bool winding;
  struct rays rays[3];
};

struct triangle {
  const int32_t *corner[3]; /* counterclockwise in (u,v) */
  int64_t area;             /* twice */
  int sense;
};

static inline int64_t cross(const struct rays *rays, const int32_t *a, const int32_t *b, int64_t u,
                            int64_t v) {
  return ((int64_t)b[rays->u] - a[rays->u]) * (v - a[rays->v]) -
         ((int64_t)b[rays->v] - a[rays->v]) * (u - a[rays->u]);
}

/* (u,v) + (ε,ε²) is left of a → b. */
static inline bool is_left(const struct rays *rays, const int32_t *a, const int32_t *b,
                           int64_t side) {
  if (side != 0) return side > 0;
  int32_t du = b[rays->u] - a[rays->u], dv = b[rays->v] - a[rays->v];
  return dv < 0 || (dv == 0 && du > 0);
}

static struct triangle make_triangle(const struct mesh_shape *shape, const struct rays *rays,
                                     ptrdiff_t t) {
  struct triangle made = {0};
  const uint32_t *corner = shape->mesh->triangle + 3 * t;
  for (int c = 0; c < 3; c++) made.corner[c] = shape->place + 3 * (ptrdiff_t)corner[c];
  made.area =
      cross(rays, made.corner[0], made.corner[1], made.corner[2][rays->u], made.corner[2][rays->v]);
  if (made.area < 0) {
    const int32_t *swap = made.corner[1];
    made.corner[1] = made.corner[2];
    made.corner[2] = swap;
    made.area = -made.area;
    made.sense = 1;
  }
  return made;
}

/* Samples whose fixed-point place lies between the corners', cut to the grid. */
static void shadow(const struct triangle *triangle, int axis, int fraction, ptrdiff_t size,
                   ptrdiff_t *begin, ptrdiff_t *end) {
  int64_t low = triangle->corner[0][axis], high = low;
  for (int c = 1; c < 3; c++) {
    int64_t x = triangle->corner[c][axis];
    low = x < low ? x : low;
    high = x > high ? x : high;
  }
  /* Right shifts of negative numbers round down here, as gcc and clang promise. */
  ptrdiff_t first = (ptrdiff_t)((low + ((int64_t)1 << fraction) - 1) >> fraction);
  ptrdiff_t last = (ptrdiff_t)(high >> fraction);
  *begin = first > 0 ? first : 0;
  *end = last < size ? last + 1 : size;
}

/* Notes every ray through triangle t: counts at start[ray + 1], or with `crossing` writes at
 * start[ray] and moves that on. */
static void cross_triangle(const struct mesh_shape *shape, struct rays *rays, ptrdiff_t t,
                           bool write) {
  struct triangle triangle = make_triangle(shape, rays, t);
  if (triangle.area == 0) return;
  const int32_t *a = triangle.corner[0], *b = triangle.corner[1], *c = triangle.corner[2];
  ptrdiff_t u_begin, u_end, v_begin, v_end;
  shadow(&triangle, rays->u, shape->fraction, rays->size_u, &u_begin, &u_end);
  shadow(&triangle, rays->v, shape->fraction, rays->size_v, &v_begin, &v_end);
  for (ptrdiff_t v = v_begin; v < v_end; v++)
    for (ptrdiff_t u = u_begin; u < u_end; u++) {
      int64_t at_u = (int64_t)u << shape->fraction, at_v = (int64_t)v << shape->fraction;
      int64_t ab = cross(rays, a, b, at_u, at_v), bc = cross(rays, b, c, at_u, at_v);
      int64_t ca = cross(rays, c, a, at_u, at_v);
      if (!is_left(rays, a, b, ab) || !is_left(rays, b, c, bc) || !is_left(rays, c, a, ca))
        continue;
      ptrdiff_t ray = v * rays->size_u + u;
      if (!write) {
        rays->start[ray + 1]++;
        continue;
      }
      double depth =
          ((double)bc * a[rays->axis] + (double)ca * b[rays->axis] + (double)ab * c[rays->axis]) /
          (double)triangle.area;
      double sample = ceil(ldexp(depth, -shape->fraction));
      sample = fmin((double)rays->length, fmax(0, sample));
      rays->crossing[rays->start[ray]++] = 2 * (int32_t)sample + triangle.sense;
    }
}

/* Few crossings a ray: insertion sort. */
static void sort_crossings(int32_t *crossing, ptrdiff_t count) {
  for (ptrdiff_t i = 1; i < count; i++) {
    int32_t x = crossing[i];
    ptrdiff_t j = i;
    for (; j > 0 && crossing[j - 1] > x; j--) crossing[j] = crossing[j - 1];
    crossing[j] = x;
  }
}

static enum willis_status cast_rays(const struct mesh_shape *shape, struct rays *rays,
                                    struct willis_error *err) {
  ptrdiff_t count = rays->size_u * rays->size_v;
  rays->start = willis_take_zeroed(count + 1, sizeof *rays->start);
  if (!rays->start) return willis_fail_memory(err, "rays", count + 1, sizeof *rays->start);
  for (ptrdiff_t t = 0; t < shape->mesh->triangle_count; t++) cross_triangle(shape, rays, t, false);
  for (ptrdiff_t r = 0; r < count; r++) rays->start[r + 1] += rays->start[r];
  rays->crossing = willis_take(rays->start[count], sizeof *rays->crossing);
  if (!rays->crossing)
    return willis_fail_memory(err, "crossings", rays->start[count], sizeof *rays->crossing);
  for (ptrdiff_t t = 0; t < shape->mesh->triangle_count; t++) cross_triangle(shape, rays, t, true);
  /* Writing has moved every start to the next one's place. */
  for (ptrdiff_t r = count; r > 0; r--) rays->start[r] = rays->start[r - 1];
  rays->start[0] = 0;
#pragma omp parallel for schedule(static)
  for (ptrdiff_t r = 0; r < count; r++)
    sort_crossings(rays->crossing + rays->start[r], rays->start[r + 1] - rays->start[r]);
  return WILLIS_OK;
}

static inline int step(const struct mesh_shape *shape, int number, int32_t crossing) {
  if (!shape->winding) return !number;
  return number + (crossing & 1 ? 1 : -1);
}

/* Calls set(layer, u, v, begin, end) for every stretch of the ray that is inside. */
typedef void set_stretch(const struct willis_layer *layer, ptrdiff_t u, ptrdiff_t v,
                         ptrdiff_t begin, ptrdiff_t end);

static void follow_ray(const struct mesh_shape *shape, const struct rays *rays, ptrdiff_t u,
                       ptrdiff_t v, const struct willis_layer *layer, set_stretch *set) {
  ptrdiff_t ray = v * rays->size_u + u, first = rays->start[ray], last = rays->start[ray + 1];
  int number = 0;
  if (first == last) return;
  for (ptrdiff_t i = first; i < last; i++) number = step(shape, number, rays->crossing[i]);
  if (number != 0) return;
  for (ptrdiff_t i = first; i < last; i++) {
    int next = step(shape, number, rays->crossing[i]);
    if (number != 0 && rays->crossing[i] / 2 > rays->crossing[i - 1] / 2)
      set(layer, u, v, rays->crossing[i - 1] / 2, rays->crossing[i] / 2);
    number = next;
  }
}

static void set_along_x(const struct willis_layer *layer, ptrdiff_t y, ptrdiff_t z, ptrdiff_t begin,
                        ptrdiff_t end) {
  for (ptrdiff_t x = begin; x < end; x++) willis_layer_set(layer, x, y, z - layer->k * WILLIS_FINE);
}

static void set_along_y(const struct willis_layer *layer, ptrdiff_t x, ptrdiff_t z, ptrdiff_t begin,
                        ptrdiff_t end) {
  for (ptrdiff_t y = begin; y < end; y++) willis_layer_set(layer, x, y, z - layer->k * WILLIS_FINE);
}

static void set_along_z(const struct willis_layer *layer, ptrdiff_t x, ptrdiff_t y, ptrdiff_t begin,
                        ptrdiff_t end) {
  ptrdiff_t first = layer->k * WILLIS_FINE;
  if (begin < first) begin = first;
  if (end > first + WILLIS_FINE) end = first + WILLIS_FINE;
  for (ptrdiff_t z = begin; z < end; z++) willis_layer_set(layer, x, y, z - first);
}

static void fill_mesh(const struct willis_layer *layer, const void *context) {
  static set_stretch *const set[3] = {set_along_x, set_along_y, set_along_z};
  const struct mesh_shape *shape = context;
  ptrdiff_t first = layer->k * WILLIS_FINE;
  for (int axis = 0; axis < 3; axis++) {
    const struct rays *rays = shape->rays + axis;
    /* For x and y, v is z: only this layer's rays. */
    ptrdiff_t begin = rays->v == 2 ? first : 0;
    ptrdiff_t end = rays->v == 2 ? first + WILLIS_FINE : rays->size_v;
    for (ptrdiff_t v = begin; v < end; v++)
      for (ptrdiff_t u = 0; u < rays->size_u; u++)
        follow_ray(shape, rays, u, v, layer + axis, set[axis]);
  }
  uint64_t *x = layer[0].word, *y = layer[1].word, *z = layer[2].word;
  for (ptrdiff_t w = 0; w < layer->words * layer->rows * WILLIS_FINE; w++)
    x[w] = (x[w] & y[w]) | (z[w] & (x[w] | y[w]));
}

static enum willis_status check_mesh(const struct willis_mesh *mesh, double low[3], double high[3],
                                     struct willis_error *err) {
  if (mesh->triangle_count < 1)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "the mesh has no triangles");
  for (int axis = 0; axis < 3; axis++) {
    low[axis] = INFINITY;
    high[axis] = -INFINITY;
  }
  for (ptrdiff_t c = 0; c < 3 * mesh->triangle_count; c++) {
    if (mesh->triangle[c] >= (uint64_t)mesh->vertex_count)
      return willis_fail(err, WILLIS_INVALID_ARGUMENT,
                         "triangle %td: vertex %u, expected one of %td", c / 3,
                         (unsigned)mesh->triangle[c], mesh->vertex_count);
    for (int axis = 0; axis < 3; axis++) {
      double x = mesh->vertex[3 * (ptrdiff_t)mesh->triangle[c] + axis];
      if (!isfinite(x))
        return willis_fail(err, WILLIS_NUMERIC, "vertex %u is not finite",
                           (unsigned)mesh->triangle[c]);
      low[axis] = fmin(low[axis], x);
      high[axis] = fmax(high[axis], x);
    }
  }
  return WILLIS_OK;
}

/* Vertices in samples of the grid, with as many binary places as fit. A vertex without a triangle
 * may be anywhere and is put at 0. */
static enum willis_status place_vertices(struct mesh_shape *shape, const struct willis_grid *grid,
                                         const double low[3], const double high[3],
                                         struct willis_error *err) {
  const struct willis_mesh *mesh = shape->mesh;
  double reach = 1;
  for (int corner = 0; corner < 8; corner++) {
    double index[3];
    for (int axis = 0; axis < 3; axis++) index[axis] = corner >> axis & 1 ? high[axis] : low[axis];
    willis_grid_to_index(grid, index, index);
    for (int axis = 0; axis < 3; axis++) {
      reach = fmax(reach, (fabs(index[axis]) + 1) * WILLIS_FINE);
      reach = fmax(reach, (double)grid->size[axis] * WILLIS_FINE);
    }
  }
  int bits = MOST_BITS - (int)ceil(log2(reach));
  shape->fraction = bits < MOST_FRACTION ? bits : MOST_FRACTION;
  if (shape->fraction < 4)
    return willis_fail(err, WILLIS_GEOMETRY,
                       "the mesh reaches %g voxels from the grid's origin, too far", reach);
  shape->place = willis_take(3 * mesh->vertex_count, sizeof *shape->place);
  if (!shape->place)
    return willis_fail_memory(err, "vertices", 3 * mesh->vertex_count, sizeof *shape->place);
#pragma omp parallel for schedule(static)
  for (ptrdiff_t v = 0; v < mesh->vertex_count; v++) {
    double at[3];
    for (int axis = 0; axis < 3; axis++) at[axis] = mesh->vertex[3 * v + axis];
    willis_grid_to_index(grid, at, at);
    for (int axis = 0; axis < 3; axis++) {
      double sample = (at[axis] + 0.5) * WILLIS_FINE - 0.5;
      bool near = fabs(sample) <= reach;
      shape->place[3 * v + axis] = near ? (int32_t)nearbyint(ldexp(sample, shape->fraction)) : 0;
    }
  }
  return WILLIS_OK;
}

enum willis_status willis_mesh_voxelize(const struct willis_mesh *mesh,
                                        const struct willis_voxelize_options *options,
                                        const struct willis_warnings *warnings,
                                        struct willis_volume *volume, struct willis_error *err) {
  struct mesh_shape shape = {.mesh = mesh};
  struct willis_mesh_edges edges;
  struct willis_grid grid;
  double low[3], high[3];
  enum willis_status status = check_mesh(mesh, low, high, err);
  if (status) return status;
  status = willis_voxelize_grid(options, low, high, &grid, err);
  if (status) return status;
  status = willis_mesh_count_edges(mesh, &edges, err);
  if (status) return status;
  if (edges.open)
    willis_warn(warnings,
                "the surface is not closed: %td of %td edges are open; inside is what two of three "
                "rays say",
                edges.open, edges.edges);
  shape.winding = edges.oriented;
  status = place_vertices(&shape, &grid, low, high, err);
  if (status) goto out;
  for (int axis = 0; axis < 3; axis++) {
    struct rays *rays = shape.rays + axis;
    rays->axis = axis;
    rays->u = axis == 0;
    rays->v = axis == 2 ? 1 : 2;
    rays->size_u = grid.size[rays->u] * WILLIS_FINE;
    rays->size_v = grid.size[rays->v] * WILLIS_FINE;
    rays->length = grid.size[axis] * WILLIS_FINE;
    status = cast_rays(&shape, rays, err);
    if (status) goto out;
  }
  status = willis_voxelize_layers(options, &grid, 3, fill_mesh, &shape, volume, err);
out:
  for (int axis = 0; axis < 3; axis++) {
    willis_release(shape.rays[axis].start);
    willis_release(shape.rays[axis].crossing);
  }
  willis_release(shape.place);
  return status;
}
