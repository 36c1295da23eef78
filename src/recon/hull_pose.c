/* A quarter turn about z, (x, y) → (y, −x), and back. */
#include "recon/hull_pose.h"

#include "base/error.h"
#include "base/memory.h"

#include <string.h>

bool willis_hull_pose_is_turned(const struct willis_projections *stack,
                                const struct willis_grid *grid) {
  const double enough = 0.05; /* of 0.5, which a view at 135° has; one at 45° has −0.5 */
  double mean = 0;
  for (int k = 0; k < 9; k++)
    if (grid->direction[k] != (k % 4 == 0)) return false;
  for (ptrdiff_t k = 0; k < stack->view_count; k++) {
    double d[3], u[3], v[3];
    willis_view_axes(&stack->view[k], d, u, v);
    mean += d[0] * d[1] / (double)stack->view_count;
  }
  return mean > enough;
}

enum willis_status willis_hull_pose_init(struct willis_hull_pose *pose,
                                         const struct willis_projections *stack,
                                         const struct willis_grid *grid, struct willis_error *err) {
  const double quarter = 90, full = 360, half = 180;
  const double *middle = stack->isocenter_mm;
  *pose = (struct willis_hull_pose){*stack, *grid};
  pose->stack.has_grid = false;
  pose->stack.view = willis_take(stack->view_count, sizeof *stack->view);
  if (!pose->stack.view)
    return willis_fail_memory(err, "views", stack->view_count, sizeof *stack->view);
  memcpy(pose->stack.view, stack->view, (size_t)stack->view_count * sizeof *stack->view);
  for (ptrdiff_t k = 0; k < stack->view_count; k++) {
    double *angle = &pose->stack.view[k].primary_angle_deg;
    *angle -= *angle - quarter < -half ? quarter - full : quarter;
  }
  double corner[3];
  willis_grid_to_world(grid, (double[]){(double)(grid->size[0] - 1), 0, 0}, corner);
  pose->grid.origin_mm[0] = middle[0] + (corner[1] - middle[1]);
  pose->grid.origin_mm[1] = middle[1] - (corner[0] - middle[0]);
  for (int a = 0; a < 2; a++) {
    pose->grid.size[a] = grid->size[1 - a];
    pose->grid.spacing_mm[a] = grid->spacing_mm[1 - a];
  }
  return WILLIS_OK;
}

void willis_hull_pose_release(struct willis_hull_pose *pose) {
  willis_release(pose->stack.view);
  *pose = (struct willis_hull_pose){0};
}

enum willis_status willis_hull_pose_write(ptrdiff_t begin, ptrdiff_t end, const float *planes,
                                          void *context, struct willis_error *err) {
  const struct willis_hull_pose_back *back = context;
  const ptrdiff_t nx = back->size[0], ny = back->size[1];
  enum willis_status status = WILLIS_OK;
  for (ptrdiff_t z = begin; z < end && !status; z++) {
    const float *from = planes + (z - begin) * nx * ny;
    for (ptrdiff_t j = 0; j < ny; j++)
      for (ptrdiff_t i = 0; i < nx; i++) back->plane[j * nx + i] = from[(nx - 1 - i) * ny + j];
    status = back->to->write(z, z + 1, back->plane, back->to->context, err);
  }
  return status;
}
