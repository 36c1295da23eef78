/* From rays and voxels to tensors and index lists. */
#include "recon/hull_case.h"

#include "base/error.h"
#include "base/memory.h"
#include "xray/hull_grey.h"
#include "xray/hull_shadow.h"
#include "xray/hull_solution.h"

#include <math.h>

_Static_assert((int)WILLIS_HULL_SET_SEEN == WILLIS_RAY_SEEN &&
                   (int)WILLIS_HULL_SET_ABOUT == WILLIS_RAY_ABOUT &&
                   (int)WILLIS_HULL_SET_VOXEL == WILLIS_HULL_VOXEL,
               "what is measured is what the network takes");

ptrdiff_t willis_hull_case_room(ptrdiff_t edge, bool photons) {
  const double thick = 11 / (double)edge, share = photons ? 0.3 + thick : fmax(0.2, thick);
  return (ptrdiff_t)(fmin(share, 1) * (double)(edge * edge * edge));
}

static size_t case_bytes(ptrdiff_t voxels, const ptrdiff_t size[3],
                         const ptrdiff_t rows[WILLIS_LATTICE_LEVELS], ptrdiff_t rays, int views,
                         bool training) {
  const size_t making = willis_hull_set_making_bytes(voxels, rows[0], rays, views);
  const size_t solution = willis_hull_solution_bytes(rows[0], rays, views),
               grey = willis_hull_grey_bytes(rows[0], rays, views);
  const size_t between = (solution > grey ? solution : grey) + 2 * (size_t)rows[0] * sizeof(float);
  size_t plan = willis_hull_plan_bytes(rows, rays, views, training);
  /* Targets or probabilities, their mean, and a plane of them. Between looks line integrals are
   * explained, after the last one all pictures. */
  const size_t working = willis_hull_set_bytes(rows[0], views) + willis_lattice_bytes(size, rows) +
                         (size_t)(2 * rows[0] + size[0] * size[1]) * sizeof(float);
  /* Between steps training keeps its buffers. */
  if (training) return plan + (making > working + between ? making : working + between);
  if (between > plan) plan = between;
  return making > working + plan ? making : working + plan;
}

size_t willis_hull_case_bytes_from(ptrdiff_t voxels, const ptrdiff_t size[3], ptrdiff_t count,
                                   int crowd, ptrdiff_t rays, int views, bool training) {
  ptrdiff_t rows[WILLIS_LATTICE_LEVELS];
  willis_lattice_most_rows(size, count, crowd, rows);
  return case_bytes(voxels, size, rows, rays, views, training);
}

size_t willis_hull_case_bytes(const ptrdiff_t size[3], ptrdiff_t rows, ptrdiff_t rays, int views,
                              bool training) {
  return willis_hull_case_bytes_from(size[0] * size[1] * size[2], size, rows, 1, rays, views,
                                     training);
}

static enum willis_status does_not_fit(ptrdiff_t rows, const struct willis_grid *grid, size_t bytes,
                                       size_t room, struct willis_error *err) {
  return willis_fail(
      err, WILLIS_OUT_OF_MEMORY,
      "%td of %td×%td×%td voxels to decide about take %.1f MiB, more than the %.1f MiB "
      "that are left of the memory allowed; a smaller size needs less",
      rows, grid->size[0], grid->size[1], grid->size[2], (double)bytes / (1 << 20),
      (double)room / (1 << 20));
}

/* Pixels that a voxel of the grid covers along either side, in whichever view it covers least. 1
 * for maxima: a mean of line integrals is the line integral of a mean, a mean of maxima is no
 * maximum.
 */
static ptrdiff_t covered(const struct willis_projections *stack, const struct willis_grid *grid) {
  static const double hair = 1e-6;
  double least = INFINITY;
  if (stack->mode != WILLIS_PROJECTION_SUM) return 1;
  for (ptrdiff_t v = 0; v < stack->view_count; v++) {
    struct willis_shadow s;
    willis_shadow_init(&s, stack, v, grid);
    least = fmin(least, fmin(s.voxel_columns, s.voxel_rows));
  }
  const double most = (double)(stack->columns > stack->rows ? stack->columns : stack->rows);
  return (ptrdiff_t)fmax(floor(fmin(least, most) + hair), 1);
}

size_t willis_hull_case_binned_bytes(const struct willis_projections *stack,
                                     const struct willis_grid *grid) {
  const ptrdiff_t bin = covered(stack, grid);
  const ptrdiff_t columns = (stack->columns - 1) / bin + 1, rows = (stack->rows - 1) / bin + 1;
  const ptrdiff_t of_view = columns * rows * (ptrdiff_t)sizeof *stack->pixels;
  return bin > 1 ? (size_t)stack->view_count * ((size_t)of_view + sizeof *stack->view) : 0;
}

/* Looks at pictures as coarse as the grid, and lessens the room by what they take. */
static enum willis_status begin(struct willis_hull_case *c, const struct willis_projections *stack,
                                const struct willis_grid *grid, size_t *room,
                                struct willis_error *err) {
  *c = (struct willis_hull_case){.stack = stack, .grid = *grid};
  const ptrdiff_t bin = covered(stack, grid);
  if (bin == 1) return WILLIS_OK;
  const size_t taken = willis_hull_case_binned_bytes(stack, grid);
  if (*room) *room = *room > taken ? *room - taken : 1;
  c->stack = &c->binned;
  return willis_projections_bin(stack, bin, &c->binned, err);
}

/* How many rows fit into the room, 0 for any, when they are made out of `voxels`, 0 for those of a
 * coarser case. */
static enum willis_status find_most(size_t room, ptrdiff_t voxels,
                                    const struct willis_projections *stack,
                                    const struct willis_grid *grid, ptrdiff_t *most,
                                    struct willis_error *err) {
  const ptrdiff_t rays = willis_hull_set_rays(stack, grid);
  ptrdiff_t above = willis_grid_count(grid) + 1;
  *most = 0;
  while (room && above - *most > 1) {
    const ptrdiff_t rows = *most + (above - *most) / 2;
    const size_t bytes = willis_hull_case_bytes_from(voxels, grid->size, rows, WILLIS_HULL_CROWD,
                                                     rays, (int)stack->view_count, false);
    if (bytes > room && rows == 1) return does_not_fit(1, grid, bytes, room, err);
    *(bytes <= room ? most : &above) = rows;
  }
  return WILLIS_OK;
}

/* Voxels that lie alone have more cells above them than the crowd that was reckoned with. */
static enum willis_status refuse_more(const struct willis_hull_case *c,
                                      const struct willis_grid *grid, size_t room,
                                      struct willis_error *err) {
  ptrdiff_t rows[WILLIS_LATTICE_LEVELS];
  enum willis_status status =
      willis_lattice_count_rows(grid->size, c->set.rows, c->set.voxel, rows, err);
  if (status) return status;
  const size_t bytes = case_bytes(0, grid->size, rows, c->set.rays, c->set.views, false);
  return bytes <= room ? WILLIS_OK : does_not_fit(rows[0], grid, bytes, room, err);
}

/* The lattice and the input of a set that is there; releases the set on failure. */
static enum willis_status join(struct willis_hull_case *c, const struct willis_grid *grid,
                               size_t room, struct willis_error *err) {
  if (!c->set.rows) return WILLIS_OK;
  enum willis_status status = room ? refuse_more(c, grid, room, err) : WILLIS_OK;
  if (!status)
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

enum willis_status willis_hull_case_init(struct willis_hull_case *c,
                                         const struct willis_projections *stack,
                                         const struct willis_grid *grid, size_t room,
                                         struct willis_error *err) {
  ptrdiff_t most;
  enum willis_status status = begin(c, stack, grid, &room, err);
  if (!status) status = find_most(room, willis_grid_count(grid), c->stack, grid, &most, err);
  if (!status) status = willis_hull_set_init(&c->set, c->stack, grid, most, err);
  if (!status) status = join(c, grid, room, err);
  if (status) willis_projections_release(&c->binned);
  return status;
}

enum willis_status willis_hull_case_refine(struct willis_hull_case *c,
                                           const struct willis_projections *stack,
                                           const struct willis_grid *grid, const uint8_t *within,
                                           double unit, const struct willis_hull_belief *belief,
                                           size_t room, struct willis_error *err) {
  ptrdiff_t most;
  enum willis_status status = begin(c, stack, grid, &room, err);
  c->refined = true;
  if (!status) status = find_most(room, 0, c->stack, grid, &most, err);
  if (!status)
    status = willis_hull_set_refine(&c->set, c->stack, grid, within, unit, belief, most, err);
  if (!status) status = join(c, grid, room, err);
  if (status) willis_projections_release(&c->binned);
  return status;
}

void willis_hull_case_release(struct willis_hull_case *c) {
  willis_lattice_release(&c->lattice);
  willis_hull_set_release(&c->set);
  willis_projections_release(&c->binned);
}

enum willis_status willis_hull_case_tell(struct willis_hull_case *c, const float *logit,
                                         struct willis_error *err) {
  float *p = willis_take(c->set.rows, sizeof *p);
  if (!p) return willis_fail_memory(err, "probabilities", c->set.rows, sizeof *p);
  for (ptrdiff_t i = 0; i < c->set.rows; i++) p[i] = willis_hull_probability(logit[i], 1);
  const enum willis_status status = willis_hull_set_believe(&c->set, c->stack, &c->grid, p, err);
  willis_release(p);
  return status;
}
