/* Vessels in a picture: ridges of the smoothed picture, strong ones and what is joined to them. */
#include <willis/agreement.h>

#include "base/error.h"
#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct willis_vessel_options willis_vessel_defaults(void) {
  return (struct willis_vessel_options){.scale_px = {2.5, 4, 6},
                                        .noise = 5,
                                        .weak = 0.2,
                                        .strong = 0.5,
                                        .least_px = 250,
                                        .border_px = 30};
}

/* One picture and the blocks it is worked on in. */
struct picture {
  ptrdiff_t columns, rows;
  float *smooth, *row, *response, *sorted;
  ptrdiff_t *queue;
  bool *inside; /* shown, and away from every border */
};

static ptrdiff_t hold(ptrdiff_t i, ptrdiff_t n) {
  return i < 0 ? 0 : i >= n ? n - 1 : i;
}

/* Gaussian of standard deviation `sigma`, cut at four of them; the border holds beyond itself. */
static void smooth(const float *from, double sigma, float *kernel, struct picture *p) {
  const ptrdiff_t reach = (ptrdiff_t)ceil(4 * sigma), columns = p->columns, rows = p->rows;
  double sum = 0;
  for (ptrdiff_t k = -reach; k <= reach; k++) sum += exp(-0.5 * (double)(k * k) / (sigma * sigma));
  for (ptrdiff_t k = -reach; k <= reach; k++)
    kernel[k + reach] = (float)(exp(-0.5 * (double)(k * k) / (sigma * sigma)) / sum);
#pragma omp parallel for schedule(static)
  for (ptrdiff_t r = 0; r < rows; r++)
    for (ptrdiff_t c = 0; c < columns; c++) {
      float value = 0;
      for (ptrdiff_t k = -reach; k <= reach; k++)
        value += kernel[k + reach] * from[r * columns + hold(c + k, columns)];
      p->row[r * columns + c] = value;
    }
#pragma omp parallel for schedule(static)
  for (ptrdiff_t r = 0; r < rows; r++)
    for (ptrdiff_t c = 0; c < columns; c++) {
      float value = 0;
      for (ptrdiff_t k = -reach; k <= reach; k++)
        value += kernel[k + reach] * p->row[hold(r + k, rows) * columns + c];
      p->smooth[r * columns + c] = value;
    }
}

/* σ²·(−λ1 − |λ2|) where that is more than `response`. The border is at least one pixel wide. */
static void add_ridges(struct picture *p, double sigma) {
  const ptrdiff_t n = p->columns;
  const float scale = (float)(sigma * sigma);
#pragma omp parallel for schedule(static)
  for (ptrdiff_t r = 0; r < p->rows; r++)
    for (ptrdiff_t c = 0; c < n; c++) {
      if (!p->inside[r * n + c]) continue;
      const float *s = p->smooth + r * n + c;
      float rr = s[n] - 2 * s[0] + s[-n], cc = s[1] - 2 * s[0] + s[-1];
      float rc = 0.25f * (s[n + 1] - s[n - 1] - s[-n + 1] + s[-n - 1]);
      float mean = 0.5f * (rr + cc);
      float spread = sqrtf(0.25f * (rr - cc) * (rr - cc) + rc * rc);
      float ridge = scale * (spread - mean - fabsf(mean + spread));
      p->response[r * n + c] = fmaxf(p->response[r * n + c], ridge);
    }
}

static int ascending(const void *a, const void *b) {
  const float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

/* The piece of pixels ≥ weak around `start`: marks it as seen by taking its response away, and
 * fills it into `to` if it is strong somewhere and large enough. */
static void take_piece(struct picture *p, ptrdiff_t start, float weak, float strong,
                       double least_px, float *to) {
  ptrdiff_t count = 0, done = 0;
  float most = p->response[start];
  p->queue[count++] = start;
  p->response[start] = -1;
  for (; done < count; done++) {
    const ptrdiff_t c = p->queue[done] % p->columns, r = p->queue[done] / p->columns;
    for (int k = 0; k < 9; k++) {
      ptrdiff_t x = c + k % 3 - 1, y = r + k / 3 - 1;
      if (x < 0 || y < 0 || x >= p->columns || y >= p->rows) continue;
      const ptrdiff_t at = y * p->columns + x;
      if (!(p->response[at] >= weak)) continue;
      most = fmaxf(most, p->response[at]);
      p->response[at] = -1;
      p->queue[count++] = at;
    }
  }
  if (most < strong || (double)count < least_px) return;
  for (ptrdiff_t i = 0; i < count; i++) to[p->queue[i]] = 1;
}

/* The values inside into p->sorted; how many. */
static ptrdiff_t sort_inside(struct picture *p, const float *value) {
  ptrdiff_t inside = 0;
  for (ptrdiff_t i = 0; i < p->columns * p->rows; i++)
    if (p->inside[i]) p->sorted[inside++] = value[i];
  qsort(p->sorted, (size_t)inside, sizeof *p->sorted, ascending);
  return inside;
}

/* Within the mask `to`, what lies above the median of the picture inside its border. */
static void keep_values(struct picture *p, const float *from, float *to) {
  const ptrdiff_t inside = sort_inside(p, from);
  for (ptrdiff_t i = 0; i < p->columns * p->rows; i++)
    if (to[i] > 0) to[i] = fmaxf(from[i] - p->sorted[inside / 2], 0);
}

/* What is shown and has the border between itself and whatever ends the picture. */
static void find_inside(struct picture *p, const struct willis_shutter *shutter, ptrdiff_t border) {
#pragma omp parallel for schedule(static)
  for (ptrdiff_t r = 0; r < p->rows; r++)
    for (ptrdiff_t c = 0; c < p->columns; c++)
      p->inside[r * p->columns + c] =
          r >= border && r < p->rows - border && c >= border && c < p->columns - border &&
          willis_shutter_shows(shutter, (double)c, (double)r, (double)border);
}

static void segment(struct picture *p, const float *from,
                    const struct willis_vessel_options *options,
                    const struct willis_shutter *shutter, float *kernel, float *to) {
  const ptrdiff_t count = p->columns * p->rows;
  memset(p->response, 0, (size_t)count * sizeof *p->response);
  find_inside(p, shutter, options->border_px);
  for (int i = 0; i < WILLIS_VESSEL_SCALES; i++) {
    smooth(from, options->scale_px[i], kernel, p);
    add_ridges(p, options->scale_px[i]);
  }
  const ptrdiff_t inside = sort_inside(p, p->response);
  if (inside == 0) return;
  const float noise = (float)options->noise * p->sorted[inside / 2];
  const float top = p->sorted[(ptrdiff_t)(0.99 * (double)(inside - 1))];
  const float weak = fmaxf(noise, (float)options->weak * top);
  const float strong = fmaxf(noise, (float)options->strong * top);
  for (ptrdiff_t i = 0; i < count && top > 0; i++)
    if (p->response[i] >= weak) take_piece(p, i, weak, strong, options->least_px, to);
  if (options->keep_values) keep_values(p, from, to);
}

static enum willis_status check(const struct willis_projections *stack,
                                const struct willis_vessel_options *o, struct willis_error *err) {
  enum willis_status status = willis_projections_check(stack, err);
  if (status) return status;
  for (int i = 0; i < WILLIS_VESSEL_SCALES; i++)
    if (!(o->scale_px[i] >= 0.5 && o->scale_px[i] <= 100))
      return willis_fail(err, WILLIS_INVALID_ARGUMENT, "scale %g pixels, expected 0.5 to 100",
                         o->scale_px[i]);
  if (!(o->noise >= 0 && o->weak > 0 && o->strong >= o->weak && o->strong <= 1))
    return willis_fail(err, WILLIS_INVALID_ARGUMENT,
                       "shares %g and %g of the strongest ridges, %g times the noise: expected "
                       "0 < weak <= strong <= 1 and no negative noise",
                       o->weak, o->strong, o->noise);
  const ptrdiff_t least = stack->columns < stack->rows ? stack->columns : stack->rows;
  if (o->border_px < 1 || 2 * o->border_px >= least)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT,
                       "a border of %td pixels in a picture of %td x %td, expected 1 or more and "
                       "less than half",
                       o->border_px, stack->columns, stack->rows);
  return WILLIS_OK;
}

enum willis_status willis_vessels_segment(const struct willis_projections *stack,
                                          const struct willis_vessel_options *options,
                                          struct willis_projections *mask,
                                          struct willis_error *err) {
  *mask = (struct willis_projections){0};
  enum willis_status status = check(stack, options, err);
  if (status) return status;
  const ptrdiff_t count = stack->columns * stack->rows;
  struct picture p = {.columns = stack->columns, .rows = stack->rows};
  float *kernel = willis_take(2 * 400 + 1, sizeof *kernel);
  p.smooth = willis_take(count, sizeof *p.smooth);
  p.row = willis_take(count, sizeof *p.row);
  p.response = willis_take(count, sizeof *p.response);
  p.sorted = willis_take(count, sizeof *p.sorted);
  p.queue = willis_take(count, sizeof *p.queue);
  p.inside = willis_take(count, sizeof *p.inside);
  if (!p.inside || !kernel || !p.smooth || !p.row || !p.response || !p.sorted || !p.queue)
    status = willis_fail_memory(err, "pictures", 6 * count, sizeof *p.smooth);
  if (!status)
    status = willis_projections_create(mask, stack->columns, stack->rows, stack->view_count, err);
  if (!status) {
    memcpy(mask->view, stack->view, (size_t)stack->view_count * sizeof *mask->view);
    memcpy(mask->isocenter_mm, stack->isocenter_mm, sizeof mask->isocenter_mm);
    mask->mode = options->keep_values ? WILLIS_PROJECTION_SUM : WILLIS_PROJECTION_MAX;
    mask->has_grid = stack->has_grid;
    mask->grid = stack->grid;
    for (ptrdiff_t v = 0; v < stack->view_count; v++)
      segment(&p, stack->pixels + v * count, options, &stack->view[v].shutter, kernel,
              mask->pixels + v * count);
  }
  willis_release(p.inside);
  willis_release(p.queue);
  willis_release(p.sorted);
  willis_release(p.response);
  willis_release(p.row);
  willis_release(p.smooth);
  willis_release(kernel);
  return status;
}
