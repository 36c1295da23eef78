/* Exact Euclidean distances on a grid. */
#ifndef WILLIS_VOLUME_DISTANCE_TRANSFORM_H
#define WILLIS_VOLUME_DISTANCE_TRANSFORM_H

#include <willis/error.h>

#include <stddef.h>

/* squared_mm2[v] = squared distance in mm² from the centre of voxel v to the centre of the nearest
 * voxel with feature ≠ 0; INFINITY everywhere if there is none. Arrays of size[0] (x, fastest) ×
 * size[1] × size[2], owned by the caller; any spacing > 0. Linear time, the same bits for any
 * number of threads. OUT_OF_MEMORY. */
WILLIS_CHECKED enum willis_status willis_distance_transform(const unsigned char *feature,
                                                            const ptrdiff_t size[3],
                                                            const double spacing_mm[3],
                                                            double *squared_mm2,
                                                            struct willis_error *err);

#endif
