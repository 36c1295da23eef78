/* A head as the hull network sees it, from a projection stack. */
#ifndef WILLIS_RECON_HULL_CASE_H
#define WILLIS_RECON_HULL_CASE_H

#include "nn/hull_net.h"
#include "xray/hull_set.h"

#include <math.h>

/* Room for the rows of a stack of two views or more of a cube: a fifth of all voxels, or 11/edge
 * where a voxel is thick; 0.3 + 11/edge when photons are counted, whose noise lets half of the rays
 * of each view pass where nothing is. Measured on phantoms (test_hull_vary). */
ptrdiff_t willis_hull_case_room(ptrdiff_t edge, bool photons);
/* The most that a case of `rows` voxels takes with its making and the buffers of the network,
 * beside the stack, the network and, in training, the parameters' blocks. */
size_t willis_hull_case_bytes(const ptrdiff_t size[3], ptrdiff_t rows, ptrdiff_t rays, int views,
                              bool training);

/* What pictures as coarse as the grid take beside those of the stack; 0 when those are used. */
size_t willis_hull_case_binned_bytes(const struct willis_projections *stack,
                                     const struct willis_grid *grid);
/* The same with the number of voxels of the hull that the case is made out of, 0 when that is a
 * coarser case, and `crowd` of lattice.h. */
size_t willis_hull_case_bytes_from(ptrdiff_t voxels, const ptrdiff_t size[3], ptrdiff_t rows,
                                   int crowd, ptrdiff_t rays, int views, bool training);

/* How many voxels of a level a cell of the next holds on average, hulls of vessels having 3 and
 * more. */
enum { WILLIS_HULL_CROWD = 3 };

/* The stack must be there as long as the case is. */
struct willis_hull_case {
  struct willis_projections
      binned; /* its own, of line integrals when a voxel covers two pixels and more */
  const struct willis_projections *stack; /* that, or the one that it was made from */
  struct willis_grid grid;
  struct willis_hull_set set;
  struct willis_lattice lattice;
  struct willis_hull_input input; /* points into the two; must stay where it is */
  bool refined;                   /* of a coarser one, and told what was said there */
};

/* An empty hull is not an error: it has set.rows 0 and no lattice. The caller releases it.
 * OUT_OF_MEMORY also when the hull is so large that it, its making or a look at it take more than
 * `room` bytes; 0: no limit. */
WILLIS_CHECKED enum willis_status willis_hull_case_init(struct willis_hull_case *c,
                                                        const struct willis_projections *stack,
                                                        const struct willis_grid *grid, size_t room,
                                                        struct willis_error *err);
/* The same within the marked voxels of a grid half as fine: willis_hull_set_refine(). */
WILLIS_CHECKED enum willis_status willis_hull_case_refine(struct willis_hull_case *c,
                                                          const struct willis_projections *stack,
                                                          const struct willis_grid *grid,
                                                          const uint8_t *within, double unit,
                                                          const struct willis_hull_belief *belief,
                                                          size_t room, struct willis_error *err);
void willis_hull_case_release(struct willis_hull_case *c);
/* Adds what an earlier look said, logit[set.rows]: the network sees p and log2(p + 1/16) of it, and
 * line integrals are explained by what it believes in (willis_hull_set_believe()).
 * OUT_OF_MEMORY. */
WILLIS_CHECKED enum willis_status
willis_hull_case_tell(struct willis_hull_case *c, const float *logit, struct willis_error *err);
static inline float willis_hull_probability(float logit, double temperature) {
  return 1 / (1 + expf(-logit / (float)temperature));
}

#endif
