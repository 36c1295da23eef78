/* What the files of this room share. */
#ifndef WILLIS_METRICS_SCORES_H
#define WILLIS_METRICS_SCORES_H

#include <willis/metrics.h>

/* Every score NaN. */
void willis_scores_clear(struct willis_scores *scores);
/* MISMATCH unless both lie on one grid; NUMERIC for NaN or infinity; INVALID_ARGUMENT for a
 * threshold that is not finite, a prediction outside [0,1], a truth that is no mask. */
WILLIS_CHECKED enum willis_status willis_scores_check(const struct willis_volume *prediction,
                                                      const struct willis_volume *truth,
                                                      double threshold, struct willis_error *err);

/* The larger of the two directed 95th percentiles of surface distances, and their mean over both
 * surfaces. Masks are 0 or 1, x fastest; an empty one leaves both results NaN. OUT_OF_MEMORY. */
WILLIS_CHECKED enum willis_status willis_scores_distance(const unsigned char *prediction,
                                                         const unsigned char *truth,
                                                         const struct willis_grid *grid,
                                                         double *hd95_mm, double *assd_mm,
                                                         struct willis_error *err);
/* clDice. 0 when one mask is empty; NaN when both are or when thinning leaves nothing of one.
 * OUT_OF_MEMORY. */
WILLIS_CHECKED enum willis_status
willis_scores_centerline(const unsigned char *prediction, const unsigned char *truth,
                         const struct willis_grid *grid, double *cldice, struct willis_error *err);

/* The p-th percentile (0 ≤ p ≤ 100) of `count` > 0 ascending values, NumPy's default definition
 * ("linear"): interpolated at position p/100·(count−1). */
double willis_percentile(const double *ascending, ptrdiff_t count, double p);
/* Ascending, in place. */
void willis_sort_doubles(double *value, ptrdiff_t count);

#endif
