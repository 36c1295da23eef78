/* The paper's back-projection (M5) and its transpose. */
#include <willis/projector.h>

#include "base/error.h"
#include "xray/operators.h"
#include "xray/rays.h"

enum willis_status willis_backproject_slab(const struct willis_projections *stack,
                                           const ptrdiff_t *view, ptrdiff_t view_count,
                                           const struct willis_grid *grid, ptrdiff_t begin,
                                           ptrdiff_t end, float *voxels, struct willis_error *err) {
  struct willis_view_set set;
  enum willis_status status = willis_view_set_init(&set, stack, view, view_count, grid, err);
  if (status) return status;
  if (begin < 0 || begin >= end || end > grid->size[2])
    status = willis_fail(err, WILLIS_INVALID_ARGUMENT, "slices %td to %td of a volume of %td",
                         begin, end, grid->size[2]);
  struct willis_slab slab = {begin, end, voxels};
  if (!status) status = willis_gather_views(&set, stack, WILLIS_GATHER_SUM, &slab, err);
  willis_view_set_release(&set);
  return status;
}

enum willis_status willis_backproject_slab_bytes(const struct willis_projections *stack,
                                                 const struct willis_grid *grid, ptrdiff_t slices,
                                                 size_t *bytes, struct willis_error *err) {
  struct willis_view_set set;
  *bytes = 0;
  enum willis_status status = willis_view_set_init(&set, stack, NULL, 0, grid, err);
  if (status) return status;
  if (set.planar.view_count)
    status = willis_planar_kernels()->gather_bytes(&set.planar, slices, bytes, err);
  *bytes += (size_t)stack->view_count * (sizeof *set.map + sizeof *set.image);
  if (set.cone) *bytes += sizeof *set.cone + willis_rays_bytes(set.cone);
  willis_view_set_release(&set);
  return status;
}

enum willis_status willis_backproject(const struct willis_projections *stack,
                                      struct willis_volume *volume, struct willis_error *err) {
  return willis_backproject_slab(stack, NULL, 0, &volume->grid, 0, volume->grid.size[2],
                                 volume->voxels, err);
}

enum willis_status willis_backproject_adjoint(const struct willis_volume *volume,
                                              struct willis_projections *stack,
                                              struct willis_error *err) {
  struct willis_view_set set;
  enum willis_status status = willis_view_set_init(&set, stack, NULL, 0, &volume->grid, err);
  if (status) return status;
  ptrdiff_t image = stack->columns * stack->rows;
  if (set.planar.view_count)
    status =
        willis_planar_kernels()->gather_adjoint(&set.planar, volume->voxels, stack->pixels, err);
  for (ptrdiff_t i = set.planar.view_count; i < set.count && !status; i++)
    willis_oblique_gather_adjoint(set.map + i, volume->voxels, set.planar.n,
                                  stack->pixels + set.image[i] * image, stack->columns,
                                  stack->rows);
  if (!status && set.cone) willis_rays_gather_adjoint(set.cone, volume->voxels, stack->pixels);
  if (!status) willis_projections_hide(stack);
  willis_view_set_release(&set);
  return status;
}
