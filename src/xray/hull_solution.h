/* Line integrals explained on a hull's voxels: the classical solution that the hull network starts
 * from. */
#ifndef WILLIS_XRAY_HULL_SOLUTION_H
#define WILLIS_XRAY_HULL_SOLUTION_H

#include "xray/hull_set.h"

static inline float willis_hull_solution_lambda(int views) {
  return 0.02f / (float)views;
}
/* What a voxel that is not believed in costs, as part of λ. */
#define WILLIS_HULL_SOLUTION_COST 1.5f
/* Between 0 for a voxel that is a vessel and 1 for one that is not. */
float willis_hull_solution_doubt(float probability);

/* value[rows] in units, ≥ 0: minimises
 *   ½ Σ_r (Σ_i w_ri·x_i − p_r)²/Σ_i w_ri + λ·TV(x) + COST·λ·Σ_i doubt_i·x_i
 * over the rays r of all views, w the linear weights of hull_set's places, p the pixel in the
 * middle of a ray; rays whose middle is not shown are left out. TV(x) is the sum of the lengths of
 * the list's forward differences; what is not in the list is 0 for them. From a set whose places
 * are known. `probability` [rows] is what is believed already; then `value` comes with where to
 * begin. Null: nothing is, no voxel costs, and it begins from 0. OUT_OF_MEMORY. */
WILLIS_CHECKED enum willis_status willis_hull_solution(const struct willis_hull_set *set,
                                                       const struct willis_projections *stack,
                                                       const struct willis_grid *grid,
                                                       const float *probability, float *value,
                                                       struct willis_error *err);

/* What it takes beside the set and the values. */
size_t willis_hull_solution_bytes(ptrdiff_t rows, ptrdiff_t rays, int views);

/* sum[rays] = Σ_i w_ri·x_i of one view; x null: all 1. */
void willis_hull_rays_sum(const struct willis_hull_set *set, int view, const float *x, float *sum);
/* Every how many views one is looked at, and which of them first: {0, 1} is all. */
struct willis_hull_turn {
  int first, every;
};
/* Whose turn it is in an update: every view's in the course of a few. */
struct willis_hull_turn willis_hull_turn(int views, int update);
/* Σ_r w_ri·value_r of one voxel over the rays of these views, value[views][rays]: the adjoint. */
float willis_hull_rays_gather(const struct willis_hull_set *set, const float *value,
                              struct willis_hull_turn turn, ptrdiff_t i);
/* next, last[rows][3]: the rows of the voxels one on and one back along every axis; −1 for what is
 * not in the list. */
void willis_hull_neighbours_find(const struct willis_hull_set *set, const struct willis_grid *grid,
                                 int32_t *next, int32_t *last);

#endif
