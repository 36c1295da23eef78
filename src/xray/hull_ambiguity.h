/* What else could be what the views show of a hull's voxel (doc/beyond.md, H9).
 *
 * On a ray of view v, each voxel j counts with its weight w_j there times q_j: its probability p_j;
 * for maxima only if its least pixel reaches what v shows of it within a tenth, else 0. N is the
 * sum over what is near voxel i along the ray: within 3 voxels, or of the same vessel, that is,
 * between the ends of a run of voxels with p ≥ 1/2, i among them, without a gap of more than 2. F
 * is the sum over the rest.
 *
 *   u_v(i) = Σ_r w_ir F_r / Σ_r w_ir (N_r + F_r), 1 where nothing counts
 *   ambiguity_i = least u_v(i) over the views that see i; 1 when none does */
#ifndef WILLIS_XRAY_HULL_AMBIGUITY_H
#define WILLIS_XRAY_HULL_AMBIGUITY_H

#include "xray/hull_set.h"

/* probability[rows] → ambiguity[rows], each in [0,1]. `stack` and `grid` are those of the set. The
 * same bits for any number of threads. OUT_OF_MEMORY. */
WILLIS_CHECKED enum willis_status willis_hull_ambiguity(const struct willis_hull_set *set,
                                                        const struct willis_projections *stack,
                                                        const struct willis_grid *grid,
                                                        const float *probability, float *ambiguity,
                                                        struct willis_error *err);

#endif
