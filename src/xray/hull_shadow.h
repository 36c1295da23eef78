/* Where the voxels of a grid fall on the pictures of a stack, and the rays that lead there. */
#ifndef WILLIS_XRAY_HULL_SHADOW_H
#define WILLIS_XRAY_HULL_SHADOW_H

#include <willis/geometry.h>

#include <stdint.h>

/* Of one view: voxel (i,j,k) falls on column = across/depth, row = down/depth, each affine. */
struct willis_shadow {
  double across[4], down[4], depth[4];
  double past[4], reach;            /* voxels beyond the grid's middle; what rays see of them, M4 */
  double voxel_columns, voxel_rows; /* pixels that a voxel at the isocenter covers */
  /* Rays are bins as wide as a voxel at the isocenter, counted from the picture's middle, so that
   * they do not depend on its size: rays_across × rays_down of them, row by row. */
  ptrdiff_t rays_across, rays_down;
};

void willis_shadow_init(struct willis_shadow *shadow, const struct willis_projections *stack,
                        ptrdiff_t view, const struct willis_grid *grid);
/* The pixel under a place in voxels; false where no ray of the picture goes: beyond its border,
 * behind the source, and for parallel views in the corners that a cube turned with the view leaves
 * out, as in willis_hull(). */
bool willis_shadow_falls_on(const struct willis_shadow *shadow,
                            const struct willis_projections *stack, const double place[3],
                            double *column, double *row);
/* A pixel in rays: the whole part counts the rays, the rest says how far it is to the next. */
void willis_shadow_ray(const struct willis_shadow *shadow, const struct willis_projections *stack,
                       double column, double row, double *across, double *down);
/* The pixel in the middle of a ray. */
void willis_shadow_middle(const struct willis_shadow *shadow,
                          const struct willis_projections *stack, ptrdiff_t across, ptrdiff_t down,
                          double *column, double *row);
/* As the hull has it: all pixels around a place are shown. */
bool willis_shadow_shown(const struct willis_shutter *shutter, double column, double row);

/* The image at a place, linearly interpolated; what lies beyond its border is as the border. */
double willis_picture_at(const struct willis_projections *stack, const float *image, double column,
                         double row);
/* Indices of voxel `voxel` of the grid. */
void willis_place_of(const struct willis_grid *grid, int32_t voxel, double place[3]);

#endif
