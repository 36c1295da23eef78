/* From rays and voxels to tensors and index lists. */
#include "recon/hull_case.h"

#include <math.h>

_Static_assert((int)WILLIS_HULL_SET_SEEN == WILLIS_RAY_SEEN &&
                   (int)WILLIS_HULL_SET_ABOUT == WILLIS_RAY_ABOUT &&
                   (int)WILLIS_HULL_SET_VOXEL == WILLIS_HULL_VOXEL,
               "what is measured is what the network takes");

ptrdiff_t willis_hull_case_room(ptrdiff_t edge, bool photons) {
  const double thick = 11 / (double)edge, share = photons ? 0.3 + thick : fmax(0.2, thick);
  return (ptrdiff_t)(fmin(share, 1) * (double)(edge * edge * edge));
}

size_t willis_hull_case_bytes_from(ptrdiff_t voxels, const ptrdiff_t size[3], ptrdiff_t rows,
                                   int crowd, ptrdiff_t rays, int views, bool training) {
  const size_t making = willis_hull_set_making_bytes(voxels, rows, rays, views);
  const size_t plan = willis_hull_plan_most_bytes(size, rows, crowd, rays, views, training);
  /* Targets or probabilities, and a plane of them. */
  const size_t working = willis_hull_set_bytes(rows, views) +
                         willis_lattice_most_bytes(size, rows, crowd) +
                         (size_t)(rows + size[0] * size[1]) * sizeof(float);
  /* Between steps training keeps its buffers. */
  if (training) return plan + (making > working ? making : working);
  return making > working + plan ? making : working + plan;
}

size_t willis_hull_case_bytes(const ptrdiff_t size[3], ptrdiff_t rows, ptrdiff_t rays, int views,
                              bool training) {
  return willis_hull_case_bytes_from(size[0] * size[1] * size[2], size, rows, 1, rays, views,
                                     training);
}

/* Of a hull made out of `voxels`, 0 when out of a coarser case. At least one: 0 is no limit. */
static ptrdiff_t most_rows(size_t room, ptrdiff_t voxels, const struct willis_projections *stack,
                           const struct willis_grid *grid) {
  if (!room) return 0;
  const ptrdiff_t rays = willis_hull_set_rays(stack, grid);
  ptrdiff_t fits = 1, above = willis_grid_count(grid) + 1;
  while (above - fits > 1) {
    const ptrdiff_t rows = fits + (above - fits) / 2;
    const size_t bytes = willis_hull_case_bytes_from(voxels, grid->size, rows, WILLIS_HULL_CROWD,
                                                     rays, (int)stack->view_count, false);
    *(bytes <= room ? &fits : &above) = rows;
  }
  return fits;
}

/* The lattice and the input of a set that is there; releases the set on failure. */
static enum willis_status join(struct willis_hull_case *c, const struct willis_grid *grid,
                               struct willis_error *err) {
  if (!c->set.rows) return WILLIS_OK;
  enum willis_status status =
      willis_lattice_init(&c->lattice, grid->size, c->set.rows, c->set.voxel, err);
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

enum willis_status willis_hull_case_init(struct willis_hull_case *c,
                                         const struct willis_projections *stack,
                                         const struct willis_grid *grid, size_t room,
                                         struct willis_error *err) {
  *c = (struct willis_hull_case){0};
  const ptrdiff_t most = most_rows(room, willis_grid_count(grid), stack, grid);
  enum willis_status status = willis_hull_set_init(&c->set, stack, grid, most, err);
  return status ? status : join(c, grid, err);
}

enum willis_status willis_hull_case_refine(struct willis_hull_case *c,
                                           const struct willis_projections *stack,
                                           const struct willis_grid *grid, const uint8_t *within,
                                           double unit, size_t room, struct willis_error *err) {
  *c = (struct willis_hull_case){0};
  const ptrdiff_t most = most_rows(room, 0, stack, grid);
  enum willis_status status = willis_hull_set_refine(&c->set, stack, grid, within, unit, most, err);
  return status ? status : join(c, grid, err);
}

void willis_hull_case_release(struct willis_hull_case *c) {
  willis_lattice_release(&c->lattice);
  willis_hull_set_release(&c->set);
}

void willis_hull_case_tell(struct willis_hull_case *c, const float *logit) {
  for (ptrdiff_t i = 0; i < c->set.rows; i++) {
    float *said = c->set.about_voxel + (i + 1) * WILLIS_HULL_VOXEL - WILLIS_HULL_SAID;
    const float p = willis_hull_probability(logit[i], 1);
    said[0] = p;
    said[1] = log2f(p + 0.0625f);
  }
  c->told = true;
}

enum willis_status willis_hull_case_look(struct willis_hull_case *c,
                                         const struct willis_network *network, ptrdiff_t times,
                                         float *logit, struct willis_error *err) {
  enum willis_status status = WILLIS_OK;
  for (ptrdiff_t look = 0; look < times && c->set.rows && !status; look++) {
    if (look) willis_hull_case_tell(c, logit);
    status = willis_hull_infer(network, &c->input, logit, err);
  }
  return status;
}

enum willis_status willis_hull_case_decide(struct willis_hull_case *c,
                                           const struct willis_network *network, float *logit,
                                           struct willis_error *err) {
  return willis_hull_case_look(c, network, c->told ? 1 : WILLIS_HULL_LOOKS, logit, err);
}
