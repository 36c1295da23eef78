/* Which way up a picture is. An upright one has its columns growing along the view's u and its rows
 * along −v; what is stored may be turned by quarters, then mirrored. Patient Orientation
 * (0020,0020) says where in the body the stored rows and columns lead (PS3.3, C.7.6.1.1.1), Field
 * of View Rotation and Horizontal Flip (0018,7032 and 7034) what was done to the detector's
 * picture. */
#include "base/error.h"
#include "io/angiogram.h"

#include <math.h>
#include <string.h>

/* A direction written as one letter may be this far from the axis that it names: 75°. */
static const double LEAST_COSINE = 0.26;

void willis_turn_place(const struct willis_turn *turn, ptrdiff_t columns, ptrdiff_t rows,
                       double *column, double *row) {
  double size[2] = {(double)columns, (double)rows};
  for (int q = 0; q < turn->quarters; q++) {
    const double c = *column, width = size[0];
    *column = size[1] - 1 - *row;
    *row = c;
    size[0] = size[1];
    size[1] = width;
  }
  if (turn->mirrored) *column = size[0] - 1 - *column;
}

void willis_turn_undo(const struct willis_turn *turn, ptrdiff_t columns, ptrdiff_t rows,
                      double *column, double *row) {
  double size[2] = {(double)columns, (double)rows};
  if (turn->mirrored) *column = size[0] - 1 - *column;
  for (int q = 0; q < turn->quarters; q++) {
    const double c = *column, width = size[0];
    *column = *row;
    *row = width - 1 - c;
    size[0] = size[1];
    size[1] = width;
  }
}

void willis_turn_shutter(const struct willis_turn *turn, ptrdiff_t columns, ptrdiff_t rows,
                         struct willis_shutter *shutter) {
  double c[2] = {shutter->left, shutter->right}, r[2] = {shutter->upper, shutter->lower};
  for (int i = 0; i < 2; i++) willis_turn_undo(turn, columns, rows, &c[i], &r[i]);
  shutter->left = fmin(c[0], c[1]);
  shutter->right = fmax(c[0], c[1]);
  shutter->upper = fmin(r[0], r[1]);
  shutter->lower = fmax(r[0], r[1]);
  willis_turn_undo(turn, columns, rows, &shutter->centre_column, &shutter->centre_row);
  for (int i = 0; i < shutter->corner_count; i++)
    willis_turn_undo(turn, columns, rows, &shutter->corner[i][1], &shutter->corner[i][0]);
}

/* The unit vector of letters such as "L" or "AFR"; false when they are none. */
static bool direction_of(const char *letters, double direction[3]) {
  static const struct {
    char letter;
    int axis, sign;
  } known[] = {{'L', 0, 1}, {'R', 0, -1}, {'P', 1, 1}, {'A', 1, -1}, {'H', 2, 1}, {'F', 2, -1}};
  double length = 0;
  for (int a = 0; a < 3; a++) direction[a] = 0;
  for (; *letters; letters++) {
    size_t k = 0;
    while (k < 6 && known[k].letter != *letters) k++;
    if (k == 6 || direction[known[k].axis] != 0) return false;
    direction[known[k].axis] = known[k].sign;
    length++;
  }
  for (int a = 0; a < 3; a++) direction[a] /= sqrt(length);
  return length > 0;
}

static double dot(const double a[3], const double b[3]) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

/* The turn after which columns and rows lead where the letters say. */
static enum willis_status turn_of_patient(const struct willis_angiogram *a,
                                          const struct willis_view *view, struct willis_turn *turn,
                                          struct willis_error *err) {
  char text[sizeof a->patient_orientation], *second;
  double to[2][3], d[3], u[3], v[3], best = -INFINITY, least = 0;
  memcpy(text, a->patient_orientation, sizeof text);
  second = strchr(text, '\\');
  if (second) *second++ = 0;
  if (!second || !direction_of(text, to[0]) || !direction_of(second, to[1]))
    return willis_fail(err, WILLIS_GEOMETRY,
                       "PatientOrientation (0020,0020) is \"%s\", expected two directions such as "
                       "L\\F; --orientation stored takes pictures as they are",
                       a->patient_orientation);
  willis_view_axes(view, d, u, v);
  for (int k = 0; k < 8; k++) {
    const struct willis_turn tried = {k % 4, k > 3};
    double along[3], down[3];
    for (int i = 0; i < 3; i++) along[i] = u[i], down[i] = -v[i];
    for (int q = 0; q < tried.quarters; q++)
      for (int i = 0; i < 3; i++) {
        const double before = along[i];
        along[i] = -down[i];
        down[i] = before;
      }
    for (int i = 0; i < 3 && tried.mirrored; i++) along[i] = -along[i];
    const double fit[2] = {dot(along, to[0]), dot(down, to[1])};
    if (!(fit[0] + fit[1] > best)) continue;
    best = fit[0] + fit[1];
    least = fmin(fit[0], fit[1]);
    *turn = tried;
  }
  if (least >= LEAST_COSINE) return WILLIS_OK;
  return willis_fail(err, WILLIS_GEOMETRY,
                     "PatientOrientation (0020,0020) \"%s\" does not fit a picture seen at the "
                     "angles %g and %g; --orientation stored takes pictures as they are",
                     a->patient_orientation, view->primary_angle_deg, view->secondary_angle_deg);
}

static enum willis_status turn_of_field(const struct willis_angiogram *a, struct willis_turn *turn,
                                        struct willis_error *err) {
  const double angle = isnan(a->field_rotation_deg) ? 0 : a->field_rotation_deg;
  const double quarters = round(angle / 90);
  if (!(fabs(angle) <= 360) || fabs(angle - 90 * quarters) > 0.5)
    return willis_fail(err, WILLIS_GEOMETRY,
                       "FieldOfViewRotation (0018,7032) is %g, expected 0, 90, 180 or 270; "
                       "--orientation patient or stored passes over it",
                       angle);
  *turn = (struct willis_turn){((int)quarters % 4 + 4) % 4, a->field_flipped};
  return WILLIS_OK;
}

enum willis_status willis_angiogram_turn(const struct willis_angiogram *a,
                                         enum willis_orientation believe,
                                         const struct willis_view *view, struct willis_turn *turn,
                                         struct willis_error *err) {
  const bool either = believe == WILLIS_ORIENTATION_HEADER;
  const bool patient =
      (either || believe == WILLIS_ORIENTATION_PATIENT) && view && a->patient_orientation[0];
  const bool field = (either || believe == WILLIS_ORIENTATION_FIELD_OF_VIEW) &&
                     (!isnan(a->field_rotation_deg) || a->field_flipped);
  struct willis_turn of_field = {0, false};
  enum willis_status status = WILLIS_OK;
  *turn = of_field;
  if (field) status = turn_of_field(a, &of_field, err);
  if (!status && patient) status = turn_of_patient(a, view, turn, err);
  if (status || !field) return status;
  if (patient && (turn->quarters != of_field.quarters || turn->mirrored != of_field.mirrored))
    return willis_fail(err, WILLIS_GEOMETRY,
                       "PatientOrientation (0020,0020) \"%s\" is that of a picture turned by %d "
                       "degrees and %smirrored, FieldOfViewRotation and HorizontalFlip "
                       "(0018,7032, 0018,7034) say %d and %smirrored: say --orientation patient, "
                       "field-of-view or stored",
                       a->patient_orientation, 90 * turn->quarters, turn->mirrored ? "" : "not ",
                       90 * of_field.quarters, of_field.mirrored ? "" : "not ");
  *turn = of_field;
  return WILLIS_OK;
}
