/* Geometry that other software wrote (willis/angiogram.h says which). */
#ifndef WILLIS_IO_GEOMETRY_FILE_H
#define WILLIS_IO_GEOMETRY_FILE_H

#include <willis/angiogram.h>

enum { WILLIS_GEOMETRY_BYTES = 8 << 20 };

/* Appends a zeroed view: *view, until the next one is added. OUT_OF_MEMORY, FORMAT (more views than
 * an image has planes). */
WILLIS_CHECKED enum willis_status willis_view_list_add(struct willis_view_list *list,
                                                       struct willis_view **view,
                                                       struct willis_error *err);

/* `bytes` end with a zero that is not counted. The caller releases the list, also after failure. */
WILLIS_CHECKED enum willis_status willis_views_parse(const unsigned char *bytes, size_t size,
                                                     const struct willis_view_file *of,
                                                     struct willis_view_list *list,
                                                     struct willis_error *err);
WILLIS_CHECKED enum willis_status willis_views_parse_rtk(const unsigned char *bytes, size_t size,
                                                         const struct willis_view_file *of,
                                                         struct willis_view_list *list,
                                                         struct willis_error *err);
/* A 3×4 matrix, row by row, as a view. */
WILLIS_CHECKED enum willis_status willis_view_from_matrix(const double matrix[12],
                                                          const struct willis_view_file *of,
                                                          struct willis_view *view, bool *mirrored,
                                                          struct willis_error *err);

#endif
