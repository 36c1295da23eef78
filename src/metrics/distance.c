/* Distances between the surfaces of two masks, in mm. A surface is the mask's border voxels: those
 * with one of the six face neighbours outside the mask (or outside the volume), as MedPy, MONAI and
 * Metrics Reloaded take it. For every border voxel of one mask, the exact Euclidean distance to the
 * nearest border voxel of the other is read from a distance transform; the volume is first cut to
 * the box that holds both surfaces, outside of which nothing is asked. */
#include "metrics/scores.h"

#include "base/error.h"
#include "base/memory.h"
#include "volume/distance_transform.h"

#include <math.h>

struct box {
  ptrdiff_t low[3], size[3];
};

struct surfaces {
  unsigned char *border[2]; /* in the box */
  double *squared_mm2;      /* in the box */
  double *distance_mm;      /* of one surface's voxels to the other */
};

/* The box that holds every voxel of either mask; false if one of them is empty. */
static bool find_box(const unsigned char *const mask[2], const ptrdiff_t size[3], struct box *box) {
  ptrdiff_t high[3] = {-1, -1, -1};
  bool any[2] = {false, false};
  for (int axis = 0; axis < 3; axis++) box->low[axis] = size[axis];
  for (ptrdiff_t v = 0, z = 0; z < size[2]; z++)
    for (ptrdiff_t y = 0; y < size[1]; y++)
      for (ptrdiff_t x = 0; x < size[0]; x++, v++) {
        if (!(mask[0][v] | mask[1][v])) continue;
        any[0] |= mask[0][v];
        any[1] |= mask[1][v];
        const ptrdiff_t at[3] = {x, y, z};
        for (int axis = 0; axis < 3; axis++) {
          if (at[axis] < box->low[axis]) box->low[axis] = at[axis];
          if (at[axis] > high[axis]) high[axis] = at[axis];
        }
      }
  for (int axis = 0; axis < 3; axis++) box->size[axis] = high[axis] - box->low[axis] + 1;
  return any[0] && any[1];
}

static bool is_border(const unsigned char *mask, ptrdiff_t v, const ptrdiff_t at[3],
                      const ptrdiff_t size[3], const ptrdiff_t step[3]) {
  if (!mask[v]) return false;
  for (int axis = 0; axis < 3; axis++)
    if (at[axis] == 0 || at[axis] == size[axis] - 1 || !mask[v - step[axis]] ||
        !mask[v + step[axis]])
      return true;
  return false;
}

/* Returns the number of border voxels. */
static ptrdiff_t mark_border(const unsigned char *mask, const ptrdiff_t size[3],
                             const struct box *box, unsigned char *border) {
  const ptrdiff_t step[3] = {1, size[0], size[0] * size[1]};
  ptrdiff_t count = 0, b = 0;
  for (ptrdiff_t z = 0; z < box->size[2]; z++)
    for (ptrdiff_t y = 0; y < box->size[1]; y++)
      for (ptrdiff_t x = 0; x < box->size[0]; x++, b++) {
        const ptrdiff_t at[3] = {box->low[0] + x, box->low[1] + y, box->low[2] + z};
        ptrdiff_t v = at[2] * step[2] + at[1] * step[1] + at[0];
        border[b] = is_border(mask, v, at, size, step);
        count += border[b];
      }
  return count;
}

/* The directed distances from one surface to the other: their sum and 95th percentile. */
static enum willis_status directed(struct surfaces *s, int from, const struct box *box,
                                   const double spacing_mm[3], double *sum, double *percentile,
                                   struct willis_error *err) {
  enum willis_status status =
      willis_distance_transform(s->border[1 - from], box->size, spacing_mm, s->squared_mm2, err);
  if (status != WILLIS_OK) return status;
  ptrdiff_t count = 0, box_count = box->size[0] * box->size[1] * box->size[2];
  *sum = 0;
  for (ptrdiff_t b = 0; b < box_count; b++)
    if (s->border[from][b]) *sum += s->distance_mm[count++] = sqrt(s->squared_mm2[b]);
  willis_sort_doubles(s->distance_mm, count);
  *percentile = willis_percentile(s->distance_mm, count, 95);
  return WILLIS_OK;
}

enum willis_status willis_scores_distance(const unsigned char *prediction,
                                          const unsigned char *truth,
                                          const struct willis_grid *grid, double *hd95_mm,
                                          double *assd_mm, struct willis_error *err) {
  *hd95_mm = *assd_mm = NAN;
  const unsigned char *const mask[2] = {prediction, truth};
  struct box box;
  if (!find_box(mask, grid->size, &box)) return WILLIS_OK;

  enum willis_status status = WILLIS_OK;
  struct surfaces s = {0};
  ptrdiff_t box_count = box.size[0] * box.size[1] * box.size[2], count[2] = {0, 0};
  for (int m = 0; m < 2; m++) {
    s.border[m] = willis_take(box_count, 1);
    if (!s.border[m]) {
      status = willis_fail_memory(err, "surfaces", box_count, 1);
      goto out;
    }
    count[m] = mark_border(mask[m], grid->size, &box, s.border[m]);
  }
  s.squared_mm2 = willis_take(box_count, sizeof *s.squared_mm2);
  s.distance_mm = willis_take(count[0] > count[1] ? count[0] : count[1], sizeof *s.distance_mm);
  if (!s.squared_mm2 || !s.distance_mm) {
    status = willis_fail_memory(err, "surface distances", box_count, sizeof *s.squared_mm2);
    goto out;
  }
  double sum[2], percentile[2];
  for (int from = 0; from < 2; from++) {
    status = directed(&s, from, &box, grid->spacing_mm, &sum[from], &percentile[from], err);
    if (status != WILLIS_OK) goto out;
  }
  *hd95_mm = percentile[0] > percentile[1] ? percentile[0] : percentile[1];
  *assd_mm = (sum[0] + sum[1]) / (double)(count[0] + count[1]);
out:
  willis_release(s.border[0]);
  willis_release(s.border[1]);
  willis_release(s.squared_mm2);
  willis_release(s.distance_mm);
  return status;
}
