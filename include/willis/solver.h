/* Classical reconstruction: a volume from line integrals, without learning.
 *
 * Every method but FDK models a ray as rays of cone beams are modelled (projector.h), parallel
 * beams too, and leaves out voxels that cannot be anything but 0: where the images around a voxel's
 * shadow are 0 in some view. doc/solvers.md says which method to take. */
#ifndef WILLIS_SOLVER_H
#define WILLIS_SOLVER_H

#include <willis/geometry.h>
#include <willis/progress.h>

WILLIS_BEGIN

/* X(name, word, passes, updates, views, lambda): the defaults. Every update takes so many views (0:
 * all of them); there are so many passes over the views, and more if that makes too few updates. */
#define WILLIS_SOLVER_LIST(X)                                                                      \
  X(FDK, fdk, 1, 1, 0, 0)                                                                          \
  X(SART, sart, 20, 0, 1, 1)                                                                       \
  X(SIRT, sirt, 100, 0, 0, 1)                                                                      \
  X(CGLS, cgls, 30, 0, 0, 0)                                                                       \
  X(TV, tv, 20, 200, 5, 1e-3)

enum willis_solver_method {
#define WILLIS_SOLVER_ENUM(name, word, passes, updates, views, lambda) WILLIS_SOLVER_##name,
  WILLIS_SOLVER_LIST(WILLIS_SOLVER_ENUM)
#undef WILLIS_SOLVER_ENUM
};

struct willis_solver_options {
  enum willis_solver_method method;
  int iterations; /* passes over all views */
  int subsets;    /* updates in a pass; 1 … views; SART, SIRT and TV only. TV gains speed from
                   * subsets, but with less than about five views each it may not settle. */
  /* SART, SIRT: how much of each update is taken, above 0, below 2. TV: weight of the total
   * variation against the data, as a part of the mean value along the rays; 0 for none. */
  double lambda;
  bool nonnegative; /* FDK, CGLS: at the end; the others: always */
};
WILLIS_API struct willis_solver_options willis_solver_defaults(enum willis_solver_method method,
                                                               ptrdiff_t view_count);

/* What was done: residual is ‖A·x − b‖/‖b‖ with every ray weighted by 1/its length in the voxels
 * that may differ from 0 (`unknowns`); NaN for FDK. */
struct willis_solver_report {
  ptrdiff_t unknowns;
  int iterations;
  double residual;
};

/* Reconstructs into volume->voxels on volume->grid (created by the caller). UNSUPPORTED: maximum
 * projections (FDK: also views that do not turn about z), too large; GEOMETRY: a source inside the
 * volume; INVALID_ARGUMENT, NUMERIC (pixels
 * that are not finite), OUT_OF_MEMORY, CANCELLED. On failure the voxels are undefined. `report` may
 * be null. Memory beside volume and stack: three copies of the stack and, for every voxel that may
 * differ from 0, 20 to 45 bytes. */
WILLIS_API WILLIS_CHECKED enum willis_status
willis_solve(const struct willis_projections *stack, const struct willis_solver_options *options,
             const struct willis_progress *progress, struct willis_volume *volume,
             struct willis_solver_report *report, struct willis_error *err);

WILLIS_END

#endif
