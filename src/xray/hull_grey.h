/* How full of vessel each voxel of a hull is, from what is believed of it and what the pictures
 * show (doc/beyond.md, H13). */
#ifndef WILLIS_XRAY_HULL_GREY_H
#define WILLIS_XRAY_HULL_GREY_H

#include "xray/hull_set.h"

/* The grey value between vessel and none, in parts of a full voxel, where Otsu's threshold of a
 * voxelized head is to be expected. */
#define WILLIS_HULL_GREY_MIDDLE 0.376f
/* What a voxel's grey value is taken to be by what is believed alone: of a mean whose odds are the
 * odds of the probability to the power of 0.4, times the odds of the middle, and a variance of a
 * fifth of mean·(1 − mean), as a Beta distribution has. Chosen on held-out heads (doc/beyond.md).
 */
struct willis_hull_grey_expected {
  float mean, variance;
};
struct willis_hull_grey_expected willis_hull_grey_expected(float probability);
/* What is believed now that the grey value is known: 0 at the middle, and so far from it as the
 * root of the distance, in deviations of what was expected. */
float willis_hull_grey_logit(float value, float middle, float probability);

/* What came out. `middle` is the grey value between Otsu's two classes, all other voxels of the
 * grid being 0, as long as that is within a factor of 1.5 of what is to be expected; `missed` is
 * how far the pictures are from what is shown of x, root mean square over the rays, in full voxels.
 */
struct willis_hull_grey_found {
  float middle, missed;
};

/* value[rows], 0 … 1 of a full voxel: minimises
 *   Σ_r (f_r(x) − p_r)²/2τ² + Σ_i (x_i − mean_i)²/2·variance_i
 * over the rays r of all views. Of their samples s (hull_samples.h) f is the largest x(s), or the
 * sum for line integrals. τ is what is missed on average, 0.01 at least, so that pictures which
 * contradict each other count for less. Begins at the means. `full` is what a full voxel adds to a
 * pixel, in units; 0 finds it for line integrals, as what makes the least of a few views least, and
 * is a unit for maxima. OUT_OF_MEMORY, NUMERIC. */
WILLIS_CHECKED enum willis_status
willis_hull_grey(const struct willis_hull_set *set, const struct willis_projections *stack,
                 const struct willis_grid *grid, const float *probability, double full,
                 float *value, struct willis_hull_grey_found *found, struct willis_error *err);

/* What it takes beside the set and the values. */
size_t willis_hull_grey_bytes(ptrdiff_t rows, ptrdiff_t rays, int views);

#endif
