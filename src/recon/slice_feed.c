/* Conditions of slices, back-projected on demand. */
#include "recon/slice_feed.h"

#include "base/error.h"
#include "base/memory.h"

enum { VIEWS = WILLIS_SLICE_CONDITIONS };

ptrdiff_t willis_slice_feed_edge(const struct willis_grid *grid) {
  const ptrdiff_t m = willis_slice_generator.multiple;
  const ptrdiff_t n = grid->size[0] > grid->size[1] ? grid->size[0] : grid->size[1];
  return (n + m - 1) / m * m;
}

enum willis_status willis_slice_feed_init(struct willis_slice_feed *feed,
                                          const struct willis_projections *stack,
                                          const struct willis_grid *grid,
                                          const struct willis_progress *progress,
                                          struct willis_error *err) {
  *feed = (struct willis_slice_feed){.edge = willis_slice_feed_edge(grid)};
  if (stack->view_count != VIEWS)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT,
                       "slices are drawn from %d views, the stack has %td", VIEWS,
                       stack->view_count);
  const ptrdiff_t values = grid->size[0] * grid->size[1] * WILLIS_FEED_SLICES;
  feed->planes = willis_take(values, sizeof *feed->planes);
  if (!feed->planes) return willis_fail_memory(err, "slices", values, sizeof *feed->planes);
  enum willis_status status = WILLIS_OK;
  for (int v = 0; v < VIEWS && !status; v++) {
    feed->number[v] = v;
    feed->view[v] = (struct willis_feed){.stack = stack,
                                         .view = &feed->number[v],
                                         .view_count = 1,
                                         .grid = grid,
                                         .progress = v ? NULL : progress};
    status = willis_feed_range(&feed->view[v], WILLIS_FEED_SLICES, err);
  }
  if (status) willis_slice_feed_release(feed);
  return status;
}

void willis_slice_feed_release(struct willis_slice_feed *feed) {
  willis_release(feed->planes);
  *feed = (struct willis_slice_feed){0};
}

/* One view's plane into its channel; true when any of it is above the lowest value. */
static bool show(const float *plane, const struct willis_grid *grid, ptrdiff_t edge,
                 float *condition) {
  bool lit = false;
  for (ptrdiff_t y = 0; y < grid->size[1]; y++)
    for (ptrdiff_t x = 0; x < grid->size[0]; x++) {
      const float value = plane[y * grid->size[0] + x];
      condition[(y * edge + x) * VIEWS] = 2 * value - 1;
      lit |= value > 0;
    }
  return lit;
}

enum willis_status willis_slice_feed_read(struct willis_slice_feed *feed, ptrdiff_t begin,
                                          ptrdiff_t end, float *condition, bool *lit,
                                          struct willis_error *err) {
  const struct willis_grid *grid = feed->view[0].grid;
  const ptrdiff_t plane = grid->size[0] * grid->size[1], slice = feed->edge * feed->edge * VIEWS;
  enum willis_status status = WILLIS_OK;
  for (ptrdiff_t i = 0; i < (end - begin) * slice; i++) condition[i] = -1;
  for (ptrdiff_t z = begin; z < end; z++) lit[z - begin] = true;
  for (int v = 0; v < VIEWS && !status; v++) {
    status = willis_feed_read(begin, end, feed->planes, &feed->view[v], err);
    for (ptrdiff_t z = begin; z < end && !status; z++) {
      const ptrdiff_t i = z - begin;
      lit[i] &= show(feed->planes + i * plane, grid, feed->edge, condition + i * slice + v);
    }
  }
  return status;
}
