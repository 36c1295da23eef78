/* 8-bit pictures: the grey window, and the way onto a canvas. */
#include "io/picture.h"

#include "base/error.h"
#include "base/memory.h"

#include <math.h>
#include <stdint.h>

enum { EDGE_LIMIT = 32767 };

enum willis_status willis_picture_create(struct willis_picture *picture, ptrdiff_t width,
                                         ptrdiff_t height, int channels, struct willis_error *err) {
  *picture = (struct willis_picture){0};
  if (width < 1 || height < 1 || width > EDGE_LIMIT || height > EDGE_LIMIT ||
      (channels != 1 && channels != 3))
    return willis_fail(err, WILLIS_INVALID_ARGUMENT,
                       "a picture of %td by %td with %d channels: edges are from 1 to %d, channels "
                       "1 or 3",
                       width, height, channels, EDGE_LIMIT);
  picture->bytes = willis_take_zeroed(width * height * channels, 1);
  if (!picture->bytes) return willis_fail_memory(err, "a picture", width * height, 1);
  picture->width = width;
  picture->height = height;
  picture->channels = channels;
  return WILLIS_OK;
}

void willis_picture_release(struct willis_picture *picture) {
  willis_release(picture->bytes);
  *picture = (struct willis_picture){0};
}

enum willis_status willis_picture_window(struct willis_picture *picture, const float *pixels,
                                         ptrdiff_t columns, ptrdiff_t rows, double low, double high,
                                         struct willis_error *err) {
  enum willis_status status = willis_picture_create(picture, columns, rows, 1, err);
  if (status) return status;
  double scale = high > low ? 255 / (high - low) : 0;
  for (ptrdiff_t i = 0; i < columns * rows; i++) {
    double grey = scale * (pixels[i] - low);
    picture->bytes[i] = grey >= 255 ? 255 : grey > 0 ? (unsigned char)lround(grey) : 0;
  }
  return WILLIS_OK;
}

/* Cairo's RGB24: one native 32-bit word a pixel, rows `stride` bytes apart. */
static cairo_surface_t *make_surface(const struct willis_picture *picture) {
  cairo_surface_t *surface =
      cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)picture->width, (int)picture->height);
  unsigned char *data = cairo_image_surface_get_data(surface);
  if (!data) return surface;
  ptrdiff_t stride = cairo_image_surface_get_stride(surface);
  int second = picture->channels == 3 ? 1 : 0, third = 2 * second;
  cairo_surface_flush(surface);
  for (ptrdiff_t row = 0; row < picture->height; row++) {
    uint32_t *to = (uint32_t *)(void *)(data + row * stride);
    const unsigned char *from = picture->bytes + row * picture->width * picture->channels;
    for (ptrdiff_t column = 0; column < picture->width; column++, from += picture->channels)
      to[column] = (uint32_t)from[0] << 16 | (uint32_t)from[second] << 8 | from[third];
  }
  cairo_surface_mark_dirty(surface);
  return surface;
}

void willis_picture_draw(cairo_t *cairo, const struct willis_picture *picture, double x, double y,
                         double width, double height) {
  double scale = fmin(width / (double)picture->width, height / (double)picture->height);
  cairo_surface_t *surface = make_surface(picture);
  cairo_save(cairo);
  cairo_translate(cairo, x + (width - scale * (double)picture->width) / 2,
                  y + (height - scale * (double)picture->height) / 2);
  cairo_scale(cairo, scale, scale);
  cairo_set_source_surface(cairo, surface, 0, 0);
  cairo_pattern_set_filter(cairo_get_source(cairo),
                           scale >= 1 ? CAIRO_FILTER_NEAREST : CAIRO_FILTER_GOOD);
  cairo_rectangle(cairo, 0, 0, (double)picture->width, (double)picture->height);
  cairo_fill(cairo);
  cairo_restore(cairo);
  cairo_surface_destroy(surface);
}

static void draw_alone(cairo_t *cairo, const void *context) {
  const struct willis_picture *picture = context;
  willis_picture_draw(cairo, picture, 0, 0, (double)picture->width, (double)picture->height);
}

enum willis_status willis_picture_write(const char *path, const struct willis_picture *picture,
                                        bool overwrite, struct willis_error *err) {
  return willis_canvas_write(path, (double)picture->width, (double)picture->height, draw_alone,
                             picture, overwrite, err);
}
