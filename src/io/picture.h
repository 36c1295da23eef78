/* Pictures on a canvas. */
#ifndef WILLIS_IO_PICTURE_H
#define WILLIS_IO_PICTURE_H

#include "io/canvas.h"

#include <willis/figure.h>

/* Draws the picture as large as it fits into the box, centred, its shape kept. Enlarged pixels stay
 * squares: a reader should see what the voxels are. */
void willis_picture_draw(cairo_t *cairo, const struct willis_picture *picture, double x, double y,
                         double width, double height);

#endif
