/* From a projection stack to the probability of vessel, by the hull network. */
#ifndef WILLIS_RECON_HULL_RECONSTRUCT_H
#define WILLIS_RECON_HULL_RECONSTRUCT_H

#include "recon/feed.h"

#include <willis/geometry.h>
#include <willis/network.h>

/* The probability of vessel in every voxel of the grid, as the network is calibrated, 0 outside the
 * hull, slices in order. Grids of more than 128 voxels along an edge are decided on half as fine a
 * grid first, and then only where that leaves hope; views of the next quarter as those of a turned
 * head (hull_pose.h). More than `room` bytes are not taken, 0: no limit (OUT_OF_MEMORY). Then, when
 * `ambiguity` is not null, the ambiguity of hull_ambiguity.h. FORMAT for a calibration that cannot
 * be read. */
WILLIS_CHECKED enum willis_status willis_hull_reconstruct(const struct willis_projections *stack,
                                                          const struct willis_network *network,
                                                          const struct willis_grid *grid,
                                                          const struct willis_plane_sink *sink,
                                                          const struct willis_plane_sink *ambiguity,
                                                          size_t room, struct willis_error *err);
/* The same into a volume that is there. */
WILLIS_CHECKED enum willis_status
willis_hull_reconstruct_whole(const struct willis_projections *stack,
                              const struct willis_network *network,
                              struct willis_volume *probability, struct willis_error *err);

#endif
