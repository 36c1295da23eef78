/* From what a file says to a view, or to the one line that says what is missing and which option
 * gives it. */
#include "base/error.h"
#include "io/angiogram.h"

#include <math.h>

static const double SAME_MAGNIFICATION = 0.02; /* relative; headers round it to few digits */

struct willis_pose_override willis_pose_override_none(void) {
  return (struct willis_pose_override){.primary_angle_deg = NAN, .secondary_angle_deg = NAN};
}

/* A number of the view: where it comes from, what it must be, and how to give it. */
struct wanted {
  const char *name, *tag;
  double said;  /* by the file, NaN when it does not */
  double given; /* by the user, NaN when not */
  double least, most;
  const char *expected, *option;
  double *to;
  bool pair; /* one of two numbers of one attribute */
};

static enum willis_status settle(const struct wanted *w, const char *why,
                                 struct willis_error *err) {
  *w->to = isnan(w->given) ? w->said : w->given;
  if (isnan(*w->to))
    return willis_fail(err, WILLIS_GEOMETRY, "%s %s %s, give it with %s", w->name, w->tag,
                       why ? why : "is missing", w->option);
  if (isinf(*w->to))
    return willis_fail(err, WILLIS_GEOMETRY, "%s %s is no %s, expected %s; %s overrides it",
                       w->name, w->tag, w->pair ? "pair of numbers" : "number", w->expected,
                       w->option);
  if (!(*w->to >= w->least && *w->to <= w->most))
    return willis_fail(err, WILLIS_GEOMETRY, "%s %s is %g, expected %s; %s overrides it", w->name,
                       w->tag, *w->to, w->expected, w->option);
  return WILLIS_OK;
}

/* Angles that may have been added to a base twice. */
static enum willis_status undo_base(const struct willis_angiogram *a,
                                    const struct willis_pose_override *override,
                                    struct willis_pose *pose, struct willis_error *err) {
  const bool given = !isnan(override->primary_angle_deg) && !isnan(override->secondary_angle_deg);
  if (a->increments == WILLIS_INCREMENTS_NONE || given) return WILLIS_OK;
  if (override->increments == WILLIS_INCREMENTS_ON_ZERO) {
    pose->primary_angle_deg -= a->base_primary_deg;
    pose->secondary_angle_deg -= a->base_secondary_deg;
  } else if (a->increments == WILLIS_INCREMENTS_DOUBTFUL &&
             override->increments != WILLIS_INCREMENTS_OFFSETS) {
    return willis_fail(err, WILLIS_GEOMETRY,
                       "PositionerPrimaryAngleIncrement (0018,1520) begins at the base angle %g "
                       "itself, offsets begin at 0: say --increments absolute or offsets",
                       a->base_primary_deg);
  }
  return WILLIS_OK;
}

static double field_spacing(const struct willis_angiogram *a) {
  const double across = a->field_of_view_mm[1] / (double)a->columns;
  const double down = a->field_of_view_mm[0] / (double)a->rows;
  /* Which of the two dimensions is which differs between writers: equal ones cannot be wrong. */
  return fabs(across / down - 1) < 1e-3 ? across : NAN;
}

static enum willis_status check_distances(const struct willis_angiogram *a,
                                          const struct willis_pose_override *override,
                                          const struct willis_view *view,
                                          struct willis_error *err) {
  const double far = view->source_to_detector_mm, near = view->source_to_isocenter_mm;
  if (!(near < far))
    return willis_fail(err, WILLIS_GEOMETRY,
                       "source to isocenter is %g mm and source to detector %g mm, expected the "
                       "first below the second; --source-to-isocenter and --source-to-detector "
                       "override them",
                       near, far);
  const bool given = override->source_to_detector_mm > 0 || override->source_to_isocenter_mm > 0;
  if (given || override->ignore_magnification || isnan(a->magnification)) return WILLIS_OK;
  if (isinf(a->magnification))
    return willis_fail(
        err, WILLIS_GEOMETRY,
        "EstimatedRadiographicMagnificationFactor (0018,1114) is no number, expected "
        "%.4g, the quotient of the distances; --source-to-isocenter MM settles it",
        far / near);
  if (fabs(far / near / a->magnification - 1) > SAME_MAGNIFICATION)
    return willis_fail(err, WILLIS_GEOMETRY,
                       "the distances %g and %g mm magnify %.4g times, but "
                       "EstimatedRadiographicMagnificationFactor (0018,1114) is %.4g; "
                       "--source-to-isocenter MM settles it",
                       far, near, far / near, a->magnification);
  return WILLIS_OK;
}

static double or_nan(double length) {
  return length > 0 ? length : NAN;
}

enum willis_status willis_angiogram_view(const struct willis_angiogram *a, ptrdiff_t frame,
                                         const struct willis_pose_override *override,
                                         struct willis_view *view, struct willis_error *err) {
  if (frame < 0 || frame >= a->frame_count)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "frame %td, expected 1 to %td", frame + 1,
                       a->frame_count);
  struct willis_pose pose = a->pose[frame];
  enum willis_status status = undo_base(a, override, &pose, err);
  if (status) return status;
  if (override->from_field_of_view && !isfinite(pose.column_spacing_mm))
    pose.row_spacing_mm = pose.column_spacing_mm = field_spacing(a);
  *view = (struct willis_view){.kind = WILLIS_VIEW_CONE,
                               .principal_column = 0.5 * (double)(a->columns - 1),
                               .principal_row = 0.5 * (double)(a->rows - 1)};
  const char *lost = a->kind == WILLIS_ANGIOGRAM_CAPTURE
                         ? "is missing, for a Secondary Capture has no geometry"
                     : a->is_dynamic && a->increments == WILLIS_INCREMENTS_NONE && frame > 0
                         ? "is that of the first frame only, for the C-arm moves"
                         : NULL;
  const char *no_spacing =
      override->from_field_of_view ? "is missing, and so is a field of view that fits the matrix"
      : isnan(field_spacing(a))    ? NULL
                                   : "is missing (--spacing-from-field-of-view derives it)";
  const double spacing = or_nan(override->pixel_spacing_mm), least = 1e-3, most = 1e5;
  const struct {
    struct wanted wanted;
    const char *why;
  } row[] = {
      {{"PositionerPrimaryAngle", "(0018,1510)", pose.primary_angle_deg,
        override->primary_angle_deg, -360, 360, "degrees from -360 to 360",
        "--angles PRIMARY/SECONDARY", &view->primary_angle_deg, false},
       lost},
      {{"PositionerSecondaryAngle", "(0018,1511)", pose.secondary_angle_deg,
        override->secondary_angle_deg, -90, 90, "degrees from -90 to 90",
        "--angles PRIMARY/SECONDARY", &view->secondary_angle_deg, false},
       lost},
      {{"DistanceSourceToDetector", "(0018,1110)", pose.source_to_detector_mm,
        or_nan(override->source_to_detector_mm), least, most, "mm above 0",
        "--source-to-detector MM", &view->source_to_detector_mm, false},
       NULL},
      {{"the distance from source to isocenter",
        a->kind == WILLIS_ANGIOGRAM_ENHANCED_XA ? "(0018,9402)" : "(0018,1111)",
        pose.source_to_isocenter_mm, or_nan(override->source_to_isocenter_mm), least, most,
        "mm above 0", "--source-to-isocenter MM", &view->source_to_isocenter_mm, false},
       NULL},
      {{"ImagerPixelSpacing", "(0018,1164)", pose.column_spacing_mm, spacing, least, most,
        "mm above 0", "--pixel-spacing MM", &view->column_spacing_mm, true},
       no_spacing},
      {{"ImagerPixelSpacing", "(0018,1164)", pose.row_spacing_mm, spacing, least, most,
        "mm above 0", "--pixel-spacing MM", &view->row_spacing_mm, true},
       no_spacing},
  };
  for (size_t i = 0; i < sizeof row / sizeof *row && !status; i++)
    status = settle(&row[i].wanted, row[i].why, err);
  return status ? status : check_distances(a, override, view, err);
}
