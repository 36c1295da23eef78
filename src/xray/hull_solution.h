/* Line integrals explained on a hull's voxels: the classical solution that the hull network starts
 * from. */
#ifndef WILLIS_XRAY_HULL_SOLUTION_H
#define WILLIS_XRAY_HULL_SOLUTION_H

#include "xray/hull_set.h"

#define WILLIS_HULL_SOLUTION_LAMBDA 0.005f

/* value[rows] in units, ≥ 0: minimises ½ Σ_r (Σ_i w_ri·x_i − p_r)²/Σ_i w_ri + λ·TV(x) over the rays
 * r of all views, w the linear weights of hull_set's places, p the pixel in the middle of a ray;
 * rays whose middle is not shown are left out. TV(x) is the sum of the lengths of
 * the list's forward differences; what is not in the list is 0 for them. From a set whose places
 * are known. OUT_OF_MEMORY. */
WILLIS_CHECKED enum willis_status willis_hull_solution(const struct willis_hull_set *set,
                                                       const struct willis_projections *stack,
                                                       const struct willis_grid *grid, float *value,
                                                       struct willis_error *err);

/* What it takes beside the set and the values. */
size_t willis_hull_solution_bytes(ptrdiff_t rows, ptrdiff_t rays, int views);

/* sum[rays] = Σ_i w_ri·x_i of one view; x null: all 1. */
void willis_hull_rays_sum(const struct willis_hull_set *set, int view, const float *x, float *sum);
/* Σ_r w_ri·value_r of one voxel over the rays of all views, value[views][rays]: its adjoint. */
float willis_hull_rays_gather(const struct willis_hull_set *set, const float *value, ptrdiff_t i);
/* next, last[rows][3]: the rows of the voxels one on and one back along every axis; −1 for what is
 * not in the list. */
void willis_hull_neighbours_find(const struct willis_hull_set *set, const struct willis_grid *grid,
                                 int32_t *next, int32_t *last);

#endif
