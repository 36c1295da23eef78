/* The voxels that a visual hull leaves, as a list, and what every view shows of each of them: what
 * a sparse network decides about, and by what (doc/beyond.md).
 *
 * Pixel values are divided by `unit`. MAX: the largest of the stack. SUM: there is no common scale.
 * Which voxels are listed, and the first solution of line integrals, go by what one voxel of vessel
 * adds to a line integral, as the stack shows it: a pixel's value over the number of hull voxels on
 * its ray, the least over a voxel's views, of which the 99th percentile is taken. It then says
 * better what a voxel adds, and the unit is such that between Otsu's two classes of it lie MIDDLE
 * units. φ(p) = log2(1 + p) keeps long line integrals in range. */
#ifndef WILLIS_XRAY_HULL_SET_H
#define WILLIS_XRAY_HULL_SET_H

#include "base/ray_place.h"

#include <willis/geometry.h>

#include <stdint.h>

enum { WILLIS_HULL_SET_SEEN = 7, WILLIS_HULL_SET_ABOUT = 3, WILLIS_HULL_SET_VOXEL = 12 };
/* Which numbers of a voxel the solution has, and what is believed: two each. */
enum { WILLIS_HULL_SET_SOLUTION = 8, WILLIS_HULL_SET_BELIEF = 10 };

/* A hull voxel's least pixel, in units: chosen on training patients for a recall of 0.999. */
#define WILLIS_HULL_SET_LEAST_MAX 0.1
#define WILLIS_HULL_SET_LEAST_SUM 0.15
/* The middle between Otsu's two classes of what explains line integrals, in units. Not ½, since the
 * unit by shares that came before was as large on average, and models had learned from it. */
#define WILLIS_HULL_SET_MIDDLE (2.0 / 3)

/* The probability of a vessel at a place of a grid, in voxels, as far as it is known. Several
 * threads ask at once. */
struct willis_hull_belief {
  float (*probability)(const void *said, const double place[3]);
  const void *said;
};

struct willis_hull_set {
  ptrdiff_t rows, rays;
  int views;
  double list_unit, unit; /* what voxels were listed by, and what everything here is told in */
  int32_t *voxel;         /* [rows] index in the grid, ascending */
  float *least;           /* [rows] the least pixel over the views that see it */
  /* [rows][12]: φ of the least pixel, its logarithm, mean and deviation of φ over the views that
   * see it, log2 of the number of views, how evenly their directions are spread, which part of them
   * sees it, 1 for SUM; for SUM φ of the solution (hull_solution.h) and log2 of it + 1/16, else 0;
   * and p and log2(p + 1/16) of a probability that is believed, 0 while none is. */
  float *about_voxel;
  float *seen; /* [views][rows][7]: φ(p), log2(p + 1/16), φ(p) − φ(least), and φ of the pixels
                  one voxel right, left, below, above − φ(p); 0 where not seen */
  /* [views][rows] where its shadow falls among the rays of a view, which are as wide as a voxel at
   * the isocenter; below `rays` */
  struct willis_ray_place *place;
  int32_t *pitch;    /* [views] rays in a row of them */
  float *about_view; /* [views][3]: x² − y², 2xy and z² of the beam's direction in the grid */
  float *solution;   /* [rows] in units, what explains line integrals; null for MAX and no rows */
  float *share;      /* [rows] 1/(views that see it), 0 for none */
};

/* Views of either kind. The caller releases the set, also an empty one. GEOMETRY, OUT_OF_MEMORY
 * (also when there are more than `most` rows; 0: as many as there are), NUMERIC, INVALID_ARGUMENT
 * (more than 254 views, 2^31 voxels or more). */
WILLIS_CHECKED enum willis_status willis_hull_set_init(struct willis_hull_set *set,
                                                       const struct willis_projections *stack,
                                                       const struct willis_grid *grid,
                                                       ptrdiff_t most, struct willis_error *err);
/* The same on a finer grid, of those of its voxels that lie in the marked voxels of a grid half as
 * fine: within[ceil(z/2)·ceil(y/2)·ceil(x/2)], not 0 where marked; `unit`, by which they are
 * listed, is that of the coarser set, halved for SUM. What is believed is written down, and the
 * first solution begins and goes by it. No volume is made. */
WILLIS_CHECKED enum willis_status willis_hull_set_refine(struct willis_hull_set *set,
                                                         const struct willis_projections *stack,
                                                         const struct willis_grid *grid,
                                                         const uint8_t *within, double unit,
                                                         const struct willis_hull_belief *belief,
                                                         ptrdiff_t most, struct willis_error *err);
/* Writes down what is believed, probability[rows], and explains line integrals anew by it:
 * `solution` and what the voxels say of it; the unit stays. The stack and the grid are those of the
 * set. OUT_OF_MEMORY: the set is good for release alone. */
WILLIS_CHECKED enum willis_status willis_hull_set_believe(struct willis_hull_set *set,
                                                          const struct willis_projections *stack,
                                                          const struct willis_grid *grid,
                                                          const float *probability,
                                                          struct willis_error *err);
/* The most rays that a view of the stack has. */
ptrdiff_t willis_hull_set_rays(const struct willis_projections *stack,
                               const struct willis_grid *grid);
/* What a set takes, and the most that its making does: first there is the hull of `voxels` voxels
 * with a list of all that could be, then the set with a solution of line integrals. */
size_t willis_hull_set_bytes(ptrdiff_t rows, int views);
size_t willis_hull_set_making_bytes(ptrdiff_t voxels, ptrdiff_t rows, ptrdiff_t rays, int views);
void willis_hull_set_release(struct willis_hull_set *set);

#endif
