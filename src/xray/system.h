/* The linear system A·x = b of a projection stack: only voxels that may differ from 0 are unknowns.
 *
 * Unknowns are octets of voxels (rays.h); vectors over them are [octets·8], lanes that are no
 * unknown hold 0. Octets that only border on an unknown (at the next voxel along x, y or z) are
 * listed too, with no lanes, for differences between neighbours. Vectors over the data are stacks
 * of pixels. Views first, first+subsets, … are subset `first`. */
#ifndef WILLIS_XRAY_SYSTEM_H
#define WILLIS_XRAY_SYSTEM_H

#include <willis/solver.h>

#include "xray/rays.h"

struct willis_system {
  struct willis_rays rays;
  struct willis_octet *octet;
  ptrdiff_t octets, length; /* length = octets·8 */
  ptrdiff_t unknowns, pixels;
  int subsets;
  const float *b; /* 0 where nothing is shown */
  float *marked;  /* [pixels] NaN where nothing is shown: no equations; null for none */
  float *dense;   /* the volume's voxels */
  float *weight;  /* [pixels] 1/row sum, 0 for rays that miss all unknowns */
  float *mass;    /* [length] the largest column sum within a subset; 0 where no ray passes */
  double scale;   /* mean value along the rays, rays weighted by what they carry */
};

/* UNSUPPORTED, GEOMETRY, NUMERIC, OUT_OF_MEMORY. */
WILLIS_CHECKED enum willis_status willis_system_init(struct willis_system *system,
                                                     const struct willis_projections *stack,
                                                     int subsets, struct willis_volume *volume,
                                                     struct willis_error *err);
void willis_system_release(struct willis_system *system);
/* y = A·x for a subset; other views of y stay. */
void willis_system_project(struct willis_system *system, const float *x, int subset, int subsets,
                           float *y);
/* x = Aᵀ·y. */
WILLIS_CHECKED enum willis_status willis_system_adjoint(const struct willis_system *system,
                                                        const float *y, int subset, int subsets,
                                                        float *x, struct willis_error *err);
/* x into the volume. */
void willis_system_store(struct willis_system *system, const float *x);
/* y = W·(A·x − b) over a subset. Returns the sum of (A·x − b)²·W over it. */
double willis_system_residual(struct willis_system *system, const float *x, int subset, int subsets,
                              float *y);
/* Σ b²·W over all views. */
double willis_system_data(const struct willis_system *system);

/* The subset to take in turn `turn` of `subsets`: far from those before it (golden section). */
int willis_system_turn(int turn, int subsets);

/* The methods. `x` [length] is zero at first and the result. */
typedef enum willis_status willis_solver(struct willis_system *system,
                                         const struct willis_solver_options *options,
                                         const struct willis_progress *progress, float *x,
                                         double *residual, struct willis_error *err);
willis_solver willis_solve_sart, willis_solve_cgls, willis_solve_tv;
/* No unknowns: straight into the volume. */
WILLIS_CHECKED enum willis_status willis_solve_fdk(const struct willis_projections *stack,
                                                   bool nonnegative, struct willis_volume *volume,
                                                   struct willis_error *err);
/* a·b in double, in fixed order. */
double willis_dot(const float *a, const float *b, ptrdiff_t count);

#endif
