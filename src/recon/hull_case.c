/* From rays and voxels to tensors and index lists. */
#include "recon/hull_case.h"

#include "base/error.h"
#include "base/memory.h"
#include "recon/feed.h"
#include "recon/hull_pose.h"
#include "xray/hull_ambiguity.h"
#include "xray/hull_shadow.h"

#include <willis/calibration.h>

#include <math.h>
#include <string.h>

_Static_assert((int)WILLIS_HULL_SET_SEEN == WILLIS_RAY_SEEN &&
                   (int)WILLIS_HULL_SET_ABOUT == WILLIS_RAY_ABOUT &&
                   (int)WILLIS_HULL_SET_VOXEL == WILLIS_HULL_VOXEL,
               "what is measured is what the network takes");

ptrdiff_t willis_hull_case_room(ptrdiff_t edge, bool photons) {
  const double thick = 11 / (double)edge, share = photons ? 0.3 + thick : fmax(0.2, thick);
  return (ptrdiff_t)(fmin(share, 1) * (double)(edge * edge * edge));
}

/* Of a case made out of the hull of so many voxels, 0 for one made out of a coarser case. */
static size_t bytes_from(ptrdiff_t voxels, const ptrdiff_t size[3], ptrdiff_t rows, int crowd,
                         ptrdiff_t rays, int views, bool training) {
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
  return bytes_from(size[0] * size[1] * size[2], size, rows, 1, rays, views, training);
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
                                         const struct willis_grid *grid, struct willis_error *err) {
  *c = (struct willis_hull_case){0};
  enum willis_status status = willis_hull_set_init(&c->set, stack, grid, err);
  return status ? status : join(c, grid, err);
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

/* ---- coarse first ---- */

/* Up to this edge, which is that of the heads it learned from, the network looks at every voxel of
 * the hull. Beyond, it looks at a grid half as fine first: what has a probability below LEAST_HOPE
 * there, and no neighbour with more, is empty, and of the others' logits the finer grid's own
 * are OWN_PART and the half grid's the rest. Chosen on held-out heads (doc/beyond.md). */
enum { DIRECT_EDGE = 128, MOST_LEVELS = 8, LIKELY_CROWD = 3 };
static const double least_hope = 0.2;
static const float empty_logit = -12;
static const float own_part[] = {[WILLIS_PROJECTION_MAX] = 0.65f, [WILLIS_PROJECTION_SUM] = 0.8f};

/* What the grid half as fine said, which counts for so much; `logit` is null before there is one.
 */
struct said {
  struct willis_grid grid;
  float part, *logit;
};

/* A voxel of the half grid is the middle of 2³ voxels. */
static struct willis_grid half_grid(const struct willis_grid *grid) {
  struct willis_grid half = *grid;
  for (int a = 0; a < 3; a++) {
    half.size[a] = (grid->size[a] + 1) / 2;
    half.spacing_mm[a] = 2 * grid->spacing_mm[a];
  }
  willis_grid_to_world(grid, (double[]){0.5, 0.5, 0.5}, half.origin_mm);
  return half;
}

static bool is_large(const struct willis_grid *grid) {
  return grid->size[0] > DIRECT_EDGE || grid->size[1] > DIRECT_EDGE || grid->size[2] > DIRECT_EDGE;
}

/* How many rows a grid may come to: two views leave about 4 voxels in 128 of 128³, and of finer
 * grids, after a coarser look, 3 in as many as an edge has. */
static ptrdiff_t likely_rows(const struct willis_grid *grid, bool refined) {
  ptrdiff_t edge = 1;
  for (int a = 0; a < 3; a++)
    if (grid->size[a] > edge) edge = grid->size[a];
  const double share = (refined ? 3.2 : 5) / (double)edge;
  return (ptrdiff_t)(fmin(share, 1) * (double)willis_grid_count(grid));
}

size_t willis_hull_reconstruct_bytes(const struct willis_projections *stack,
                                     const struct willis_grid *grid) {
  struct willis_grid level = *grid, half;
  const int views = (int)stack->view_count;
  size_t most = 0, bytes;
  for (int l = 0; l + 1 < MOST_LEVELS && is_large(&level); l++, level = half) {
    half = half_grid(&level);
    bytes = bytes_from(0, level.size, likely_rows(&level, true), LIKELY_CROWD,
                       willis_hull_set_rays(stack, &level), views, false) +
            (size_t)willis_grid_count(&half) * (1 + sizeof(float));
    if (bytes > most) most = bytes;
  }
  bytes = bytes_from(willis_grid_count(&level), level.size, likely_rows(&level, false),
                     LIKELY_CROWD, willis_hull_set_rays(stack, &level), views, false);
  return bytes > most ? bytes : most;
}

static void mark_around(const ptrdiff_t n[3], ptrdiff_t voxel, uint8_t *within) {
  const ptrdiff_t x = voxel % n[0], y = voxel / n[0] % n[1], z = voxel / n[0] / n[1];
  for (ptrdiff_t k = z > 0 ? z - 1 : 0; k <= z + 1 && k < n[2]; k++)
    for (ptrdiff_t j = y > 0 ? y - 1 : 0; j <= y + 1 && j < n[1]; j++)
      for (ptrdiff_t i = x > 0 ? x - 1 : 0; i <= x + 1 && i < n[0]; i++)
        within[(k * n[1] + j) * n[0] + i] = 1;
}

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

/* logit[set.rows] of every row; freed by willis_release(). */
static enum willis_status decide(const struct willis_hull_case *c,
                                 const struct willis_network *network,
                                 const struct willis_grid *grid, const struct said *said,
                                 float **logit, struct willis_error *err) {
  *logit = willis_take(c->set.rows, sizeof **logit);
  if (!*logit) return willis_fail_memory(err, "logits", c->set.rows, sizeof **logit);
  if (!c->set.rows) return WILLIS_OK;
  enum willis_status status = willis_hull_infer(network, &c->input, *logit, err);
#pragma omp parallel for schedule(static)
  for (ptrdiff_t i = 0; i < (status || !said->logit ? 0 : c->set.rows); i++) {
    double place[3];
    willis_place_of(grid, c->set.voxel[i], place);
    (*logit)[i] += said->part * (said_at(said, place) - (*logit)[i]);
  }
  return status;
}

/* From a case on a half grid, which it releases, to one on `grid`, and to what the half grid says.
 */
static enum willis_status refine(struct willis_hull_case *c, const struct willis_network *network,
                                 const struct willis_projections *stack,
                                 const struct willis_grid *half, const struct willis_grid *grid,
                                 struct said *said, struct willis_error *err) {
  float *logit;
  const ptrdiff_t count = willis_grid_count(half);
  const double unit = c->set.unit / (stack->mode == WILLIS_PROJECTION_SUM ? 2 : 1);
  enum willis_status status = decide(c, network, half, said, &logit, err);
  uint8_t *within = willis_take_zeroed(count, 1);
  willis_release(said->logit);
  *said = (struct said){*half, 1 - own_part[stack->mode], willis_take(count, sizeof(float))};
  if (!status && (!within || !said->logit))
    status = willis_fail_memory(err, "a half grid", count, 1 + sizeof(float));
  for (ptrdiff_t i = 0; i < count && !status; i++) said->logit[i] = empty_logit;
  for (ptrdiff_t i = 0; i < c->set.rows && !status; i++) {
    said->logit[c->set.voxel[i]] = logit[i];
    if (1 / (1 + exp(-(double)logit[i])) >= least_hope)
      mark_around(half->size, c->set.voxel[i], within);
  }
  willis_release(logit);
  willis_hull_case_release(c);
  *c = (struct willis_hull_case){0};
  if (!status) status = willis_hull_set_refine(&c->set, stack, grid, within, unit, err);
  willis_release(within);
  return status ? status : join(c, grid, err);
}

static enum willis_status
reconstruct_upright(const struct willis_projections *stack, const struct willis_network *network,
                    const struct willis_grid *grid, const struct willis_plane_sink *sink,
                    const struct willis_plane_sink *ambiguity, struct willis_error *err) {
  struct willis_calibration calibration;
  struct willis_hull_case c;
  struct willis_grid level[MOST_LEVELS] = {*grid};
  struct said said = {.logit = NULL};
  float *value = NULL, *doubt = NULL;
  int l = 0;
  for (; l + 1 < MOST_LEVELS && is_large(&level[l]); l++) level[l + 1] = half_grid(&level[l]);
  enum willis_status status = willis_calibration_of(network, &calibration, err);
  if (!status) status = willis_hull_case_init(&c, stack, &level[l], err);
  if (status) return status;
  const double temperature =
      willis_calibration_at(&calibration, stack->mode, stack->view_count, 0.5).temperature;
  for (; l > 0 && !status; l--)
    status = refine(&c, network, stack, &level[l], &level[l - 1], &said, err);
  if (!status) status = decide(&c, network, grid, &said, &value, err);
  for (ptrdiff_t i = 0; i < c.set.rows && !status; i++)
    value[i] = willis_hull_probability(value[i], temperature);
  if (!status) status = write_planes(&c.set, value, grid, sink, err);
  if (ambiguity && !status && !(doubt = willis_take(c.set.rows, sizeof *doubt)))
    status = willis_fail_memory(err, "ambiguities", c.set.rows, sizeof *doubt);
  if (ambiguity && !status) status = willis_hull_ambiguity(&c.set, stack, grid, value, doubt, err);
  if (ambiguity && !status) status = write_planes(&c.set, doubt, grid, ambiguity, err);
  willis_release(said.logit);
  willis_release(doubt);
  willis_release(value);
  willis_hull_case_release(&c);
  return status;
}

enum willis_status willis_hull_reconstruct(const struct willis_projections *stack,
                                           const struct willis_network *network,
                                           const struct willis_grid *grid,
                                           const struct willis_plane_sink *sink,
                                           const struct willis_plane_sink *ambiguity,
                                           struct willis_error *err) {
  if (!willis_hull_pose_is_turned(stack, grid))
    return reconstruct_upright(stack, network, grid, sink, ambiguity, err);
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
                                 ambiguity ? &to[1] : NULL, err);
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
  return willis_hull_reconstruct(stack, network, &probability->grid, &sink, NULL, err);
}
