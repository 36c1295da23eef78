/* Operators between volumes and projection stacks (M4, M5). All are the same to the last bit for
 * any number of threads. Parallel beams; a cone beam returns UNSUPPORTED. */
#ifndef WILLIS_PROJECTOR_H
#define WILLIS_PROJECTOR_H

#include <willis/geometry.h>

WILLIS_BEGIN

/* Projects a cubic LPS volume into every view of `stack` (views and sizes set by the caller, pixels
 * overwritten) by `stack->mode`. Rotation with linear interpolation; outside counts as the volume's
 * minimum for MAX and as 0 for SUM. */
WILLIS_API WILLIS_CHECKED enum willis_status willis_project(const struct willis_volume *volume,
                                                            struct willis_projections *stack,
                                                            struct willis_error *err);
/* The exact transpose of willis_project() in SUM mode: adds Aᵀ·pixels into a zeroed volume. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_project_adjoint(const struct willis_projections *stack, struct willis_volume *volume,
                       struct willis_error *err);
/* The paper's back-projection onto volume->grid (M5), not normalised: every voxel sums the linearly
 * interpolated images at its detector coordinates, nothing where it lies outside the rotated cube.
 */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_backproject(const struct willis_projections *stack, struct willis_volume *volume,
                   struct willis_error *err);
/* The exact transpose of willis_backproject(). Overwrites the pixels. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_backproject_adjoint(const struct willis_volume *volume, struct willis_projections *stack,
                           struct willis_error *err);
/* Visual hull: the minimum over the views that see a voxel of the interpolated image; a voxel that
 * no view sees gets 0. */
WILLIS_API WILLIS_CHECKED enum willis_status willis_hull(const struct willis_projections *stack,
                                                         struct willis_volume *volume,
                                                         struct willis_error *err);
/* The grid a reconstruction goes to when the user names none: the stored grid, else the cube every
 * view sees. n > 0 asks for n³ voxels, spacing_mm > 0 for that spacing, centred on the isocenter.
 */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_projections_output_grid(const struct willis_projections *stack, ptrdiff_t n,
                               double spacing_mm, struct willis_grid *grid,
                               struct willis_error *err);

WILLIS_END

#endif
