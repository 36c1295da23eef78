/* Pictures and figures: what people look at. Written as .png, .svg or .pdf by the path's ending,
 * from one drawing function; "-" is PNG on stdout. */
#ifndef WILLIS_FIGURE_H
#define WILLIS_FIGURE_H

#include <willis/error.h>

#include <stdbool.h>
#include <stddef.h>

WILLIS_BEGIN

/* 8-bit picture, row 0 on top: bytes[(row·width + column)·channels + channel]; channels 1 is grey,
 * 3 is red, green, blue. */
struct willis_picture {
  ptrdiff_t width, height;
  int channels;
  unsigned char *bytes;
};
/* Black. The caller releases it. OUT_OF_MEMORY, INVALID_ARGUMENT (sizes, channels). */
WILLIS_API WILLIS_CHECKED enum willis_status willis_picture_create(struct willis_picture *picture,
                                                                   ptrdiff_t width,
                                                                   ptrdiff_t height, int channels,
                                                                   struct willis_error *err);
WILLIS_API void willis_picture_release(struct willis_picture *picture);
/* Creates a grey picture: `low` and less is black, `high` and more is white, linear between, NaN
 * black. pixels[row·columns + column]. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_picture_window(struct willis_picture *picture, const float *pixels, ptrdiff_t columns,
                      ptrdiff_t rows, double low, double high, struct willis_error *err);
/* One pixel a pixel. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_picture_write(const char *path, const struct willis_picture *picture, bool overwrite,
                     struct willis_error *err);

/* A table of pictures with labels on the left and on top, as the paper's figures 2 and 4. All text
 * is UTF-8; a null text is left out. picture[row·columns + column]; one without bytes leaves its
 * cell empty. Pictures are scaled to one cell size, keeping their shape. */
struct willis_picture_table {
  const char *title, *caption;
  int rows, columns;
  const char *const *row_label;
  const char *const *column_label;
  const struct willis_picture *picture;
};
WILLIS_API WILLIS_CHECKED enum willis_status
willis_picture_table_write(const char *path, const struct willis_picture_table *table,
                           bool overwrite, struct willis_error *err);

/* One line of a chart: points (x, y), with whiskers y ± deviation where that is not null. A point
 * that is not finite, or not positive on a logarithmic axis, interrupts the line. */
struct willis_chart_line {
  const char *name;
  const double *x, *y, *deviation;
  ptrdiff_t count;
};
struct willis_chart {
  const char *title, *x_label, *y_label;
  bool logarithmic_x, logarithmic_y;
  const double *x_tick; /* where to label the x axis; null: round numbers */
  int x_tick_count;
  const struct willis_chart_line *line;
  int line_count;
};
/* `count` charts in rows of `columns`. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_charts_write(const char *path, const struct willis_chart *chart, int count, int columns,
                    bool overwrite, struct willis_error *err);

WILLIS_END

#endif
