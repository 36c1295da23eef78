/* Thinning of a mask to its skeleton. */
#ifndef WILLIS_VOLUME_THINNING_H
#define WILLIS_VOLUME_THINNING_H

#include <willis/error.h>

#include <stddef.h>

/* Thins `mask` (0 or 1, size[0] = x fastest; outside counts as 0) in place to lines one voxel wide
 * with the same 26-connected topology: Lee, Kashyap and Chu 1994. Equals scikit-image's
 * skeletonize(method="lee") of the array [z][y][x], voxel for voxel; so it
 * shares its flaw (scikit-image issue 3757) that of bars an even number of voxels thick, such as a
 * box of 2×2×2, nothing may be left. OUT_OF_MEMORY leaves the mask
 * as it was. One thread: what a voxel becomes depends on those before it. */
WILLIS_CHECKED enum willis_status willis_mask_thin(unsigned char *mask, const ptrdiff_t size[3],
                                                   struct willis_error *err);

#endif
