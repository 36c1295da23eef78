/* The C-arm: where its detector is and where a point falls on it (METHOD, "Geometry of a real
 * C-arm"). */
#define _GNU_SOURCE
#include <willis/geometry.h>

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
  const double axes[3][3] = {{cb * sa, -cb * ca, sb}, {ca, sa, 0}, {-sb * sa, sb * ca, cb}};
  for (int i = 0; i < 3; i++) d[i] = axes[0][i], u[i] = axes[1][i], v[i] = axes[2][i];
}

static double dot(const double a[3], const double b[3]) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

void willis_view_project_point(const struct willis_view *view, const double point_mm[3],
                               double *column, double *row) {
  double d[3], u[3], v[3];
  willis_view_axes(view, d, u, v);
  /* The source lies at −source_to_isocenter·d, so u and v do not see it and d adds its distance. */
  double magnification = 1;
  if (view->kind == WILLIS_VIEW_CONE)
    magnification = view->source_to_detector_mm / (dot(d, point_mm) + view->source_to_isocenter_mm);
  *column = view->principal_column + magnification * dot(u, point_mm) / view->column_spacing_mm;
  *row = view->principal_row - magnification * dot(v, point_mm) / view->row_spacing_mm;
}
