/* A trained generator draws a head: slabs of conditions, batches of the slices worth drawing. */
#include "recon/slice_train.h"

#include "base/error.h"
#include "base/memory.h"
#include "nn/slice_gan_trainer.h"
#include "recon/slice_feed.h"

#include <willis/projector.h>

#include <math.h>
#include <string.h>

/* Slices that are drawn at a time: memory for them, and no difference to the result. */
enum { BATCH = WILLIS_SLICES_A_STEP, CONDITIONS = WILLIS_SLICE_CONDITIONS };

struct drawing {
  const struct willis_network *network;
  const struct willis_grid *grid;
  struct willis_slice_feed feed;
  float *condition; /* [WILLIS_FEED_SLICES][edge][edge][2] */
  float *batch;     /* [BATCH][edge][edge][2] */
  float *drawn;     /* [BATCH][edge][edge] */
  float *planes;    /* [WILLIS_FEED_SLICES], of the grid */
};

static enum willis_status set_up(struct drawing *d, const struct willis_projections *stack,
                                 const struct willis_progress *progress, struct willis_error *err) {
  enum willis_status status = willis_slice_feed_init(&d->feed, stack, d->grid, progress, err);
  if (status) return status;
  const ptrdiff_t pixels = d->feed.edge * d->feed.edge;
  d->condition = willis_take(WILLIS_FEED_SLICES * pixels * CONDITIONS, sizeof(float));
  d->batch = willis_take(BATCH * pixels * CONDITIONS, sizeof(float));
  d->drawn = willis_take(BATCH * pixels, sizeof(float));
  d->planes = willis_take(WILLIS_FEED_SLICES * d->grid->size[0] * d->grid->size[1], sizeof(float));
  if (d->condition && d->batch && d->drawn && d->planes) return WILLIS_OK;
  return willis_fail_memory(err, "slices", WILLIS_FEED_SLICES * pixels,
                            (CONDITIONS + 1) * sizeof(float));
}

static void tear_down(struct drawing *d) {
  willis_release(d->condition);
  willis_release(d->batch);
  willis_release(d->drawn);
  willis_release(d->planes);
  willis_slice_feed_release(&d->feed);
}

/* What was drawn of one slice, cropped, as a probability. */
static bool put(const struct drawing *d, const float *drawn, float *plane) {
  const ptrdiff_t width = d->grid->size[0];
  bool finite = true;
  for (ptrdiff_t y = 0; y < d->grid->size[1]; y++)
    for (ptrdiff_t x = 0; x < width; x++) {
      const float value = drawn[y * d->feed.edge + x];
      finite &= isfinite(value) != 0;
      plane[y * width + x] = 0.5f * (value + 1);
    }
  return finite;
}

/* Draws slices slice[0 … count) of the slab. */
static enum willis_status draw(struct drawing *d, ptrdiff_t first, const ptrdiff_t *slice,
                               ptrdiff_t count, struct willis_error *err) {
  const ptrdiff_t pixels = d->feed.edge * d->feed.edge;
  const ptrdiff_t plane = d->grid->size[0] * d->grid->size[1];
  for (ptrdiff_t i = 0; i < count; i++)
    memcpy(d->batch + i * pixels * CONDITIONS, d->condition + slice[i] * pixels * CONDITIONS,
           (size_t)(pixels * CONDITIONS) * sizeof *d->batch);
  enum willis_status status =
      willis_slice_generator_draw(d->network, count, d->feed.edge, d->batch, d->drawn, err);
  for (ptrdiff_t i = 0; i < count && !status; i++)
    if (!put(d, d->drawn + i * pixels, d->planes + slice[i] * plane))
      status = willis_fail(err, WILLIS_NUMERIC, "network %s: slice %td came out as NaN or infinity",
                           willis_network_metadata(d->network, "network"), first + slice[i]);
  return status;
}

static enum willis_status draw_slab(struct drawing *d, ptrdiff_t begin, ptrdiff_t end,
                                    struct willis_error *err) {
  bool lit[WILLIS_FEED_SLICES];
  ptrdiff_t slice[BATCH], waiting = 0;
  enum willis_status status = willis_slice_feed_read(&d->feed, begin, end, d->condition, lit, err);
  memset(d->planes, 0,
         (size_t)((end - begin) * d->grid->size[0] * d->grid->size[1]) * sizeof *d->planes);
  for (ptrdiff_t i = 0; i < end - begin && !status; i++) {
    if (lit[i]) slice[waiting++] = i;
    if (waiting < BATCH && (i + 1 < end - begin || !waiting)) continue;
    status = draw(d, begin, slice, waiting, err);
    waiting = 0;
  }
  return status;
}

enum willis_status willis_slice_reconstruct(const struct willis_projections *stack,
                                            const struct willis_network *network,
                                            const struct willis_grid *grid,
                                            const struct willis_progress *progress,
                                            const struct willis_plane_sink *sink,
                                            struct willis_error *err) {
  struct drawing d = {.network = network, .grid = grid};
  const ptrdiff_t depth = grid->size[2];
  enum willis_status status = set_up(&d, stack, progress, err);
  for (ptrdiff_t z = 0; z < depth && !status; z += WILLIS_FEED_SLICES) {
    const ptrdiff_t end = z + WILLIS_FEED_SLICES < depth ? z + WILLIS_FEED_SLICES : depth;
    status = draw_slab(&d, z, end, err);
    if (!status) status = sink->write(z, end, d.planes, sink->context, err);
  }
  tear_down(&d);
  return status;
}

enum willis_status willis_slice_reconstruct_bytes(const struct willis_projections *stack,
                                                  const struct willis_network *network,
                                                  const struct willis_grid *grid, size_t *bytes,
                                                  struct willis_error *err) {
  const ptrdiff_t edge = willis_slice_feed_edge(grid);
  size_t views = 0, drawing = 0;
  enum willis_status status =
      willis_backproject_slab_bytes(stack, grid, WILLIS_FEED_SLICES, &views, err);
  if (!status) status = willis_slice_generator_bytes(network, BATCH, edge, &drawing, err);
  const size_t pixels = (size_t)(edge * edge) * sizeof(float);
  const size_t plane = (size_t)(grid->size[0] * grid->size[1]) * sizeof(float);
  *bytes = views + drawing + (WILLIS_FEED_SLICES + BATCH) * CONDITIONS * pixels + BATCH * pixels +
           2 * WILLIS_FEED_SLICES * plane;
  return status;
}
