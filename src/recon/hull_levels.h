/* A head as the hull network sees it on a grid of any size: large grids coarse first. */
#ifndef WILLIS_RECON_HULL_LEVELS_H
#define WILLIS_RECON_HULL_LEVELS_H

#include "recon/hull_case.h"

/* Whether a grid is decided on half as fine a grid first, and that grid. */
bool willis_hull_is_large(const struct willis_grid *grid);
struct willis_grid willis_half_grid(const struct willis_grid *grid);
/* As willis_hull_case_init(), for a grid of any size: a large one has only those voxels that the
 * network leaves on half as fine a grid, and has been told what it said there. `room` as for
 * willis_hull_case_init(), what is said included. */
WILLIS_CHECKED enum willis_status willis_hull_case_of(struct willis_hull_case *c,
                                                      const struct willis_projections *stack,
                                                      const struct willis_network *network,
                                                      const struct willis_grid *grid, size_t room,
                                                      struct willis_error *err);
/* About what that and a look at it take; how large hulls are is only known later. */
size_t willis_hull_levels_bytes(const struct willis_projections *stack,
                                const struct willis_grid *grid);

#endif
