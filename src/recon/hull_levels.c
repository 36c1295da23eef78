/* Up to 128 voxels along an edge the network looks at every voxel of the hull. Beyond, it looks at
 * a grid half as fine first: what has a probability below least_hope() there, is not needed to
 * explain line integrals, and has no neighbour with either, is empty, and of the rest the finer
 * look is told what the coarser one said (doc/beyond.md).
 */
#include "recon/hull_levels.h"

#include "base/error.h"
#include "base/memory.h"
#include "recon/hull_looks.h"

#include <math.h>

enum { DIRECT_EDGE = 128, MOST_LEVELS = 8 };
static const float empty_logit = -12;

/* A voxel of the half grid is the middle of 2³ voxels. */
struct willis_grid willis_half_grid(const struct willis_grid *grid) {
  struct willis_grid half = *grid;
  for (int a = 0; a < 3; a++) {
    half.size[a] = (grid->size[a] + 1) / 2;
    half.spacing_mm[a] = 2 * grid->spacing_mm[a];
  }
  willis_grid_to_world(grid, (double[]){0.5, 0.5, 0.5}, half.origin_mm);
  return half;
}

bool willis_hull_is_large(const struct willis_grid *grid) {
  return grid->size[0] > DIRECT_EDGE || grid->size[1] > DIRECT_EDGE || grid->size[2] > DIRECT_EDGE;
}

/* How many rows a grid may come to: two views leave some 4 voxels in 128 of 128³, more views less,
 * and of finer grids, after a coarser look, some 2 in as many as an edge has, or 7 of two views
 * where what is not likely stays too. */
static ptrdiff_t likely_rows(const struct willis_grid *grid, bool refined, int views) {
  static const double after_a_look = 2.6, of_two_views = 8;
  ptrdiff_t edge = 1;
  for (int a = 0; a < 3; a++)
    if (grid->size[a] > edge) edge = grid->size[a];
  const bool much = views <= 2 && !willis_hull_takes_seconds(grid);
  const double left = !refined ? 5 * sqrt(2.0 / views) : much ? of_two_views : after_a_look;
  return (ptrdiff_t)(fmin(left / (double)edge, 1) * (double)willis_grid_count(grid));
}

/* What is said about a half grid and where it leaves hope, which is there while a finer case is
 * made. */
static size_t said_bytes(const struct willis_grid *half) {
  return (size_t)willis_grid_count(half) * (1 + sizeof(float));
}

static size_t larger(size_t a, size_t b) {
  return a > b ? a : b;
}

size_t willis_hull_levels_bytes(const struct willis_projections *stack,
                                const struct willis_grid *grid) {
  struct willis_grid level = *grid, half;
  const int views = (int)stack->view_count;
  size_t most = 0;
  for (int l = 0; l + 1 < MOST_LEVELS && willis_hull_is_large(&level); l++, level = half) {
    const ptrdiff_t rows = likely_rows(&level, true, views),
                    rays = willis_hull_set_rays(stack, &level);
    const size_t binned = willis_hull_case_binned_bytes(stack, &level);
    half = willis_half_grid(&level);
    most = larger(most,
                  binned + said_bytes(&half) + willis_hull_set_making_bytes(0, rows, rays, views));
    most = larger(most, binned + willis_hull_case_bytes_from(0, level.size, rows, WILLIS_HULL_CROWD,
                                                             rays, views, false));
  }
  return larger(
      most, willis_hull_case_binned_bytes(stack, &level) +
                willis_hull_case_bytes_from(willis_grid_count(&level), level.size,
                                            likely_rows(&level, false, views), WILLIS_HULL_CROWD,
                                            willis_hull_set_rays(stack, &level), views, false));
}

static void mark_around(const ptrdiff_t n[3], ptrdiff_t voxel, uint8_t *within) {
  const ptrdiff_t x = voxel % n[0], y = voxel / n[0] % n[1], z = voxel / n[0] / n[1];
  for (ptrdiff_t k = z > 0 ? z - 1 : 0; k <= z + 1 && k < n[2]; k++)
    for (ptrdiff_t j = y > 0 ? y - 1 : 0; j <= y + 1 && j < n[1]; j++)
      for (ptrdiff_t i = x > 0 ? x - 1 : 0; i <= x + 1 && i < n[0]; i++)
        within[(k * n[1] + j) * n[0] + i] = 1;
}

/* What a grid half as fine said, -12 of what it was not asked about. */
struct said {
  struct willis_grid grid;
  float *logit;
};

/* Linearly between the middles of the half grid's voxels; `place` in voxels of the finer grid. */
static float said_at(const struct said *said, const double place[3]) {
  const ptrdiff_t *n = said->grid.size;
  ptrdiff_t base[3], step[3] = {1, n[0], n[0] * n[1]};
  float part[3], sum = 0;
  for (int a = 0; a < 3; a++) {
    const double u = fmax((place[a] - 0.5) / 2, 0);
    base[a] = u < (double)(n[a] - 1) ? (ptrdiff_t)u : n[a] - 1;
    part[a] = (float)(u - (double)base[a]);
    if (base[a] == n[a] - 1) step[a] = 0;
  }
  const float *at = said->logit + (base[2] * n[1] + base[1]) * n[0] + base[0];
  for (int corner = 0; corner < 8; corner++) {
    const int dx = corner & 1, dy = corner >> 1 & 1, dz = corner >> 2;
    const float weight =
        (dx ? part[0] : 1 - part[0]) * (dy ? part[1] : 1 - part[1]) * (dz ? part[2] : 1 - part[2]);
    sum += weight * at[dx * step[0] + dy * step[1] + dz * step[2]];
  }
  return sum;
}

static float believed(const void *said, const double place[3]) {
  return willis_hull_probability(said_at(said, place), 1);
}

/* The less views leave, the more of it is kept; the least of what takes seconds. */
static double least_hope(const struct willis_grid *grid, ptrdiff_t views) {
  static const double hope = 0.001, of_few = 0.01, of_few_large = 0.2;
  if (!willis_hull_few((int)views)) return hope;
  return willis_hull_takes_seconds(grid) ? of_few_large : of_few;
}

/* What more than a few views need to be explained stays as well, whatever is believed of it. */
static bool is_needed(const struct willis_hull_set *set, ptrdiff_t row) {
  static const float least = 0.1f;
  return set->solution && !willis_hull_few(set->views) && set->solution[row] >= least;
}

/* Writes it down; `within` are the voxels that leave hope, and their neighbours. */
static void write_down(const struct willis_hull_case *c, const float *logit, double hope,
                       const struct said *said, uint8_t *within) {
  const ptrdiff_t count = willis_grid_count(&said->grid);
  for (ptrdiff_t i = 0; i < count; i++) said->logit[i] = empty_logit;
  for (ptrdiff_t i = 0; i < c->set.rows; i++) {
    said->logit[c->set.voxel[i]] = logit[i];
    if ((double)willis_hull_probability(logit[i], 1) >= hope || is_needed(&c->set, i))
      mark_around(said->grid.size, c->set.voxel[i], within);
  }
}

/* What is said on the half grid, written down. */
static enum willis_status ask(struct willis_hull_case *c, const struct willis_network *network,
                              const struct willis_grid *asked, struct said *said, uint8_t **within,
                              struct willis_error *err) {
  const ptrdiff_t count = willis_grid_count(&said->grid), rows = c->set.rows;
  const double hope = least_hope(asked, c->set.views);
  float *logit = willis_take(rows, sizeof *logit);
  if (!logit) return willis_fail_memory(err, "logits", rows, sizeof *logit);
  enum willis_status status = willis_hull_look(c, asked, network, logit, err);
  if (!status) {
    *within = willis_take_zeroed(count, 1);
    said->logit = willis_take(count, sizeof *said->logit);
    if (!*within || !said->logit)
      status = willis_fail_memory(err, "a half grid", count, 1 + sizeof *said->logit);
  }
  if (!status) write_down(c, logit, hope, said, *within);
  willis_release(logit);
  return status;
}

/* From a case on a half grid to one on `grid`. */
static enum willis_status refine(struct willis_hull_case *c, const struct willis_network *network,
                                 const struct willis_projections *stack,
                                 const struct willis_grid *grid, const struct willis_grid *asked,
                                 size_t room, struct willis_error *err) {
  struct said said = {.grid = willis_half_grid(grid), .logit = NULL};
  uint8_t *within = NULL;
  const double unit = c->set.unit / (stack->mode == WILLIS_PROJECTION_SUM ? 2 : 1);
  enum willis_status status = ask(c, network, asked, &said, &within, err);
  willis_hull_case_release(c);
  const size_t taken = said_bytes(&said.grid);
  if (room) room = room > taken ? room - taken : 1;
  const struct willis_hull_belief belief = {believed, &said};
  if (!status) status = willis_hull_case_refine(c, stack, grid, within, unit, &belief, room, err);
  willis_release(within);
  willis_release(said.logit);
  return status;
}

enum willis_status willis_hull_case_of(struct willis_hull_case *c,
                                       const struct willis_projections *stack,
                                       const struct willis_network *network,
                                       const struct willis_grid *grid, size_t room,
                                       struct willis_error *err) {
  struct willis_grid level[MOST_LEVELS] = {*grid};
  int l = 0;
  for (; l + 1 < MOST_LEVELS && willis_hull_is_large(&level[l]); l++)
    level[l + 1] = willis_half_grid(&level[l]);
  enum willis_status status = willis_hull_case_init(c, stack, &level[l], room, err);
  for (; l > 0 && !status; l--) status = refine(c, network, stack, &level[l - 1], grid, room, err);
  if (status) willis_hull_case_release(c);
  return status;
}
