/* What the generator of slices is shown: for slices of a grid, each view's back-projection by
 * itself. */
#ifndef WILLIS_RECON_SLICE_FEED_H
#define WILLIS_RECON_SLICE_FEED_H

#include "nn/slice_gan.h"
#include "recon/feed.h"

struct willis_slice_feed {
  struct willis_feed view[WILLIS_SLICE_CONDITIONS];
  ptrdiff_t number[WILLIS_SLICE_CONDITIONS]; /* of the view in the stack */
  ptrdiff_t edge;                            /* of a slice, padded */
  float *planes;                             /* one view's, WILLIS_FEED_SLICES of them */
};

/* Of the padded squares that slices of the grid are drawn as. */
ptrdiff_t willis_slice_feed_edge(const struct willis_grid *grid);
/* Finds each view's range. INVALID_ARGUMENT unless the stack has two views. The stack, the grid and
 * the feed must stay where they are; the caller releases it. */
WILLIS_CHECKED enum willis_status willis_slice_feed_init(struct willis_slice_feed *feed,
                                                         const struct willis_projections *stack,
                                                         const struct willis_grid *grid,
                                                         const struct willis_progress *progress,
                                                         struct willis_error *err);
void willis_slice_feed_release(struct willis_slice_feed *feed);
/* Slices [begin, end), at most WILLIS_FEED_SLICES: condition [end − begin][edge][edge][2] in
 * [−1, 1], and whether every view shows anything there. */
WILLIS_CHECKED enum willis_status willis_slice_feed_read(struct willis_slice_feed *feed,
                                                         ptrdiff_t begin, ptrdiff_t end,
                                                         float *condition, bool *lit,
                                                         struct willis_error *err);

#endif
