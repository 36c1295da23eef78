/* The axes of a grid in the order and sense nearest to LPS (M1). */
#ifndef WILLIS_VOLUME_AXES_H
#define WILLIS_VOLUME_AXES_H

#include <willis/volume.h>

/* The grid's axis[w] runs nearest to world axis w, against it where flip[w]. */
struct willis_axes {
  int axis[3];
  bool flip[3];
  bool oblique; /* more than 0.8 degrees off */
};
struct willis_axes willis_axes_nearest_lps(const struct willis_grid *grid);
/* The grid of the same voxels with its axes in that order and sense. */
struct willis_grid willis_grid_turned(const struct willis_grid *grid,
                                      const struct willis_axes *axes);

#endif
