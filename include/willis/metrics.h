/* Scores of a prediction against a truth. Definitions after Metrics Reloaded (Maier-Hein et al.,
 * Nat Methods 2024); each is named by willis_scores_definition(). */
#ifndef WILLIS_METRICS_H
#define WILLIS_METRICS_H

#include <willis/volume.h>

WILLIS_BEGIN

/* X(name, unit, definition). Mask = value ≥ threshold; truth = value ≥ 0.5. Undefined (NaN): iou
 * and cldice of two empty masks (dice is 1); precision of an empty prediction, recall of an empty
 * truth, distances of either; cldice when thinning leaves nothing of a mask. With one empty mask
 * iou, dice and cldice are 0. */
#define WILLIS_SCORE_LIST(X)                                                                       \
  X(iou, "", "TP/(TP+FP+FN)")                                                                      \
  X(dice, "", "2TP/(2TP+FP+FN); 1 when both masks are empty")                                      \
  X(cldice, "",                                                                                    \
    "harmonic mean of each skeleton's share inside the other mask (Shit 2021); thinning of Lee "   \
    "1994")                                                                                        \
  X(hd95_mm, "mm",                                                                                 \
    "larger of the two directed 95th percentiles of border voxel distances (6 neighbours, "        \
    "linear)")                                                                                     \
  X(assd_mm, "mm", "mean distance from the border voxels of each mask to those of the other")      \
  X(accuracy, "", "(TP+TN)/all voxels")                                                            \
  X(precision, "", "TP/(TP+FP)")                                                                   \
  X(recall, "", "TP/(TP+FN)")                                                                      \
  X(mse, "", "mean of (probability - truth)^2")                                                    \
  X(mae, "", "mean of |probability - truth|")                                                      \
  X(mse_mask, "", "mean of (mask - truth)^2")                                                      \
  X(mae_mask, "", "mean of |mask - truth|; equals mse_mask")

struct willis_scores {
#define WILLIS_SCORE_FIELD(name, unit, definition) double name;
  WILLIS_SCORE_LIST(WILLIS_SCORE_FIELD)
#undef WILLIS_SCORE_FIELD
};

/* MISMATCH if the grids differ; NUMERIC for NaN or infinity; INVALID_ARGUMENT for a threshold that
 * is no number, a prediction with values outside [0,1], a truth outside it that has more than two
 * values. A truth of 0 and 255 is a mask. Scores that are undefined are NaN (JSON null). */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_scores_compute(const struct willis_volume *prediction, const struct willis_volume *truth,
                      double threshold, struct willis_scores *scores, struct willis_error *err);
/* Only what counting voxels gives (no distances, no skeletons): fast. The others are NaN. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_scores_overlap(const struct willis_volume *prediction, const struct willis_volume *truth,
                      double threshold, struct willis_scores *scores, struct willis_error *err);
WILLIS_API int willis_scores_count(void);
WILLIS_API const char *willis_scores_name(int i);
WILLIS_API const char *willis_scores_unit(int i);
WILLIS_API const char *willis_scores_definition(int i);
WILLIS_API double willis_scores_value(const struct willis_scores *scores, int i);

/* How alike two grey volumes are. psnr = 10·log10(range²/mean square difference), in 3D; infinite
 * for equal ones. ssim: 3D windows of 7³ voxels inside the volume, uniform weights, sample
 * covariance, K1 0.01, K2 0.03 (scikit-image's defaults); NaN when an edge has less than 7 voxels.
 */
struct willis_image_scores {
  double psnr, ssim;
};
/* MISMATCH for different grids; NUMERIC for NaN or infinity; INVALID_ARGUMENT for a range that is
 * not above 0; OUT_OF_MEMORY. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_image_compare(const struct willis_volume *volume, const struct willis_volume *truth,
                     double range, struct willis_image_scores *scores, struct willis_error *err);

/* Whether a probability means what it says. Bins of equal width over [0,1], the last one closed;
 * in a bin, the mean of p and the part of its voxels that are true should agree. */
enum { WILLIS_RELIABILITY_BINS = 10 };
struct willis_reliability_bin {
  ptrdiff_t count, positive;
  double sum;            /* of p */
  double mean, fraction; /* of p, and positive/count; NaN for an empty bin */
};
struct willis_reliability {
  struct willis_reliability_bin bin[WILLIS_RELIABILITY_BINS];
  ptrdiff_t count; /* voxels of all bins */
  double squares;  /* sum of (p − truth)² */
  double ece;      /* Σ count·|mean − fraction| / Σ count; NaN without voxels, as the next */
  double brier;    /* mean of (p − truth)² */
};
/* Adds a case to a zeroed `reliability`, whose means then are of all voxels so far: those where
 * `region` ≥ 0.5, or, when that is null, where p > 0. Errors as of willis_scores_compute();
 * MISMATCH also for a region on another grid. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_reliability_add(struct willis_reliability *reliability,
                       const struct willis_volume *prediction, const struct willis_volume *truth,
                       const struct willis_volume *region, struct willis_error *err);

/* Mean, standard deviation (n−1), median and quartiles over cases; NaN cases are left out, n says
 * how many remained. */
struct willis_summary {
  ptrdiff_t n;
  double mean, sd, median, q1, q3;
};
WILLIS_API WILLIS_CHECKED enum willis_status willis_summarize(const double *value, ptrdiff_t count,
                                                              struct willis_summary *summary,
                                                              struct willis_error *err);

WILLIS_END

#endif
