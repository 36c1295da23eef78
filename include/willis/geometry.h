/* Views of a C-arm and the projection stacks made from them.
 *
 * Patient frame LPS, mm; the isocenter is the point the C-arm turns about. Angles as in DICOM:
 * primary (alpha) positive towards LAO, secondary (beta) positive towards cranial:
 *   d = ( cosβ sinα, −cosβ cosα, sinβ )   isocenter → detector
 *   u = ( cosα, sinα, 0 )                 columns grow along u
 *   v = ( −sinβ sinα, sinβ cosα, cosβ )   rows grow along −v (row 0 towards the head)
 * The paper's view angle θ is α with β = 0: 0° looks along y, 90° along x (M1).
 * A detector turned by γ in its own plane has u' = cosγ·u + sinγ·v and v' = −sinγ·u + cosγ·v in
 * their place. */
#ifndef WILLIS_GEOMETRY_H
#define WILLIS_GEOMETRY_H

#include <willis/volume.h>

WILLIS_BEGIN

enum willis_view_kind { WILLIS_VIEW_PARALLEL, WILLIS_VIEW_CONE };

/* What of a picture is known, in 0-based pixels: a pixel is shown when its centre lies in every
 * shape that is there. All of it is, when `any` is false. A voxel whose shadow falls on a pixel
 * that is not shown is not seen by that view. */
enum { WILLIS_SHUTTER_CORNERS = 64 };
struct willis_shutter {
  bool any, is_rectangle, is_circle;
  double left, right, upper, lower;         /* the first and last shown column and row */
  double centre_row, centre_column, radius; /* pixels */
  int corner_count;
  double corner[WILLIS_SHUTTER_CORNERS][2]; /* row, column */
};

/* One view. The principal point, 0-based, by default (n−1)/2, is where the ray at right angles to
 * the detector meets it: for parallel beams, and for cone beams whose source is not offset, the ray
 * through the isocenter. For parallel beams distances and offsets are 0 and pixel spacing is the
 * one at the isocenter; for cone beams it is the one at the detector. The source of a cone lies at
 *   S = −source_to_isocenter·d + source_offset[0]·u + source_offset[1]·v
 * from the isocenter, and source_to_detector is measured along d. So a view is any pinhole camera
 * with square-cornered pixels; zero offsets and angle are the C-arm that DICOM describes. */
struct willis_view {
  enum willis_view_kind kind;
  double primary_angle_deg;
  double secondary_angle_deg;
  double source_to_detector_mm;
  double source_to_isocenter_mm;
  double column_spacing_mm;
  double row_spacing_mm;
  double principal_column;
  double principal_row;
  double in_plane_angle_deg; /* γ, the detector's turn about d */
  double source_offset_mm[2];
  struct willis_shutter shutter; /* of the picture, and so bound to its pixels */
};

enum willis_projection_mode {
  WILLIS_PROJECTION_MAX, /* maximum along the ray (M4) */
  WILLIS_PROJECTION_SUM  /* line integral: Σ value × step in mm */
};

/* Angiograms of one head: pixels[(view·rows + row)·columns + column]. Pixels that are not shown
 * hold 0. `grid` is that of the volume the stack came from, if known. Made by
 * willis_projections_create() or a reader. */
struct willis_projections {
  ptrdiff_t columns, rows, view_count;
  float *pixels;
  struct willis_view *view;
  double isocenter_mm[3];
  enum willis_projection_mode mode;
  bool has_grid;
  struct willis_grid grid;
};

/* Zero pixels and `view_count` zeroed views. The caller releases it. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_projections_create(struct willis_projections *stack, ptrdiff_t columns, ptrdiff_t rows,
                          ptrdiff_t view_count, struct willis_error *err);
WILLIS_API void willis_projections_release(struct willis_projections *stack);
/* GEOMETRY when a view's numbers are NaN, not positive where they must be, or contradictory. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_projections_check(const struct willis_projections *stack, struct willis_error *err);

/* True for a place on a picture that no shutter covers, nor comes nearer to than margin_px. */
WILLIS_API bool willis_shutter_shows(const struct willis_shutter *shutter, double column,
                                     double row, double margin_px);
/* The shutter of a picture whose pixels are bin × bin of this one's. */
WILLIS_API void willis_shutter_bin(struct willis_shutter *shutter, ptrdiff_t bin);
/* The view of that picture. */
WILLIS_API void willis_view_bin(struct willis_view *view, ptrdiff_t bin);
/* A stack whose pixels are the means of bin × bin of this one's, of those that are shown and there:
 * its pictures have sides of size/bin, rounded up. bin ≥ 1. The caller releases it. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_projections_bin(const struct willis_projections *stack, ptrdiff_t bin,
                       struct willis_projections *binned, struct willis_error *err);
/* Sets the pixels that are not shown to 0. */
WILLIS_API void willis_projections_hide(struct willis_projections *stack);

/* The n of the paper's 90 views (M3): index[k] = floor(90·k/(n−1)), the last 89. 2 ≤ n ≤ 90. */
WILLIS_API WILLIS_CHECKED enum willis_status willis_views_select(int n, int *index,
                                                                 struct willis_error *err);
/* angle_deg[k] = arc·index[k]/89 (M2, M3). */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_views_arc(int n, double arc_deg, double *angle_deg, struct willis_error *err);
/* A parallel view at α (β = 0) whose detector has the columns and rows of the cubic `grid`. */
WILLIS_API struct willis_view willis_view_parallel(double primary_angle_deg,
                                                   const struct willis_grid *grid);
/* The unit vectors d, u, v above, u and v turned by the in-plane angle. */
WILLIS_API void willis_view_axes(const struct willis_view *view, double d[3], double u[3],
                                 double v[3]);
/* Detector coordinates of a point given relative to the isocenter, for either kind. NaN for a point
 * that is not in front of a cone's source. */
WILLIS_API void willis_view_project_point(const struct willis_view *view, const double point_mm[3],
                                          double *column, double *row);

/* Where the source of a cone is, relative to the isocenter. */
WILLIS_API void willis_view_source(const struct willis_view *view, double source_mm[3]);
/* Sets the three angles so that the axes become those of a detector to which d points and along
 * whose columns u does (v = d × u); the rest of the view stays. GEOMETRY unless they are
 * finite, of length 1 and at right angles within 1e-4. */
WILLIS_API WILLIS_CHECKED enum willis_status willis_view_set_axes(struct willis_view *view,
                                                                  const double d[3],
                                                                  const double u[3],
                                                                  struct willis_error *err);

WILLIS_END

#endif
