/* Fewer triangles by edge collapses, the cheapest first, with quadric error metrics (Garland and
 * Heckbert, SIGGRAPH 1997). Two joined vertices go to where the squared distances to the planes of
 * all triangles that they stand for are least.
 *
 * A collapse happens only if the link condition holds (Dey et al. 1999: the vertices have exactly
 * two neighbours in common, and the piece is no tetrahedron), so a closed 2-manifold stays one,
 * with its pieces and handles, and if no triangle turns over. Open edges and edges of more than two
 * triangles are not touched. meshoptimizer is some times faster but checks no link condition: it
 * leaves edges with four triangles and drops small pieces. */
#include "surface/mesh.h"

#include "base/error.h"
#include "base/memory.h"
#include "surface/quadric.h"

#include <math.h>

static const uint32_t NONE = UINT32_MAX;
/* Pulls to the edge's middle, relative to the planes: decides where the planes do not (on flat
 * parts, along ridges) and makes the matrix definite. */
static const double PULL = 1e-3;
/* Least cosine between a triangle's normal before and after. */
static const double LEAST_COSINE = 0.2;

struct candidate {
  double cost;
  uint32_t a, b, version; /* stale when either vertex has changed since */
};

struct simplification {
  uint32_t *triangle; /* the mesh's own; three times NONE when it is gone */
  double (*place)[3]; /* relative to the first vertex */
  struct quadric *quadric;
  uint32_t *corner;  /* a vertex' first corner (3·triangle + which), then … */
  uint32_t *next;    /* … by corner. Corners that no longer name the vertex are skipped */
  uint32_t *version; /* how often a vertex changed */
  uint32_t *mark, marks;
  unsigned char *locked;
  struct candidate *heap;
  ptrdiff_t heap_count, heap_room, triangle_count;
};

static bool cheaper(const struct candidate *p, const struct candidate *q) {
  if (p->cost != q->cost) return p->cost < q->cost;
  return p->a != q->a ? p->a < q->a : p->b < q->b;
}

static bool heap_put(struct simplification *s, struct candidate candidate) {
  if (s->heap_count == s->heap_room) {
    ptrdiff_t room = s->heap_room + s->heap_room / 2 + 1024;
    struct candidate *grown = willis_grow(s->heap, s->heap_count, room, sizeof *grown);
    if (!grown) return false;
    s->heap = grown;
    s->heap_room = room;
  }
  ptrdiff_t i = s->heap_count++;
  for (ptrdiff_t up; i > 0 && cheaper(&candidate, &s->heap[up = (i - 1) / 2]); i = up)
    s->heap[i] = s->heap[up];
  s->heap[i] = candidate;
  return true;
}

static struct candidate heap_take(struct simplification *s) {
  struct candidate top = s->heap[0], last = s->heap[--s->heap_count];
  ptrdiff_t i = 0;
  for (ptrdiff_t down = 1; down < s->heap_count; i = down, down = 2 * i + 1) {
    if (down + 1 < s->heap_count && cheaper(&s->heap[down + 1], &s->heap[down])) down++;
    if (!cheaper(&s->heap[down], &last)) break;
    s->heap[i] = s->heap[down];
  }
  s->heap[i] = last;
  return top;
}

/* The first corner of v, from `corner` on, that still names it. */
static uint32_t live_corner(const struct simplification *s, uint32_t v, uint32_t corner) {
  while (corner != NONE && s->triangle[corner] != v) corner = s->next[corner];
  return corner;
}

/* NOLINTBEGIN(bugprone-macro-parentheses): c is declared here. */
#define EACH_CORNER(s, v, c)                                                                       \
  for (uint32_t c = live_corner(s, v, (s)->corner[v]); c != NONE;                                  \
       c = live_corner(s, v, (s)->next[c]))
/* NOLINTEND(bugprone-macro-parentheses) */

/* The other two corners of a corner's triangle, in its turn. */
static void other_two(const struct simplification *s, uint32_t corner, uint32_t other[2]) {
  uint32_t first = corner / 3 * 3;
  other[0] = s->triangle[first + (corner + 1) % 3];
  other[1] = s->triangle[first + (corner + 2) % 3];
}

/* Twice the area times the unit normal. */
static void normal_of(const double a[3], const double b[3], const double c[3], double normal[3]) {
  double u[3], v[3];
  for (int i = 0; i < 3; i++) u[i] = b[i] - a[i], v[i] = c[i] - a[i];
  normal[0] = u[1] * v[2] - u[2] * v[1];
  normal[1] = u[2] * v[0] - u[0] * v[2];
  normal[2] = u[0] * v[1] - u[1] * v[0];
}

static double dot(const double a[3], const double b[3]) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

/* Where the vertices of an edge would meet, and what it costs. */
static double meeting_place(const struct simplification *s, uint32_t a, uint32_t b,
                            double place[3]) {
  struct quadric q = quadric_sum(&s->quadric[a], &s->quadric[b]);
  double middle[3];
  for (int i = 0; i < 3; i++) middle[i] = 0.5 * (s->place[a][i] + s->place[b][i]);
  double weight = q.xx + q.yy + q.zz;
  if (!(weight > 0)) { /* only triangles without area */
    for (int i = 0; i < 3; i++) place[i] = middle[i];
    return 0;
  }
  quadric_add_point(&q, middle, PULL * weight);
  quadric_lowest(&q, place);
  return fmax(quadric_at(&q, place), 0);
}

static bool propose(struct simplification *s, uint32_t a, uint32_t b) {
  double place[3];
  if (s->locked[a] || s->locked[b]) return true;
  if (a > b) {
    uint32_t held = a;
    a = b, b = held;
  }
  return heap_put(
      s, (struct candidate){meeting_place(s, a, b, place), a, b, s->version[a] + s->version[b]});
}

/* No triangle of v without `partner` turns over when v moves. */
static bool keeps_facing(const struct simplification *s, uint32_t v, uint32_t partner,
                         const double place[3]) {
  EACH_CORNER(s, v, corner) {
    uint32_t other[2];
    double before[3], after[3];
    other_two(s, corner, other);
    if (other[0] == partner || other[1] == partner) continue;
    normal_of(s->place[v], s->place[other[0]], s->place[other[1]], before);
    normal_of(place, s->place[other[0]], s->place[other[1]], after);
    double least = LEAST_COSINE * sqrt(dot(before, before) * dot(after, after));
    if (!(dot(before, after) > least)) return false;
  }
  return true;
}

static bool keeps_topology(struct simplification *s, uint32_t a, uint32_t b) {
  uint32_t near_a = s->marks + 1, near_both = s->marks + 2;
  int triangles_a = 0, triangles_b = 0, common = 0;
  s->marks += 2;
  EACH_CORNER(s, a, corner) {
    uint32_t other[2];
    other_two(s, corner, other);
    s->mark[other[0]] = s->mark[other[1]] = near_a;
    triangles_a++;
  }
  EACH_CORNER(s, b, corner) {
    uint32_t other[2];
    other_two(s, corner, other);
    for (int i = 0; i < 2; i++)
      if (s->mark[other[i]] == near_a) {
        s->mark[other[i]] = near_both;
        common++;
      }
    triangles_b++;
  }
  return common == 2 && !(triangles_a == 3 && triangles_b == 3);
}

/* Moves a to `place` and lets it take over b's triangles but the two that both have. */
static void collapse(struct simplification *s, uint32_t a, uint32_t b, const double place[3]) {
  for (uint32_t corner = live_corner(s, b, s->corner[b]), after; corner != NONE; corner = after) {
    uint32_t other[2], *triangle = s->triangle + corner / 3 * 3;
    after = live_corner(s, b, s->next[corner]);
    other_two(s, corner, other);
    if (other[0] == a || other[1] == a) {
      triangle[0] = triangle[1] = triangle[2] = NONE;
      s->triangle_count--;
    } else {
      s->triangle[corner] = a;
      s->next[corner] = s->corner[a];
      s->corner[a] = corner;
    }
  }
  s->quadric[a] = quadric_sum(&s->quadric[a], &s->quadric[b]);
  for (int i = 0; i < 3; i++) s->place[a][i] = place[i];
  s->version[a]++;
  s->version[b]++;
  s->corner[b] = NONE;
}

static bool shrink(struct simplification *s, ptrdiff_t goal) {
  while (s->triangle_count > goal && s->heap_count > 0) {
    struct candidate best = heap_take(s);
    double place[3];
    uint32_t a = best.a, b = best.b;
    if (best.version != s->version[a] + s->version[b]) continue;
    (void)meeting_place(s, a, b, place);
    if (!keeps_topology(s, a, b) || !keeps_facing(s, a, b, place) || !keeps_facing(s, b, a, place))
      continue;
    collapse(s, a, b, place);
    EACH_CORNER(s, a, corner) {
      /* On a closed surface each neighbour comes first in exactly one triangle. */
      uint32_t other[2];
      other_two(s, corner, other);
      if (!propose(s, a, other[0])) return false;
    }
  }
  return true;
}

static void place_vertices(struct simplification *s, const struct willis_mesh *mesh) {
  for (ptrdiff_t v = 0; v < mesh->vertex_count; v++) {
    for (int i = 0; i < 3; i++) s->place[v][i] = (double)mesh->vertex[3 * v + i] - mesh->vertex[i];
    s->corner[v] = NONE;
  }
  for (ptrdiff_t t = 0; t < mesh->triangle_count; t++) {
    const uint32_t *corner = mesh->triangle + 3 * t;
    double normal[3];
    normal_of(s->place[corner[0]], s->place[corner[1]], s->place[corner[2]], normal);
    double length = sqrt(dot(normal, normal));
    for (int i = 0; i < 3; i++) normal[i] = length > 0 ? normal[i] / length : 0;
    double d = -dot(normal, s->place[corner[0]]);
    for (int i = 0; i < 3; i++) {
      quadric_add_plane(&s->quadric[corner[i]], normal, d, 0.5 * length);
      s->next[3 * t + i] = s->corner[corner[i]];
      s->corner[corner[i]] = (uint32_t)(3 * t + i);
    }
  }
}

/* Locks the ends of edges that are not of exactly two triangles; proposes the others. */
static enum willis_status propose_all(struct simplification *s, const struct willis_mesh *mesh,
                                      struct willis_error *err) {
  struct willis_edge_buckets edges;
  enum willis_status status = willis_edge_buckets_init(&edges, mesh, err);
  if (status != WILLIS_OK) return status;
  for (int pass = 0; pass < 2; pass++)
    for (ptrdiff_t v = 0; v < mesh->vertex_count; v++)
      for (ptrdiff_t e = edges.first[v], count; e < edges.first[v + 1]; e += count) {
        uint64_t other = edges.other[e] >> 1;
        for (count = 1; e + count < edges.first[v + 1] && edges.other[e + count] >> 1 == other;)
          count++;
        if (pass == 0 && (count != 2 || other == (uint64_t)v)) s->locked[v] = s->locked[other] = 1;
        if (pass == 1 && !propose(s, (uint32_t)v, (uint32_t)other)) {
          status = willis_fail_memory(err, "simplification", s->heap_room, sizeof *s->heap);
          goto out;
        }
      }
out:
  willis_edge_buckets_release(&edges);
  return status;
}

/* What is left, in the old order; s->version becomes the vertices' new numbers. */
static void collect(struct simplification *s, struct willis_mesh *mesh) {
  double first[3] = {mesh->vertex[0], mesh->vertex[1], mesh->vertex[2]};
  uint32_t *number = s->version;
  ptrdiff_t vertices = 0, triangles = 0;
  for (ptrdiff_t v = 0; v < mesh->vertex_count; v++) {
    if (live_corner(s, (uint32_t)v, s->corner[v]) == NONE) continue;
    for (int i = 0; i < 3; i++) mesh->vertex[3 * vertices + i] = (float)(first[i] + s->place[v][i]);
    number[v] = (uint32_t)vertices++;
  }
  for (ptrdiff_t t = 0; t < mesh->triangle_count; t++) {
    if (mesh->triangle[3 * t] == NONE) continue;
    for (int i = 0; i < 3; i++)
      mesh->triangle[3 * triangles + i] = number[mesh->triangle[3 * t + i]];
    triangles++;
  }
  mesh->vertex_count = vertices;
  mesh->triangle_count = triangles;
}

static bool take(struct simplification *s, const struct willis_mesh *mesh) {
  ptrdiff_t vertices = mesh->vertex_count, corners = 3 * mesh->triangle_count;
  s->place = willis_take(vertices, sizeof *s->place);
  s->quadric = willis_take_zeroed(vertices, sizeof *s->quadric);
  s->corner = willis_take(vertices, sizeof *s->corner);
  s->next = willis_take(corners, sizeof *s->next);
  s->version = willis_take_zeroed(vertices, sizeof *s->version);
  s->mark = willis_take_zeroed(vertices, sizeof *s->mark);
  s->locked = willis_take_zeroed(vertices, 1);
  s->heap_room = corners / 2 + 1;
  s->heap = willis_take(s->heap_room, sizeof *s->heap);
  return s->place && s->quadric && s->corner && s->next && s->version && s->mark && s->locked &&
         s->heap;
}

static void release(struct simplification *s) {
  willis_release(s->place);
  willis_release(s->quadric);
  willis_release(s->corner);
  willis_release(s->next);
  willis_release(s->version);
  willis_release(s->mark);
  willis_release(s->locked);
  willis_release(s->heap);
}

enum willis_status willis_mesh_simplify(struct willis_mesh *mesh, double fraction,
                                        struct willis_error *err) {
  enum willis_status status = willis_mesh_check(mesh, err);
  if (status != WILLIS_OK) return status;
  if (!(fraction > 0 && fraction <= 1))
    return willis_fail(err, WILLIS_INVALID_ARGUMENT,
                       "simplification to a fraction of %g: expected more than 0, at most 1",
                       fraction);
  if (mesh->triangle_count >= UINT32_MAX / 3)
    return willis_fail(err, WILLIS_UNSUPPORTED, "simplification of %td triangles",
                       mesh->triangle_count);
  ptrdiff_t goal = (ptrdiff_t)ceil(fraction * (double)mesh->triangle_count);
  if (goal >= mesh->triangle_count) return WILLIS_OK;
  struct simplification s = {.triangle = mesh->triangle, .triangle_count = mesh->triangle_count};
  if (!take(&s, mesh)) {
    status = willis_fail_memory(err, "simplification", mesh->triangle_count, 128);
    goto out;
  }
  place_vertices(&s, mesh);
  status = propose_all(&s, mesh, err);
  if (status != WILLIS_OK) goto out;
  /* A mesh that is only partly simplified is whole all the same. */
  if (!shrink(&s, goal))
    status = willis_fail_memory(err, "simplification", s.heap_room, sizeof *s.heap);
  collect(&s, mesh);
out:
  release(&s);
  return status;
}
