/* How often the hull network looks at a case, in which mirrors, and what comes of it. */
#ifndef WILLIS_RECON_HULL_LOOKS_H
#define WILLIS_RECON_HULL_LOOKS_H

#include "recon/hull_case.h"

/* Views that leave open which voxels explain them, and grids on which every look takes long. */
bool willis_hull_few(int views);
bool willis_hull_takes_seconds(const struct willis_grid *grid);

/* Looks, the last `averaged` of which count; look k is in mirror[k % mirrors] (hull_mirror.h), the
 * first as things are. Few views are seen left for right too when those are known as well. */
enum { WILLIS_HULL_MIRRORS = 4 };
struct willis_hull_looks {
  int looks, averaged, mirrors;
  unsigned mirror[WILLIS_HULL_MIRRORS];
};
/* Of a case (doc/beyond.md, H11) on the grid that is asked for or on one before it. */
struct willis_hull_looks willis_hull_looks_of(const struct willis_hull_case *c,
                                              const struct willis_grid *asked);

/* logit[set.rows], the mean of what the last looks say, each of which is told what the one before
 * said. Nothing for an empty hull. OUT_OF_MEMORY, NUMERIC. */
WILLIS_CHECKED enum willis_status willis_hull_look(struct willis_hull_case *c,
                                                   const struct willis_grid *asked,
                                                   const struct willis_network *network,
                                                   float *logit, struct willis_error *err);
/* The same, and then of what explains the pictures: a voxel's grey value, with three views and more
 * that agree (hull_grey.h, H13). */
WILLIS_CHECKED enum willis_status willis_hull_decide(struct willis_hull_case *c,
                                                     const struct willis_network *network,
                                                     float *logit, struct willis_error *err);
/* What training does before a look that is learned from: `before` looks, the last of which is
 * told. */
WILLIS_CHECKED enum willis_status willis_hull_look_before(struct willis_hull_case *c,
                                                          const struct willis_network *network,
                                                          int before, struct willis_error *err);

#endif
