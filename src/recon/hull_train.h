/* How the hull network is taught: every step another pose, other views. What a step shows depends
 * on the seed and the step alone. */
#ifndef WILLIS_RECON_HULL_TRAIN_H
#define WILLIS_RECON_HULL_TRAIN_H

#include "recon/sweep.h"
#include "recon/train_run.h"

/* Parallel views of a volume, the first one at `start_deg`. The caller releases them. */
WILLIS_CHECKED enum willis_status willis_hull_show(const struct willis_sampling *sampling,
                                                   double start_deg,
                                                   const struct willis_volume *volume,
                                                   struct willis_projections *stack,
                                                   struct willis_error *err);

/* The number of views of a step, of view_counts, n of them with a probability proportional to 1/n;
 * `drawn` in [0,1). */
int willis_hull_train_views(const struct willis_train_options *options, double drawn);
/* One step on training patient i of the data set. */
WILLIS_CHECKED enum willis_status willis_hull_train_step(struct willis_run *run, ptrdiff_t i,
                                                         double *loss, struct willis_error *err);
/* Adds validation patient i to the sweep, once for every view count and mode. */
WILLIS_CHECKED enum willis_status willis_hull_train_predict(const struct willis_run *run,
                                                            ptrdiff_t i, struct willis_sweep *sweep,
                                                            struct willis_error *err);

#endif
