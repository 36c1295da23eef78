/* Line integrals explained on a hull's voxels: the classical solution that the hull network starts
 * from. */
#ifndef WILLIS_XRAY_HULL_SOLUTION_H
#define WILLIS_XRAY_HULL_SOLUTION_H

#include "xray/hull_set.h"

/* value[rows] in units, ≥ 0: minimises ½ Σ_r (Σ_i w_ri·x_i − p_r)²/Σ_i w_ri + λ·TV(x) over the rays
 * r of all views, w the linear weights of hull_set's places, p the pixel in the middle of a ray;
 * rays whose middle is not shown are left out. From a set whose places are known. OUT_OF_MEMORY. */
WILLIS_CHECKED enum willis_status willis_hull_solution(const struct willis_hull_set *set,
                                                       const struct willis_projections *stack,
                                                       const struct willis_grid *grid, float *value,
                                                       struct willis_error *err);

#endif
