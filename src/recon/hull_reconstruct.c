#include "recon/hull_reconstruct.h"

#include "base/error.h"
#include "base/memory.h"
#include "recon/hull_levels.h"
#include "recon/hull_looks.h"
#include "recon/hull_pose.h"
#include "xray/hull_ambiguity.h"

#include <willis/calibration.h>

#include <string.h>

/* Slices [0, depth) out of the list. */
static enum willis_status write_planes(const struct willis_hull_set *set, const float *value,
                                       const struct willis_grid *grid,
                                       const struct willis_plane_sink *sink,
                                       struct willis_error *err) {
  const ptrdiff_t size = grid->size[0] * grid->size[1];
  float *plane = willis_take(size, sizeof *plane);
  if (!plane) return willis_fail_memory(err, "a slice", size, sizeof *plane);
  enum willis_status status = WILLIS_OK;
  for (ptrdiff_t z = 0, i = 0; z < grid->size[2] && !status; z++) {
    memset(plane, 0, (size_t)size * sizeof *plane);
    for (; i < set->rows && set->voxel[i] < (z + 1) * size; i++)
      plane[set->voxel[i] - z * size] = value[i];
    status = sink->write(z, z + 1, plane, sink->context, err);
  }
  willis_release(plane);
  return status;
}

static enum willis_status reconstruct_upright(const struct willis_projections *stack,
                                              const struct willis_network *network,
                                              const struct willis_grid *grid,
                                              const struct willis_plane_sink *sink,
                                              const struct willis_plane_sink *ambiguity,
                                              size_t room, struct willis_error *err) {
  struct willis_calibration calibration;
  struct willis_hull_case c;
  float *value = NULL, *doubt = NULL;
  enum willis_status status = willis_calibration_of(network, &calibration, err);
  if (!status) status = willis_hull_case_of(&c, stack, network, grid, room, err);
  if (status) return status;
  const double temperature =
      willis_calibration_at(&calibration, stack->mode, stack->view_count, 0.5).temperature;
  if (!(value = willis_take(c.set.rows, sizeof *value)))
    status = willis_fail_memory(err, "probabilities", c.set.rows, sizeof *value);
  if (!status) status = willis_hull_decide(&c, network, value, err);
  for (ptrdiff_t i = 0; i < c.set.rows && !status; i++)
    value[i] = willis_hull_probability(value[i], temperature);
  if (!status) status = write_planes(&c.set, value, grid, sink, err);
  if (ambiguity && !status && !(doubt = willis_take(c.set.rows, sizeof *doubt)))
    status = willis_fail_memory(err, "ambiguities", c.set.rows, sizeof *doubt);
  if (ambiguity && !status)
    status = willis_hull_ambiguity(&c.set, c.stack, grid, value, doubt, err);
  if (ambiguity && !status) status = write_planes(&c.set, doubt, grid, ambiguity, err);
  willis_release(doubt);
  willis_release(value);
  willis_hull_case_release(&c);
  return status;
}

enum willis_status willis_hull_reconstruct(const struct willis_projections *stack,
                                           const struct willis_network *network,
                                           const struct willis_grid *grid,
                                           const struct willis_plane_sink *sink,
                                           const struct willis_plane_sink *ambiguity, size_t room,
                                           struct willis_error *err) {
  if (!willis_hull_pose_is_turned(stack, grid))
    return reconstruct_upright(stack, network, grid, sink, ambiguity, room, err);
  const ptrdiff_t size = grid->size[0] * grid->size[1];
  struct willis_hull_pose pose;
  float *plane = willis_take(size, sizeof *plane);
  enum willis_status status = plane ? willis_hull_pose_init(&pose, stack, grid, err)
                                    : willis_fail_memory(err, "a slice", size, sizeof *plane);
  if (!status) {
    struct willis_hull_pose_back back[2] = {{sink, {grid->size[0], grid->size[1]}, plane},
                                            {ambiguity, {grid->size[0], grid->size[1]}, plane}};
    const struct willis_plane_sink to[2] = {{willis_hull_pose_write, &back[0]},
                                            {willis_hull_pose_write, &back[1]}};
    status = reconstruct_upright(&pose.stack, network, &pose.grid, &to[0],
                                 ambiguity ? &to[1] : NULL, room, err);
    willis_hull_pose_release(&pose);
  }
  willis_release(plane);
  return status;
}

enum willis_status willis_hull_reconstruct_whole(const struct willis_projections *stack,
                                                 const struct willis_network *network,
                                                 struct willis_volume *probability,
                                                 struct willis_error *err) {
  struct willis_plane_sink sink = {willis_keep_planes, probability};
  return willis_hull_reconstruct(stack, network, &probability->grid, &sink, NULL, 0, err);
}
