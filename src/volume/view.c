/* The C-arm: where its detector is and where a point falls on it (METHOD, "Geometry of a real
 * C-arm"). */
#define _GNU_SOURCE
#include <willis/geometry.h>

#include "base/error.h"

#include <math.h>

/* Sine and cosine of degrees. The argument is reduced while it is still in degrees, where that is
 * exact: 0, 90, 180 … give exactly 0 and ±1, and samples on the border of a volume stay on it. */
static void sine_cosine_deg(double angle_deg, double *sine, double *cosine) {
  int quadrant;
  double rest = remquo(angle_deg, 90, &quadrant) * M_PI / 180;
  double s = sin(rest), c = cos(rest);
  const double turned[4][2] = {{s, c}, {c, -s}, {-s, -c}, {-c, s}};
  *sine = turned[quadrant & 3][0];
  *cosine = turned[quadrant & 3][1];
}

void willis_view_axes(const struct willis_view *view, double d[3], double u[3], double v[3]) {
  double sa, ca, sb, cb;
  sine_cosine_deg(view->primary_angle_deg, &sa, &ca);
  sine_cosine_deg(view->secondary_angle_deg, &sb, &cb);
  double sg, cg;
  sine_cosine_deg(view->in_plane_angle_deg, &sg, &cg);
  const double axes[3][3] = {{cb * sa, -cb * ca, sb}, {ca, sa, 0}, {-sb * sa, sb * ca, cb}};
  for (int i = 0; i < 3; i++) {
    d[i] = axes[0][i];
    u[i] = cg * axes[1][i] + sg * axes[2][i];
    v[i] = cg * axes[2][i] - sg * axes[1][i];
  }
}

static double dot(const double a[3], const double b[3]) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

void willis_view_source(const struct willis_view *view, double source_mm[3]) {
  double d[3], u[3], v[3];
  const double *offset = view->source_offset_mm;
  willis_view_axes(view, d, u, v);
  for (int i = 0; i < 3; i++)
    source_mm[i] = -view->source_to_isocenter_mm * d[i] + offset[0] * u[i] + offset[1] * v[i];
}

void willis_view_bin(struct willis_view *view, ptrdiff_t bin) {
  const double middle = 0.5 * (double)(bin - 1);
  view->principal_column = (view->principal_column - middle) / (double)bin;
  view->principal_row = (view->principal_row - middle) / (double)bin;
  view->column_spacing_mm *= (double)bin;
  view->row_spacing_mm *= (double)bin;
  willis_shutter_bin(&view->shutter, bin);
}

void willis_view_project_point(const struct willis_view *view, const double point_mm[3],
                               double *column, double *row) {
  double d[3], u[3], v[3], from[3] = {0}, magnification = 1;
  willis_view_axes(view, d, u, v);
  if (view->kind == WILLIS_VIEW_CONE) willis_view_source(view, from);
  for (int i = 0; i < 3; i++) from[i] = point_mm[i] - from[i];
  double depth = dot(d, from);
  if (view->kind == WILLIS_VIEW_CONE)
    magnification = depth > 0 ? view->source_to_detector_mm / depth : NAN;
  *column = view->principal_column + magnification * dot(u, from) / view->column_spacing_mm;
  *row = view->principal_row - magnification * dot(v, from) / view->row_spacing_mm;
}

enum willis_status willis_view_set_axes(struct willis_view *view, const double d[3],
                                        const double u[3], struct willis_error *err) {
  static const double tolerance = 1e-4, degrees = 180 / M_PI;
  if (!(fabs(dot(d, d) - 1) < tolerance) || !(fabs(dot(u, u) - 1) < tolerance) ||
      !(fabs(dot(d, u)) < tolerance))
    return willis_fail(err, WILLIS_GEOMETRY,
                       "axes of a detector: lengths %g and %g, product %g, expected two unit "
                       "vectors at right angles",
                       sqrt(dot(d, d)), sqrt(dot(u, u)), dot(d, u));
  /* Straight up or down every primary angle gives the same d: 0 is as good as any. */
  double across = hypot(d[0], d[1]);
  double primary = across > 1e-9 ? atan2(d[0], -d[1]) * degrees : 0;
  struct willis_view turned = *view;
  turned.primary_angle_deg = primary;
  turned.secondary_angle_deg = atan2(d[2], across) * degrees;
  turned.in_plane_angle_deg = 0;
  double axis[3][3];
  willis_view_axes(&turned, axis[0], axis[1], axis[2]);
  turned.in_plane_angle_deg = atan2(dot(u, axis[2]), dot(u, axis[1])) * degrees;
  *view = turned;
  return WILLIS_OK;
}
