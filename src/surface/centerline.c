/* Centre lines with radii: the mask is thinned to lines one voxel wide, whose voxels become nodes,
 * joined to trees by breadth-first walks that start at line ends where there are any. The radius
 * is the distance to the nearest voxel outside the mask, half a voxel less: the surface lies
 * between the two. A loop is cut where its two arms meet, since a tree has none. */
#include <willis/surface.h>

#include "base/error.h"
#include "base/memory.h"
#include "volume/distance_transform.h"
#include "volume/thinning.h"

#include <math.h>

enum { AXON = 2 }; /* what SWC calls a thread; the format has no vessels */

struct walk {
  const ptrdiff_t *size;
  unsigned char *line; /* 1: on a line and not yet taken */
  ptrdiff_t *voxel;    /* of each node, in the order of nodes */
  struct willis_tree_node *node;
  ptrdiff_t count;
};

static void take(struct walk *w, ptrdiff_t voxel, ptrdiff_t parent) {
  w->line[voxel] = 2;
  w->voxel[w->count] = voxel;
  w->node[w->count++] = (struct willis_tree_node){.parent = parent, .kind = AXON};
}

/* Neighbours on a line that are not yet taken, those that share a face first, then an edge: so
 * staircases do not branch. `found` holds up to 26; returns how many. */
static int neighbours(const struct walk *w, ptrdiff_t voxel, ptrdiff_t found[26]) {
  const ptrdiff_t *n = w->size;
  const ptrdiff_t x = voxel % n[0], y = voxel / n[0] % n[1], z = voxel / n[0] / n[1];
  int count = 0;
  for (int shared = 1; shared <= 3; shared++)
    for (int k = 0; k < 27; k++) {
      const ptrdiff_t dx = k % 3 - 1, dy = k / 3 % 3 - 1, dz = k / 9 - 1;
      if (dx * dx + dy * dy + dz * dz != shared) continue;
      if (x + dx < 0 || y + dy < 0 || z + dz < 0 || x + dx >= n[0] || y + dy >= n[1] ||
          z + dz >= n[2])
        continue;
      const ptrdiff_t at = voxel + dx + n[0] * (dy + n[1] * dz);
      if (w->line[at] == 1) found[count++] = at;
    }
  return count;
}

static void walk_from(struct walk *w, ptrdiff_t start) {
  ptrdiff_t found[26];
  ptrdiff_t done = w->count;
  take(w, start, -1);
  for (; done < w->count; done++) {
    const int count = neighbours(w, w->voxel[done], found);
    for (int i = 0; i < count; i++) take(w, found[i], done);
  }
}

static void place(const struct willis_grid *grid, const double *squared_mm2, struct walk *w) {
  const double half_mm =
      0.5 * fmin(grid->spacing_mm[0], fmin(grid->spacing_mm[1], grid->spacing_mm[2]));
  for (ptrdiff_t i = 0; i < w->count; i++) {
    const ptrdiff_t v = w->voxel[i], *n = w->size;
    const double index[3] = {(double)(v % n[0]), (double)(v / n[0] % n[1]),
                             (double)(v / n[0] / n[1])};
    willis_grid_to_world(grid, index, w->node[i].position_mm);
    w->node[i].radius_mm = isfinite(squared_mm2[v]) ? sqrt(squared_mm2[v]) - half_mm : half_mm;
  }
}

enum willis_status willis_centerline(const struct willis_volume *mask, struct willis_tree *tree,
                                     struct willis_error *err) {
  *tree = (struct willis_tree){0};
  enum willis_status status = willis_grid_check(&mask->grid, "mask", err);
  if (status) return status;
  const ptrdiff_t *n = mask->grid.size, count = willis_grid_count(&mask->grid);
  ptrdiff_t length = 0, found[26];
  struct walk w = {.size = n, .line = willis_take(count, 1)};
  unsigned char *outside = willis_take(count, 1);
  double *squared = willis_take(count, sizeof *squared);
  if (!w.line || !outside || !squared)
    status = willis_fail_memory(err, "mask", count, 2 + sizeof *squared);
  for (ptrdiff_t i = 0; i < count && !status; i++) {
    w.line[i] = mask->voxels[i] > 0.5f;
    outside[i] = !w.line[i];
  }
  if (!status) status = willis_distance_transform(outside, n, mask->grid.spacing_mm, squared, err);
  if (!status) status = willis_mask_thin(w.line, n, err);
  for (ptrdiff_t i = 0; i < count && !status; i++) length += w.line[i];
  if (!status) {
    w.voxel = willis_take(length, sizeof *w.voxel);
    w.node = willis_take(length, sizeof *w.node);
    if (!w.voxel || !w.node) status = willis_fail_memory(err, "nodes", length, sizeof *w.node);
  }
  if (!status) {
    for (ptrdiff_t i = 0; i < count; i++)
      if (w.line[i] == 1 && neighbours(&w, i, found) == 1) walk_from(&w, i);
    for (ptrdiff_t i = 0; i < count; i++) /* loops without ends, lone voxels */
      if (w.line[i] == 1) walk_from(&w, i);
    place(&mask->grid, squared, &w);
    *tree = (struct willis_tree){w.node, w.count};
  } else {
    willis_release(w.node);
  }
  willis_release(w.voxel);
  willis_release(squared);
  willis_release(outside);
  willis_release(w.line);
  return status;
}
