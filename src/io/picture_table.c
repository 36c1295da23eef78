/* Labelled rows and columns of pictures: sizes first, from the labels and the largest picture, then
 * one pass that draws. */
#include "io/picture.h"

#include "base/error.h"

#include <math.h>

static const double margin = 16, gap = 6, label_size = 17, title_size = 20, caption_size = 13,
                    widest_label = 240, cell_least = 220, cell_most = 400;

struct layout {
  const struct willis_picture_table *table;
  double left, top; /* of the first cell */
  double cell_width, cell_height;
  double width, height;
};

/* Small pictures grow by a whole factor, so that all their pixels have one size. */
static double grow(double edge) {
  return edge > cell_most ? cell_most : edge * ceil(cell_least / edge);
}

static struct layout arrange(const struct willis_picture_table *table) {
  struct layout layout = {.table = table};
  double width = 1, height = 1, label = 0;
  for (int i = 0; i < table->rows * table->columns; i++)
    if (table->picture[i].bytes) {
      width = fmax(width, (double)table->picture[i].width);
      height = fmax(height, (double)table->picture[i].height);
    }
  for (int row = 0; table->row_label && row < table->rows; row++)
    label = fmax(label, willis_canvas_text_width(label_size, table->row_label[row]));
  double scale = grow(fmax(width, height)) / fmax(width, height);
  layout.cell_width = round(scale * width);
  layout.cell_height = round(scale * height);
  layout.left = margin + (label > 0 ? ceil(fmin(label, widest_label)) + 2 * gap : 0);
  layout.top = margin + (table->title ? 1.8 * title_size : 0) +
               (table->column_label ? ceil(1.6 * label_size) : 0);
  layout.top = ceil(layout.top);
  layout.width = layout.left + table->columns * (layout.cell_width + gap) - gap + margin;
  layout.height = layout.top + table->rows * (layout.cell_height + gap) - gap +
                  (table->caption ? 2 * caption_size : 0) + margin;
  return layout;
}

static void draw(cairo_t *cairo, const void *context) {
  const struct layout *l = context;
  const struct willis_picture_table *table = l->table;
  double inner = l->width - 2 * margin;
  willis_canvas_text(cairo, margin, margin + title_size, title_size, WILLIS_TEXT_LEFT, inner,
                     table->title);
  for (int column = 0; table->column_label && column < table->columns; column++)
    willis_canvas_text(cairo, l->left + column * (l->cell_width + gap) + l->cell_width / 2,
                       l->top - 0.6 * label_size, label_size, WILLIS_TEXT_MIDDLE, l->cell_width,
                       table->column_label[column]);
  for (int row = 0; row < table->rows; row++) {
    double y = l->top + row * (l->cell_height + gap);
    if (table->row_label)
      willis_canvas_text(cairo, l->left - 2 * gap, y + l->cell_height / 2 + 0.35 * label_size,
                         label_size, WILLIS_TEXT_RIGHT, widest_label, table->row_label[row]);
    for (int column = 0; column < table->columns; column++) {
      const struct willis_picture *picture = &table->picture[row * table->columns + column];
      if (picture->bytes)
        willis_picture_draw(cairo, picture, l->left + column * (l->cell_width + gap), y,
                            l->cell_width, l->cell_height);
    }
  }
  cairo_set_source_rgb(cairo, 0.35, 0.35, 0.35);
  willis_canvas_text(cairo, margin, l->height - margin, caption_size, WILLIS_TEXT_LEFT, inner,
                     table->caption);
}

enum willis_status willis_picture_table_write(const char *path,
                                              const struct willis_picture_table *table,
                                              bool overwrite, struct willis_error *err) {
  if (table->rows < 1 || table->columns < 1 || table->rows > 1000 || table->columns > 1000)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "%s: a table of %d by %d pictures", path,
                       table->rows, table->columns);
  struct layout layout = arrange(table);
  return willis_canvas_write(path, layout.width, layout.height, draw, &layout, overwrite, err);
}
