/* clDice (Shit et al., CVPR 2021): with S the skeleton of a mask V,
 *   precision = |S_prediction ∩ V_truth| / |S_prediction|
 *   sensitivity = |S_truth ∩ V_prediction| / |S_truth|
 *   clDice = 2 · precision · sensitivity / (precision + sensitivity).
 * The number depends on the thinning; here it is Lee's of 1994 (volume/thinning), the one of
 * scikit-image that the authors' own code uses. */
#include "metrics/scores.h"

#include "base/error.h"
#include "base/memory.h"
#include "volume/thinning.h"

#include <math.h>
#include <string.h>

/* The fraction of the skeleton of `of` that lies in `in`; NaN for an empty mask. */
static enum willis_status skeleton_inside(const unsigned char *of, const unsigned char *in,
                                          const struct willis_grid *grid, double *fraction,
                                          struct willis_error *err) {
  ptrdiff_t count = willis_grid_count(grid), all = 0, inside = 0;
  unsigned char *skeleton = willis_take(count, 1);
  if (!skeleton) return willis_fail_memory(err, "a skeleton", count, 1);
  memcpy(skeleton, of, (size_t)count);
  enum willis_status status = willis_mask_thin(skeleton, grid->size, err);
  for (ptrdiff_t v = 0; v < count; v++) {
    all += skeleton[v];
    inside += skeleton[v] & in[v];
  }
  *fraction = all > 0 ? (double)inside / (double)all : NAN;
  willis_release(skeleton);
  return status;
}

enum willis_status willis_scores_centerline(const unsigned char *prediction,
                                            const unsigned char *truth,
                                            const struct willis_grid *grid, double *cldice,
                                            struct willis_error *err) {
  double precision, sensitivity;
  *cldice = NAN;
  enum willis_status status = skeleton_inside(prediction, truth, grid, &precision, err);
  if (status != WILLIS_OK) return status;
  status = skeleton_inside(truth, prediction, grid, &sensitivity, err);
  if (status != WILLIS_OK) return status;
  if (isnan(precision) && isnan(sensitivity)) return WILLIS_OK;
  /* With one mask empty nothing was found: the worst score, not an absent one. */
  double sum = precision + sensitivity;
  *cldice = sum > 0 ? 2 * precision * sensitivity / sum : 0;
  return WILLIS_OK;
}
