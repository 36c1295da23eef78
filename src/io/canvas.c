/* Cairo keeps its errors inside the context, so drawing goes on until the end and is checked once.
 * The file is made in memory and written aside like every other. */
#include "io/canvas.h"

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"

#include <cairo-pdf.h>
#include <cairo-svg.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

enum { EDGE_LIMIT = 32767, TEXT_SIZE = 256 };

/* Goes into every file, where its format has a place for remarks. */
static const char remark[] = "Made by Willis. Research software. Not a medical device.";

/* ---- files ---- */

struct bytes {
  unsigned char *data;
  ptrdiff_t used, room;
};

static cairo_status_t append(void *closure, const unsigned char *data, unsigned length) {
  struct bytes *bytes = closure;
  ptrdiff_t need = bytes->used + (ptrdiff_t)length;
  if (need > bytes->room) {
    ptrdiff_t room = need + need / 2 + 4096;
    unsigned char *grown = willis_grow(bytes->data, bytes->used, room, 1);
    if (!grown) return CAIRO_STATUS_NO_MEMORY;
    bytes->data = grown;
    bytes->room = room;
  }
  memcpy(bytes->data + bytes->used, data, length);
  bytes->used = need;
  return CAIRO_STATUS_SUCCESS;
}

/* Puts `size` more bytes before what is at `at` now. */
static cairo_status_t insert(struct bytes *bytes, ptrdiff_t at, const void *data, unsigned size) {
  ptrdiff_t after = bytes->used - at;
  cairo_status_t status = append(bytes, data, size); /* makes the room */
  if (status) return status;
  memmove(bytes->data + at + size, bytes->data + at, (size_t)after);
  memcpy(bytes->data + at, data, size);
  return status;
}

static void store_big_endian(unsigned char *to, uint32_t value) {
  for (int i = 0; i < 4; i++) to[i] = (unsigned char)(value >> (24 - 8 * i));
}

static cairo_surface_t *open_png(struct bytes *bytes, double width, double height) {
  (void)bytes;
  return cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)width, (int)height);
}

/* The remark is a tEXt chunk (length, type, keyword, text, CRC; PNG 1.2, section 4.2.3) after the
 * signature (8 bytes) and the header chunk (25). */
static cairo_status_t close_png(cairo_surface_t *surface, struct bytes *bytes) {
  static const char type_and_key[] = "tEXtComment";
  enum { BEFORE = 4, TEXT = sizeof type_and_key + sizeof remark - 1, HEAD = 33 };
  cairo_status_t status = cairo_surface_write_to_png_stream(surface, append, bytes);
  if (status) return status;
  unsigned char chunk[BEFORE + TEXT + 4];
  memcpy(chunk + BEFORE, type_and_key, sizeof type_and_key); /* with the zero that ends the key */
  memcpy(chunk + BEFORE + sizeof type_and_key, remark, sizeof remark - 1);
  store_big_endian(chunk, TEXT - 4);
  store_big_endian(chunk + BEFORE + TEXT, (uint32_t)crc32(0, chunk + BEFORE, TEXT));
  return insert(bytes, HEAD, chunk, sizeof chunk);
}

static cairo_surface_t *open_svg(struct bytes *bytes, double width, double height) {
  return cairo_svg_surface_create_for_stream(append, bytes, width, height);
}

static cairo_surface_t *open_pdf(struct bytes *bytes, double width, double height) {
  cairo_surface_t *surface = cairo_pdf_surface_create_for_stream(append, bytes, width, height);
  cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_CREATOR, "Willis");
  cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_SUBJECT, remark);
  return surface;
}

/* Vector surfaces write themselves when they are finished. */
static cairo_status_t close_pdf(cairo_surface_t *surface, struct bytes *bytes) {
  (void)bytes;
  cairo_surface_finish(surface);
  return cairo_surface_status(surface);
}

/* The remark is a comment at the end, where XML allows one. */
static cairo_status_t close_svg(cairo_surface_t *surface, struct bytes *bytes) {
  char comment[sizeof remark + 16];
  int n = snprintf(comment, sizeof comment, "<!-- %s -->\n", remark);
  cairo_status_t status = close_pdf(surface, bytes);
  return status ? status : append(bytes, (const unsigned char *)comment, (unsigned)n);
}

static const struct format {
  const char *ending;
  cairo_surface_t *(*open)(struct bytes *bytes, double width, double height);
  cairo_status_t (*close)(cairo_surface_t *surface, struct bytes *bytes);
} formats[] = {
    {".png", open_png, close_png},
    {".svg", open_svg, close_svg},
    {".pdf", open_pdf, close_pdf},
};

static const struct format *find_format(const char *path) {
  if (!strcmp(path, "-")) return &formats[0];
  for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
    if (willis_path_ends(path, formats[i].ending)) return &formats[i];
  return NULL;
}

enum willis_status willis_canvas_write(const char *path, double width, double height,
                                       void (*draw)(cairo_t *cairo, const void *context),
                                       const void *context, bool overwrite,
                                       struct willis_error *err) {
  const struct format *format = find_format(path);
  if (!format)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT,
                       "%s: a figure's name ends with .png, .svg or .pdf", path);
  width = ceil(width);
  height = ceil(height);
  if (!(width >= 1 && height >= 1 && width <= EDGE_LIMIT && height <= EDGE_LIMIT))
    return willis_fail(err, WILLIS_INVALID_ARGUMENT,
                       "%s: a figure of %.0f by %.0f; both are from 1 to %d", path, width, height,
                       EDGE_LIMIT);
  enum willis_status status = WILLIS_OK;
  struct bytes bytes = {0};
  cairo_surface_t *surface = format->open(&bytes, width, height);
  cairo_t *cairo = cairo_create(surface);
  cairo_set_source_rgb(cairo, 1, 1, 1);
  cairo_paint(cairo);
  cairo_set_source_rgb(cairo, 0, 0, 0);
  draw(cairo, context);
  cairo_status_t drawn = cairo_status(cairo);
  if (!drawn) drawn = format->close(surface, &bytes);
  if (drawn)
    status = willis_fail(err, drawn == CAIRO_STATUS_NO_MEMORY ? WILLIS_OUT_OF_MEMORY : WILLIS_IO,
                         "%s: cannot draw: %s", path, cairo_status_to_string(drawn));
  else
    status = willis_file_write(path, bytes.data, (size_t)bytes.used, overwrite, false, err);
  cairo_destroy(cairo);
  cairo_surface_destroy(surface);
  willis_release(bytes.data);
  return status;
}

/* ---- text ---- */

/* Bytes of the UTF-8 sequence at `s`, 0 if it is none: right length, no overlong form, no
 * surrogate, at most U+10FFFF. Cairo would refuse to draw anything after an invalid one. */
static int sequence(const unsigned char *s) {
  if (s[0] < 0x80) return s[0] >= 0x20 && s[0] != 0x7f;
  int n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
  unsigned code = s[0] & (0xffu >> (n + 1));
  if (s[0] < 0xc2 || s[0] > 0xf4) return 0;
  for (int i = 1; i < n; i++) {
    if ((s[i] & 0xc0) != 0x80) return 0;
    code = code << 6 | (s[i] & 0x3fu);
  }
  static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
  return code >= least[n] && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff) ? n : 0;
}

static void clean_text(char to[TEXT_SIZE], const char *text) {
  size_t used = 0;
  for (const unsigned char *s = (const unsigned char *)text; *s;) {
    int n = sequence(s);
    if (used + (size_t)(n ? n : 1) >= TEXT_SIZE) break;
    if (n)
      memcpy(to + used, s, (size_t)n);
    else
      to[used] = '?';
    used += (size_t)(n ? n : 1);
    s += n ? n : 1;
  }
  to[used] = 0;
}

static double width_of(cairo_t *cairo, const char *text) {
  cairo_text_extents_t extents;
  cairo_text_extents(cairo, text, &extents);
  return extents.x_advance;
}

static void choose_font(cairo_t *cairo, double size) {
  cairo_select_font_face(cairo, "sans-serif", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL);
  cairo_set_font_size(cairo, size);
}

static void cut_text(cairo_t *cairo, char text[TEXT_SIZE], double width) {
  static const char ellipsis[] = "…";
  size_t n = strlen(text);
  while (n > 0 && width_of(cairo, text) > width) {
    do n--;
    while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80);
    if (n + sizeof ellipsis <= TEXT_SIZE) memcpy(text + n, ellipsis, sizeof ellipsis);
  }
}

void willis_canvas_text(cairo_t *cairo, double x, double y, double size,
                        enum willis_text_anchor anchor, double width, const char *text) {
  static const double shift[] = {0, 0.5, 1};
  if (!text) return;
  char clean[TEXT_SIZE];
  clean_text(clean, text);
  choose_font(cairo, size);
  if (width > 0) cut_text(cairo, clean, width);
  cairo_move_to(cairo, x - shift[anchor] * width_of(cairo, clean), y);
  cairo_show_text(cairo, clean);
}

double willis_canvas_text_width(double size, const char *text) {
  if (!text) return 0;
  cairo_surface_t *surface = cairo_image_surface_create(CAIRO_FORMAT_A8, 1, 1);
  cairo_t *cairo = cairo_create(surface);
  char clean[TEXT_SIZE];
  clean_text(clean, text);
  choose_font(cairo, size);
  double width = width_of(cairo, clean);
  cairo_destroy(cairo);
  cairo_surface_destroy(surface);
  return width;
}
