/* Gradients with momentum, each voxel by a step of its own: to the least of a quadratic that lies
 * above what its rays ask for (separable surrogates, Erdoğan & Fessler 1999), or a part of it.
 * A maximum is made of its largest sample, or of several alike, fewer and fewer: they are what a
 * ray's excess moves. Views are looked at in a few parts, each with sums of its own, added in their
 * order: the same bits for any number of threads. */
#include "xray/hull_grey.h"
#include "xray/hull_samples.h"

#include "base/error.h"
#include "base/memory.h"
#include "volume/otsu.h"

#include <math.h>
#include <string.h>

/* Chosen on held-out heads (doc/beyond.md). */
static const struct way {
  int updates;
  float step, momentum;
} ways[] = {[WILLIS_PROJECTION_MAX] = {40, 0.6f, 0.8f}, [WILLIS_PROJECTION_SUM] = {100, 1, 0.93f}};
enum { MOST_PARTS = 8 };
static const float least_missed = 0.01f;
/* What is so much less than the largest counts as it, at first and at last. */
static const float alike_first = 0.07f, alike_last = 0.01f;

struct grey {
  const struct willis_hull_set *set;
  bool sum;
  struct willis_hull_samples *view; /* [views] */
  double rays;
  int parts;
  struct way way;
  float scale;         /* from units to full voxels */
  float *x;            /* [rows + 1], the last 0 */
  float *moved;        /* [rows] by the last update */
  float *mean, *doubt; /* [rows]; doubt is 1/variance */
  float *asked;        /* [parts][rows + 1][2] slope and curvature of what rays miss */
  double missed[MOST_PARTS];
};

/* ---- what is expected ---- */

struct willis_hull_grey_expected willis_hull_grey_expected(float probability) {
  static const float hair = 1e-6f, power = 0.4f, spread = 0.2f, least = 1e-4f;
  static const float middle = WILLIS_HULL_GREY_MIDDLE / (1 - WILLIS_HULL_GREY_MIDDLE);
  const float p = fminf(fmaxf(probability, hair), 1 - hair);
  const float odds = powf(p / (1 - p), power) * middle, mean = odds / (1 + odds);
  return (struct willis_hull_grey_expected){mean, spread * mean * (1 - mean) + least};
}

float willis_hull_grey_logit(float value, float middle, float probability) {
  static const float slope = 3; /* so that temperatures are about 1 */
  const float spread = sqrtf(willis_hull_grey_expected(probability).variance);
  return copysignf(slope * sqrtf(fabsf(value - middle) / spread), value - middle);
}

static void expect(struct grey *g, const float *probability) {
  for (ptrdiff_t i = 0; i < g->set->rows; i++) {
    const struct willis_hull_grey_expected e = willis_hull_grey_expected(probability[i]);
    g->x[i] = g->mean[i] = e.mean;
    g->moved[i] = 0;
    g->doubt[i] = 1 / e.variance;
  }
  g->x[g->set->rows] = 0;
}

/* ---- rays ---- */

static void ask_of(const struct willis_hull_sample *sample, float excess, float curvature,
                   float (*asked)[2]) {
  float weight[4];
  willis_hull_sample_weights(sample, weight);
  for (int k = 0; k < 4; k++) {
    asked[sample->row[k]][0] += weight[k] * excess;
    asked[sample->row[k]][1] += weight[k] * curvature;
  }
}

/* Both add what a ray asks of its voxels; return what it misses. */
static float ask_for_maximum(const struct willis_hull_sample *sample, ptrdiff_t count, float pixel,
                             const float *x, float alike, float (*asked)[2]) {
  float most = 0;
  for (ptrdiff_t s = 0; s < count; s++) most = fmaxf(most, willis_hull_sample_read(&sample[s], x));
  const float excess = most - pixel;
  for (ptrdiff_t s = 0; s < count; s++)
    if (willis_hull_sample_read(&sample[s], x) >= most - alike)
      ask_of(&sample[s], excess, 1, asked);
  return excess;
}

static float ask_for_sum(const struct willis_hull_sample *sample, ptrdiff_t count, float pixel,
                         const float *x, float (*asked)[2]) {
  float sum = 0;
  for (ptrdiff_t s = 0; s < count; s++) sum += willis_hull_sample_read(&sample[s], x);
  const float excess = sum - pixel;
  for (ptrdiff_t s = 0; s < count; s++) ask_of(&sample[s], excess, (float)count, asked);
  return excess;
}

/* Of every so many views. */
static void ask_all(struct grey *g, int every, float alike) {
  const ptrdiff_t rows = g->set->rows;
#pragma omp parallel for schedule(dynamic, 1)
  for (int part = 0; part < g->parts; part++) {
    float(*asked)[2] = (float(*)[2])(g->asked + part * (rows + 1) * 2);
    memset(asked, 0, (size_t)(rows + 1) * sizeof *asked);
    g->missed[part] = 0;
    for (int v = part * every; v < g->set->views; v += g->parts * every) {
      const struct willis_hull_samples *s = &g->view[v];
      for (ptrdiff_t r = 0; r < s->rays; r++) {
        const struct willis_hull_sample *first = s->sample + s->first[r];
        const ptrdiff_t count = s->first[r + 1] - s->first[r];
        const float pixel = s->pixel[r] * g->scale;
        const float excess = g->sum ? ask_for_sum(first, count, pixel, g->x, asked)
                                    : ask_for_maximum(first, count, pixel, g->x, alike, asked);
        g->missed[part] += (double)(excess * excess);
      }
    }
  }
}

/* ---- updates ---- */

static void move(struct grey *g, float trust, ptrdiff_t i) {
  float slope = 0, curvature = 0;
  for (int part = 0; part < g->parts; part++) {
    const float *asked = g->asked + (part * (g->set->rows + 1) + i) * 2;
    slope += asked[0];
    curvature += asked[1];
  }
  g->moved[i] = g->way.momentum * g->moved[i] -
                g->way.step * (trust * slope + g->doubt[i] * (g->x[i] - g->mean[i])) /
                    (trust * curvature + g->doubt[i]);
  g->x[i] = fminf(fmaxf(g->x[i] + g->moved[i], 0), 1);
}

static double missed_in_all(const struct grey *g) {
  double sum = 0;
  for (int part = 0; part < g->parts; part++) sum += g->missed[part];
  return sum;
}

static void move_all(struct grey *g, float trust) {
#pragma omp parallel for schedule(static)
  for (ptrdiff_t i = 0; i < g->set->rows; i++) move(g, trust, i);
}

static void update(struct grey *g, float alike) {
  ask_all(g, 1, alike);
  move_all(g, 1 / fmaxf(least_missed * least_missed, (float)(missed_in_all(g) / g->rays)));
}

/* ---- what a full voxel adds to a line integral ---- */

/* What is to be least, for clean pictures of a few views, if it were so much. Begun anew each time,
 * or what was asked before would have a say. */
static double judge(struct grey *g, double full) {
  enum { VIEWS = 5, TIMES = 70 };
  const float trust = 1 / (least_missed * least_missed);
  double moved = 0;
  g->scale = (float)(1 / full);
  memcpy(g->x, g->mean, (size_t)g->set->rows * sizeof *g->x);
  memset(g->moved, 0, (size_t)g->set->rows * sizeof *g->moved);
  for (int k = 0; k < TIMES; k++) {
    ask_all(g, (g->set->views + VIEWS - 1) / VIEWS, 0);
    if (k < TIMES - 1) move_all(g, trust);
  }
  for (ptrdiff_t i = 0; i < g->set->rows; i++)
    moved += (double)(g->doubt[i] * (g->x[i] - g->mean[i]) * (g->x[i] - g->mean[i]));
  return missed_in_all(g) * (double)trust + moved;
}

/* Too little leaves pixels that full voxels do not come up to, too much voxels that are less full
 * than is believed. By the golden section. */
static double find_full(struct grey *g) {
  static const double expected = WILLIS_HULL_SET_MIDDLE / (double)WILLIS_HULL_GREY_MIDDLE;
  static const double golden = 0.6180339887498949, least = 0.8, most = 1.65, near = 0.03;
  double low = log(expected * least), high = log(expected * most);
  double a = high - golden * (high - low), b = low + golden * (high - low);
  double of_b = judge(g, exp(b)), of_a = judge(g, exp(a));
  while (high - low > near) {
    if (of_a < of_b) {
      high = b, b = a, of_b = of_a;
      a = high - golden * (high - low);
      of_a = judge(g, exp(a));
    } else {
      low = a, a = b, of_a = of_b;
      b = low + golden * (high - low);
      of_b = judge(g, exp(b));
    }
  }
  return exp((low + high) / 2);
}

/* ---- in all ---- */

static enum willis_status take(struct grey *g, const struct willis_hull_set *set,
                               const struct willis_projections *stack,
                               const struct willis_grid *grid, struct willis_error *err) {
  const ptrdiff_t rows = set->rows + 1;
  *g = (struct grey){.set = set,
                     .sum = stack->mode == WILLIS_PROJECTION_SUM,
                     .way = ways[stack->mode],
                     .parts = set->views < MOST_PARTS ? set->views : MOST_PARTS};
  g->view = willis_take_zeroed(set->views, sizeof *g->view);
  g->x = willis_take(rows, sizeof *g->x);
  g->moved = willis_take(rows, sizeof *g->moved);
  g->mean = willis_take(rows, sizeof *g->mean);
  g->doubt = willis_take(rows, sizeof *g->doubt);
  g->asked = willis_take(g->parts * rows, 2 * sizeof *g->asked);
  if (!g->view || !g->x || !g->moved || !g->mean || !g->doubt || !g->asked)
    return willis_fail_memory(err, "grey values", g->parts * rows, 2 * sizeof *g->asked);
  int missing = 0;
#pragma omp parallel for schedule(dynamic, 1) reduction(+ : missing)
  for (int v = 0; v < set->views; v++)
    missing += willis_hull_samples_init(&g->view[v], set, stack, grid, v, NULL) != WILLIS_OK;
  if (missing)
    return willis_fail_memory(err, "samples", set->views * set->rows,
                              sizeof(struct willis_hull_sample));
  for (int v = 0; v < set->views; v++) g->rays += (double)g->view[v].rays;
  return WILLIS_OK;
}

static void give_back(struct grey *g) {
  for (int v = 0; g->view && v < g->set->views; v++) willis_hull_samples_release(&g->view[v]);
  willis_release(g->view);
  willis_release(g->x);
  willis_release(g->moved);
  willis_release(g->mean);
  willis_release(g->doubt);
  willis_release(g->asked);
}

size_t willis_hull_grey_bytes(ptrdiff_t rows, ptrdiff_t rays, int views) {
  const size_t parts = (size_t)(views < MOST_PARTS ? views : MOST_PARTS);
  return willis_hull_samples_bytes(rows, rays, views) +
         (size_t)(rows + 1) * (4 + 2 * parts) * sizeof(float) +
         (size_t)views * sizeof(struct willis_hull_samples);
}

enum willis_status willis_hull_grey(const struct willis_hull_set *set,
                                    const struct willis_projections *stack,
                                    const struct willis_grid *grid, const float *probability,
                                    double full, float *value, struct willis_hull_grey_found *found,
                                    struct willis_error *err) {
  static const float most_change = 1.5f;
  const ptrdiff_t empty = willis_grid_count(grid) - set->rows;
  struct grey g;
  double middle = 0;
  enum willis_status status = take(&g, set, stack, grid, err);
  if (!status) {
    expect(&g, probability);
    if (g.sum && g.rays > 0 && !(full > 0)) {
      full = find_full(&g);
      expect(&g, probability);
    }
    g.scale = full > 0 ? (float)(1 / full) : 1;
    for (int k = 0; k < g.way.updates && g.rays > 0; k++) {
      const float part = (float)k / (float)(g.way.updates - 1);
      update(&g, alike_first * powf(alike_last / alike_first, part));
    }
    status = willis_otsu_middle(g.x, set->rows, empty ? empty : 1, &middle, err);
  }
  if (!status) {
    memcpy(value, g.x, (size_t)set->rows * sizeof *value);
    found->middle = fminf(fmaxf((float)middle, WILLIS_HULL_GREY_MIDDLE / most_change),
                          WILLIS_HULL_GREY_MIDDLE * most_change);
    found->missed = g.rays > 0 ? (float)sqrt(missed_in_all(&g) / g.rays) : 0;
  }
  give_back(&g);
  return status;
}
