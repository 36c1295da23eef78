/* RTK's ThreeDCircularProjectionGeometry, an XML text of nine numbers a projection and of the
 * matrix they make. The matrix takes (x, y, z, 1) of the IEC 61217 frame to the detector's mm:
 *   translation(source − projection offset) · magnification(−SDD, −SID) ·
 *   translation(−source offset) · Rz(−in-plane) · Rx(−out-of-plane) · Ry(−gantry)
 * (Rit et al., J. Phys.: Conf. Ser. 489, 2014). Both are read; they must agree. */
#define _GNU_SOURCE
#include "base/error.h"
#include "io/geometry_file.h"

#include <expat.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_TEXT = 1024, DEEPEST = 16 };
static const double SAME_MATRIX = 1e-3; /* of its largest number; files round to few digits */

enum parameter {
  TO_DETECTOR,
  TO_ISOCENTER,
  GANTRY,
  OUT_OF_PLANE,
  IN_PLANE,
  SOURCE_X,
  SOURCE_Y,
  PROJECTION_X,
  PROJECTION_Y,
  CYLINDER,
  PARAMETERS
};
static const char *const names[PARAMETERS] = {
    [TO_DETECTOR] = "SourceToDetectorDistance",
    [TO_ISOCENTER] = "SourceToIsocenterDistance",
    [GANTRY] = "GantryAngle",
    [OUT_OF_PLANE] = "OutOfPlaneAngle",
    [IN_PLANE] = "InPlaneAngle",
    [SOURCE_X] = "SourceOffsetX",
    [SOURCE_Y] = "SourceOffsetY",
    [PROJECTION_X] = "ProjectionOffsetX",
    [PROJECTION_Y] = "ProjectionOffsetY",
    [CYLINDER] = "RadiusCylindricalDetector",
};

struct projection {
  double value[PARAMETERS];
  bool given[PARAMETERS];
  double matrix[12];
  bool has_matrix;
};

struct reading {
  XML_Parser parser;
  const struct willis_view_file *of;
  struct willis_view_list *list;
  struct willis_error *err;
  enum willis_status status;
  bool is_rtk, inside; /* inside a <Projection> */
  int depth;
  struct projection shared, own;
  char text[MOST_TEXT];
  size_t length;
};

static void stop(struct reading *r, enum willis_status status) {
  r->status = status;
  XML_StopParser(r->parser, XML_FALSE);
}
static unsigned long line_of(const struct reading *r) {
  return (unsigned long)XML_GetCurrentLineNumber(r->parser);
}

/* to = a · b for matrices of rows×inner and inner×columns. */
static void multiply(const double *a, const double *b, int rows, int inner, int columns,
                     double *to) {
  for (int i = 0; i < rows; i++)
    for (int k = 0; k < columns; k++) {
      double sum = 0;
      for (int j = 0; j < inner; j++) sum += a[i * inner + j] * b[j * columns + k];
      to[i * columns + k] = sum;
    }
}

/* A turn about an axis, in the first three of four coordinates. */
static void turn(int axis, double angle_deg, double to[16]) {
  const double c = cos(angle_deg * M_PI / 180), s = sin(angle_deg * M_PI / 180);
  const int i = (axis + 1) % 3, j = (axis + 2) % 3;
  for (int k = 0; k < 16; k++) to[k] = k % 5 == 0;
  to[5 * i] = to[5 * j] = c;
  to[4 * i + j] = -s;
  to[4 * j + i] = s;
}

static void compose(const double value[PARAMETERS], double matrix[12]) {
  const double far = -value[TO_DETECTOR], near = -value[TO_ISOCENTER];
  const double to_source[16] = {1, 0, 0, -value[SOURCE_X], 0, 1, 0, -value[SOURCE_Y], 0, 0, 1, 0, 0,
                                0, 0, 1};
  const double magnify[12] = {far, 0, 0, 0, 0, far, 0, 0, 0, 0, 1, near};
  const double to_origin[9] = {1, 0, value[SOURCE_X] - value[PROJECTION_X],
                               0, 1, value[SOURCE_Y] - value[PROJECTION_Y],
                               0, 0, 1};
  double z[16], x[16], y[16], zx[16], zxy[16], moved[16], seen[12];
  turn(2, -value[IN_PLANE], z);
  turn(0, -value[OUT_OF_PLANE], x);
  turn(1, -value[GANTRY], y);
  multiply(z, x, 4, 4, 4, zx);
  multiply(zx, y, 4, 4, 4, zxy);
  multiply(to_source, zxy, 4, 4, 4, moved);
  multiply(magnify, moved, 3, 4, 4, seen);
  multiply(to_origin, seen, 3, 3, 4, matrix);
}

/* Equal but for a factor, which means nothing. */
static bool agree(const double a[12], const double b[12]) {
  int most = 0;
  for (int i = 1; i < 12; i++)
    if (fabs(a[i]) > fabs(a[most])) most = i;
  for (int i = 0; i < 12; i++)
    if (!(fabs(a[i] / a[most] - b[i] / b[most]) <= SAME_MATRIX)) return false;
  return true;
}

static void finish_projection(struct reading *r) {
  /* LPS of a patient on the back, head first: x is the same, y points down, z to the head. */
  static const double to_iec[16] = {1, 0, 0, 0, 0, 0, 1, 0, 0, -1, 0, 0, 0, 0, 0, 1};
  struct projection p = r->own;
  for (int i = 0; i < PARAMETERS; i++)
    if (!p.given[i]) p.value[i] = r->shared.value[i], p.given[i] = r->shared.given[i];
  const bool described = p.given[TO_DETECTOR] && p.given[TO_ISOCENTER] && p.given[GANTRY];
  const double spacing = r->of->pixel_spacing_mm;
  double matrix[12], pixels[12], lps[12];
  if (p.value[CYLINDER] != 0) {
    stop(r,
         willis_fail(r->err, WILLIS_UNSUPPORTED, "line %lu: a cylindrical detector", line_of(r)));
    return;
  }
  if (!described && !p.has_matrix) {
    stop(r, willis_fail(r->err, WILLIS_GEOMETRY,
                        "line %lu: a projection without a matrix and without a gantry angle and "
                        "two distances",
                        line_of(r)));
    return;
  }
  if (described) compose(p.value, matrix);
  if (described && p.has_matrix && !agree(matrix, p.matrix)) {
    stop(r, willis_fail(r->err, WILLIS_GEOMETRY,
                        "line %lu: the projection's matrix is not that of its angles and distances",
                        line_of(r)));
    return;
  }
  const double to_pixels[9] = {1 / spacing, 0,           0.5 * (double)(r->of->columns - 1),
                               0,           1 / spacing, 0.5 * (double)(r->of->rows - 1),
                               0,           0,           1};
  multiply(to_pixels, described ? matrix : p.matrix, 3, 3, 4, pixels);
  multiply(pixels, to_iec, 3, 4, 4, lps);
  struct willis_view *view;
  enum willis_status status = willis_view_list_add(r->list, &view, r->err);
  if (!status)
    status =
        willis_view_from_matrix(lps, r->of, view, &r->list->mirrored[r->list->count - 1], r->err);
  if (status) stop(r, status);
}

static void XMLCALL on_start(void *context, const XML_Char *name, const XML_Char **attributes) {
  struct reading *r = context;
  (void)attributes;
  if (strcmp(name, "RTKThreeDCircularGeometry") == 0) r->is_rtk = true;
  if (!r->is_rtk)
    stop(r,
         willis_fail(r->err, WILLIS_FORMAT,
                     "line %lu: <%.40s>, expected <RTKThreeDCircularGeometry>", line_of(r), name));
  else if (++r->depth > DEEPEST) /* expat keeps them all */
    stop(r, willis_fail(r->err, WILLIS_FORMAT, "line %lu: <%.40s> is nested deeper than %d",
                        line_of(r), name, DEEPEST));
  if (strcmp(name, "Projection") == 0) {
    r->inside = true;
    r->own = (struct projection){0};
  }
  r->length = 0;
}

static void XMLCALL on_text(void *context, const XML_Char *text, int length) {
  struct reading *r = context;
  if (r->length + (size_t)length >= MOST_TEXT) {
    stop(r, willis_fail(r->err, WILLIS_FORMAT, "line %lu: more than %d letters, expected numbers",
                        line_of(r), MOST_TEXT));
    return;
  }
  memcpy(r->text + r->length, text, (size_t)length);
  r->length += (size_t)length;
}

/* `count` numbers out of the text between two tags. */
static bool read_numbers(struct reading *r, int count, double *value) {
  char *at = r->text, *end;
  r->text[r->length] = 0;
  for (int i = 0; i < count; i++, at = end) {
    value[i] = strtod(at, &end);
    if (end == at || !isfinite(value[i])) return false;
  }
  return at[strspn(at, " \t\r\n")] == 0;
}

static void XMLCALL on_end(void *context, const XML_Char *name) {
  struct reading *r = context;
  struct projection *to = r->inside ? &r->own : &r->shared;
  bool good = true;
  for (int i = 0; i < PARAMETERS; i++)
    if (strcmp(name, names[i]) == 0) {
      good = read_numbers(r, 1, &to->value[i]);
      to->given[i] = true;
    }
  if (strcmp(name, "Matrix") == 0) {
    good = read_numbers(r, 12, to->matrix);
    to->has_matrix = true;
  }
  r->length = 0;
  r->depth--;
  if (!good)
    stop(r, willis_fail(r->err, WILLIS_FORMAT, "line %lu: <%.40s> holds no such numbers",
                        line_of(r), name));
  if (good && r->inside && strcmp(name, "Projection") == 0) {
    r->inside = false;
    finish_projection(r);
  }
}

/* Geometry needs no entities, and their expansion is how small texts become large. */
static void XMLCALL on_entity(void *context, const XML_Char *name, int is_parameter,
                              const XML_Char *value, int length, const XML_Char *base,
                              const XML_Char *system, const XML_Char *public_name,
                              const XML_Char *notation) {
  struct reading *r = context;
  (void)name, (void)is_parameter, (void)value, (void)length, (void)base, (void)system;
  (void)public_name, (void)notation;
  stop(r, willis_fail(r->err, WILLIS_UNSUPPORTED, "line %lu: an entity is declared", line_of(r)));
}

enum willis_status willis_views_parse_rtk(const unsigned char *bytes, size_t size,
                                          const struct willis_view_file *of,
                                          struct willis_view_list *list, struct willis_error *err) {
  struct reading r = {.of = of, .list = list, .err = err};
  if (size > INT_MAX) return willis_fail(err, WILLIS_FORMAT, "%zu bytes of XML", size);
  r.parser = XML_ParserCreate(NULL);
  if (!r.parser) return willis_fail(err, WILLIS_OUT_OF_MEMORY, "no memory for a reader of XML");
  XML_SetUserData(r.parser, &r);
  XML_SetElementHandler(r.parser, on_start, on_end);
  XML_SetCharacterDataHandler(r.parser, on_text);
  XML_SetEntityDeclHandler(r.parser, on_entity);
  if (XML_Parse(r.parser, (const char *)bytes, (int)size, 1) == XML_STATUS_ERROR && !r.status)
    r.status = willis_fail(err, WILLIS_FORMAT, "line %lu: %s", line_of(&r),
                           XML_ErrorString(XML_GetErrorCode(r.parser)));
  XML_ParserFree(r.parser);
  if (!r.status && list->count == 0)
    return willis_fail(err, WILLIS_FORMAT, "no <Projection> in this geometry");
  return r.status;
}
