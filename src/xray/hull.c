/* The visual hull: what every view that sees a voxel allows it to be. */
#include <willis/projector.h>

#include "xray/operators.h"

enum willis_status willis_hull(const struct willis_projections *stack, struct willis_volume *volume,
                               struct willis_error *err) {
  struct willis_view_set set;
  enum willis_status status = willis_view_set_init(&set, stack, NULL, 0, &volume->grid, err);
  if (status) return status;
  struct willis_slab all = {0, volume->grid.size[2], volume->voxels};
  status = willis_gather_views(&set, stack, WILLIS_GATHER_LEAST, &all, err);
  ptrdiff_t count = status ? 0 : set.voxels;
  float unseen = willis_gather_start(WILLIS_GATHER_LEAST);
#pragma omp parallel for schedule(static)
  for (ptrdiff_t i = 0; i < count; i++)
    if (volume->voxels[i] == unseen) volume->voxels[i] = 0;
  willis_view_set_release(&set);
  return status;
}
