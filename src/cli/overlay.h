/* A second volume as colour over the maximum projections of a first one. */
#ifndef WILLIS_CLI_OVERLAY_H
#define WILLIS_CLI_OVERLAY_H

#include "cli/options.h"

/* Projects volume·overlay as `stack` shows `volume`; `path` is the overlay's, with values in [0,1]
 * on the same grid. The caller releases `marked`. */
WILLIS_CHECKED enum willis_status overlay_project(const struct call *call, const char *path,
                                                  const struct willis_volume *volume,
                                                  const struct willis_projections *stack,
                                                  struct willis_projections *marked,
                                                  struct willis_error *err);
/* As bright as `pixel`, of [0,1]; white where nothing of it is marked, red where all is. */
WILLIS_CHECKED enum willis_status overlay_picture(struct willis_picture *picture,
                                                  const float *pixel, const float *marked,
                                                  ptrdiff_t columns, ptrdiff_t rows,
                                                  struct willis_error *err);

#endif
