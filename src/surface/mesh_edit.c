/* What changes a mesh: keeping pieces and smoothing. */
#include "surface/mesh.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/parallel.h"

#include <stdlib.h>
#include <string.h>

enum { VERTICES_AT_ONCE = 1 << 12 };

/* Taubin, A signal processing approach to fair surface design, SIGGRAPH 1995: a Gaussian step that
 * shrinks, then a slightly larger one that grows; pass-band 1/λ + 1/μ = 0.113. */
static const double LAMBDA = 0.5, MU = -0.53;

struct piece {
  ptrdiff_t triangles;
  uint32_t number;
};

/* Most triangles first; of equals the one that comes first in the mesh. */
static int by_triangles(const void *a, const void *b) {
  const struct piece *p = a, *q = b;
  if (p->triangles != q->triangles) return p->triangles < q->triangles ? 1 : -1;
  return (p->number > q->number) - (p->number < q->number);
}

/* Leaves out triangles and vertices of pieces not kept, in place and in order. `label` becomes the
 * vertices' new numbers. */
static void compact(struct willis_mesh *mesh, uint32_t *label, const unsigned char *keep) {
  uint32_t vertices = 0;
  ptrdiff_t triangles = 0;
  for (ptrdiff_t t = 0; t < mesh->triangle_count; t++)
    if (keep[label[mesh->triangle[3 * t]]])
      memmove(mesh->triangle + 3 * triangles++, mesh->triangle + 3 * t, 3 * sizeof *mesh->triangle);
  for (ptrdiff_t v = 0; v < mesh->vertex_count; v++) {
    if (!keep[label[v]]) continue;
    memmove(mesh->vertex + 3 * (ptrdiff_t)vertices, mesh->vertex + 3 * v, 3 * sizeof *mesh->vertex);
    label[v] = vertices++;
  }
  for (ptrdiff_t i = 0; i < 3 * triangles; i++) mesh->triangle[i] = label[mesh->triangle[i]];
  mesh->vertex_count = vertices;
  mesh->triangle_count = triangles;
}

enum willis_status willis_mesh_keep_largest(struct willis_mesh *mesh, ptrdiff_t n,
                                            struct willis_error *err) {
  enum willis_status status = willis_mesh_check(mesh, err);
  if (status != WILLIS_OK) return status;
  if (n < 1)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "keep %td pieces: expected at least 1", n);
  uint32_t *label = willis_take(mesh->vertex_count, sizeof *label);
  struct piece *piece = willis_take(mesh->vertex_count, sizeof *piece);
  unsigned char *keep = willis_take_zeroed(mesh->vertex_count, 1);
  ptrdiff_t pieces;
  if (!label || !piece || !keep) {
    status = willis_fail_memory(err, "a mesh's pieces", mesh->vertex_count,
                                sizeof *label + sizeof *piece + 1);
    goto out;
  }
  willis_mesh_label(mesh, label, &pieces);
  for (ptrdiff_t p = 0; p < pieces; p++) piece[p] = (struct piece){0, (uint32_t)p};
  for (ptrdiff_t t = 0; t < mesh->triangle_count; t++)
    piece[label[mesh->triangle[3 * t]]].triangles++;
  qsort(piece, (size_t)pieces, sizeof *piece, by_triangles);
  for (ptrdiff_t p = 0; p < pieces && p < n; p++) keep[piece[p].number] = piece[p].triangles > 0;
  compact(mesh, label, keep);
out:
  willis_release(label);
  willis_release(piece);
  willis_release(keep);
  return status;
}

struct smoothing {
  const ptrdiff_t *first; /* of a vertex' neighbours */
  const uint32_t *neighbour;
  const float *from;
  float *to;
  double weight;
};

static void smooth_vertices(ptrdiff_t begin, ptrdiff_t end, void *context) {
  const struct smoothing *s = context;
  for (ptrdiff_t v = begin; v < end; v++) {
    double sum[3] = {0, 0, 0};
    ptrdiff_t count = s->first[v + 1] - s->first[v];
    for (ptrdiff_t i = s->first[v]; i < s->first[v + 1]; i++)
      for (int axis = 0; axis < 3; axis++)
        sum[axis] += s->from[3 * (ptrdiff_t)s->neighbour[i] + axis];
    for (int axis = 0; axis < 3; axis++) {
      double here = s->from[3 * v + axis];
      double mean = count > 0 ? sum[axis] / (double)count : here;
      s->to[3 * v + axis] = (float)(here + s->weight * (mean - here));
    }
  }
}

/* Both other corners of each of a vertex' triangles; on a closed surface that is every neighbour
 * twice. first[v + 2] counts, and first[v + 1] then marks where the next neighbour of v goes. */
static void gather_neighbours(const struct willis_mesh *mesh, ptrdiff_t *first,
                              uint32_t *neighbour) {
  memset(first, 0, ((size_t)mesh->vertex_count + 2) * sizeof *first);
  for (ptrdiff_t c = 0; c < 3 * mesh->triangle_count; c++) first[mesh->triangle[c] + 2] += 2;
  for (ptrdiff_t v = 2; v < mesh->vertex_count + 2; v++) first[v] += first[v - 1];
  for (ptrdiff_t c = 0; c < 3 * mesh->triangle_count; c++) {
    const uint32_t *corner = mesh->triangle + c / 3 * 3;
    ptrdiff_t *next = &first[mesh->triangle[c] + 1];
    neighbour[(*next)++] = corner[(c + 1) % 3];
    neighbour[(*next)++] = corner[(c + 2) % 3];
  }
}

enum willis_status willis_mesh_smooth(struct willis_mesh *mesh, int n, struct willis_error *err) {
  enum willis_status status = willis_mesh_check(mesh, err);
  if (status != WILLIS_OK) return status;
  if (n < 0)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "%d rounds of smoothing: expected 0 or more",
                       n);
  ptrdiff_t *first = willis_take(mesh->vertex_count + 2, sizeof *first);
  uint32_t *neighbour = willis_take(mesh->triangle_count, 6 * sizeof *neighbour);
  float *other = willis_take(mesh->vertex_count, 3 * sizeof *other);
  if (!first || !neighbour || !other) {
    status = willis_fail_memory(err, "smoothing", mesh->triangle_count, 6 * sizeof *neighbour);
    goto out;
  }
  gather_neighbours(mesh, first, neighbour);
  for (int round = 0; round < n; round++) {
    struct smoothing shrink = {first, neighbour, mesh->vertex, other, LAMBDA};
    struct smoothing grow = {first, neighbour, other, mesh->vertex, MU};
    willis_parallel_for(mesh->vertex_count, VERTICES_AT_ONCE, smooth_vertices, &shrink);
    willis_parallel_for(mesh->vertex_count, VERTICES_AT_ONCE, smooth_vertices, &grow);
  }
out:
  willis_release(first);
  willis_release(neighbour);
  willis_release(other);
  return status;
}
