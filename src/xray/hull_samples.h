/* Where the rays of a view are sampled among the voxels of a list: what a maximum projection is the
 * maximum of, and a line integral the sum. */
#ifndef WILLIS_XRAY_HULL_SAMPLES_H
#define WILLIS_XRAY_HULL_SAMPLES_H

#include "xray/hull_set.h"

/* Interpolated between four voxels of a plane: row[0] and row[1] lie side by side, row[2] and
 * row[3] one further; `across` and `along` say how far between them. A row that is `rows` of the
 * set stands for a voxel outside of the list, which is 0. */
struct willis_hull_sample {
  int32_t row[4];
  float across, along;
};

struct willis_hull_samples {
  ptrdiff_t rays, count;
  float *pixel;     /* [rays] what the view shows there, in units; of SUM, over the voxels from one
                       sample to the next, so that it is a sum of samples */
  ptrdiff_t *first; /* [rays + 1] the samples of ray r are first[r] … first[r + 1] − 1 */
  struct willis_hull_sample *sample; /* [count] */
};

/* Of one view of the stack that the set was made from; only samples beside a listed voxel, and rays
 * that have one and whose pixel is shown. Parallel views in which slices are rows are sampled as
 * they are projected (M4), others where they cross the planes of voxels (rays.h). Where more than
 * five pixels come to four voxels every k-th along either side is taken, at most so many. There
 * is room for three samples a voxel: where lists are so scattered that they have more, the last
 * rays are left out. The caller releases the samples, also empty ones. OUT_OF_MEMORY. */
WILLIS_CHECKED enum willis_status willis_hull_samples_init(struct willis_hull_samples *samples,
                                                           const struct willis_hull_set *set,
                                                           const struct willis_projections *stack,
                                                           const struct willis_grid *grid, int view,
                                                           struct willis_error *err);
void willis_hull_samples_release(struct willis_hull_samples *samples);
/* What they take of all views, with their making. */
size_t willis_hull_samples_bytes(ptrdiff_t rows, ptrdiff_t rays, int views);

/* x[rows + 1], whose last is 0. */
static inline float willis_hull_sample_read(const struct willis_hull_sample *s, const float *x) {
  const float low = x[s->row[0]] + s->across * (x[s->row[1]] - x[s->row[0]]);
  const float high = x[s->row[2]] + s->across * (x[s->row[3]] - x[s->row[2]]);
  return low + s->along * (high - low);
}
/* Their weights, in the order of its rows. */
static inline void willis_hull_sample_weights(const struct willis_hull_sample *s, float weight[4]) {
  weight[0] = (1 - s->across) * (1 - s->along);
  weight[1] = s->across * (1 - s->along);
  weight[2] = (1 - s->across) * s->along;
  weight[3] = s->across * s->along;
}

#endif
