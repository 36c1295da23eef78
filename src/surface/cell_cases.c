/* Marching cubes' case table from three rules, instead of a list from a paper:
 *
 * 1. On each face of the cell, walked around counter-clockwise seen from outside, the surface
 *    leaves a segment between every edge where the walk goes out and the next one where it goes in.
 *    So of two inside corners on a face's diagonal it makes one body. The rule sees nothing but the
 * face, so the two cells at a face agree, and no hole can arise (Lorensen and Cline's table of 1987
 * has some; Dürst 1988). A crossed edge is the start of a segment on one of its two faces and the
 * end on the other, because the faces walk along it in opposite directions: the segments form
 * loops.
 * 2. Each loop is filled with triangles whose inner edges never join two points of one face, for
 *    the cell beyond the face could draw the same line, and an edge would have four triangles. Of
 *    what remains, the triangulation with the shortest inner edges.
 *
 * 3. Two inside corners at the ends of the cell's diagonal and nothing else inside: the loops
 * around them are joined by a tube.
 *
 * Each edge of the mesh then has exactly two triangles, and each vertex one ring of them; and the
 * pieces of the mesh are the 26-connected pieces of the voxels inside, which is what thin vessels
 * need and what components and skeletons go by. */
#include "surface/cell_cases.h"

#include <stdbool.h>

enum { FACES = 6, MOST_LOOPS = CELL_EDGES / 3, NEVER = 1 << 20 };

/* The edge between two corners of the cell that differ in one axis. */
static int edge_between(int a, int b) {
  int low = a & b, differ = a ^ b;
  int x = low & 1, y = low >> 1 & 1, z = low >> 2 & 1;
  if (differ == 1) return y + 2 * z;
  if (differ == 2) return 4 + x + 2 * z;
  return 8 + x + 2 * y;
}

/* The corners of face 2·axis + side, counter-clockwise seen from outside the cell. */
static void face_corners(int face, int corner[4]) {
  int axis = face / 2, side = face % 2;
  int u = 1 << (axis + 1) % 3, v = 1 << (axis + 2) % 3, base = side << axis;
  const int around[4] = {base, base | u, base | u | v, base | v};
  for (int i = 0; i < 4; i++) corner[i] = around[side ? i : 3 - i];
}

/* next[e] = the edge to which the surface goes on from edge e; −1 for edges it does not cross. */
static void connect_edges(unsigned inside, int next[CELL_EDGES]) {
  for (int e = 0; e < CELL_EDGES; e++) next[e] = -1;
  for (int face = 0; face < FACES; face++) {
    int corner[4];
    face_corners(face, corner);
    for (int i = 0; i < 4; i++) {
      int from = corner[i], to = corner[(i + 1) % 4];
      if (!(inside >> from & 1) || (inside >> to & 1)) continue;
      int last = i + 1;
      while (!(inside >> corner[(last + 1) % 4] & 1)) last++;
      next[edge_between(corner[last % 4], corner[(last + 1) % 4])] = edge_between(from, to);
    }
  }
}

/* The middle of an edge in half cell sizes. */
static void edge_middle(int edge, int middle[3]) {
  int axis = edge / 4, place = edge % 4;
  middle[axis] = 1;
  middle[axis == 0 ? 1 : 0] = 2 * (place & 1);
  middle[axis == 2 ? 1 : 2] = 2 * (place >> 1);
}

static bool on_one_face(const int a[3], const int b[3]) {
  for (int axis = 0; axis < 3; axis++)
    if (a[axis] == b[axis] && a[axis] != 1) return true;
  return false;
}

/* What a triangle costs as an inner edge of the loop's filling: its squared length. */
static int inner_edge_cost(int a, int b) {
  int p[3], q[3], cost = 0;
  edge_middle(a, p);
  edge_middle(b, q);
  if (on_one_face(p, q)) return NEVER;
  for (int axis = 0; axis < 3; axis++) cost += (p[axis] - q[axis]) * (p[axis] - q[axis]);
  return cost;
}

/* The cheapest filling of every part i…j of a loop, and the third corner of the triangle at its
 * chord (i,j): the classical dynamic programme over polygon triangulations. */
static void plan_filling(const int *loop, int n, int third[CELL_EDGES][CELL_EDGES]) {
  int cost[CELL_EDGES][CELL_EDGES] = {{0}};
  for (int span = 2; span < n; span++)
    for (int i = 0; i + span < n; i++) {
      int j = i + span, best = -1, best_cost = 0;
      for (int k = i + 1; k < j; k++) {
        int sum = cost[i][k] + cost[k][j];
        if (best < 0 || sum < best_cost) best = k, best_cost = sum;
      }
      third[i][j] = best;
      cost[i][j] = best_cost + (span < n - 1 ? inner_edge_cost(loop[i], loop[j]) : 0);
    }
}

static void fill_loop(const int *loop, int n, struct willis_cell_cases *cases, unsigned inside) {
  int third[CELL_EDGES][CELL_EDGES], chord[CELL_EDGES][2] = {{0, n - 1}}, chords = 1;
  plan_filling(loop, n, third);
  while (chords > 0) {
    chords--;
    int i = chord[chords][0], j = chord[chords][1];
    if (j - i < 2) continue;
    int k = third[i][j];
    unsigned char *edge = cases->edge[inside] + 3 * cases->triangles[inside]++;
    edge[0] = (unsigned char)loop[i];
    edge[1] = (unsigned char)loop[k];
    edge[2] = (unsigned char)loop[j];
    chord[chords][0] = i, chord[chords++][1] = k;
    chord[chords][0] = k, chord[chords++][1] = j;
  }
}

/* A tube of six triangles between two loops of three. Its rims run against each other, so corner
 * i of the one is at corner k − i of the other, for the k that makes the tube shortest. */
static void join_loops(const int a[3], const int b[3], struct willis_cell_cases *cases,
                       unsigned inside) {
  int best = 0, best_cost = NEVER;
  for (int k = 0; k < 3; k++) {
    int cost = 0;
    for (int i = 0; i < 3; i++)
      cost += inner_edge_cost(a[i], b[(k + 3 - i) % 3]) + inner_edge_cost(a[i], b[(k + 2 - i) % 3]);
    if (cost < best_cost) best = k, best_cost = cost;
  }
  for (int i = 0; i < 3; i++) {
    int here = b[(best + 3 - i) % 3], next = b[(best + 2 - i) % 3];
    const int corner[6] = {a[i], a[(i + 1) % 3], next, a[i], next, here};
    for (int c = 0; c < 6; c++)
      cases->edge[inside][3 * cases->triangles[inside] + c] = (unsigned char)corner[c];
    cases->triangles[inside] += 2;
  }
}

static bool ends_of_the_diagonal(unsigned inside) {
  for (int corner = 0; corner < 4; corner++)
    if (inside == (1u << corner | 1u << (7 - corner))) return true;
  return false;
}

void willis_cell_cases_fill(struct willis_cell_cases *cases) {
  *cases = (struct willis_cell_cases){0};
  for (unsigned inside = 0; inside < 256; inside++) {
    int next[CELL_EDGES], loop[MOST_LOOPS][CELL_EDGES], length[MOST_LOOPS], loops = 0;
    connect_edges(inside, next);
    for (int start = 0; start < CELL_EDGES; start++) {
      if (next[start] < 0) continue;
      int n = 0;
      for (int e = start, after; next[e] >= 0; e = after) {
        cases->crossed[inside] |= (uint16_t)(1 << e);
        loop[loops][n++] = e;
        after = next[e];
        next[e] = -1;
      }
      length[loops++] = n;
    }
    if (ends_of_the_diagonal(inside))
      join_loops(loop[0], loop[1], cases, inside);
    else
      for (int i = 0; i < loops; i++) fill_loop(loop[i], length[i], cases, inside);
  }
}
