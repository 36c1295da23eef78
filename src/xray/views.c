/* Which angles an angiogram stack is made of (M2, M3). */
#include <willis/geometry.h>

#include "base/error.h"

#include <math.h>

enum { PAPER_VIEWS = 90 };

enum willis_status willis_views_select(int n, int *index, struct willis_error *err) {
  if (n < 2 || n > PAPER_VIEWS)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "%d views, expected 2 to %d", n, PAPER_VIEWS);
  for (int k = 0; k < n - 1; k++) index[k] = PAPER_VIEWS * k / (n - 1);
  index[n - 1] = PAPER_VIEWS - 1;
  return WILLIS_OK;
}

enum willis_status willis_views_arc(int n, double arc_deg, double *angle_deg,
                                    struct willis_error *err) {
  if (!isfinite(arc_deg) || arc_deg <= 0 || arc_deg > 360)
    return willis_fail(err, WILLIS_GEOMETRY, "an arc of %g degrees, expected above 0 and up to 360",
                       arc_deg);
  int index[PAPER_VIEWS];
  enum willis_status status = willis_views_select(n, index, err);
  if (status) return status;
  for (int k = 0; k < n; k++) angle_deg[k] = arc_deg * index[k] / (PAPER_VIEWS - 1);
  return WILLIS_OK;
}

struct willis_view willis_view_parallel(double primary_angle_deg, const struct willis_grid *grid) {
  return (struct willis_view){.kind = WILLIS_VIEW_PARALLEL,
                              .primary_angle_deg = primary_angle_deg,
                              .column_spacing_mm = grid->spacing_mm[0],
                              .row_spacing_mm = grid->spacing_mm[2],
                              .principal_column = (double)(grid->size[0] - 1) / 2,
                              .principal_row = (double)(grid->size[2] - 1) / 2};
}
