/* Back-projected planes on demand. */
#include "recon/feed.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/progress.h"

#include <willis/projector.h>

#include <math.h>
#include <string.h>

enum willis_status willis_feed_report(const struct willis_feed *feed, const char *what,
                                      ptrdiff_t slice, struct willis_error *err) {
  ptrdiff_t depth = feed->grid->size[2];
  if (willis_progress_report(feed->progress, what, (double)slice, (double)depth, "slices"))
    return WILLIS_OK;
  return willis_fail(err, WILLIS_CANCELLED, "stopped while %s", what);
}

enum willis_status willis_feed_range(struct willis_feed *feed, ptrdiff_t height,
                                     struct willis_error *err) {
  struct willis_volume slab = {.grid = *feed->grid};
  const ptrdiff_t depth = feed->grid->size[2], plane = feed->grid->size[0] * feed->grid->size[1];
  if (height > depth) height = depth;
  slab.voxels = willis_take(plane * height, sizeof *slab.voxels);
  if (!slab.voxels)
    return willis_fail_memory(err, "slices of the back-projection", plane * height, sizeof(float));
  enum willis_status status = WILLIS_OK;
  feed->low = INFINITY;
  feed->high = -INFINITY;
  for (ptrdiff_t z = 0; z < depth && !status; z += height) {
    float low, high;
    ptrdiff_t end = z + height < depth ? z + height : depth;
    status = willis_feed_report(feed, "back-projecting", z, err);
    if (!status)
      status = willis_backproject_slab(feed->stack, feed->view, feed->view_count, feed->grid, z,
                                       end, slab.voxels, err);
    if (status) break;
    slab.grid.size[2] = end - z;
    willis_volume_range(&slab, &low, &high);
    feed->low = fminf(feed->low, low);
    feed->high = fmaxf(feed->high, high);
  }
  willis_release(slab.voxels);
  return status;
}

enum willis_status willis_feed_read(ptrdiff_t begin, ptrdiff_t end, float *planes, void *context,
                                    struct willis_error *err) {
  const struct willis_feed *feed = context;
  enum willis_status status = willis_feed_report(feed, "reconstructing", begin, err);
  if (!status)
    status = willis_backproject_slab(feed->stack, feed->view, feed->view_count, feed->grid, begin,
                                     end, planes, err);
  if (!status)
    willis_values_normalize((end - begin) * feed->grid->size[0] * feed->grid->size[1], planes,
                            feed->low, feed->high);
  return status;
}

enum willis_status willis_keep_planes(ptrdiff_t begin, ptrdiff_t end, const float *planes,
                                      void *context, struct willis_error *err) {
  (void)err;
  const struct willis_volume *volume = context;
  ptrdiff_t plane = volume->grid.size[0] * volume->grid.size[1];
  memcpy(volume->voxels + begin * plane, planes, (size_t)((end - begin) * plane) * sizeof *planes);
  return WILLIS_OK;
}
