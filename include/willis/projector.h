/* Operators between volumes and projection stacks (M4, M5).
 *
 * Views may be of any direction, detector size, pixel spacing and principal point, and of both
 * kinds in one stack.
 *
 * Parallel beams want volumes that are cubic, isotropic, along LPS (n³ voxels); anything else is
 * GEOMETRY. Those that turn about z with the volume's own slices as rows (willis_view_parallel) are
 * fast. The cube turns with the view, as scipy.ndimage.rotate(reshape=False) turns it: a ray has n
 * samples, one voxel apart, about the volume's centre, and what lies deeper or nearer does not
 * count; a view does not see a voxel whose centre falls outside the detector's pixel centres or
 * outside those n samples.
 *
 * Cone beams take any grid, of less than 2^31 voxels, that lies before their sources. A ray is
 * sampled where it crosses the planes of voxels across its steepest axis, bilinearly (Joseph, IEEE
 * TMI 1982); its line integral is the samples' sum times the mm between two of them. Outside the
 * grid counts as 0, for MAX as the volume's minimum. A view does not see a voxel whose shadow falls
 * outside the detector's pixel centres.
 *
 * Pixels that a view's shutter does not show are unknown: projecting leaves 0 there,
 * back-projecting and the transposes expect 0 there, and the hull counts a voxel as not seen by a
 * view when one of the pixels around its shadow is not shown.
 *
 * Every result is the same to the last bit for any number of threads; with and without AVX2 it is
 * the same within float32 rounding. Values are expected to be finite. */
#ifndef WILLIS_PROJECTOR_H
#define WILLIS_PROJECTOR_H

#include <willis/geometry.h>

WILLIS_BEGIN

/* Projects a volume into every view of `stack` (views and sizes set by the caller, pixels
 * overwritten) by `stack->mode`. Outside counts as the volume's minimum for MAX and as 0 for SUM.
 */
WILLIS_API WILLIS_CHECKED enum willis_status willis_project(const struct willis_volume *volume,
                                                            struct willis_projections *stack,
                                                            struct willis_error *err);
/* The exact transpose of willis_project() in SUM mode: volume = Aᵀ·pixels on volume->grid. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_project_adjoint(const struct willis_projections *stack, struct willis_volume *volume,
                       struct willis_error *err);
/* The paper's back-projection onto volume->grid (M5), not normalised: every voxel sums the linearly
 * interpolated images at its detector coordinates, nothing where a view does not see it. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_backproject(const struct willis_projections *stack, struct willis_volume *volume,
                   struct willis_error *err);
/* The same for some views (`view[view_count]`, numbers in the stack; null: all) and the slices
 * begin ≤ k < end of the grid, into voxels[(end−begin)·n·n]: so a head's 90 images serve every
 * choice of views, and a volume can be made a slab at a time. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_backproject_slab(const struct willis_projections *stack, const ptrdiff_t *view,
                        ptrdiff_t view_count, const struct willis_grid *grid, ptrdiff_t begin,
                        ptrdiff_t end, float *voxels, struct willis_error *err);
/* Exactly what willis_backproject_slab() allocates for all views and so many slices at a time. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_backproject_slab_bytes(const struct willis_projections *stack,
                              const struct willis_grid *grid, ptrdiff_t slices, size_t *bytes,
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
/* The hull with a continuity prior: values in [0,1], 0 outside the hull. On every ray the voxels
 * compete for being what the picture shows; those win whose neighbours are strong too. Maximum
 * projections are what it is for; few views are what it helps. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_hull_continuity(const struct willis_projections *stack, struct willis_volume *volume,
                       struct willis_error *err);
/* The grid a reconstruction goes to when the user names none (n and spacing_mm 0): the stored grid
 * (made cubic), else the largest cube around the isocenter that every view sees, at the finest
 * pixel spacing. n > 0 asks for n³ voxels and spacing_mm > 0 for that spacing, centred on the
 * isocenter; with only one of them the edge of the default cube stays. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_projections_output_grid(const struct willis_projections *stack, ptrdiff_t n,
                               double spacing_mm, struct willis_grid *grid,
                               struct willis_error *err);

/* What a real C-arm does to angiograms: they come from a little elsewhere than the stack says, and
 * pixels count photons. Standard deviations; 0 leaves things as they are. */
struct willis_disturbance {
  double angle_sd_deg;    /* of each view's primary angle */
  double shift_sd_pixels; /* of each view's principal point, along columns and along rows */
  double photons;         /* of a pixel that no vessel covers; the darkest pixel lets 1/e through */
  uint64_t seed;
};
/* Changes what the views say of themselves, and the pixels of line integrals. INVALID_ARGUMENT. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_projections_disturb(struct willis_projections *stack,
                           const struct willis_disturbance *disturbance, struct willis_error *err);

WILLIS_END

#endif
