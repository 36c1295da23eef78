/* What a mesh is: whether it is one at all, its pieces, its edges, its area and volume. */
#include "surface/mesh.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/parallel.h"

#include <math.h>
#include <string.h>

enum { TRIANGLES_AT_ONCE = 1 << 13 };

enum willis_status willis_mesh_check(const struct willis_mesh *mesh, struct willis_error *err) {
  if (mesh->vertex_count < 0 || mesh->triangle_count < 0 || mesh->vertex_count > UINT32_MAX)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "a mesh of %td vertices and %td triangles",
                       mesh->vertex_count, mesh->triangle_count);
  for (ptrdiff_t i = 0; i < 3 * mesh->triangle_count; i++)
    if (mesh->triangle[i] >= mesh->vertex_count)
      return willis_fail(err, WILLIS_INVALID_ARGUMENT,
                         "triangle %td has vertex %u, expected one below %td", i / 3,
                         mesh->triangle[i], mesh->vertex_count);
  for (ptrdiff_t i = 0; i < 3 * mesh->vertex_count; i++)
    if (!isfinite(mesh->vertex[i]))
      return willis_fail(err, WILLIS_INVALID_ARGUMENT, "vertex %td is not finite", i / 3);
  return WILLIS_OK;
}

/* Union–find with path halving; the smaller vertex is the root, so roots come in order. */
static uint32_t find_root(uint32_t *parent, uint32_t v) {
  while (parent[v] != v) v = parent[v] = parent[parent[v]];
  return v;
}

void willis_mesh_label(const struct willis_mesh *mesh, uint32_t *label, ptrdiff_t *pieces) {
  for (ptrdiff_t v = 0; v < mesh->vertex_count; v++) label[v] = (uint32_t)v;
  for (ptrdiff_t t = 0; t < mesh->triangle_count; t++)
    for (int side = 1; side < 3; side++) {
      uint32_t a = find_root(label, mesh->triangle[3 * t]);
      uint32_t b = find_root(label, mesh->triangle[3 * t + side]);
      label[a > b ? a : b] = a > b ? b : a;
    }
  /* A parent is never larger than its child, so it has its number already. */
  *pieces = 0;
  for (ptrdiff_t v = 0; v < mesh->vertex_count; v++)
    label[v] = label[v] == v ? (uint32_t)(*pieces)++ : label[label[v]];
}

/* Buckets hold a handful of edges. */
static void sort_bucket(uint64_t *value, ptrdiff_t count) {
  for (ptrdiff_t i = 1; i < count; i++) {
    uint64_t held = value[i];
    ptrdiff_t j = i;
    for (; j > 0 && value[j - 1] > held; j--) value[j] = value[j - 1];
    value[j] = held;
  }
}

enum willis_status willis_edge_buckets_init(struct willis_edge_buckets *edges,
                                            const struct willis_mesh *mesh,
                                            struct willis_error *err) {
  ptrdiff_t corners = 3 * mesh->triangle_count;
  edges->first = willis_take_zeroed(mesh->vertex_count + 1, sizeof *edges->first);
  edges->other = willis_take(corners, sizeof *edges->other);
  if (!edges->first || !edges->other) {
    willis_edge_buckets_release(edges);
    return willis_fail_memory(err, "a mesh's edges", corners, sizeof *edges->other);
  }
  /* Count, turn counts into places, fill; filling moves each place to its end, so turn again. */
  for (int fill = 0; fill < 2; fill++) {
    for (ptrdiff_t c = 0; c < corners; c++) {
      uint64_t from = mesh->triangle[c], to = mesh->triangle[c % 3 == 2 ? c - 2 : c + 1];
      uint64_t low = from < to ? from : to, high = from < to ? to : from;
      if (fill)
        edges->other[edges->first[low]++] = high << 1 | (from > to);
      else
        edges->first[low]++;
    }
    ptrdiff_t begin = 0;
    for (ptrdiff_t v = 0; v <= mesh->vertex_count; v++) {
      ptrdiff_t next = fill ? edges->first[v] : begin + edges->first[v];
      edges->first[v] = begin;
      begin = next;
    }
  }
  for (ptrdiff_t v = 0; v < mesh->vertex_count; v++)
    sort_bucket(edges->other + edges->first[v], edges->first[v + 1] - edges->first[v]);
  return WILLIS_OK;
}

void willis_edge_buckets_release(struct willis_edge_buckets *edges) {
  willis_release(edges->first);
  willis_release(edges->other);
  *edges = (struct willis_edge_buckets){0};
}

static void judge_edges(const struct willis_edge_buckets *edges, ptrdiff_t vertex_count,
                        struct willis_mesh_measure *measure) {
  for (ptrdiff_t v = 0; v < vertex_count; v++) {
    ptrdiff_t begin = edges->first[v], end = edges->first[v + 1];
    for (ptrdiff_t e = begin, next; e < end; e = next) {
      for (next = e; next < end && edges->other[next] >> 1 == edges->other[e] >> 1;) next++;
      if (edges->other[e] >> 1 == (uint64_t)v) continue; /* a triangle with a corner twice */
      if (next - e == 1) measure->open_edges++;
      if (next - e > 2) measure->odd_edges++;
      if (next - e == 2 && edges->other[e] == edges->other[e + 1]) measure->flipped_edges++;
    }
  }
}

enum { AREA, VOLUME, SUMS };

/* Area ½|(b−a)×(c−a)|; volume by the divergence theorem, a·((b−a)×(c−a))/6, seen from the first
 * vertex so that a mesh far from the origin loses no digits. */
static void sum_triangles(ptrdiff_t begin, ptrdiff_t end, double *sum, void *context) {
  const struct willis_mesh *mesh = context;
  for (ptrdiff_t t = begin; t < end; t++) {
    const float *corner[3];
    double a[3], u[3], v[3];
    for (int i = 0; i < 3; i++) corner[i] = mesh->vertex + 3 * (ptrdiff_t)mesh->triangle[3 * t + i];
    for (int axis = 0; axis < 3; axis++) {
      a[axis] = (double)corner[0][axis] - mesh->vertex[axis];
      u[axis] = (double)corner[1][axis] - corner[0][axis];
      v[axis] = (double)corner[2][axis] - corner[0][axis];
    }
    const double normal[3] = {u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2],
                              u[0] * v[1] - u[1] * v[0]};
    sum[AREA] += 0.5 * sqrt(normal[0] * normal[0] + normal[1] * normal[1] + normal[2] * normal[2]);
    sum[VOLUME] += (a[0] * normal[0] + a[1] * normal[1] + a[2] * normal[2]) / 6;
  }
}

static enum willis_status count_pieces(const struct willis_mesh *mesh, ptrdiff_t *count,
                                       struct willis_error *err) {
  ptrdiff_t pieces;
  *count = 0;
  uint32_t *label = willis_take(mesh->vertex_count, sizeof *label);
  unsigned char *seen = willis_take_zeroed(mesh->vertex_count, 1);
  if (!label || !seen) {
    willis_release(label);
    willis_release(seen);
    return willis_fail_memory(err, "a mesh's pieces", mesh->vertex_count, sizeof *label + 1);
  }
  willis_mesh_label(mesh, label, &pieces);
  for (ptrdiff_t t = 0; t < mesh->triangle_count; t++) seen[label[mesh->triangle[3 * t]]] = 1;
  for (ptrdiff_t p = 0; p < pieces; p++) *count += seen[p];
  willis_release(label);
  willis_release(seen);
  return WILLIS_OK;
}

enum willis_status willis_mesh_measure(const struct willis_mesh *mesh,
                                       struct willis_mesh_measure *measure,
                                       struct willis_error *err) {
  *measure = (struct willis_mesh_measure){0};
  enum willis_status status = willis_mesh_check(mesh, err);
  if (status != WILLIS_OK || mesh->triangle_count == 0) return status;
  struct willis_edge_buckets edges;
  status = willis_edge_buckets_init(&edges, mesh, err);
  if (status != WILLIS_OK) return status;
  judge_edges(&edges, mesh->vertex_count, measure);
  willis_edge_buckets_release(&edges);
  double sum[SUMS];
  willis_parallel_sum(mesh->triangle_count, TRIANGLES_AT_ONCE, SUMS, sum_triangles, (void *)mesh,
                      sum);
  measure->area_mm2 = sum[AREA];
  measure->volume_mm3 = sum[VOLUME];
  return count_pieces(mesh, &measure->components, err);
}
