/* A tree is the union of all balls whose centre and radius run linearly along its edges.
 *
 * A point p is inside an edge's tapered capsule if for some t in [0,1]
 *   f(t) = |p − c(t)|² − r(t)² = A t² − 2B t + C ≤ 0,
 *   q = p − c0, d = c1 − c0, A = d² − (r1−r0)², B = q·d + r0 (r1−r0), C = q² − r0².
 * For A > 0 the least f is at t = B/A, held to [0,1]; otherwise one ball holds the other and the
 * least is at an end. */
#include "base/error.h"
#include "base/memory.h"
#include "volume/voxelize.h"

#include <math.h>

/* In mm along the grid's axes, from the centre of voxel (0,0,0). */
struct capsule {
  double start[3], along[3];
  double radius, taper; /* of the start; what the end has more */
  double square;        /* A */
  double low[3], high[3];
};

struct capsules {
  const struct willis_grid *grid;
  struct capsule *capsule;
  ptrdiff_t count;
};

static inline bool capsule_holds(const struct capsule *c, const double point[3]) {
  double b = c->radius * c->taper, constant = -c->radius * c->radius;
  for (int axis = 0; axis < 3; axis++) {
    double q = point[axis] - c->start[axis];
    b += q * c->along[axis];
    constant += q * q;
  }
  double t = c->square > 0 ? fmin(1, fmax(0, b / c->square)) : 0;
  double least = (c->square * t - 2 * b) * t + constant;
  if (c->square <= 0) least = fmin(least, c->square - 2 * b + constant);
  return least <= 0;
}

/* Fine samples at positions in [low,high] mm, cut to [from,to). */
static void sample_range(double low_mm, double high_mm, double spacing_mm, ptrdiff_t from,
                         ptrdiff_t to, ptrdiff_t *begin, ptrdiff_t *end) {
  double first = ceil((low_mm / spacing_mm + 0.5) * WILLIS_FINE - 0.5);
  double last = floor((high_mm / spacing_mm + 0.5) * WILLIS_FINE - 0.5);
  *begin = first > (double)from ? first < (double)to ? (ptrdiff_t)first : to : from;
  *end = last < (double)to ? last < (double)from ? from : (ptrdiff_t)last + 1 : to;
}

static void fill_tree(const struct willis_layer *layer, const void *shape) {
  const struct capsules *all = shape;
  const double *spacing = all->grid->spacing_mm;
  const ptrdiff_t *n = all->grid->size, first = layer->k * WILLIS_FINE;
  for (ptrdiff_t e = 0; e < all->count; e++) {
    const struct capsule *capsule = all->capsule + e;
    ptrdiff_t begin[3], end[3];
    for (int axis = 0; axis < 3; axis++)
      sample_range(capsule->low[axis], capsule->high[axis], spacing[axis], axis == 2 ? first : 0,
                   axis == 2 ? first + WILLIS_FINE : n[axis] * WILLIS_FINE, begin + axis,
                   end + axis);
    for (ptrdiff_t c = begin[2]; c < end[2]; c++)
      for (ptrdiff_t b = begin[1]; b < end[1]; b++)
        for (ptrdiff_t a = begin[0]; a < end[0]; a++) {
          double point[3] = {(((double)a + 0.5) / WILLIS_FINE - 0.5) * spacing[0],
                             (((double)b + 0.5) / WILLIS_FINE - 0.5) * spacing[1],
                             (((double)c + 0.5) / WILLIS_FINE - 0.5) * spacing[2]};
          if (capsule_holds(capsule, point)) willis_layer_set(layer, a, b, c - first);
        }
  }
}

static enum willis_status check_tree(const struct willis_tree *tree,
                                     const struct willis_warnings *warnings,
                                     struct willis_error *err) {
  ptrdiff_t without = 0;
  if (tree->node_count < 1)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "the tree has no nodes");
  for (ptrdiff_t i = 0; i < tree->node_count; i++) {
    const struct willis_tree_node *node = tree->node + i;
    const double *x = node->position_mm;
    if (!isfinite(x[0]) || !isfinite(x[1]) || !isfinite(x[2]) || !isfinite(node->radius_mm))
      return willis_fail(err, WILLIS_NUMERIC, "node %td: position or radius is not finite", i);
    if (node->radius_mm < 0)
      return willis_fail(err, WILLIS_GEOMETRY, "node %td: radius %g mm, expected 0 or more", i,
                         node->radius_mm);
    if (node->parent < -1 || node->parent >= tree->node_count)
      return willis_fail(err, WILLIS_INVALID_ARGUMENT,
                         "node %td: parent %td, expected a node from 0 to %td, or -1", i,
                         node->parent, tree->node_count - 1);
    without += node->radius_mm == 0;
  }
  if (without)
    willis_warn(warnings, "%td of %td nodes have radius 0: drawn with the least radius", without,
                tree->node_count);
  return WILLIS_OK;
}

static void tree_box(const struct willis_tree *tree, double low[3], double high[3]) {
  for (int axis = 0; axis < 3; axis++) {
    low[axis] = INFINITY;
    high[axis] = -INFINITY;
    for (ptrdiff_t i = 0; i < tree->node_count; i++) {
      const struct willis_tree_node *node = tree->node + i;
      low[axis] = fmin(low[axis], node->position_mm[axis] - node->radius_mm);
      high[axis] = fmax(high[axis], node->position_mm[axis] + node->radius_mm);
    }
  }
}

/* From node to parent; a root is an edge to itself, that is a ball. */
static struct capsule make_capsule(const struct willis_grid *grid,
                                   const struct willis_tree_node *node,
                                   const struct willis_tree_node *parent, double least_mm) {
  double end[3], end_radius = fmax(parent->radius_mm, least_mm);
  struct capsule c = {.radius = fmax(node->radius_mm, least_mm)};
  willis_grid_to_index(grid, node->position_mm, c.start);
  willis_grid_to_index(grid, parent->position_mm, end);
  c.taper = end_radius - c.radius;
  c.square = -c.taper * c.taper;
  for (int axis = 0; axis < 3; axis++) {
    c.start[axis] *= grid->spacing_mm[axis];
    end[axis] *= grid->spacing_mm[axis];
    c.along[axis] = end[axis] - c.start[axis];
    c.square += c.along[axis] * c.along[axis];
    c.low[axis] = fmin(c.start[axis] - c.radius, end[axis] - end_radius);
    c.high[axis] = fmax(c.start[axis] + c.radius, end[axis] + end_radius);
  }
  return c;
}

enum willis_status willis_tree_voxelize(const struct willis_tree *tree,
                                        const struct willis_voxelize_options *options,
                                        const struct willis_warnings *warnings,
                                        struct willis_volume *volume, struct willis_error *err) {
  double low[3], high[3];
  struct willis_grid grid;
  enum willis_status status = check_tree(tree, warnings, err);
  if (status) return status;
  tree_box(tree, low, high);
  status = willis_voxelize_grid(options, low, high, &grid, err);
  if (status) return status;
  struct capsules all = {.grid = &grid, .count = tree->node_count};
  all.capsule = willis_take(all.count, sizeof *all.capsule);
  if (!all.capsule) return willis_fail_memory(err, "capsules", all.count, sizeof *all.capsule);
  double voxel_mm = fmax(grid.spacing_mm[0], fmax(grid.spacing_mm[1], grid.spacing_mm[2]));
  for (ptrdiff_t i = 0; i < all.count; i++) {
    const struct willis_tree_node *node = tree->node + i;
    const struct willis_tree_node *parent = node->parent < 0 ? node : tree->node + node->parent;
    all.capsule[i] = make_capsule(&grid, node, parent, options->min_radius_voxels * voxel_mm);
  }
  status = willis_voxelize_layers(options, &grid, 1, fill_tree, &all, volume, err);
  willis_release(all.capsule);
  return status;
}
