/* What a network is fed with, plane by plane: a stack's back-projection, normalised over the whole
 * grid (M5), that never exists whole. The same bits as willis_network_input(). */
#ifndef WILLIS_RECON_FEED_H
#define WILLIS_RECON_FEED_H

#include <willis/geometry.h>
#include <willis/progress.h>

/* Slices that back-projection works on however few are wanted. */
enum { WILLIS_FEED_SLICES = 32 };

struct willis_feed {
  const struct willis_projections *stack;
  const ptrdiff_t *view; /* numbers of some views; null: all */
  ptrdiff_t view_count;
  const struct willis_grid *grid;
  const struct willis_progress *progress;
  float low, high; /* of the whole back-projection */
};

/* A pass of its own, `height` slices at a time, that finds low and high. */
WILLIS_CHECKED enum willis_status willis_feed_range(struct willis_feed *feed, ptrdiff_t height,
                                                    struct willis_error *err);
/* A willis_plane_source's read(), with the feed as context. */
WILLIS_CHECKED enum willis_status willis_feed_read(ptrdiff_t begin, ptrdiff_t end, float *planes,
                                                   void *feed, struct willis_error *err);
/* A willis_plane_sink's write(), with a volume of the same grid as context. */
WILLIS_CHECKED enum willis_status willis_keep_planes(ptrdiff_t begin, ptrdiff_t end,
                                                     const float *planes, void *volume,
                                                     struct willis_error *err);
/* CANCELLED when progress says so. */
enum willis_status willis_feed_report(const struct willis_feed *feed, const char *what,
                                      ptrdiff_t slice, struct willis_error *err);

#endif
