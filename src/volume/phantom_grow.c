/* Smooth random paths and trees that grow towards their leaves.
 *
 * A path is a cubic Hermite curve through its points plus a Brownian bridge sideways, cut to the
 * first terms of its Karhunen–Loève series, Σ z_m √2/(mπ) sin(mπt): a random walk made smooth that
 * starts and ends in place. A tree is made from the top: a stem goes part of the way to the middle
 * of its leaves, the leaves are cut in two across their longest extent, and each half grows from
 * there. Radii follow Murray's law r0³ = r1³ + r2³ (C. Murray, PNAS 12, 1926). */
#include "volume/phantom_grow.h"

#include "base/memory.h"
#include "base/random.h"

#include <math.h>
#include <string.h>

enum { STREAM = 0x70686E74, BRIDGE_TERMS = 4, MOST_POINTS = 16 };
static const double SHORTEST_STEP_MM = 1.0, LONGEST_STEP_MM = 2.0, STEP_PER_RADIUS = 1.5;
static const double BRANCH_WANDER = 0.16;
static const double LEAST_RADIUS_MM = 0.4;

double willis_sketch_uniform(struct willis_sketch *sketch, double low, double high) {
  return low + (high - low) * willis_random_uniform(sketch->seed, STREAM, sketch->drawn++);
}

double willis_sketch_normal(struct willis_sketch *sketch, double sd) {
  return sd * willis_random_normal(sketch->seed, STREAM, sketch->drawn++);
}

bool willis_sketch_chance(struct willis_sketch *sketch, double p) {
  return willis_sketch_uniform(sketch, 0, 1) < p;
}

ptrdiff_t willis_sketch_node(struct willis_sketch *sketch, const double position_mm[3],
                             double radius_mm, ptrdiff_t parent, int kind) {
  struct willis_tree *tree = &sketch->tree;
  if (sketch->failed) return 0;
  if (tree->node_count == sketch->capacity) {
    ptrdiff_t capacity = sketch->capacity ? 2 * sketch->capacity : 1024;
    struct willis_tree_node *node =
        willis_grow(tree->node, tree->node_count, capacity, sizeof *node);
    if (!node) {
      sketch->failed = true;
      return 0;
    }
    tree->node = node;
    sketch->capacity = capacity;
  }
  struct willis_tree_node *node = tree->node + tree->node_count;
  *node = (struct willis_tree_node){.radius_mm = radius_mm, .parent = parent, .kind = kind};
  memcpy(node->position_mm, position_mm, sizeof node->position_mm);
  return tree->node_count++;
}

static double distance(const double a[3], const double b[3]) {
  return sqrt((a[0] - b[0]) * (a[0] - b[0]) + (a[1] - b[1]) * (a[1] - b[1]) +
              (a[2] - b[2]) * (a[2] - b[2]));
}

/* The direction in which the vessel arrives at `node`; zero at a root. */
static void heading(const struct willis_tree *tree, ptrdiff_t node, double direction[3]) {
  const struct willis_tree_node *to = tree->node + node;
  memset(direction, 0, 3 * sizeof *direction);
  if (to->parent < 0) return;
  const double *from = tree->node[to->parent].position_mm;
  double length = distance(from, to->position_mm);
  for (int axis = 0; axis < 3 && length > 0; axis++)
    direction[axis] = (to->position_mm[axis] - from[axis]) / length;
}

/* Slopes at the points: half way between the neighbours; the first blends with the heading. */
static void slopes(const struct willis_path *path, const double arrival[3], double slope[][3]) {
  int last = path->count - 1;
  double first = distance(path->point[0], path->point[1]);
  for (int p = 0; p <= last; p++)
    for (int axis = 0; axis < 3; axis++) {
      const double *before = path->point[p > 0 ? p - 1 : 0];
      const double *after = path->point[p < last ? p + 1 : last];
      double span = p > 0 && p < last ? 2 : 1;
      slope[p][axis] = (after[axis] - before[axis]) / span;
      if (p == 0) slope[p][axis] = 0.5 * (slope[p][axis] + first * arrival[axis]);
    }
}

static double hermite(double p0, double p1, double m0, double m1, double t) {
  double u = 1 - t;
  return u * u * (1 + 2 * t) * p0 + t * t * (3 - 2 * t) * p1 + t * u * u * m0 - t * t * u * m1;
}

ptrdiff_t willis_sketch_path(struct willis_sketch *sketch, ptrdiff_t parent,
                             const struct willis_path *path) {
  double slope[MOST_POINTS][3], arrival[3];
  if (sketch->failed) return 0;
  heading(&sketch->tree, parent, arrival);
  slopes(path, arrival, slope);
  double thickest = fmax(path->radius_mm[0], path->radius_mm[1]);
  double step = fmin(LONGEST_STEP_MM, fmax(SHORTEST_STEP_MM, STEP_PER_RADIUS * thickest));
  for (int p = 0; p + 1 < path->count; p++) {
    const double *from = path->point[p], *to = path->point[p + 1];
    double length = distance(from, to), bridge[BRIDGE_TERMS][3];
    for (int m = 0; m < BRIDGE_TERMS; m++)
      for (int axis = 0; axis < 3; axis++)
        bridge[m][axis] =
            willis_sketch_normal(sketch, path->wander * length * sqrt(2)) / ((m + 1) * M_PI);
    int steps = (int)ceil(length / step) + 1;
    for (int s = 1; s <= steps; s++) {
      double t = (double)s / steps, along = (p + t) / (path->count - 1), position[3];
      for (int axis = 0; axis < 3; axis++) {
        position[axis] = hermite(from[axis], to[axis], slope[p][axis], slope[p + 1][axis], t);
        /* A whole number of half waves, but sin(mπ) isn't quite 0. */
        for (int m = 0; m < BRIDGE_TERMS && s < steps; m++)
          position[axis] += bridge[m][axis] * sin((m + 1) * M_PI * t);
      }
      double radius = path->radius_mm[0] + along * (path->radius_mm[1] - path->radius_mm[0]);
      parent = willis_sketch_node(sketch, position, radius, parent, path->kind);
    }
  }
  return parent;
}

static double total_weight(const struct willis_leaf *leaf, int count) {
  double sum = 0;
  for (int l = 0; l < count; l++) sum += leaf[l].weight;
  return sum;
}

static void middle(const struct willis_leaf *leaf, int count, double centre[3]) {
  for (int axis = 0; axis < 3; axis++) {
    centre[axis] = 0;
    for (int l = 0; l < count; l++) centre[axis] += leaf[l].position_mm[axis] / count;
  }
}

/* Orders the leaves along their longest extent, by power iteration on their covariance. */
static void order_leaves(struct willis_leaf *leaf, int count) {
  double centre[3], axis[3] = {0.5, 0.6, 0.7};
  middle(leaf, count, centre);
  for (int round = 0; round < 30; round++) {
    double next[3] = {0}, length = 0;
    for (int l = 0; l < count; l++) {
      double along = 0;
      for (int a = 0; a < 3; a++) along += (leaf[l].position_mm[a] - centre[a]) * axis[a];
      for (int a = 0; a < 3; a++) next[a] += along * (leaf[l].position_mm[a] - centre[a]);
    }
    for (int a = 0; a < 3; a++) length += next[a] * next[a];
    for (int a = 0; a < 3 && length > 0; a++) axis[a] = next[a] / sqrt(length);
  }
  for (int i = 1; i < count; i++)
    for (int j = i; j > 0; j--) {
      double here = 0, before = 0;
      for (int a = 0; a < 3; a++) {
        here += leaf[j].position_mm[a] * axis[a];
        before += leaf[j - 1].position_mm[a] * axis[a];
      }
      if (before <= here) break;
      struct willis_leaf swap = leaf[j];
      leaf[j] = leaf[j - 1];
      leaf[j - 1] = swap;
    }
}

static void pull_to_surface(const struct willis_territory *t, double point[3]) {
  double r = 0;
  for (int axis = 0; axis < 3; axis++) {
    double x = (point[axis] - t->centre_mm[axis]) / t->semiaxis_mm[axis];
    r += x * x;
  }
  r = sqrt(r);
  if (!(r > 0.1)) return;
  for (int axis = 0; axis < 3; axis++) {
    double surface = t->centre_mm[axis] + (point[axis] - t->centre_mm[axis]) / r;
    point[axis] += t->pull * (surface - point[axis]);
  }
}

/* The stem of leaves [first, first + count), which starts at `node`; then its two halves. The depth
 * is at most the number of leaves. */
static void grow(struct willis_sketch *sketch, ptrdiff_t node, const struct willis_territory *t,
                 int first, int count, double cube_per_weight) {
  if (sketch->failed) return;
  struct willis_leaf *leaf = t->leaf + first;
  double radius = cbrt(cube_per_weight * total_weight(leaf, count)), point[2][3];
  radius = fmax(radius, LEAST_RADIUS_MM);
  struct willis_path path = {point, 2, {radius, radius}, BRANCH_WANDER, t->kind};
  memcpy(point[0], sketch->tree.node[node].position_mm, sizeof point[0]);
  middle(leaf, count, point[1]);
  if (count == 1) {
    path.radius_mm[1] = fmax(LEAST_RADIUS_MM, 0.75 * radius);
    willis_sketch_path(sketch, node, &path);
    return;
  }
  double part = willis_sketch_uniform(sketch, 0.25, 0.55);
  for (int axis = 0; axis < 3; axis++)
    point[1][axis] = point[0][axis] + part * (point[1][axis] - point[0][axis]);
  pull_to_surface(t, point[1]);
  node = willis_sketch_path(sketch, node, &path);
  order_leaves(leaf, count);
  int half = (int)lround(count * willis_sketch_uniform(sketch, 0.3, 0.7));
  half = half < 1 ? 1 : half > count - 1 ? count - 1 : half;
  grow(sketch, node, t, first, half, cube_per_weight);
  grow(sketch, node, t, first + half, count - half, cube_per_weight);
}

void willis_sketch_grow(struct willis_sketch *sketch, ptrdiff_t node,
                        const struct willis_territory *territory) {
  double cube = territory->radius_mm * territory->radius_mm * territory->radius_mm;
  grow(sketch, node, territory, 0, territory->count,
       cube / total_weight(territory->leaf, territory->count));
}
