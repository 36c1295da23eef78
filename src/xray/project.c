/* Projection along the beam (M4) and the transpose of its line integrals. */
#include <willis/projector.h>

#include "xray/operators.h"
#include "xray/rays.h"

/* Only the parallel kernels count in voxels; rays count in mm. */
static void scale(float *value, ptrdiff_t count, double factor) {
#pragma omp parallel for schedule(static)
  for (ptrdiff_t i = 0; i < count; i++) value[i] = (float)(value[i] * factor);
}

enum willis_status willis_project(const struct willis_volume *volume,
                                  struct willis_projections *stack, struct willis_error *err) {
  struct willis_view_set set;
  enum willis_status status =
      willis_view_set_init(&set, stack, NULL, stack->view_count, &volume->grid, err);
  if (status) return status;
  ptrdiff_t n = set.planar.n, image = stack->columns * stack->rows;
  float background = 0, most;
  if (stack->mode == WILLIS_PROJECTION_MAX) willis_volume_range(volume, &background, &most);

  if (set.planar.view_count)
    status = willis_planar_kernels()->project(&set.planar, volume->voxels, stack->mode, background,
                                              stack->pixels, err);
  for (ptrdiff_t i = set.planar.view_count; i < set.count && !status; i++)
    willis_oblique_project(set.map + i, volume->voxels, n, stack->mode, background,
                           stack->pixels + set.image[i] * image, stack->columns, stack->rows);
  if (!status && set.count && stack->mode == WILLIS_PROJECTION_SUM)
    scale(stack->pixels, image * stack->view_count, volume->grid.spacing_mm[0]);
  if (!status && set.cone) status = willis_rays_skip(set.cone, volume->voxels, background, err);
  if (!status && set.cone)
    willis_rays_project(set.cone, 0, 1, volume->voxels, stack->mode, background, stack->pixels);
  if (!status) willis_projections_hide(stack);
  willis_view_set_release(&set);
  return status;
}

enum willis_status willis_project_adjoint(const struct willis_projections *stack,
                                          struct willis_volume *volume, struct willis_error *err) {
  struct willis_view_set set;
  enum willis_status status =
      willis_view_set_init(&set, stack, NULL, stack->view_count, &volume->grid, err);
  if (status) return status;
  ptrdiff_t n = set.planar.n, image = stack->columns * stack->rows;
#pragma omp parallel for schedule(static)
  for (ptrdiff_t i = 0; i < set.voxels; i++) volume->voxels[i] = 0;
  if (set.planar.view_count)
    status =
        willis_planar_kernels()->project_adjoint(&set.planar, stack->pixels, volume->voxels, err);
  for (ptrdiff_t i = set.planar.view_count; i < set.count && !status; i++)
    willis_oblique_project_adjoint(set.map + i, stack->pixels + set.image[i] * image,
                                   stack->columns, stack->rows, volume->voxels, n);
  if (!status && set.count) scale(volume->voxels, set.voxels, volume->grid.spacing_mm[0]);
  if (!status && set.cone)
    status = willis_rays_adjoint_volume(set.cone, stack->pixels, volume->voxels, err);
  willis_view_set_release(&set);
  return status;
}
