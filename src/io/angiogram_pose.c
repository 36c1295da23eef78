/* What the attributes say: poses, shutters, subtraction (PS3.3, C.8.7 for XA, C.8.19 for Enhanced
 * XA, C.7.6.10 for masks, C.7.6.11 for shutters). Numbers are kept as they are written; doubt about
 * them comes when a view is made (angiogram_view.c). */
#include "base/error.h"
#include "base/memory.h"
#include "io/angiogram.h"

#include <math.h>
#include <string.h>

enum tag {
  PATIENT_NAME = 0x00100010, /* these two are hashed and forgotten */
  PATIENT_ID = 0x00100020,
  STUDY = 0x0020000D,
  TO_DETECTOR = 0x00181110,
  TO_PATIENT = 0x00181111,
  MAGNIFICATION = 0x00181114,
  FIELD_SHAPE = 0x00181147,
  FIELD_SIZE = 0x00181149,
  PIXEL_SPACING = 0x00181164,
  MOTION = 0x00181500,
  PRIMARY = 0x00181510,
  SECONDARY = 0x00181511,
  PRIMARY_STEPS = 0x00181520,
  SECONDARY_STEPS = 0x00181521,
  SHUTTER_SHAPE = 0x00181600,
  SHUTTER_LEFT = 0x00181602,
  SHUTTER_RIGHT = 0x00181604,
  SHUTTER_UPPER = 0x00181606,
  SHUTTER_LOWER = 0x00181608,
  SHUTTER_CENTRE = 0x00181610,
  SHUTTER_RADIUS = 0x00181612,
  SHUTTER_CORNERS = 0x00181620,
  FIELD_ROTATION = 0x00187032,
  FIELD_FLIP = 0x00187034,
  TO_ISOCENTER = 0x00189402,
  POSITIONER = 0x00189405,
  GEOMETRY = 0x00189476,
  FIELD = 0x00189432,
  FRAME_SHUTTER = 0x00189472,
  PATIENT_ORIENTATION = 0x00200020,
  FRAME_ORIENTATION = 0x00209450,
  RELATIONSHIP = 0x00281040,
  INTERCEPT = 0x00281052,
  SLOPE = 0x00281053,
  FRAME_VALUES = 0x00289145,
  FRAME_PIXELS = 0x00289443,
  SHARED = 0x52009229,
  PER_FRAME = 0x52009230,
  MASK_SUBTRACTION = 0x00286100,
  MASK_OPERATION = 0x00286101,
  MASK_RANGE = 0x00286102,
  MASK_FRAMES = 0x00286110,
  MASK_AVERAGING = 0x00286112,
  MASK_SHIFT = 0x00286114,
  MASK_INTERVAL = 0x00286120,
};

static const double NEAR_DEG = 0.5; /* two angles of a C-arm that are the same */

/* One number, NaN when it is missing or none. */
static double number(const struct willis_dicom_item *item, uint32_t tag) {
  double value = NAN;
  return willis_dicom_reals(item, tag, &value, 1) > 0 ? value : NAN;
}

/* The same, but infinite when something is there that is no finite number. */
static double said_number(const struct willis_dicom_item *item, uint32_t tag) {
  double value = NAN;
  return willis_dicom_reals(item, tag, &value, 1) < 0 ? INFINITY : value;
}

/* FNV-1a: equal texts have equal numbers, and the number does not give the text back. */
static uint64_t token(const struct willis_dicom_item *root, uint32_t a, uint32_t b) {
  char text[2][256];
  willis_dicom_text(root, a, text[0], sizeof text[0]);
  willis_dicom_text(root, b, text[1], sizeof text[1]);
  if (!text[0][0] && !text[1][0]) return 0;
  uint64_t hash = 14695981039346656037u;
  for (int i = 0; i < 2; i++)
    for (const char *c = text[i]; *c; c++) hash = (hash ^ (unsigned char)*c) * 1099511628211u;
  return hash ? hash : 1;
}

/* ---- poses ---- */

static struct willis_pose read_pose(const struct willis_dicom_item *angles,
                                    const struct willis_dicom_item *distances,
                                    const struct willis_dicom_item *pixels, uint32_t to_isocenter) {
  struct willis_pose pose = {
      .primary_angle_deg = said_number(angles, PRIMARY),
      .secondary_angle_deg = said_number(angles, SECONDARY),
      .source_to_detector_mm = said_number(distances, TO_DETECTOR),
      .source_to_isocenter_mm = said_number(distances, to_isocenter),
  };
  double spacing[2];
  const ptrdiff_t count = willis_dicom_reals(pixels, PIXEL_SPACING, spacing, 2);
  const double none = count == 0 ? NAN : INFINITY;
  pose.row_spacing_mm = count == 2 ? spacing[0] : none;
  pose.column_spacing_mm = count == 2 ? spacing[1] : none;
  return pose;
}

/* Offsets of one angle for every frame; zeros and *given false when there are none. */
static enum willis_status read_steps(const struct willis_dicom_item *root, uint32_t tag,
                                     const char *name, ptrdiff_t frames, double *step, bool *given,
                                     struct willis_error *err) {
  for (ptrdiff_t f = 0; f < frames; f++) step[f] = 0;
  ptrdiff_t count = willis_dicom_reals(root, tag, step, frames);
  *given = count > 0;
  if (count == 0 || count == frames) return WILLIS_OK;
  const unsigned group = tag >> 16, element = tag & 0xFFFF;
  if (count < 0)
    return willis_fail(err, WILLIS_FORMAT,
                       "%s (%04x,%04x) is no list of numbers, expected one for each of %td frames",
                       name, group, element, frames);
  return willis_fail(err, WILLIS_FORMAT,
                     "%s (%04x,%04x) has %td values, expected one for each of "
                     "%td frames",
                     name, group, element, count, frames);
}

/* Offsets begin with 0, for the first frame stands at the base angle. What begins elsewhere is
 * absolute: harmless on a base of 0, and double the angle when it repeats the base. */
static enum willis_increments judge_steps(const struct willis_angiogram *a, const double *primary,
                                          const double *secondary) {
  const double base[2] = {a->base_primary_deg, a->base_secondary_deg};
  const double first[2] = {primary[0], secondary[0]};
  enum willis_increments judged = WILLIS_INCREMENTS_OFFSETS;
  for (int i = 0; i < 2; i++) {
    if (!(fabs(first[i]) > NEAR_DEG)) continue;
    if (fabs(base[i]) <= NEAR_DEG && judged == WILLIS_INCREMENTS_OFFSETS)
      judged = WILLIS_INCREMENTS_ON_ZERO;
    if (fabs(base[i]) > NEAR_DEG && fabs(first[i] - base[i]) <= NEAR_DEG)
      judged = WILLIS_INCREMENTS_DOUBTFUL;
  }
  return judged;
}

static enum willis_status read_increments(const struct willis_dicom_item *root,
                                          struct willis_angiogram *a,
                                          const struct willis_warnings *warnings,
                                          struct willis_error *err) {
  const ptrdiff_t frames = a->frame_count;
  double *step = willis_take(2 * frames, sizeof *step);
  if (!step) return willis_fail_memory(err, "angles of frames", 2 * frames, sizeof *step);
  bool primary = false, secondary = false;
  enum willis_status status = read_steps(root, PRIMARY_STEPS, "PositionerPrimaryAngleIncrement",
                                         frames, step, &primary, err);
  if (!status)
    status = read_steps(root, SECONDARY_STEPS, "PositionerSecondaryAngleIncrement", frames,
                        step + frames, &secondary, err);
  if (!status && (primary || secondary)) {
    a->increments = judge_steps(a, step, step + frames);
    for (ptrdiff_t f = 0; f < frames; f++) {
      a->pose[f].primary_angle_deg += step[f];
      a->pose[f].secondary_angle_deg += step[frames + f];
    }
  }
  if (!status && a->increments == WILLIS_INCREMENTS_ON_ZERO)
    willis_warn(warnings,
                "the angle increments begin with %g and %g on a base of %g and %g "
                "degrees: they look absolute, and are used as such",
                step[0], step[frames], a->base_primary_deg, a->base_secondary_deg);
  if (!status && a->increments == WILLIS_INCREMENTS_OFFSETS &&
      (fabs(step[0]) > NEAR_DEG || fabs(step[frames]) > NEAR_DEG))
    willis_warn(
        warnings,
        "PositionerPrimaryAngleIncrement (0018,1520) and the secondary one (0018,1521) begin "
        "with %g and %g degrees, expected 0: used as offsets from the base angles all the "
        "same",
        step[0], step[frames]);
  if (!status && a->increments == WILLIS_INCREMENTS_DOUBTFUL)
    willis_warn(warnings,
                "the angle increments begin with %g and %g, the base angles are %g and "
                "%g degrees: they may be absolute",
                step[0], step[frames], a->base_primary_deg, a->base_secondary_deg);
  willis_release(step);
  return status;
}

static enum willis_status read_plain_poses(const struct willis_dicom_item *root,
                                           struct willis_angiogram *a,
                                           const struct willis_warnings *warnings,
                                           struct willis_error *err) {
  const struct willis_pose pose = read_pose(root, root, root, TO_PATIENT);
  char motion[16];
  willis_dicom_text(root, MOTION, motion, sizeof motion);
  a->is_dynamic = strcmp(motion, "DYNAMIC") == 0;
  a->base_primary_deg = pose.primary_angle_deg;
  a->base_secondary_deg = pose.secondary_angle_deg;
  for (ptrdiff_t f = 0; f < a->frame_count; f++) a->pose[f] = pose;
  enum willis_status status = read_increments(root, a, warnings, err);
  if (status) return status;
  a->is_dynamic = a->is_dynamic || a->increments != WILLIS_INCREMENTS_NONE;
  /* A moving arm without an angle for each frame: only the first frame's is known. */
  if (a->is_dynamic && a->increments == WILLIS_INCREMENTS_NONE)
    for (ptrdiff_t f = 1; f < a->frame_count; f++)
      a->pose[f].primary_angle_deg = a->pose[f].secondary_angle_deg = NAN;
  return WILLIS_OK;
}

/* The item of a functional group: the frame's own, or the one that all share. */
static const struct willis_dicom_item *group(const struct willis_dicom_item *root,
                                             const struct willis_dicom_item *frame, uint32_t tag) {
  const struct willis_dicom_item *own = willis_dicom_child(frame, tag, 0);
  return own ? own : willis_dicom_child(willis_dicom_child(root, SHARED, 0), tag, 0);
}

static enum willis_status read_enhanced_poses(const struct willis_dicom_item *root,
                                              struct willis_angiogram *a,
                                              struct willis_error *err) {
  const ptrdiff_t groups = willis_dicom_child_count(root, PER_FRAME);
  if (groups != a->frame_count)
    return willis_fail(err, WILLIS_FORMAT,
                       "PerFrameFunctionalGroupsSequence (5200,9230) has %td items, expected one "
                       "for each of %td frames",
                       groups, a->frame_count);
  for (ptrdiff_t f = 0; f < a->frame_count; f++) {
    const struct willis_dicom_item *frame = willis_dicom_child(root, PER_FRAME, f);
    a->pose[f] = read_pose(group(root, frame, POSITIONER), group(root, frame, GEOMETRY),
                           group(root, frame, FRAME_PIXELS), TO_ISOCENTER);
    const struct willis_pose *now = &a->pose[f], *start = &a->pose[0];
    a->is_dynamic = a->is_dynamic ||
                    fabs(now->primary_angle_deg - start->primary_angle_deg) > NEAR_DEG ||
                    fabs(now->secondary_angle_deg - start->secondary_angle_deg) > NEAR_DEG;
  }
  a->base_primary_deg = a->pose[0].primary_angle_deg;
  a->base_secondary_deg = a->pose[0].secondary_angle_deg;
  return WILLIS_OK;
}

/* ---- shutters ---- */

/* Numbers in the file count pixels from 1. False when a shape is named whose numbers are none. */
static bool read_shutter(const struct willis_dicom_item *item, struct willis_shutter *shutter) {
  char shape[64];
  double centre[2], corner[2 * WILLIS_SHUTTER_CORNERS];
  bool whole = true;
  willis_dicom_text(item, SHUTTER_SHAPE, shape, sizeof shape);
  *shutter = (struct willis_shutter){0};
  if (strstr(shape, "RECTANGULAR")) {
    shutter->left = number(item, SHUTTER_LEFT) - 1;
    shutter->right = number(item, SHUTTER_RIGHT) - 1;
    shutter->upper = number(item, SHUTTER_UPPER) - 1;
    shutter->lower = number(item, SHUTTER_LOWER) - 1;
    shutter->is_rectangle = shutter->left < shutter->right && shutter->upper < shutter->lower;
    whole = shutter->is_rectangle;
  }
  if (strstr(shape, "CIRCULAR")) {
    if (willis_dicom_reals(item, SHUTTER_CENTRE, centre, 2) == 2) {
      shutter->centre_row = centre[0] - 1;
      shutter->centre_column = centre[1] - 1;
      shutter->radius = number(item, SHUTTER_RADIUS);
      shutter->is_circle = shutter->radius > 0;
    }
    whole = whole && shutter->is_circle;
  }
  if (strstr(shape, "POLYGONAL")) {
    ptrdiff_t count = willis_dicom_reals(item, SHUTTER_CORNERS, corner, 2 * WILLIS_SHUTTER_CORNERS);
    if (count >= 6 && count <= 2 * WILLIS_SHUTTER_CORNERS && count % 2 == 0)
      shutter->corner_count = (int)count / 2;
    for (int i = 0; i < shutter->corner_count; i++)
      for (int k = 0; k < 2; k++) shutter->corner[i][k] = corner[2 * i + k] - 1;
    whole = whole && shutter->corner_count > 0;
  }
  shutter->any = shutter->is_rectangle || shutter->is_circle || shutter->corner_count > 0;
  return whole;
}

/* One shutter for all frames, unless frames have their own. */
static enum willis_status read_shutters(const struct willis_dicom_item *root,
                                        struct willis_angiogram *a,
                                        const struct willis_warnings *warnings,
                                        struct willis_error *err) {
  for (ptrdiff_t f = 0; f < a->frame_count && !a->has_frame_shutters; f++)
    a->has_frame_shutters =
        willis_dicom_child(willis_dicom_child(root, PER_FRAME, f), FRAME_SHUTTER, 0) != NULL;
  const ptrdiff_t count = a->has_frame_shutters ? a->frame_count : 1;
  ptrdiff_t broken = 0;
  a->shutter = willis_take_zeroed(count, sizeof *a->shutter);
  if (!a->shutter) return willis_fail_memory(err, "shutters", count, sizeof *a->shutter);
  for (ptrdiff_t f = 0; f < count; f++) {
    const struct willis_dicom_item *own =
        group(root, willis_dicom_child(root, PER_FRAME, f), FRAME_SHUTTER);
    broken += !read_shutter(own ? own : root, &a->shutter[f]);
  }
  if (broken)
    willis_warn(warnings,
                "ShutterShape (0018,1600) names a shutter whose edges, centre, radius or corners "
                "are missing or no such shape: what it covers counts as seen");
  return WILLIS_OK;
}

const struct willis_shutter *willis_angiogram_shutter(const struct willis_angiogram *a,
                                                      ptrdiff_t frame) {
  return a->has_frame_shutters ? &a->shutter[frame] : a->shutter;
}

/* ---- orientation and values of frames ---- */

static void read_orientation(const struct willis_dicom_item *root, struct willis_angiogram *a) {
  const struct willis_dicom_item *first = willis_dicom_child(root, PER_FRAME, 0);
  const struct willis_dicom_item *own = group(root, first, FRAME_ORIENTATION);
  const struct willis_dicom_item *field = group(root, first, FIELD);
  char flip[16];
  willis_dicom_text(own ? own : root, PATIENT_ORIENTATION, a->patient_orientation,
                    sizeof a->patient_orientation);
  if (strcmp(a->patient_orientation, "\\") == 0) a->patient_orientation[0] = 0;
  a->field_rotation_deg = said_number(field ? field : root, FIELD_ROTATION);
  willis_dicom_text(field ? field : root, FIELD_FLIP, flip, sizeof flip);
  a->field_flipped = flip[0] == 'Y';
}

/* Slope and intercept of each frame, and what values mean, where functional groups say so. */
static enum willis_status read_frame_values(const struct willis_dicom_item *root,
                                            struct willis_angiogram *a, struct willis_error *err) {
  static const char *const scales[] = {
      [WILLIS_INTENSITY_LINEAR] = "LIN", [WILLIS_INTENSITY_LOGARITHMIC] = "LOG"};
  struct willis_angiogram_source *source = a->source;
  bool any = false;
  for (ptrdiff_t f = 0; f < a->frame_count; f++) {
    const struct willis_dicom_item *frame = willis_dicom_child(root, PER_FRAME, f);
    char text[32];
    any = any || group(root, frame, FRAME_VALUES);
    willis_dicom_text(group(root, frame, FRAME_PIXELS), RELATIONSHIP, text, sizeof text);
    if (!text[0]) continue;
    enum willis_intensity said = WILLIS_INTENSITY_UNKNOWN;
    for (int i = WILLIS_INTENSITY_LINEAR; i <= WILLIS_INTENSITY_LOGARITHMIC; i++)
      if (strcmp(text, scales[i]) == 0) said = (enum willis_intensity)i;
    if (f > 0 && said != a->intensity)
      return willis_fail(err, WILLIS_UNSUPPORTED,
                         "PixelIntensityRelationship (0028,1040) of frame %td is \"%s\", that of "
                         "frame 1 another",
                         f + 1, text);
    a->intensity = said;
  }
  if (!any) return WILLIS_OK;
  source->rescale = willis_take(2 * a->frame_count, sizeof *source->rescale);
  if (!source->rescale)
    return willis_fail_memory(err, "scales of frames", 2 * a->frame_count, sizeof(double));
  for (ptrdiff_t f = 0; f < a->frame_count; f++) {
    const struct willis_dicom_item *own =
        group(root, willis_dicom_child(root, PER_FRAME, f), FRAME_VALUES);
    double *slope = &source->rescale[2 * f], *intercept = slope + 1;
    *slope = source->slope;
    *intercept = source->intercept;
    if (willis_dicom_reals(own, SLOPE, slope, 1) < 0 ||
        willis_dicom_reals(own, INTERCEPT, intercept, 1) < 0 || *slope == 0)
      return willis_fail(err, WILLIS_FORMAT,
                         "RescaleSlope (0028,1053) and RescaleIntercept (0028,1052) of frame %td: "
                         "expected numbers, the first not 0",
                         f + 1);
  }
  return WILLIS_OK;
}

/* ---- subtraction ---- */

/* Frame numbers, 1-based in the file; 0-based for the caller to free. */
static enum willis_status read_frames(const struct willis_dicom_item *item, uint32_t tag,
                                      const char *name, ptrdiff_t frames, ptrdiff_t **list,
                                      ptrdiff_t *count, struct willis_error *err) {
  double none;
  const unsigned tag_group = tag >> 16, element = tag & 0xFFFF;
  *count = willis_dicom_reals(item, tag, &none, 0);
  if (*count == 0) return WILLIS_OK;
  if (*count < 0 || *count > 2 * frames)
    return willis_fail(err, WILLIS_FORMAT, "%s (%04x,%04x): expected at most %td frame numbers",
                       name, tag_group, element, 2 * frames);
  double *value = willis_take(*count, sizeof *value);
  *list = willis_take(*count, sizeof **list);
  enum willis_status status = WILLIS_OK;
  if (!value || !*list || willis_dicom_reals(item, tag, value, *count) != *count)
    status = willis_fail_memory(err, "frame numbers", *count, sizeof *value);
  for (ptrdiff_t i = 0; i < *count && !status; i++) {
    if (!(value[i] >= 1 && value[i] <= (double)frames) || value[i] != floor(value[i]))
      status = willis_fail(err, WILLIS_FORMAT, "%s (%04x,%04x) names frame %g, expected 1 to %td",
                           name, tag_group, element, value[i], frames);
    else
      (*list)[i] = (ptrdiff_t)value[i] - 1;
  }
  willis_release(value);
  return status;
}

static enum willis_status read_subtraction(const struct willis_dicom_item *item, ptrdiff_t frames,
                                           struct willis_subtraction *to,
                                           const struct willis_warnings *warnings,
                                           struct willis_error *err) {
  static const struct {
    const char *name;
    enum willis_subtraction_kind kind;
  } kinds[] = {{"NONE", WILLIS_SUBTRACTION_NONE},
               {"AVG_SUB", WILLIS_SUBTRACTION_AVERAGE},
               {"TID", WILLIS_SUBTRACTION_INTERVAL},
               {"REV_TID", WILLIS_SUBTRACTION_REV_INTERVAL}};
  char text[32];
  double shift[2] = {0, 0}, averaging = 1, interval = 1;
  willis_dicom_text(item, MASK_OPERATION, text, sizeof text);
  size_t k = 0;
  while (k < 4 && strcmp(text, kinds[k].name) != 0) k++;
  if (k == 4) {
    willis_warn(warnings, "MaskOperation (0028,6101) is \"%s\": not used", text);
    return WILLIS_OK;
  }
  to->kind = kinds[k].kind;
  if (willis_dicom_reals(item, MASK_SHIFT, shift, 2) % 2 != 0 ||
      willis_dicom_reals(item, MASK_AVERAGING, &averaging, 1) < 0 ||
      willis_dicom_reals(item, MASK_INTERVAL, &interval, 1) < 0 || !(averaging >= 1) ||
      averaging > (double)frames || fabs(interval) > (double)frames || fabs(shift[0]) > 4096 ||
      fabs(shift[1]) > 4096)
    return willis_fail(err, WILLIS_FORMAT,
                       "MaskSubtractionSequence (0028,6100): averaging %g, interval %g, shift %g "
                       "and %g do not fit %td frames",
                       averaging, interval, shift[0], shift[1], frames);
  to->averaging = (ptrdiff_t)averaging;
  to->interval = (ptrdiff_t)interval;
  to->shift_rows = shift[0];
  to->shift_columns = shift[1];
  enum willis_status status = read_frames(item, MASK_RANGE, "ApplicableFrameRange", frames,
                                          &to->range, &to->range_count, err);
  if (!status)
    status =
        read_frames(item, MASK_FRAMES, "MaskFrameNumbers", frames, &to->mask, &to->mask_count, err);
  if (status) return status;
  bool whole = to->range_count % 2 == 0;
  for (ptrdiff_t i = 0; i + 1 < to->range_count && whole; i += 2)
    whole = to->range[i] <= to->range[i + 1];
  to->range_count /= 2;
  if (!whole)
    return willis_fail(err, WILLIS_FORMAT,
                       "ApplicableFrameRange (0028,6102): expected pairs of a first and a last "
                       "frame");
  if (to->kind == WILLIS_SUBTRACTION_AVERAGE && to->mask_count == 0)
    return willis_fail(err, WILLIS_FORMAT,
                       "MaskFrameNumbers (0028,6110) is missing, expected frames for AVG_SUB");
  if (to->kind == WILLIS_SUBTRACTION_REV_INTERVAL && to->range_count == 0)
    return willis_fail(err, WILLIS_FORMAT,
                       "ApplicableFrameRange (0028,6102) is missing, expected it for REV_TID");
  return WILLIS_OK;
}

static enum willis_status read_subtractions(const struct willis_dicom_item *root,
                                            struct willis_angiogram *a,
                                            const struct willis_warnings *warnings,
                                            struct willis_error *err) {
  const ptrdiff_t count = willis_dicom_child_count(root, MASK_SUBTRACTION);
  if (count == 0) return WILLIS_OK;
  a->subtraction = willis_take_zeroed(count, sizeof *a->subtraction);
  if (!a->subtraction)
    return willis_fail_memory(err, "mask operations", count, sizeof *a->subtraction);
  a->subtraction_count = count;
  enum willis_status status = WILLIS_OK;
  for (ptrdiff_t i = 0; i < count && !status; i++)
    status = read_subtraction(willis_dicom_child(root, MASK_SUBTRACTION, i), a->frame_count,
                              &a->subtraction[i], warnings, err);
  return status;
}

/* ---- all ---- */

enum willis_status willis_angiogram_describe(const struct willis_dicom_header *header,
                                             struct willis_angiogram *a,
                                             const struct willis_warnings *warnings,
                                             struct willis_error *err) {
  const struct willis_dicom_item *root = willis_dicom_header_root(header);
  const bool enhanced = willis_dicom_child_count(root, PER_FRAME) > 0;
  a->pose = willis_take(a->frame_count, sizeof *a->pose);
  if (!a->pose) return willis_fail_memory(err, "poses", a->frame_count, sizeof *a->pose);
  a->patient = token(root, PATIENT_ID, PATIENT_NAME);
  a->study = token(root, STUDY, STUDY);
  a->magnification = said_number(root, MAGNIFICATION);
  char shape[32];
  willis_dicom_text(root, FIELD_SHAPE, shape, sizeof shape);
  a->field_of_view_mm[0] = a->field_of_view_mm[1] = NAN;
  if (strcmp(shape, "RECTANGLE") == 0 &&
      willis_dicom_reals(root, FIELD_SIZE, a->field_of_view_mm, 2) != 2)
    a->field_of_view_mm[0] = a->field_of_view_mm[1] = NAN;
  enum willis_status status =
      enhanced ? read_enhanced_poses(root, a, err) : read_plain_poses(root, a, warnings, err);
  if (!status) read_orientation(root, a);
  if (!status) status = read_shutters(root, a, warnings, err);
  if (!status && enhanced) status = read_frame_values(root, a, err);
  if (!status) status = read_subtractions(root, a, warnings, err);
  return status;
}
