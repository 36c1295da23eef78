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

struct willis_hull_case {
  struct willis_hull_set set;
  struct willis_lattice lattice;
  struct willis_hull_input input; /* points into the two; must stay where it is */
};

/* An empty hull is not an error: it has set.rows 0 and no lattice. The caller releases it. */
WILLIS_CHECKED enum willis_status willis_hull_case_init(struct willis_hull_case *c,
                                                        const struct willis_projections *stack,
                                                        const struct willis_grid *grid,
                                                        struct willis_error *err);
void willis_hull_case_release(struct willis_hull_case *c);
static inline float willis_hull_probability(float logit, double temperature) {
  return 1 / (1 + expf(-logit / (float)temperature));
}

/* About what willis_hull_reconstruct() takes; how large hulls are is only known later. */
size_t willis_hull_reconstruct_bytes(const struct willis_projections *stack,
                                     const struct willis_grid *grid);
/* The probability of vessel in every voxel of the grid, as the network is calibrated, 0 outside the
 * hull, slices in order. Grids of more than 128 voxels along an edge are decided on half as fine a
 * grid first, and then only where that leaves hope; views of the next quarter as those of a turned
 * head (hull_pose.h). Then, when `ambiguity` is not null, the ambiguity of hull_ambiguity.h. FORMAT
 * for a calibration that cannot be read. */
WILLIS_CHECKED enum willis_status willis_hull_reconstruct(const struct willis_projections *stack,
                                                          const struct willis_network *network,
                                                          const struct willis_grid *grid,
                                                          const struct willis_plane_sink *sink,
                                                          const struct willis_plane_sink *ambiguity,
                                                          struct willis_error *err);
/* The same into a volume that is there. */
WILLIS_CHECKED enum willis_status
willis_hull_reconstruct_whole(const struct willis_projections *stack,
                              const struct willis_network *network,
                              struct willis_volume *probability, struct willis_error *err);

#endif
