#include "cli/refining.h"

#include <stdlib.h>

enum willis_status refine_views(const struct call *call, const struct refining *how,
                                struct willis_projections *mask, const struct willis_grid *grid,
                                struct willis_view_change *change, struct willis_error *err) {
  const struct willis_refine_options shifts = {how->most_px, how->rounds};
  struct willis_adjust_options all = willis_adjust_defaults();
  double *shift = calloc(2 * (size_t)mask->view_count, sizeof *shift);
  if (!shift) return WILLIS_OUT_OF_MEMORY;
  enum willis_status status = willis_views_refine(mask, grid, &shifts, shift, &call->progress, err);
  for (ptrdiff_t v = 0; v < mask->view_count; v++) change[v] = (struct willis_view_change){0};
  if (!status && how->most_deg > 0) {
    all.most_deg = how->most_deg;
    status = willis_views_adjust(mask, grid, &all, change, &call->progress, err);
  }
  for (ptrdiff_t v = 0; v < mask->view_count && !status; v++) {
    change[v].columns += shift[2 * v];
    change[v].rows += shift[2 * v + 1];
  }
  free(shift);
  return status;
}

void print_change(const struct call *call, const struct willis_view_change *change) {
  fprintf(call->results, "shifted by %.1f, %.1f pixels", change->columns, change->rows);
  if (change->primary_deg != 0 || change->secondary_deg != 0 || change->in_plane_deg != 0)
    fprintf(call->results, " and turned by %.2f, %.2f, %.2f degrees", change->primary_deg,
            change->secondary_deg, change->in_plane_deg);
}

void print_changes(const struct call *call, const struct willis_projections *stack,
                   const struct willis_view_change *change) {
  for (ptrdiff_t v = 0; v < stack->view_count; v++) {
    fprintf(call->results, "view %td at %g/%g: ", v, stack->view[v].primary_angle_deg,
            stack->view[v].secondary_angle_deg);
    print_change(call, &change[v]);
    fputs("\n", call->results);
  }
}

json_t *json_changes(const struct willis_view_change *change, ptrdiff_t count) {
  json_t *list = json_array();
  for (ptrdiff_t v = 0; v < count; v++) {
    const struct willis_view_change *c = &change[v];
    json_array_append_new(list,
                          json_pack("{s:[f,f], s:[f,f,f]}", "shift_px", c->columns, c->rows,
                                    "turn_deg", c->primary_deg, c->secondary_deg, c->in_plane_deg));
  }
  return list;
}
