/* The visual hull: what every view that sees a voxel allows it to be. */
#include <willis/projector.h>

#include "xray/operators.h"

#include "base/error.h"
#include "base/memory.h"

#include <math.h>
#include <string.h>

/* NaN spreads to whatever is interpolated from it, and the least of NaN and a number is the number.
 */
enum willis_status willis_mark_hidden(const struct willis_projections *stack, float **marked,
                                      struct willis_error *err) {
  const ptrdiff_t columns = stack->columns, rows = stack->rows, views = stack->view_count;
  bool any = false;
  *marked = NULL;
  for (ptrdiff_t v = 0; v < views; v++) any = any || stack->view[v].shutter.any;
  if (!any) return WILLIS_OK;
  float *to = willis_take(columns * rows * views, sizeof *to);
  if (!to) return willis_fail_memory(err, "the images", columns * rows * views, sizeof *to);
#pragma omp parallel for schedule(static)
  for (ptrdiff_t i = 0; i < views * rows; i++) {
    const struct willis_shutter *shutter = &stack->view[i / rows].shutter;
    memcpy(to + i * columns, stack->pixels + i * columns, (size_t)columns * sizeof *to);
    for (ptrdiff_t c = 0; c < columns && shutter->any; c++)
      if (!willis_shutter_shows(shutter, (double)c, (double)(i % rows), 0))
        to[i * columns + c] = NAN;
  }
  *marked = to;
  return WILLIS_OK;
}

enum willis_status willis_hull(const struct willis_projections *stack, struct willis_volume *volume,
                               struct willis_error *err) {
  struct willis_view_set set;
  struct willis_projections known = *stack;
  float *marked = NULL;
  enum willis_status status = willis_view_set_init(&set, stack, NULL, 0, &volume->grid, err);
  if (status) return status;
  status = willis_mark_hidden(stack, &marked, err);
  if (marked) known.pixels = marked;
  struct willis_slab all = {0, volume->grid.size[2], volume->voxels};
  if (!status) status = willis_gather_views(&set, &known, WILLIS_GATHER_LEAST, &all, err);
  ptrdiff_t count = status ? 0 : set.voxels;
  float unseen = willis_gather_start(WILLIS_GATHER_LEAST);
#pragma omp parallel for schedule(static)
  for (ptrdiff_t i = 0; i < count; i++)
    if (volume->voxels[i] == unseen) volume->voxels[i] = 0;
  willis_release(marked);
  willis_view_set_release(&set);
  return status;
}
