/* Training of the denoising autoencoder by passes over planes: in little memory, with the same bits
 * as when everything is stored, for about a third more arithmetic; and with 16 bits a number.
 *
 * Of a step only this exists whole: what is kept of the second and the third block's output, which
 * gives way to the gradient there; and, inside the decoder, the gradient at its first block. All
 * else is a window on planes along z (window.h) that is made again in every pass:
 *
 *   forward   block by block, since a block's statistics are needed before its output: each pass
 *             makes what the block reads, from x or from what is kept below it
 *   decoder   as decoder.h says; its input is read by points from what is kept
 *   backward  the third, then the second block: a slab of the convolution's output is made again,
 *             turned into its gradient, and the planes of the input's gradient that this completes
 *             go on to the block below
 *
 * The largest output, the first block's, is never kept: it is made from x whenever the second block
 * reads it.
 *
 * With 16 bits, what exists whole is stored so, and what passes work on is float as ever. There it
 * is also cheap to store what else is made again: the first block's output, and those of the second
 * and third convolution with the positions of their maxima. */
#include "nn/dae.h"

#include "nn/half.h"
#include "nn/window.h"

enum {
  ENCODERS = WILLIS_DAE_ENCODERS,
  TILES = 512, /* of a convolution in a slab: enough to keep some threads busy */
  TILE = 4,    /* voxels along its edge; also how far the input's gradient is behind */
  X_STEP = 32, /* planes of x read at a time: back-projection makes as many at once */
  POINTS = 8192
};

/* The memory of the passes in one direction over one block. */
struct passes {
  ptrdiff_t step;             /* planes that go through the convolution at a time */
  struct willis_window x;     /* of the first two blocks */
  struct willis_window input; /* what the others read */
  struct willis_window d_raw; /* backward: the gradient of the convolution's output */
  float *d_input;             /* backward: `step` planes of the input's gradient */
  /* With 16 bits: what is kept of a slab's output, and of `step` planes of its input. */
  float *kept, *below;
  float *raw; /* forward: a slab of the convolution's output, to be stored */
  bool backward;
};

struct dae_passes {
  struct willis_encoder_block encoder[ENCODERS];
  struct willis_decoder decoder;
  struct willis_dae_storage storage;
  /* Of the blocks' outputs, none of the first; one of the two. */
  float *kept[ENCODERS];
  uint16_t *kept_half[ENCODERS];
  /* When stored: the convolutions' outputs (none of the first), the first block's, all argmax. */
  uint16_t *raw[ENCODERS], *first_output;
  uint8_t *argmax[ENCODERS];
  struct passes forward[ENCODERS], backward[ENCODERS];
  ptrdiff_t point_planes; /* of the decoder's input gradient at a time */
  float *d_points, *kept_points;
};

static ptrdiff_t least(ptrdiff_t a, ptrdiff_t b) {
  return a < b ? a : b;
}
static ptrdiff_t most(ptrdiff_t a, ptrdiff_t b) {
  return a > b ? a : b;
}

static size_t plan_bytes(void) {
  return sizeof(struct dae_passes);
}

/* ---- memory ---- */

static const struct willis_block_passes *passes_of(const struct dae_passes *run, int e) {
  return run->encoder[e].variant->passes;
}

static struct willis_window window_of(struct willis_extent extent, int channels, ptrdiff_t step,
                                      ptrdiff_t planes, bool bytes, struct willis_arena *arena) {
  struct willis_window w = {.extent = extent,
                            .plane = extent.height * extent.width * channels,
                            .step = least(step, extent.depth),
                            .room = least(planes + step - 1, extent.depth)};
  w.data = willis_arena_take(arena, w.room * w.plane, sizeof *w.data);
  if (bytes) w.bytes = willis_arena_take(arena, w.room * w.plane, 1);
  return w;
}

static bool stores_raw(const struct dae_passes *run, int e) {
  return run->storage.stored && e > 0 && passes_of(run, e)->takes_stored;
}

/* Values of `planes` planes of block e's output, and of its convolution's. */
static ptrdiff_t kept_count(const struct dae_passes *run, int e, ptrdiff_t planes) {
  const struct willis_extent half = willis_extent_half(run->encoder[e].shape.extent);
  return planes * half.height * half.width * run->encoder[e].shape.outputs;
}
static ptrdiff_t raw_count(const struct dae_passes *run, int e, ptrdiff_t planes) {
  const struct willis_conv3d_shape *shape = &run->encoder[e].shape;
  return planes * shape->extent.height * shape->extent.width * shape->outputs;
}

static void plan_whole(struct dae_passes *run, int e, struct willis_arena *arena) {
  const ptrdiff_t depth = run->encoder[e].shape.extent.depth, kept = kept_count(run, e, depth / 2);
  if (e > 0 && run->storage.half)
    run->kept_half[e] = willis_arena_take(arena, kept, sizeof *run->kept_half[e]);
  else if (e > 0)
    run->kept[e] = willis_arena_take(arena, kept, sizeof *run->kept[e]);
  if (e == 0 && run->storage.stored)
    run->first_output = willis_arena_take(arena, kept, sizeof *run->first_output);
  if (stores_raw(run, e))
    run->raw[e] = willis_arena_take(arena, raw_count(run, e, depth), sizeof *run->raw[e]);
  if (stores_raw(run, e) || (e == 0 && run->storage.stored))
    run->argmax[e] = willis_arena_take(arena, kept, sizeof *run->argmax[e]);
}

/* Windows that hold `behind` planes before a slab and `reach` after it. */
static void plan_windows(struct dae_passes *run, int e, ptrdiff_t step, ptrdiff_t behind,
                         struct passes *m, struct willis_arena *arena) {
  const struct willis_conv3d_shape *shape = &run->encoder[e].shape;
  const ptrdiff_t planes = behind + step + passes_of(run, e)->reach;
  *m = (struct passes){.step = step};
  const bool bytes = e == 1 && !run->storage.stored;
  if (e > 0) m->input = window_of(shape->extent, shape->inputs, 1, planes, bytes, arena);
  if (e == 0) m->x = window_of(shape->extent, 1, X_STEP, planes, false, arena);
  if (e == 1)
    m->x = window_of(run->encoder[0].shape.extent, 1, X_STEP, 2 * planes + 2, false, arena);
}

static void plan_forward(struct dae_passes *run, int e, ptrdiff_t step,
                         struct willis_arena *arena) {
  struct passes *m = &run->forward[e];
  plan_windows(run, e, step, passes_of(run, e)->reach, m, arena);
  if (e > 0 && run->storage.half)
    m->kept = willis_arena_take(arena, kept_count(run, e, step / 2), sizeof *m->kept);
  if (stores_raw(run, e))
    m->raw = willis_arena_take(arena, raw_count(run, e, step), sizeof *m->raw);
  passes_of(run, e)->plan_forward(&run->encoder[e], step, arena);
}

static void plan_backward(struct dae_passes *run, int e, ptrdiff_t step,
                          struct willis_arena *arena) {
  const struct willis_conv3d_shape *shape = &run->encoder[e].shape;
  struct passes *m = &run->backward[e];
  plan_windows(run, e, step, e == 1 ? TILE : 1, m, arena);
  m->backward = true;
  if (run->storage.half) {
    m->kept = willis_arena_take(arena, kept_count(run, e, step / 2), sizeof *m->kept);
    if (e > 1) m->below = willis_arena_take(arena, step * m->input.plane, sizeof *m->below);
  }
  m->d_raw = window_of(shape->extent, shape->outputs, step, TILE + 2, false, arena);
  m->d_input = willis_arena_take(arena, step * m->input.plane, sizeof *m->d_input);
  passes_of(run, e)->plan_backward(&run->encoder[e], step, arena);
  if (e == 1) passes_of(run, 0)->plan_backward(&run->encoder[0], 2 * step, arena);
}

/* Planes of at least so many tiles, whole layers of them. */
static ptrdiff_t step_of(struct willis_extent in, ptrdiff_t tiles) {
  ptrdiff_t layer = ((in.height + TILE - 1) / TILE) * ((in.width + TILE - 1) / TILE);
  return least((tiles + layer - 1) / layer, (in.depth + TILE - 1) / TILE) * TILE;
}

void willis_dae_plan_passes(void *plan, struct willis_extent extent, ptrdiff_t tiles,
                            struct willis_dae_storage storage, struct willis_arena *arena) {
  struct dae_passes *run = plan;
  const struct willis_layer *layer = willis_dae.layer;
  ptrdiff_t step[ENCODERS];
  *run = (struct dae_passes){.storage = storage};
  for (int e = 0; e < ENCODERS; e++) {
    struct willis_conv3d_shape shape = {extent, layer[e].inputs, layer[e].outputs};
    extent = willis_extent_half(extent);
    step[e] = step_of(shape.extent, tiles);
    /* What goes through the second block takes twice the planes of the first on the way back. */
    ptrdiff_t planes = e == 0 ? most(step[0], 2 * step_of(extent, tiles)) : step[e];
    willis_encoder_block_plan_passes(&run->encoder[e], &shape, planes, arena);
    plan_whole(run, e, arena);
  }
  int width[WILLIS_DECODER_BLOCKS];
  for (int b = 0; b < WILLIS_DECODER_BLOCKS; b++) width[b] = layer[ENCODERS + b].inputs;
  willis_decoder_plan(&run->decoder, extent, width, WILLIS_DECODER_RECOMPUTE, arena);
  run->decoder.half = storage.half;
  /* One pass works at a time: they share what follows. */
  const size_t mark = arena->used;
  for (int e = 0; e < ENCODERS; e++) {
    plan_forward(run, e, step[e], arena);
    willis_arena_rewind(arena, mark);
  }
  willis_decoder_plan_scratch(&run->decoder, arena);
  const ptrdiff_t plane = extent.height * extent.width;
  run->point_planes = least(extent.depth, (POINTS + plane - 1) / plane);
  run->d_points =
      willis_arena_take(arena, run->point_planes * plane * width[0], sizeof *run->d_points);
  if (storage.half)
    run->kept_points =
        willis_arena_take(arena, run->point_planes * plane * width[0], sizeof *run->kept_points);
  willis_arena_rewind(arena, mark);
  for (int e = ENCODERS - 1; e > 0; e--) {
    plan_backward(run, e, step[e], arena);
    willis_arena_rewind(arena, mark);
  }
}

/* ---- what is kept ---- */

/* Planes [begin, end) of what is kept of block e's output; with 16 bits in `room`, and, unless they
 * are to be overwritten, read. */
static float *open_kept(const struct dae_passes *run, int e, ptrdiff_t begin, ptrdiff_t end,
                        bool read, float *room) {
  const ptrdiff_t at = kept_count(run, e, begin);
  if (!run->storage.half) return run->kept[e] + at;
  if (read) willis_half_unpack_all(kept_count(run, e, end - begin), run->kept_half[e] + at, room);
  return room;
}

static void close_kept(const struct dae_passes *run, int e, ptrdiff_t begin, ptrdiff_t end,
                       const float *room) {
  if (run->storage.half)
    willis_half_pack_all(kept_count(run, e, end - begin), room,
                         run->kept_half[e] + kept_count(run, e, begin));
}

/* `voxels` voxels of block e's output, from voxel `first` on. */
static void output_voxels(const struct dae_passes *run, int e, ptrdiff_t first, ptrdiff_t voxels,
                          float *y) {
  const struct willis_encoder_block *block = &run->encoder[e];
  const ptrdiff_t at = first * block->shape.outputs;
  const float *kept = y;
  if (run->storage.half)
    willis_half_unpack(voxels * block->shape.outputs, run->kept_half[e] + at, y);
  else
    kept = run->kept[e] + at;
  passes_of(run, e)->output(block, voxels, kept, y);
}

/* ---- what blocks read ---- */

/* What a step carries along. */
struct step {
  struct dae_passes *run;
  const struct willis_block_parameters *p, *gradient;
  const struct willis_sample *sample;
  struct willis_error *err;
};

static void rewind_windows(struct passes *m) {
  m->x.first = m->x.end = 0;
  m->input.first = m->input.end = 0;
  m->d_raw.first = m->d_raw.end = 0;
}

static enum willis_status need_x(const struct step *s, struct willis_window *w, ptrdiff_t begin,
                                 ptrdiff_t end) {
  enum willis_status status = WILLIS_OK;
  begin = most(begin, 0);
  end = least(end, w->extent.depth);
  while (w->end < end && !status) {
    ptrdiff_t next = least(w->end + w->step, w->extent.depth);
    float *to = willis_window_advance(w, begin, next);
    if (s->sample->x)
      memcpy(to, s->sample->x + w->end * w->plane,
             (size_t)((next - w->end) * w->plane) * sizeof *to);
    else
      status = s->sample->read(w->end, next, to, s->sample->context, s->err);
    w->end = next;
  }
  return status;
}

/* Planes [w->end, next) of block e's output, out of what is kept of it. */
static void output_planes(const struct dae_passes *run, int e, const struct willis_window *w,
                          ptrdiff_t next, float *to) {
  const ptrdiff_t rows = (next - w->end) * w->extent.height, row = w->plane / w->extent.height;
#pragma omp parallel for schedule(static)
  for (ptrdiff_t r = 0; r < rows; r++)
    output_voxels(run, e, (w->end * w->extent.height + r) * w->extent.width, w->extent.width,
                  to + r * row);
}

/* The same planes of the first block's output, out of x or where they are stored. */
static void first_planes(const struct step *s, const struct passes *m, ptrdiff_t next, float *to) {
  const struct willis_window *w = &m->input;
  struct dae_passes *run = s->run;
  struct willis_encoder_block *first = &run->encoder[0];
  const ptrdiff_t at = w->end * w->plane, count = (next - w->end) * w->plane;
  if (run->storage.stored && m->backward) {
    willis_half_unpack_all(count, run->first_output + at, to);
    return;
  }
  first->argmax = run->storage.stored ? run->argmax[0] + at : w->bytes + (to - w->data);
  willis_encoder_block_slab(first, &s->p[0], willis_window_planes(&m->x), w->end, next, to);
  if (run->storage.stored) willis_half_pack_all(count, to, run->first_output + at);
}

/* Has planes [begin, end) of what block e reads, as far as they exist, in a window; begin and end
 * never go back. */
static enum willis_status need(const struct step *s, struct passes *m, int e, ptrdiff_t begin,
                               ptrdiff_t end) {
  if (e == 0) return need_x(s, &m->x, begin, end);
  struct willis_window *w = &m->input;
  begin = most(begin, 0);
  end = least(end, w->extent.depth);
  while (w->end < end) {
    ptrdiff_t next = least(w->end + w->step, w->extent.depth);
    float *to = willis_window_advance(w, begin, next);
    if (e == 1) {
      enum willis_status status = need_x(s, &m->x, 2 * begin - 1, 2 * next + 1);
      if (status) return status;
      first_planes(s, m, next, to);
    } else
      output_planes(s->run, e - 1, w, next, to);
    w->end = next;
  }
  return WILLIS_OK;
}

static struct willis_planes input_of(const struct passes *m, int e) {
  return willis_window_planes(e == 0 ? &m->x : &m->input);
}

/* ---- passes ---- */

static enum willis_status forward(const struct step *s, int e) {
  struct dae_passes *run = s->run;
  struct willis_encoder_block *block = &run->encoder[e];
  const struct willis_block_passes *b = passes_of(run, e);
  struct passes *m = &run->forward[e];
  const ptrdiff_t depth = block->shape.extent.depth;
  b->start(block, &s->p[e]);
  for (int pass = 0; pass < b->forward_passes; pass++) {
    rewind_windows(m);
    for (ptrdiff_t begin = 0; begin < depth; begin += m->step) {
      ptrdiff_t end = least(begin + m->step, depth);
      enum willis_status status = need(s, m, e, begin - b->reach, end + b->reach);
      if (status) return status;
      float *kept = e > 0 ? open_kept(run, e, begin / 2, end / 2, false, m->kept) : NULL;
      block->stored_raw = m->raw;
      block->stored_argmax =
          stores_raw(run, e) ? run->argmax[e] + kept_count(run, e, begin / 2) : NULL;
      b->forward(block, &s->p[e], pass, input_of(m, e), begin, end, kept);
      if (e > 0) close_kept(run, e, begin / 2, end / 2, kept);
      if (stores_raw(run, e))
        willis_half_pack_all(raw_count(run, e, end - begin), m->raw,
                             run->raw[e] + raw_count(run, e, begin));
    }
    b->finish(block, &s->p[e], pass);
  }
  return WILLIS_OK;
}

static void read_points(const void *run, ptrdiff_t begin, ptrdiff_t end, float *x) {
  output_voxels(run, ENCODERS - 1, begin, end - begin, x);
}

static double decode(const struct step *s) {
  struct dae_passes *run = s->run;
  const int last = ENCODERS - 1;
  const struct willis_extent e = run->decoder.shape[0].extent;
  const ptrdiff_t plane = e.height * e.width;
  struct willis_decoder_input input = {.read = read_points, .context = run};
  struct willis_decoder_goal goal = {s->sample->target, s->sample->focal};
  double loss = willis_decoder_gradient(&run->decoder, s->p + ENCODERS, &input, &goal,
                                        s->gradient + ENCODERS);
  for (ptrdiff_t z = 0; z < e.depth; z += run->point_planes) {
    ptrdiff_t end = least(z + run->point_planes, e.depth);
    willis_decoder_input_gradient(&run->decoder, s->p + ENCODERS, z * plane, end * plane,
                                  run->d_points);
    float *kept = open_kept(run, last, z, end, true, run->kept_points);
    passes_of(run, last)->take_gradient(&run->encoder[last], z, end, run->d_points, kept);
    close_kept(run, last, z, end, kept);
  }
  return loss;
}

/* Planes [begin, end) of the gradient of what block e read go to the block below. */
static void hand_down(const struct step *s, struct passes *m, int e, int pass, ptrdiff_t begin,
                      ptrdiff_t end) {
  struct dae_passes *run = s->run;
  struct willis_encoder_block *below = &run->encoder[e - 1];
  const struct willis_block_passes *b = passes_of(run, e - 1);
  if (e > 1) {
    float *kept = open_kept(run, e - 1, begin, end, true, m->below);
    b->take_gradient(below, begin, end, m->d_input, kept);
    close_kept(run, e - 1, begin, end, kept);
    return;
  }
  const ptrdiff_t at = (begin - m->input.first) * m->input.plane;
  const uint8_t *argmax =
      run->storage.stored ? run->argmax[0] + begin * m->input.plane : m->input.bytes + at;
  struct willis_pooled_planes pooled = {m->input.data + at, argmax};
  b->backward(below, &s->p[0], pass, willis_window_planes(&m->x), 2 * begin, 2 * end, m->d_input,
              pooled, NULL);
}

/* A pass over block e; with `below` ≥ 0, also that pass over the block below. */
static enum willis_status backward(const struct step *s, int e, int pass, int below) {
  struct dae_passes *run = s->run;
  struct willis_encoder_block *block = &run->encoder[e];
  const struct willis_block_passes *b = passes_of(run, e);
  struct passes *m = &run->backward[e];
  const ptrdiff_t depth = block->shape.extent.depth;
  ptrdiff_t done = 0; /* planes of the input's gradient */
  rewind_windows(m);
  b->start_backward(block, &s->p[e], pass, &s->gradient[e]);
  for (ptrdiff_t begin = 0; begin < depth; begin += m->step) {
    ptrdiff_t end = least(begin + m->step, depth);
    enum willis_status status =
        need(s, m, e, e == 1 ? least(done, begin - 1) : begin - 1, end + b->reach);
    if (status) return status;
    float *d_raw = willis_window_advance(&m->d_raw, most(done - 1, 0), end);
    block->stored_argmax =
        stores_raw(run, e) ? run->argmax[e] + kept_count(run, e, begin / 2) : NULL;
    if (stores_raw(run, e))
      willis_half_unpack_all(raw_count(run, e, end - begin), run->raw[e] + raw_count(run, e, begin),
                             d_raw);
    b->backward(block, &s->p[e], pass, input_of(m, e), begin, end,
                open_kept(run, e, begin / 2, end / 2, true, m->kept),
                (struct willis_pooled_planes){0}, d_raw);
    m->d_raw.end = end;
    /* A tile of the input's gradient wants the plane after it. */
    for (ptrdiff_t upto = end < depth ? end - TILE : depth; below >= 0 && done < upto;) {
      ptrdiff_t next = least(done + m->step, upto);
      b->input_gradient(block, &s->p[e], willis_window_planes(&m->d_raw), done, next, m->d_input);
      hand_down(s, m, e, below, done, next);
      done = next;
    }
    if (below < 0) done = most(end - TILE, 0);
  }
  b->finish_backward(block, &s->p[e], pass, &s->gradient[e]);
  return WILLIS_OK;
}

static enum willis_status gradient(void *plan, const struct willis_block_parameters *p,
                                   const struct willis_sample *sample, double *loss,
                                   const struct willis_block_parameters *gradient,
                                   struct willis_error *err) {
  struct step s = {plan, p, gradient, sample, err};
  struct dae_passes *run = plan;
  enum willis_status status = WILLIS_OK;
  for (int e = 0; e < ENCODERS && !status; e++) status = forward(&s, e);
  if (!status) *loss = decode(&s);
  for (int e = ENCODERS - 1; e > 0 && !status; e--) {
    const int last = passes_of(run, e)->backward_passes - 1;
    for (int pass = 0; pass < last && !status; pass++) status = backward(&s, e, pass, -1);
    if (e > 1) {
      if (!status) status = backward(&s, e, last, 0);
      continue;
    }
    /* The first block's gradient is not kept: each of its passes has it made again. */
    const struct willis_block_passes *b = passes_of(run, 0);
    for (int pass = 0; pass < b->backward_passes && !status; pass++) {
      b->start_backward(&run->encoder[0], &p[0], pass, &gradient[0]);
      status = backward(&s, e, last, pass);
      if (!status) b->finish_backward(&run->encoder[0], &p[0], pass, &gradient[0]);
    }
  }
  return status;
}

static struct willis_batch_statistics statistics(const void *plan, int layer) {
  const struct dae_passes *run = plan;
  return willis_dae_statistics(run->encoder, &run->decoder, layer);
}

/* The ways to store, as methods. */
#define METHOD(name, ...)                                                                          \
  static void plan_##name(void *plan, struct willis_extent extent, struct willis_arena *arena) {   \
    willis_dae_plan_passes(plan, extent, TILES, (struct willis_dae_storage){__VA_ARGS__}, arena);  \
  }                                                                                                \
  const struct willis_training_method willis_dae_##name = {                                        \
      .plan_bytes = plan_bytes,                                                                    \
      .plan = plan_##name,                                                                         \
      .gradient = gradient,                                                                        \
      .statistics = statistics,                                                                    \
  };
METHOD(recompute, .half = false)
METHOD(half_store, .half = true, .stored = true)
METHOD(half_recompute, .half = true)
#undef METHOD
