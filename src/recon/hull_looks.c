/* A look in a mirror errs elsewhere, and what they say in turn is better than what one says again
 * and again, also because each is told of the other. */
#include "recon/hull_looks.h"

#include "base/error.h"
#include "base/memory.h"
#include "nn/hull_mirror.h"
#include "xray/hull_grey.h"

#include <string.h>

bool willis_hull_few(int views) {
  enum { FEW_VIEWS = 3 };
  return views <= FEW_VIEWS;
}

bool willis_hull_takes_seconds(const struct willis_grid *grid) {
  enum { MOST_EDGE = 256 };
  return grid->size[0] > MOST_EDGE || grid->size[1] > MOST_EDGE || grid->size[2] > MOST_EDGE;
}

/* Left and right exchanged, views from 45° are some from 135°, which fewer were learned from
 * (hull_pose.h): only when the views lie as much on one side as on the other. */
static bool is_even(const struct willis_hull_set *set) {
  static const double even = 0.1;
  double mean = 0;
  for (int v = 0; v < set->views; v++)
    mean += (double)set->about_view[v * WILLIS_HULL_SET_ABOUT + 1] / set->views;
  return fabs(mean) <= even;
}

/* What few views leave open is settled step by step, on the coarsest grid where that is cheap, and
 * on a finer one if it is the last; line integrals are explained by what is said there. As long as
 * that does not take seconds. */
static int count_looks(const struct willis_hull_case *c, const struct willis_grid *asked) {
  enum { AT_FEW = 8, AT_MORE = 3, AT_FEW_FINE = 4, AT_SUMS_FINE = 2 };
  const bool few = willis_hull_few(c->set.views), sum = c->stack->mode == WILLIS_PROJECTION_SUM;
  if (!c->refined) return few ? AT_FEW : AT_MORE;
  if (willis_hull_takes_seconds(&c->grid)) return 1;
  const bool last = willis_grid_count(&c->grid) == willis_grid_count(asked);
  return few && last ? AT_FEW_FINE : sum ? AT_SUMS_FINE : 1;
}

struct willis_hull_looks willis_hull_looks_of(const struct willis_hull_case *c,
                                              const struct willis_grid *asked) {
  struct willis_hull_looks l = {.looks = count_looks(c, asked), .mirrors = 1};
  if (willis_hull_few(c->set.views)) {
    if (is_even(&c->set)) l.mirror[l.mirrors++] = WILLIS_MIRROR_LEFT_RIGHT;
    for (int k = 0, n = l.mirrors; k < n; k++)
      l.mirror[l.mirrors++] = l.mirror[k] | WILLIS_MIRROR_UPSIDE_DOWN;
  }
  l.averaged = l.looks < l.mirrors ? l.looks : l.mirrors;
  return l;
}

enum willis_status willis_hull_look(struct willis_hull_case *c, const struct willis_grid *asked,
                                    const struct willis_network *network, float *logit,
                                    struct willis_error *err) {
  const struct willis_hull_looks l = willis_hull_looks_of(c, asked);
  const ptrdiff_t rows = c->set.rows;
  if (!rows) return WILLIS_OK;
  float *mean = willis_take_zeroed(rows, sizeof *mean);
  enum willis_status status =
      mean ? WILLIS_OK : willis_fail_memory(err, "logits", rows, sizeof *mean);
  for (int look = 0; look < l.looks && !status; look++) {
    if (look) status = willis_hull_case_tell(c, logit, err);
    if (!status)
      status = willis_hull_infer(network, l.mirror[look % l.mirrors], &c->input, logit, err);
    for (ptrdiff_t i = 0; !status && i < rows && look >= l.looks - l.averaged; i++)
      mean[i] += logit[i] / (float)l.averaged;
  }
  if (!status) memcpy(logit, mean, (size_t)rows * sizeof *logit);
  willis_release(mean);
  return status;
}

enum willis_status willis_hull_look_before(struct willis_hull_case *c,
                                           const struct willis_network *network, int before,
                                           struct willis_error *err) {
  const struct willis_hull_looks l = willis_hull_looks_of(c, &c->grid);
  if (!before || !c->set.rows) return WILLIS_OK;
  float *logit = willis_take(c->set.rows, sizeof *logit);
  enum willis_status status =
      logit ? WILLIS_OK : willis_fail_memory(err, "logits", c->set.rows, sizeof *logit);
  /* What is learned from is seen as it is. */
  for (int left = before; left > 0 && !status; left--) {
    status = willis_hull_infer(network, l.mirror[left % l.mirrors], &c->input, logit, err);
    if (!status) status = willis_hull_case_tell(c, logit, err);
  }
  willis_release(logit);
  return status;
}

/* From what is believed to what explains the pictures, too. Those that contradict each other or are
 * of other voxels than the grid's, which miss by several times what others do, leave what is
 * believed, as sure as networks may be (doc/beyond.md, H8, H13). */
static enum willis_status explain(struct willis_hull_case *c, float *logit,
                                  struct willis_error *err) {
  static const float most_missed[] = {
      [WILLIS_PROJECTION_MAX] = 0.05f, [WILLIS_PROJECTION_SUM] = 0.07f};
  static const float temperature = 1.5f;
  const ptrdiff_t rows = c->set.rows;
  struct willis_hull_grey_found found;
  float *value = willis_take(rows, sizeof *value), *p = willis_take(rows, sizeof *p);
  enum willis_status status = WILLIS_OK;
  if (!value || !p) status = willis_fail_memory(err, "grey values", rows, sizeof *value);
  for (ptrdiff_t i = 0; i < rows && !status; i++) p[i] = willis_hull_probability(logit[i], 1);
  if (!status) status = willis_hull_grey(&c->set, c->stack, &c->grid, p, 0, value, &found, err);
  for (ptrdiff_t i = 0; i < rows && !status; i++)
    logit[i] = found.missed > most_missed[c->stack->mode]
                   ? logit[i] / temperature
                   : willis_hull_grey_logit(value[i], found.middle, p[i]);
  willis_release(value);
  willis_release(p);
  return status;
}

enum willis_status willis_hull_decide(struct willis_hull_case *c,
                                      const struct willis_network *network, float *logit,
                                      struct willis_error *err) {
  enum { LEAST_VIEWS = 3 }; /* fewer leave open what is whose, and grey values do not settle it */
  const enum willis_status status = willis_hull_look(c, &c->grid, network, logit, err);
  if (status || !c->set.rows || c->set.views < LEAST_VIEWS) return status;
  return explain(c, logit, err);
}
