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

struct skeleton_count {
  ptrdiff_t mask;     /* voxels of the mask */
  ptrdiff_t skeleton; /* of its skeleton */
  ptrdiff_t inside;   /* of the skeleton within the other mask */
};

static enum willis_status count_skeleton(const unsigned char *mask, const unsigned char *other,
                                         const struct willis_grid *grid,
                                         struct skeleton_count *count, struct willis_error *err) {
  ptrdiff_t voxels = willis_grid_count(grid);
  *count = (struct skeleton_count){0};
  unsigned char *skeleton = willis_take(voxels, 1);
  if (!skeleton) return willis_fail_memory(err, "a skeleton", voxels, 1);
  memcpy(skeleton, mask, (size_t)voxels);
  enum willis_status status = willis_mask_thin(skeleton, grid->size, err);
  for (ptrdiff_t v = 0; v < voxels; v++) {
    count->mask += mask[v];
    count->skeleton += skeleton[v];
    count->inside += skeleton[v] & other[v];
  }
  willis_release(skeleton);
  return status;
}

enum willis_status willis_scores_centerline(const unsigned char *prediction,
                                            const unsigned char *truth,
                                            const struct willis_grid *grid, double *cldice,
                                            struct willis_error *err) {
  struct skeleton_count p, t;
  *cldice = NAN;
  enum willis_status status = count_skeleton(prediction, truth, grid, &p, err);
  if (status != WILLIS_OK) return status;
  status = count_skeleton(truth, prediction, grid, &t, err);
  if (status != WILLIS_OK) return status;
  if ((p.mask == 0) != (t.mask == 0)) {
    *cldice = 0; /* nothing was found, or nothing was there: the worst score, not an absent one */
  } else if (p.skeleton > 0 && t.skeleton > 0) {
    double precision = (double)p.inside / (double)p.skeleton;
    double sensitivity = (double)t.inside / (double)t.skeleton;
    double sum = precision + sensitivity;
    *cldice = sum > 0 ? 2 * precision * sensitivity / sum : 0;
  }
  return WILLIS_OK;
}
