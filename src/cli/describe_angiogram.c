/* What an X-ray angiogram says of itself, and what it leaves out. Nothing about the patient: the
 * reader does not keep it. */
#include "cli/describe.h"
#include "cli/report.h"
#include "cli/sketch.h"

#include <math.h>
#include <stdlib.h>

static void set(json_t *object, const char *key, json_t *value) {
  json_object_set_new(object, key, value);
}

static json_t *describe_pose(const struct willis_pose *pose) {
  json_t *out = json_object();
  set(out, "primary_angle_deg", json_number(pose->primary_angle_deg));
  set(out, "secondary_angle_deg", json_number(pose->secondary_angle_deg));
  set(out, "source_to_detector_mm", json_number(pose->source_to_detector_mm));
  set(out, "source_to_isocenter_mm", json_number(pose->source_to_isocenter_mm));
  set(out, "column_spacing_mm", json_number(pose->column_spacing_mm));
  set(out, "row_spacing_mm", json_number(pose->row_spacing_mm));
  return out;
}

/* One pose for a C-arm that stands still, else one for every frame. */
static json_t *describe_poses(const struct willis_angiogram *a) {
  json_t *poses = json_array();
  const ptrdiff_t count = a->is_dynamic ? a->frame_count : 1;
  for (ptrdiff_t f = 0; f < count; f++) json_array_append_new(poses, describe_pose(&a->pose[f]));
  return poses;
}

static json_t *describe_missing(const struct willis_angiogram *a) {
  const struct willis_pose *last = &a->pose[a->frame_count - 1];
  const struct {
    double value;
    const char *text;
  } row[] = {
      {last->primary_angle_deg + last->secondary_angle_deg, "angles (--angles PRIMARY/SECONDARY)"},
      {last->source_to_detector_mm, "source to detector (--source-to-detector MM)"},
      {last->source_to_isocenter_mm, "source to isocenter (--source-to-isocenter MM)"},
      {last->column_spacing_mm, isnan(a->field_of_view_mm[0])
                                    ? "pixel spacing (--pixel-spacing MM)"
                                    : "pixel spacing (--pixel-spacing MM, or "
                                      "--spacing-from-field-of-view)"},
  };
  json_t *missing = json_array();
  for (size_t i = 0; i < sizeof row / sizeof *row; i++)
    if (!isfinite(row[i].value)) json_array_append_new(missing, json_string(row[i].text));
  return missing;
}

static json_t *describe_masks(const struct willis_angiogram *a) {
  static const char *const names[] = {"NONE", "AVG_SUB", "TID", "REV_TID"};
  json_t *masks = json_array();
  for (ptrdiff_t i = 0; i < a->subtraction_count; i++) {
    const struct willis_subtraction *s = &a->subtraction[i];
    json_t *one = json_pack("{s:s, s:I, s:f, s:f}", "operation", names[s->kind], "averaging",
                            (json_int_t)s->averaging, "shift_rows", s->shift_rows, "shift_columns",
                            s->shift_columns);
    json_t *ranges = json_array(), *frames = json_array();
    for (ptrdiff_t k = 0; k < 2 * s->range_count; k++)
      json_array_append_new(ranges, json_integer(s->range[k] + 1));
    for (ptrdiff_t k = 0; k < s->mask_count; k++)
      json_array_append_new(frames, json_integer(s->mask[k] + 1));
    set(one, "frames", ranges);
    set(one, "mask", frames);
    json_array_append_new(masks, one);
  }
  return masks;
}

static void set_sketch(const struct willis_angiogram *a, json_t *out) {
  const struct willis_pose_override none = willis_pose_override_none();
  struct willis_view view[2];
  struct willis_error err;
  ptrdiff_t count = 0;
  const ptrdiff_t last = a->is_dynamic ? a->frame_count - 1 : 0;
  if (willis_angiogram_view(a, 0, &none, &view[0], &err)) {
    /* An angle and two distances are all that a drawing needs. */
    struct willis_pose_override any_pixel = none;
    any_pixel.pixel_spacing_mm = 1;
    if (willis_angiogram_view(a, 0, &any_pixel, &view[0], &err)) {
      set(out, "no_view", json_string(err.message));
      return;
    }
  }
  count = 1;
  if (last > 0 && !willis_angiogram_view(a, last, &none, &view[1], &err)) count = 2;
  set(out, "sketch", sketch_views(view, count));
}

enum willis_status describe_angiogram(const struct call *call, const char *path, json_t *out,
                                      struct willis_error *err) {
  static const char *const kinds[] = {"X-Ray Angiographic", "Enhanced X-Ray Angiographic",
                                      "X-Ray Radiofluoroscopic", "Secondary Capture"};
  static const char *const scales[] = {"for display or unknown", "linear", "logarithmic"};
  struct willis_angiogram a;
  enum willis_status status = willis_angiogram_open(path, &a, &call->warnings, err);
  if (status) return status;
  const ptrdiff_t count = a.columns * a.rows;
  float *pixels = malloc((size_t)count * sizeof *pixels);
  double range[2] = {INFINITY, -INFINITY};
  if (pixels) status = willis_angiogram_read(&a, a.frame_count / 2, pixels, err);
  for (ptrdiff_t i = 0; i < count && pixels && !status; i++) {
    range[0] = fmin(range[0], pixels[i]);
    range[1] = fmax(range[1], pixels[i]);
  }
  free(pixels);
  set(out, "class", json_string(kinds[a.kind]));
  set(out, "columns", json_integer(a.columns));
  set(out, "rows", json_integer(a.rows));
  set(out, "frames", json_integer(a.frame_count));
  set(out, "bits", json_integer(a.bits));
  set(out, "values", json_string(scales[a.intensity]));
  set(out, "middle_frame_range", json_numbers(range, 2));
  set(out, "moving", json_boolean(a.is_dynamic));
  set(out, "shutter", json_boolean(willis_angiogram_shutter(&a, a.frame_count / 2)->any));
  if (a.patient_orientation[0]) set(out, "patient_orientation", json_string(a.patient_orientation));
  if (!isnan(a.field_rotation_deg) || a.field_flipped)
    set(out, "field_of_view",
        json_pack("{s:o, s:b}", "rotation_deg", json_number(a.field_rotation_deg), "flipped",
                  (int)a.field_flipped));
  if (a.subtraction_count) set(out, "masks", describe_masks(&a));
  set(out, "poses", describe_poses(&a));
  json_t *missing = describe_missing(&a);
  if (json_array_size(missing))
    set(out, "missing", missing);
  else
    json_decref(missing);
  set_sketch(&a, out);
  willis_angiogram_close(&a);
  return status;
}
