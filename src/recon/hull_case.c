/* From rays and voxels to tensors and index lists. */
#include "recon/hull_case.h"

#include "base/error.h"
#include "base/memory.h"

#include <string.h>

_Static_assert((int)WILLIS_HULL_SET_SEEN == WILLIS_RAY_SEEN &&
                   (int)WILLIS_HULL_SET_ABOUT == WILLIS_RAY_ABOUT &&
                   (int)WILLIS_HULL_SET_VOXEL == WILLIS_HULL_VOXEL,
               "what is measured is what the network takes");

enum willis_status willis_hull_case_init(struct willis_hull_case *c,
                                         const struct willis_projections *stack,
                                         const struct willis_grid *grid, struct willis_error *err) {
  *c = (struct willis_hull_case){0};
  enum willis_status status = willis_hull_set_init(&c->set, stack, grid, err);
  if (status || !c->set.rows) return status;
  status = willis_lattice_init(&c->lattice, grid->size, c->set.rows, c->set.voxel, err);
  if (status) {
    willis_hull_set_release(&c->set);
    return status;
  }
  c->input = (struct willis_hull_input){.lattice = &c->lattice,
                                        .views = {.rows = c->set.rows,
                                                  .rays = c->set.rays,
                                                  .views = c->set.views,
                                                  .place = c->set.place,
                                                  .pitch = c->set.pitch,
                                                  .seen = c->set.seen,
                                                  .about = c->set.about_view,
                                                  .share = c->set.share},
                                        .voxel = c->set.about_voxel};
  return WILLIS_OK;
}

void willis_hull_case_release(struct willis_hull_case *c) {
  willis_lattice_release(&c->lattice);
  willis_hull_set_release(&c->set);
}

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

enum willis_status willis_hull_reconstruct(const struct willis_projections *stack,
                                           const struct willis_network *network,
                                           const struct willis_grid *grid,
                                           const struct willis_plane_sink *sink,
                                           struct willis_error *err) {
  struct willis_hull_case c;
  enum willis_status status = willis_hull_case_init(&c, stack, grid, err);
  if (status) return status;
  float *value = willis_take(c.set.rows, sizeof *value);
  if (!value) status = willis_fail_memory(err, "probabilities", c.set.rows, sizeof *value);
  if (!status && c.set.rows) status = willis_hull_infer(network, &c.input, value, err);
  if (!status) status = write_planes(&c.set, value, grid, sink, err);
  willis_release(value);
  willis_hull_case_release(&c);
  return status;
}

static enum willis_status keep_plane(ptrdiff_t begin, ptrdiff_t end, const float *planes,
                                     void *context, struct willis_error *err) {
  (void)err;
  const struct willis_volume *volume = context;
  const ptrdiff_t plane = volume->grid.size[0] * volume->grid.size[1];
  memcpy(volume->voxels + begin * plane, planes, (size_t)((end - begin) * plane) * sizeof *planes);
  return WILLIS_OK;
}

enum willis_status willis_hull_reconstruct_whole(const struct willis_projections *stack,
                                                 const struct willis_network *network,
                                                 struct willis_volume *probability,
                                                 struct willis_error *err) {
  struct willis_plane_sink sink = {keep_plane, probability};
  return willis_hull_reconstruct(stack, network, &probability->grid, &sink, err);
}
