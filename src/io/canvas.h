/* One drawing function into PNG, SVG or PDF, and text that cannot hurt it. The only header that
 * shows cairo. */
#ifndef WILLIS_IO_CANVAS_H
#define WILLIS_IO_CANVAS_H

#include <willis/error.h>

#include <cairo.h>
#include <stdbool.h>

/* Draws on a white canvas of width × height units (pixels of a PNG, points of a PDF) and writes it
 * by the ending of `path`. INVALID_ARGUMENT for another ending or a canvas beyond cairo's 32767. */
WILLIS_CHECKED enum willis_status
willis_canvas_write(const char *path, double width, double height,
                    void (*draw)(cairo_t *cairo, const void *context), const void *context,
                    bool overwrite, struct willis_error *err);

/* Where `x` lies in the text. */
enum willis_text_anchor { WILLIS_TEXT_LEFT, WILLIS_TEXT_MIDDLE, WILLIS_TEXT_RIGHT };
/* Draws `text` with its baseline at (x, y), cut with "…" to at most `width` units (0: not cut).
 * Bytes that are not UTF-8 are drawn as "?". Null draws nothing. */
void willis_canvas_text(cairo_t *cairo, double x, double y, double size,
                        enum willis_text_anchor anchor, double width, const char *text);
/* How wide that would be, without the cut. Needs no canvas. */
double willis_canvas_text_width(double size, const char *text);

#endif
