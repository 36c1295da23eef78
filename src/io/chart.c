/* Line charts: axes that end on round numbers, colours that colour-blind readers can tell apart
 * (Okabe and Ito, Color Universal Design, 2008), and a legend beside the lines. */
#include "io/canvas.h"

#include "base/error.h"

#include <willis/figure.h>

#include <float.h>
#include <math.h>
#include <stdio.h>

static const double panel_width = 560, panel_height = 380, title_size = 16, label_size = 13,
                    tick_size = 12, margin_left = 76, margin_right = 16, margin_top = 34,
                    margin_bottom = 54;
enum { MOST_TICKS = 24 };

static const double colours[][3] = {
    {0.00, 0.45, 0.70}, {0.90, 0.62, 0.00}, {0.00, 0.62, 0.45}, {0.80, 0.47, 0.65},
    {0.34, 0.71, 0.91}, {0.84, 0.37, 0.00}, {0.00, 0.00, 0.00}, {0.94, 0.89, 0.26},
};
enum { COLOURS = sizeof colours / sizeof *colours };

struct axis {
  bool logarithmic;
  double low, high;     /* in the units drawn: log10 of the value on a logarithmic axis */
  double begin, length; /* on the canvas; length < 0 grows upwards */
  int tick_count;
  double tick[MOST_TICKS]; /* values */
};

static double scaled(const struct axis *axis, double value) {
  if (!axis->logarithmic) return value;
  return value > 0 ? log10(value) : NAN;
}

static double place(const struct axis *axis, double value) {
  return axis->begin + axis->length * (scaled(axis, value) - axis->low) / (axis->high - axis->low);
}

/* ---- ranges and ticks ---- */

static void include(struct axis *axis, double value) {
  double v = scaled(axis, value);
  if (!isfinite(v)) return;
  axis->low = fmin(axis->low, v);
  axis->high = fmax(axis->high, v);
}

/* The smallest of 1, 2, 5 times a power of ten that cuts the range into at most `most` parts. */
static double round_step(double range, int most) {
  double power = pow(10, floor(log10(range / most)));
  static const double steps[] = {1, 2, 5, 10};
  for (int i = 0; i < 4; i++)
    if (range <= steps[i] * power * most * (1 + 1e-9)) return steps[i] * power;
  return 10 * power;
}

static void add_tick(struct axis *axis, double value) {
  double v = scaled(axis, value), slack = 1e-9 * (axis->high - axis->low);
  if (axis->tick_count < MOST_TICKS && v >= axis->low - slack && v <= axis->high + slack)
    axis->tick[axis->tick_count++] = value;
}

static void widen_linear(struct axis *axis) {
  if (axis->high - axis->low <= 1e-12 * fmax(fabs(axis->low), fabs(axis->high))) {
    double half = axis->low == 0 ? 1 : fabs(axis->low) / 2;
    axis->low -= half;
    axis->high += half;
  }
  double step = round_step(axis->high - axis->low, 6);
  axis->low = step * floor(axis->low / step + 1e-9);
  axis->high = step * ceil(axis->high / step - 1e-9);
  for (int i = 0; i <= 7; i++) {
    double value = step * (round(axis->low / step) + i);
    add_tick(axis, value);
  }
}

/* Powers of ten; under three decades also 2 and 5 times them. */
static void widen_logarithmic(struct axis *axis) {
  double pad = fmax(0.03 * (axis->high - axis->low), 0.02);
  axis->low -= pad;
  axis->high += pad;
  bool few = axis->high - axis->low < 3;
  static const double factors[] = {1, 2, 5};
  /* Whole numbers. NOLINTNEXTLINE(cert-flp30-c,clang-analyzer-security.FloatLoopCounter) */
  for (double decade = floor(axis->low); decade <= axis->high; decade++)
    for (int i = 0; i < (few ? 3 : 1); i++) add_tick(axis, factors[i] * pow(10, decade));
}

static void set_axis(struct axis *axis, const double *tick, int tick_count) {
  if (!(axis->low <= axis->high)) axis->low = axis->high = 0; /* nothing finite to draw */
  (axis->logarithmic ? widen_logarithmic : widen_linear)(axis);
  if (!tick) return;
  axis->tick_count = 0;
  for (int i = 0; i < tick_count; i++) add_tick(axis, tick[i]);
}

static void set_axes(const struct willis_chart *chart, struct axis *x, struct axis *y) {
  *x = (struct axis){.logarithmic = chart->logarithmic_x, .low = DBL_MAX, .high = -DBL_MAX};
  *y = (struct axis){.logarithmic = chart->logarithmic_y, .low = DBL_MAX, .high = -DBL_MAX};
  for (int i = 0; i < chart->line_count; i++) {
    const struct willis_chart_line *line = &chart->line[i];
    for (ptrdiff_t k = 0; k < line->count; k++) {
      if (!isfinite(scaled(x, line->x[k])) || !isfinite(scaled(y, line->y[k]))) continue;
      double deviation = line->deviation && isfinite(line->deviation[k]) ? line->deviation[k] : 0;
      include(x, line->x[k]);
      include(y, line->y[k] - deviation);
      include(y, line->y[k] + deviation);
      include(y, line->y[k]);
    }
  }
  set_axis(x, chart->x_tick, chart->x_tick_count);
  set_axis(y, NULL, 0);
}

/* ---- drawing ---- */

static void line_between(cairo_t *cairo, double x0, double y0, double x1, double y1) {
  cairo_move_to(cairo, x0, y0);
  cairo_line_to(cairo, x1, y1);
  cairo_stroke(cairo);
}

static void draw_axes(cairo_t *cairo, const struct willis_chart *chart, const struct axis *x,
                      const struct axis *y) {
  char text[32];
  double right = x->begin + x->length, top = y->begin + y->length;
  cairo_set_line_width(cairo, 1);
  for (int i = 0; i < y->tick_count; i++) {
    double at = place(y, y->tick[i]);
    cairo_set_source_rgb(cairo, 0.88, 0.88, 0.88);
    line_between(cairo, x->begin, at, right, at);
    cairo_set_source_rgb(cairo, 0, 0, 0);
    snprintf(text, sizeof text, "%.6g", y->tick[i]);
    willis_canvas_text(cairo, x->begin - 8, at + 0.35 * tick_size, tick_size, WILLIS_TEXT_RIGHT, 0,
                       text);
  }
  double last_end = -DBL_MAX;
  for (int i = 0; i < x->tick_count; i++) {
    double at = place(x, x->tick[i]);
    line_between(cairo, at, y->begin, at, y->begin + 5);
    snprintf(text, sizeof text, "%.6g", x->tick[i]);
    double half = willis_canvas_text_width(tick_size, text) / 2;
    if (at - half < last_end + 4) continue; /* labels must not touch */
    last_end = at + half;
    willis_canvas_text(cairo, at, y->begin + 8 + tick_size, tick_size, WILLIS_TEXT_MIDDLE, 0, text);
  }
  line_between(cairo, x->begin, y->begin, right, y->begin);
  line_between(cairo, x->begin, y->begin, x->begin, top);
  double middle = (x->begin + right) / 2;
  willis_canvas_text(cairo, middle, top - 12, title_size, WILLIS_TEXT_MIDDLE, panel_width,
                     chart->title);
  willis_canvas_text(cairo, middle, y->begin + 40, label_size, WILLIS_TEXT_MIDDLE, panel_width,
                     chart->x_label);
  cairo_save(cairo);
  cairo_translate(cairo, x->begin - 54, (y->begin + top) / 2);
  cairo_rotate(cairo, -M_PI / 2);
  willis_canvas_text(cairo, 0, 0, label_size, WILLIS_TEXT_MIDDLE, panel_height, chart->y_label);
  cairo_restore(cairo);
}

static void set_style(cairo_t *cairo, int index) {
  static const double dash[] = {7, 4};
  const double *colour = colours[index % COLOURS];
  cairo_set_source_rgb(cairo, colour[0], colour[1], colour[2]);
  cairo_set_dash(cairo, dash, index / COLOURS % 2 ? 2 : 0, 0);
  cairo_set_line_width(cairo, 2);
}

static void draw_whisker(cairo_t *cairo, const struct axis *y, double at, double value,
                         double deviation) {
  double above = place(y, value + deviation), below = place(y, value - deviation);
  if (!isfinite(below)) below = y->begin;
  cairo_set_line_width(cairo, 1);
  line_between(cairo, at, above, at, below);
  line_between(cairo, at - 3, above, at + 3, above);
  line_between(cairo, at - 3, below, at + 3, below);
}

static void draw_line(cairo_t *cairo, const struct willis_chart_line *line, int index,
                      const struct axis *x, const struct axis *y) {
  set_style(cairo, index);
  bool drawing = false;
  for (ptrdiff_t k = 0; k < line->count; k++) {
    double at_x = place(x, line->x[k]), at_y = place(y, line->y[k]);
    bool there = isfinite(at_x) && isfinite(at_y);
    if (there && drawing) cairo_line_to(cairo, at_x, at_y);
    if (there && !drawing) cairo_move_to(cairo, at_x, at_y);
    drawing = there;
  }
  cairo_stroke(cairo);
  cairo_set_dash(cairo, NULL, 0, 0);
  for (ptrdiff_t k = 0; k < line->count; k++) {
    double at_x = place(x, line->x[k]), at_y = place(y, line->y[k]);
    if (!isfinite(at_x) || !isfinite(at_y)) continue;
    if (line->deviation && line->deviation[k] > 0 && isfinite(line->deviation[k]))
      draw_whisker(cairo, y, at_x, line->y[k], line->deviation[k]);
    if (line->count > 60) continue; /* so many dots would hide the line */
    cairo_arc(cairo, at_x, at_y, 3, 0, 2 * M_PI);
    cairo_fill(cairo);
  }
}

static double legend_width(const struct willis_chart *chart) {
  double width = 0;
  for (int i = 0; i < chart->line_count; i++)
    width = fmax(width, willis_canvas_text_width(label_size, chart->line[i].name));
  return width > 0 ? ceil(fmin(width, 260)) + 52 : 0;
}

static void draw_legend(cairo_t *cairo, const struct willis_chart *chart, double left, double top) {
  for (int i = 0; i < chart->line_count; i++) {
    if (!chart->line[i].name) continue;
    double y = top + 10 + 1.6 * label_size * i;
    set_style(cairo, i);
    line_between(cairo, left + 14, y, left + 42, y);
    cairo_set_dash(cairo, NULL, 0, 0);
    cairo_set_source_rgb(cairo, 0, 0, 0);
    willis_canvas_text(cairo, left + 50, y + 0.35 * label_size, label_size, WILLIS_TEXT_LEFT, 260,
                       chart->line[i].name);
  }
}

struct panels {
  const struct willis_chart *chart;
  int count, columns;
  double legend; /* width beside each chart */
};

static void draw_panels(cairo_t *cairo, const void *context) {
  const struct panels *panels = context;
  for (int i = 0; i < panels->count; i++) {
    const struct willis_chart *chart = &panels->chart[i];
    double left = i % panels->columns * (panel_width + panels->legend);
    double top = i / panels->columns * panel_height;
    struct axis x, y;
    set_axes(chart, &x, &y);
    x.begin = left + margin_left;
    x.length = panel_width - margin_left - margin_right;
    y.begin = top + panel_height - margin_bottom;
    y.length = -(panel_height - margin_top - margin_bottom);
    draw_axes(cairo, chart, &x, &y);
    for (int k = 0; k < chart->line_count; k++) draw_line(cairo, &chart->line[k], k, &x, &y);
    draw_legend(cairo, chart, left + panel_width - margin_right, top + margin_top);
  }
}

enum willis_status willis_charts_write(const char *path, const struct willis_chart *chart,
                                       int count, int columns, bool overwrite,
                                       struct willis_error *err) {
  if (count < 1 || columns < 1)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "%s: %d charts in %d columns", path, count,
                       columns);
  struct panels panels = {.chart = chart, .count = count};
  panels.columns = columns < count ? columns : count;
  for (int i = 0; i < count; i++) panels.legend = fmax(panels.legend, legend_width(&chart[i]));
  int rows = (count + panels.columns - 1) / panels.columns;
  return willis_canvas_write(path, panels.columns * (panel_width + panels.legend),
                             rows * panel_height, draw_panels, &panels, overwrite, err);
}
