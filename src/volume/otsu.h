/* Otsu's two classes of voxels that are a list, the others being 0. */
#ifndef WILLIS_VOLUME_OTSU_H
#define WILLIS_VOLUME_OTSU_H

#include <willis/error.h>

#include <stddef.h>

/* The middle between the means of the two classes that Otsu's threshold makes of value[count] and
 * so many zeros, in 256 bins: the threshold itself as far as bins and gaps leave it one place. The
 * value when all are the same, 0 when there is none. NUMERIC (a value that is not finite),
 * OUT_OF_MEMORY. */
WILLIS_CHECKED enum willis_status willis_otsu_middle(const float *value, ptrdiff_t count,
                                                     ptrdiff_t zeros, double *middle,
                                                     struct willis_error *err);

#endif
