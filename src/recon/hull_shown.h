/* What one step of training shows of a head: turned, and perhaps cut off at a plane. */
#ifndef WILLIS_RECON_HULL_SHOWN_H
#define WILLIS_RECON_HULL_SHOWN_H

#include <willis/volume.h>

enum { WILLIS_SHOWN_POSES = 48 };

/* Axis a of the turned cube is axis `from[a]` of the upright one, `flipped` or not. Of a cut one
 * there is nothing from `plane` on along `axis`, or before it. */
struct willis_shown {
  ptrdiff_t edge;
  int from[3];
  bool flipped[3];
  bool cut, above;
  int axis;
  ptrdiff_t plane;
};

/* Pose 0 is upright, 1 has left and right exchanged; not cut. */
struct willis_shown willis_shown_pose(ptrdiff_t edge, ptrdiff_t number);
/* Cuts it at the plane that `place` in [0, 1) chooses, if that leaves some of the truth. */
void willis_shown_cut(struct willis_shown *shown, double place, const struct willis_volume *truth);
/* Where voxel `index` of the turned cube was. */
ptrdiff_t willis_shown_source(const struct willis_shown *shown, ptrdiff_t index);
/* What is vessel in the turned cube, where it was not cut off. */
float willis_shown_target(const struct willis_shown *shown, const struct willis_volume *truth,
                          ptrdiff_t index);
/* The same on a grid whose edge was halved, rounded up, some times or none: whether 3 of 2³,
 * 24 of 4³ … voxels that its voxel stands for are vessel. */
float willis_shown_target_on(const struct willis_shown *shown, const struct willis_volume *truth,
                             ptrdiff_t edge, ptrdiff_t index);
/* The caller releases it. OUT_OF_MEMORY. */
WILLIS_CHECKED enum willis_status willis_shown_volume(const struct willis_shown *shown,
                                                      const struct willis_volume *volume,
                                                      struct willis_volume *turned,
                                                      struct willis_error *err);

#endif
