/* Centre lines of a mask's picture: the nearest one of every pixel, and which way it runs. */
#ifndef WILLIS_XRAY_LINE_MAP_H
#define WILLIS_XRAY_LINE_MAP_H

#include <willis/error.h>

#include <stddef.h>

/* Line pixels in raster order. A place is that of the pixel moved onto the line through its
 * neighbours, for a chain of pixels is half a pixel rough. */
struct willis_line_map {
  ptrdiff_t columns, rows, count;
  double (*place)[2], (*normal)[2]; /* [count]: column, row */
  ptrdiff_t *nearest;               /* [rows][columns]: a line pixel; −1 when there is none */
};

/* Of what is at least 0.5. OUT_OF_MEMORY; then nothing is to be released. */
WILLIS_CHECKED enum willis_status willis_line_map_create(const float *picture, ptrdiff_t columns,
                                                         ptrdiff_t rows,
                                                         struct willis_line_map *map,
                                                         struct willis_error *err);
void willis_line_map_release(struct willis_line_map *map);

#endif
