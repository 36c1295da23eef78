/* The list of scores, what may be scored, and everything at once. */
#include "metrics/scores.h"

#include "base/error.h"
#include "base/memory.h"

#include <math.h>

struct row {
  const char *name, *unit, *definition;
  size_t offset;
};

static const struct row rows[] = {
#define ROW(name, unit, definition) {#name, unit, definition, offsetof(struct willis_scores, name)},
    WILLIS_SCORE_LIST(ROW)
#undef ROW
};
enum { COUNT = sizeof rows / sizeof rows[0] };

/* Interpolation and normalisation in float may leave [0,1] by a few roundings. */
static const float slack = 1e-5f;

int willis_scores_count(void) {
  return COUNT;
}

const char *willis_scores_name(int i) {
  return i >= 0 && i < COUNT ? rows[i].name : NULL;
}

const char *willis_scores_unit(int i) {
  return i >= 0 && i < COUNT ? rows[i].unit : NULL;
}

const char *willis_scores_definition(int i) {
  return i >= 0 && i < COUNT ? rows[i].definition : NULL;
}

double willis_scores_value(const struct willis_scores *scores, int i) {
  if (i < 0 || i >= COUNT) return NAN;
  return *(const double *)((const char *)scores + rows[i].offset);
}

void willis_scores_clear(struct willis_scores *scores) {
  for (int i = 0; i < COUNT; i++) *(double *)((char *)scores + rows[i].offset) = NAN;
}

/* True when every value is 0 or one same positive number: a mask, whatever its "one" is. */
static bool two_valued(const struct willis_volume *volume, float maximum) {
  ptrdiff_t count = willis_grid_count(&volume->grid);
  for (ptrdiff_t v = 0; v < count; v++)
    if (volume->voxels[v] != 0 && volume->voxels[v] != maximum) return false;
  return true;
}

enum willis_status willis_scores_check(const struct willis_volume *prediction,
                                       const struct willis_volume *truth, double threshold,
                                       struct willis_error *err) {
  enum willis_status status;
  if ((status = willis_grid_check(&prediction->grid, "prediction", err)) != WILLIS_OK ||
      (status = willis_grid_check(&truth->grid, "truth", err)) != WILLIS_OK)
    return status;
  if (!isfinite(threshold))
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "threshold %g: expected a number", threshold);
  if (!willis_grid_equal(&prediction->grid, &truth->grid)) {
    const ptrdiff_t *p = prediction->grid.size, *t = truth->grid.size;
    bool sizes = p[0] == t[0] && p[1] == t[1] && p[2] == t[2];
    return willis_fail(err, WILLIS_MISMATCH,
                       "the prediction (%td x %td x %td) and the truth (%td x %td x %td) lie on "
                       "different grids%s; expected the same voxels in the same place",
                       p[0], p[1], p[2], t[0], t[1], t[2],
                       sizes ? " (spacing, origin or direction)" : "");
  }
  if ((status = willis_volume_check_finite(prediction, "prediction", err)) != WILLIS_OK ||
      (status = willis_volume_check_finite(truth, "truth", err)) != WILLIS_OK)
    return status;
  float low, high;
  willis_volume_range(prediction, &low, &high);
  if (low < -slack || high > 1 + slack)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT,
                       "the prediction's values reach from %g to %g; expected probabilities or a "
                       "mask, in [0,1]",
                       low, high);
  willis_volume_range(truth, &low, &high);
  if ((low < -slack || high > 1 + slack) && !two_valued(truth, high))
    return willis_fail(err, WILLIS_INVALID_ARGUMENT,
                       "the truth's values reach from %g to %g and are not two; expected a mask",
                       low, high);
  return WILLIS_OK;
}

static void threshold_into(const struct willis_volume *volume, double threshold,
                           unsigned char *mask) {
  ptrdiff_t count = willis_grid_count(&volume->grid);
  for (ptrdiff_t v = 0; v < count; v++) mask[v] = (double)volume->voxels[v] >= threshold;
}

enum willis_status willis_scores_compute(const struct willis_volume *prediction,
                                         const struct willis_volume *truth, double threshold,
                                         struct willis_scores *scores, struct willis_error *err) {
  enum willis_status status = willis_scores_overlap(prediction, truth, threshold, scores, err);
  if (status != WILLIS_OK) return status;
  ptrdiff_t count = willis_grid_count(&truth->grid);
  unsigned char *masks[2] = {willis_take(count, 1), willis_take(count, 1)};
  if (!masks[0] || !masks[1]) {
    status = willis_fail_memory(err, "the masks", 2 * count, 1);
    goto out;
  }
  threshold_into(prediction, threshold, masks[0]);
  threshold_into(truth, 0.5, masks[1]);
  status = willis_scores_distance(masks[0], masks[1], &truth->grid, &scores->hd95_mm,
                                  &scores->assd_mm, err);
  if (status != WILLIS_OK) goto out;
  status = willis_scores_centerline(masks[0], masks[1], &truth->grid, &scores->cldice, err);
out:
  willis_release(masks[0]);
  willis_release(masks[1]);
  return status;
}
