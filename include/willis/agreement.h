/* Real angiograms: vessels found in each picture, and how well the pictures of several views agree
 * with one another about what is there. */
#ifndef WILLIS_AGREEMENT_H
#define WILLIS_AGREEMENT_H

#include <willis/geometry.h>
#include <willis/progress.h>

WILLIS_BEGIN

/* Vessels in 2D. A vessel is a ridge: bright across, flat along. In units of the picture's noise
 * (the median of the response), and as a share of its strongest ridges (the 99th percentile). */
enum { WILLIS_VESSEL_SCALES = 3 };
struct willis_vessel_options {
  double scale_px[WILLIS_VESSEL_SCALES]; /* standard deviations of the Gaussians: 2.5, 4, 6 */
  double noise;                          /* no vessel under this many medians (5) */
  double weak, strong;                   /* shares of the strongest (0.2, 0.5) */
  double least_px;                       /* smaller pieces are dropped (250) */
  ptrdiff_t border_px;                   /* ignored along the edges of what is shown (30) */
  bool keep_values; /* mode SUM: the picture less its median, instead of 1 (false) */
};
WILLIS_API struct willis_vessel_options willis_vessel_defaults(void);
/* Makes `mask` a stack of the same views, mode MAX, 1 where a vessel is and 0 elsewhere: where the
 * largest ridge response over the scales, σ²·(−λ1 − |λ2|) of the smoothed picture's Hessian with
 * λ1 ≤ λ2 (after Frangi, MICCAI 1998), is at least `weak` and joined to what is `strong`. The
 * borders hold no vessels, and what is not shown stays unknown. The caller releases it.
 * INVALID_ARGUMENT, OUT_OF_MEMORY. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_vessels_segment(const struct willis_projections *stack,
                       const struct willis_vessel_options *options, struct willis_projections *mask,
                       struct willis_error *err);

/* How a model made without a view looks in that view. NaN when one of the pictures is empty. */
struct willis_view_agreement {
  double dice;          /* of the model's shadow and the picture's vessels */
  double centerline_mm; /* mean distance between their centre lines, both ways, at the isocenter */
};
/* Leave-one-view-out, for a stack of masks: the hull of the other views on `grid` is projected into
 * each view and compared with what the view shows. The masks of the others are widened by
 * `tolerance_px` before (0: not at all), so that a small error of geometry does not cut a thin
 * vessel. agreement[view_count]. INVALID_ARGUMENT (less than 3 views, a negative tolerance),
 * CANCELLED, and what hull and projection give. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_views_agree(const struct willis_projections *mask, const struct willis_grid *grid,
                   double tolerance_px, struct willis_view_agreement *agreement,
                   const struct willis_progress *progress, struct willis_error *err);

/* What refining may do. */
struct willis_refine_options {
  ptrdiff_t most_px; /* the largest step of the first round, to each side (40) */
  int rounds;        /* 8 */
};
WILLIS_API struct willis_refine_options willis_refine_defaults(void);
/* Moves the principal point of each view of a stack of masks so that the views agree. Every mask
 * becomes a soft one, exp(−d²/2s²) at d pixels from a vessel, with s from most_px/2 down to 1 px
 * over the rounds; the hull of the other views' soft masks is projected into the view, and the view
 * moves to where the sum of products is largest, to a fraction of a pixel. A common move of the
 * head is no disagreement: of all shifts that do as well the smallest are taken, so that the head
 * stays where the views put it on average. shift_px[2·view_count]: how many columns and rows the
 * principal points moved. INVALID_ARGUMENT (less than 3 views), CANCELLED, and what hull and
 * projection give; then the views are as they were. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_views_refine(struct willis_projections *mask, const struct willis_grid *grid,
                    const struct willis_refine_options *options, double *shift_px,
                    const struct willis_progress *progress, struct willis_error *err);

/* How a view was moved: the axes' turns, and the principal point. */
struct willis_view_change {
  double primary_deg, secondary_deg, in_plane_deg;
  double columns, rows; /* pixels */
};
struct willis_adjust_options {
  double most_deg, most_px; /* no number moves further (5, 20); half of it is what to expect */
  int rounds;               /* 12 */
  ptrdiff_t samples;        /* of the centre lines, a view (300) */
};
WILLIS_API struct willis_adjust_options willis_adjust_defaults(void);
/* Turns and shifts the views of a stack of masks a little, all together, so that points of each
 * view's centre lines have a depth at which they fall on the centre lines of the others. It wants
 * views that agree to some pixels already (willis_views_refine()). A common turn or move of the
 * model is no disagreement: a weak prior keeps it where it was, and so it does with what hardly
 * shows. change[view_count]. Distances and pixel spacings stay. INVALID_ARGUMENT (less than 3
 * views, options), NUMERIC, OUT_OF_MEMORY, CANCELLED; then the views are as they were. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_views_adjust(struct willis_projections *mask, const struct willis_grid *grid,
                    const struct willis_adjust_options *options, struct willis_view_change *change,
                    const struct willis_progress *progress, struct willis_error *err);

WILLIS_END

#endif
