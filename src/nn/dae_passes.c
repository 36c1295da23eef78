/* Training of the denoising autoencoder in little memory: the same bits as when everything is
 * stored, for about a third more arithmetic.
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
 * reads it. */
#include "nn/dae.h"

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
};

struct dae_recompute {
  struct willis_encoder_block encoder[ENCODERS];
  struct willis_decoder decoder;
  float *kept[ENCODERS]; /* none of the first */
  struct passes forward[ENCODERS], backward[ENCODERS];
  ptrdiff_t point_planes; /* of the decoder's input gradient at a time */
  float *d_points;
};

static ptrdiff_t least(ptrdiff_t a, ptrdiff_t b) {
  return a < b ? a : b;
}
static ptrdiff_t most(ptrdiff_t a, ptrdiff_t b) {
  return a > b ? a : b;
}

static size_t plan_bytes(void) {
  return sizeof(struct dae_recompute);
}

/* ---- memory ---- */

static const struct willis_block_passes *passes_of(const struct dae_recompute *run, int e) {
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

/* Windows that hold `behind` planes before a slab and `reach` after it. */
static void plan_windows(struct dae_recompute *run, int e, ptrdiff_t step, ptrdiff_t behind,
                         struct passes *m, struct willis_arena *arena) {
  const struct willis_conv3d_shape *shape = &run->encoder[e].shape;
  const ptrdiff_t planes = behind + step + passes_of(run, e)->reach;
  *m = (struct passes){.step = step};
  if (e > 0) m->input = window_of(shape->extent, shape->inputs, 1, planes, e == 1, arena);
  if (e == 0) m->x = window_of(shape->extent, 1, X_STEP, planes, false, arena);
  if (e == 1)
    m->x = window_of(run->encoder[0].shape.extent, 1, X_STEP, 2 * planes + 2, false, arena);
}

static void plan_backward(struct dae_recompute *run, int e, ptrdiff_t step,
                          struct willis_arena *arena) {
  const struct willis_conv3d_shape *shape = &run->encoder[e].shape;
  struct passes *m = &run->backward[e];
  plan_windows(run, e, step, e == 1 ? TILE : 1, m, arena);
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

void willis_dae_plan_recompute(void *plan, struct willis_extent extent, ptrdiff_t tiles,
                               struct willis_arena *arena) {
  struct dae_recompute *run = plan;
  const struct willis_layer *layer = willis_dae.layer;
  ptrdiff_t step[ENCODERS];
  *run = (struct dae_recompute){0};
  for (int e = 0; e < ENCODERS; e++) {
    struct willis_conv3d_shape shape = {extent, layer[e].inputs, layer[e].outputs};
    extent = willis_extent_half(extent);
    step[e] = step_of(shape.extent, tiles);
    /* What goes through the second block takes twice the planes of the first on the way back. */
    ptrdiff_t planes = e == 0 ? most(step[0], 2 * step_of(extent, tiles)) : step[e];
    willis_encoder_block_plan_passes(&run->encoder[e], &shape, planes, arena);
    ptrdiff_t count = willis_extent_count(extent) * shape.outputs;
    if (e > 0) run->kept[e] = willis_arena_take(arena, count, sizeof *run->kept[e]);
  }
  int width[WILLIS_DECODER_BLOCKS];
  for (int b = 0; b < WILLIS_DECODER_BLOCKS; b++) width[b] = layer[ENCODERS + b].inputs;
  willis_decoder_plan(&run->decoder, extent, width, WILLIS_DECODER_RECOMPUTE, arena);
  /* One pass works at a time: they share what follows. */
  const size_t mark = arena->used;
  for (int e = 0; e < ENCODERS; e++) {
    plan_windows(run, e, step[e], passes_of(run, e)->reach, &run->forward[e], arena);
    passes_of(run, e)->plan_forward(&run->encoder[e], step[e], arena);
    willis_arena_rewind(arena, mark);
  }
  willis_decoder_plan_scratch(&run->decoder, arena);
  const ptrdiff_t plane = extent.height * extent.width;
  run->point_planes = least(extent.depth, (POINTS + plane - 1) / plane);
  run->d_points =
      willis_arena_take(arena, run->point_planes * plane * width[0], sizeof *run->d_points);
  willis_arena_rewind(arena, mark);
  for (int e = ENCODERS - 1; e > 0; e--) {
    plan_backward(run, e, step[e], arena);
    willis_arena_rewind(arena, mark);
  }
}

static void plan(void *plan, struct willis_extent extent, struct willis_arena *arena) {
  willis_dae_plan_recompute(plan, extent, TILES, arena);
}

/* ---- what blocks read ---- */

/* What a step carries along. */
struct step {
  struct dae_recompute *run;
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
static void output_planes(const struct dae_recompute *run, int e, const struct willis_window *w,
                          ptrdiff_t next, float *to) {
  const ptrdiff_t rows = (next - w->end) * w->extent.height, row = w->plane / w->extent.height;
  const float *kept = run->kept[e] + w->end * w->plane;
#pragma omp parallel for schedule(static)
  for (ptrdiff_t r = 0; r < rows; r++)
    passes_of(run, e)->output(&run->encoder[e], w->extent.width, kept + r * row, to + r * row);
}

/* Has planes [begin, end) of what block e reads, as far as they exist, in a window; begin and end
 * never go back. */
static enum willis_status need(const struct step *s, struct passes *m, int e, ptrdiff_t begin,
                               ptrdiff_t end) {
  if (e == 0) return need_x(s, &m->x, begin, end);
  struct willis_window *w = &m->input;
  struct willis_encoder_block *first = &s->run->encoder[0];
  begin = most(begin, 0);
  end = least(end, w->extent.depth);
  while (w->end < end) {
    ptrdiff_t next = least(w->end + w->step, w->extent.depth);
    float *to = willis_window_advance(w, begin, next);
    if (e == 1) {
      enum willis_status status = need_x(s, &m->x, 2 * begin - 1, 2 * next + 1);
      if (status) return status;
      first->argmax = w->bytes + (to - w->data);
      willis_encoder_block_slab(first, &s->p[0], willis_window_planes(&m->x), w->end, next, to);
    } else
      output_planes(s->run, e - 1, w, next, to);
    w->end = next;
  }
  return WILLIS_OK;
}

static struct willis_planes input_of(const struct passes *m, int e) {
  return willis_window_planes(e == 0 ? &m->x : &m->input);
}

/* Planes of block e's output, whose values have that many planes of input each. */
static ptrdiff_t kept_offset(const struct dae_recompute *run, int e, ptrdiff_t plane) {
  const struct willis_extent half = willis_extent_half(run->encoder[e].shape.extent);
  return plane * half.height * half.width * run->encoder[e].shape.outputs;
}

/* ---- passes ---- */

static enum willis_status forward(const struct step *s, int e) {
  struct dae_recompute *run = s->run;
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
      float *kept = e > 0 ? run->kept[e] + kept_offset(run, e, begin / 2) : NULL;
      b->forward(block, &s->p[e], pass, input_of(m, e), begin, end, kept);
    }
    b->finish(block, &s->p[e], pass);
  }
  return WILLIS_OK;
}

/* The decoder's input, out of what is kept of the last block's output. */
static void read_points(const void *context, ptrdiff_t begin, ptrdiff_t end, float *x) {
  const struct dae_recompute *run = context;
  const int last = ENCODERS - 1;
  const struct willis_encoder_block *block = &run->encoder[last];
  passes_of(run, last)->output(block, end - begin, run->kept[last] + begin * block->shape.outputs,
                               x);
}

static double decode(const struct step *s) {
  struct dae_recompute *run = s->run;
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
    passes_of(run, last)->take_gradient(&run->encoder[last], z, end, run->d_points,
                                        run->kept[last] + kept_offset(run, last, z));
  }
  return loss;
}

/* Planes [begin, end) of the gradient of what block e read go to the block below. */
static void hand_down(const struct step *s, struct passes *m, int e, int pass, ptrdiff_t begin,
                      ptrdiff_t end) {
  struct dae_recompute *run = s->run;
  struct willis_encoder_block *below = &run->encoder[e - 1];
  const struct willis_block_passes *b = passes_of(run, e - 1);
  if (e > 1) {
    b->take_gradient(below, begin, end, m->d_input, run->kept[e - 1] + begin * m->input.plane);
    return;
  }
  const ptrdiff_t at = (begin - m->input.first) * m->input.plane;
  struct willis_pooled_planes pooled = {m->input.data + at, m->input.bytes + at};
  b->backward(below, &s->p[0], pass, willis_window_planes(&m->x), 2 * begin, 2 * end, m->d_input,
              pooled, NULL);
}

/* A pass over block e; with `below` ≥ 0, also that pass over the block below. */
static enum willis_status backward(const struct step *s, int e, int pass, int below) {
  struct dae_recompute *run = s->run;
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
    b->backward(block, &s->p[e], pass, input_of(m, e), begin, end,
                run->kept[e] + kept_offset(run, e, begin / 2), (struct willis_pooled_planes){0},
                d_raw);
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
  struct dae_recompute *run = plan;
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
  const struct dae_recompute *run = plan;
  return willis_dae_statistics(run->encoder, &run->decoder, layer);
}

const struct willis_training_method willis_dae_recompute = {
    .plan_bytes = plan_bytes,
    .plan = plan,
    .gradient = gradient,
    .statistics = statistics,
};
