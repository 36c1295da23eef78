/* Inference with the denoising autoencoder from a stream of planes to a stream of planes.
 *
 * Every level of the network is a window on its planes along z that moves from the bottom to the
 * top. Whoever needs planes of a level makes them of the level below, a step at a time, and what
 * is below the window is forgotten: nothing is computed twice, and no activation exists whole. The
 * decoder takes one plane of the last level at a time, which is eight planes of the volume. */
#include "nn/dae.h"

#include "base/memory.h"
#include "nn/decoder.h"
#include "nn/encoder_block.h"
#include "nn/window.h"

enum {
  ENCODERS = WILLIS_DAE_ENCODERS,
  LEVELS = ENCODERS + 1, /* level 0 is the input, level e + 1 what encoder e puts out */
  SCALE = 1 << ENCODERS, /* planes of the volume for one of the last level */
  /* Enough 4×4×4 tiles of a convolution in a step to keep some threads busy. */
  TILES = 512,
  TILE_PLANE = 4 * 4
};

struct dae_slabs {
  struct willis_encoder_block encoder[ENCODERS];
  struct willis_decoder decoder;
  struct willis_window window[LEVELS];
  float *logit; /* SCALE planes */
};

size_t willis_dae_slabs_bytes(void) {
  return sizeof(struct dae_slabs);
}

static ptrdiff_t least(ptrdiff_t a, ptrdiff_t b) {
  return a < b ? a : b;
}

/* Planes that encoder e puts out at a time. The first works row by row; the others on tiles, whole
 * layers of which are two planes after pooling. */
static ptrdiff_t step_of(int e, struct willis_extent in) {
  if (e == 0) return 1;
  ptrdiff_t tiles = (in.height * in.width + TILE_PLANE - 1) / TILE_PLANE;
  return least(2 * ((TILES + tiles - 1) / tiles), (in.depth + 3) / 4 * 2);
}

void willis_dae_plan_slabs(void *plan, struct willis_extent extent, ptrdiff_t height,
                           struct willis_arena *arena) {
  struct dae_slabs *run = plan;
  const struct willis_layer *layer = willis_dae.layer;
  *run = (struct dae_slabs){0};
  for (int l = 0; l < LEVELS; l++) {
    struct willis_window *w = &run->window[l];
    *w = (struct willis_window){.extent = extent, .step = least(height, extent.depth)};
    if (l > 0) {
      struct willis_conv3d_shape shape = {run->window[l - 1].extent, layer[l - 1].inputs,
                                          layer[l - 1].outputs};
      w->step = step_of(l - 1, shape.extent);
      willis_encoder_block_plan_slabs(&run->encoder[l - 1], &shape, w->step, arena);
    }
    w->plane = extent.height * extent.width * layer[l].inputs;
    extent = willis_extent_half(extent);
  }
  for (int l = 0; l < LEVELS; l++) {
    struct willis_window *w = &run->window[l];
    /* What a step above reads, and what the last step made beyond it. */
    ptrdiff_t read = l < ENCODERS ? 2 * run->window[l + 1].step + 2 : 1;
    w->room = least(w->extent.depth, read + w->step - 1);
    w->data = willis_arena_take(arena, w->room * w->plane, sizeof *w->data);
  }
  int width[WILLIS_DECODER_BLOCKS];
  for (int b = 0; b < WILLIS_DECODER_BLOCKS; b++) width[b] = layer[ENCODERS + b].inputs;
  struct willis_extent plane = run->window[ENCODERS].extent;
  plane.depth = 1;
  willis_decoder_plan(&run->decoder, plane, width, false, arena);
  willis_decoder_plan_scratch(&run->decoder, arena);
  run->logit = willis_arena_take(arena, SCALE * run->window[0].plane, sizeof *run->logit);
}

/* What a call carries along. */
struct stream {
  struct dae_slabs *run;
  const struct willis_block_parameters *p;
  const struct willis_slab_feed *feed;
  struct willis_error *err;
};

/* Has planes [begin, end) of level l in its window; begin and end never go back. */
static enum willis_status need(const struct stream *s, int l, ptrdiff_t begin, ptrdiff_t end) {
  struct willis_window *w = &s->run->window[l];
  while (w->end < end) {
    ptrdiff_t next = least(w->end + w->step, w->extent.depth);
    float *to = willis_window_advance(w, begin, next);
    enum willis_status status;
    if (l == 0)
      status = s->feed->read(w->end, next, to, s->feed->context, s->err);
    else {
      struct willis_window *below = &s->run->window[l - 1];
      ptrdiff_t from = w->end > 0 ? 2 * w->end - 1 : 0;
      status = need(s, l - 1, from, least(2 * next + 1, below->extent.depth));
      if (!status)
        willis_encoder_block_slab(&s->run->encoder[l - 1], &s->p[l - 1],
                                  willis_window_planes(below), w->end, next, to);
    }
    if (status) return status;
    w->end = next;
  }
  return WILLIS_OK;
}

enum willis_status willis_dae_infer_slabs(void *plan, const struct willis_block_parameters *p,
                                          const struct willis_slab_feed *feed,
                                          struct willis_error *err) {
  struct dae_slabs *run = plan;
  struct stream s = {run, p, feed, err};
  const struct willis_window *last = &run->window[ENCODERS];
  for (int e = 0; e < ENCODERS; e++) willis_encoder_block_start_slabs(&run->encoder[e], &p[e]);
  for (ptrdiff_t k = 0; k < last->extent.depth; k++) {
    enum willis_status status = need(&s, ENCODERS, k, k + 1);
    if (status) return status;
    willis_decoder_forward(&run->decoder, p + ENCODERS,
                           last->data + (k - last->first) * last->plane, run->logit);
    status = feed->write(SCALE * k, SCALE * (k + 1), run->logit, feed->context, err);
    if (status) return status;
  }
  return WILLIS_OK;
}
