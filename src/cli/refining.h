/* Views that are moved until they agree, for the commands that offer it. */
#ifndef WILLIS_CLI_REFINING_H
#define WILLIS_CLI_REFINING_H

#include "cli/options.h"
#include "cli/report.h"

struct refining {
  ptrdiff_t most_px; /* of shifts, in the first round */
  int rounds;
  double most_deg; /* of turns; 0: shifts alone */
};
/* Moves the views of a stack of masks; change[view_count]. */
WILLIS_CHECKED enum willis_status refine_views(const struct call *call, const struct refining *how,
                                               struct willis_projections *mask,
                                               const struct willis_grid *grid,
                                               struct willis_view_change *change,
                                               struct willis_error *err);

/* "shifted by 1.0, -2.0 pixels", and the turns where there are some. */
void print_change(const struct call *call, const struct willis_view_change *change);
/* A line for each view. */
void print_changes(const struct call *call, const struct willis_projections *stack,
                   const struct willis_view_change *change);
json_t *json_changes(const struct willis_view_change *change, ptrdiff_t count);

#endif
