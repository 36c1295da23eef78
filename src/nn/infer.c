/* A trained network on one volume, with running statistics. */
#include "base/error.h"
#include "nn/network.h"

#include <math.h>
#include <string.h>

/* Everything that one call allocates. */
struct inference {
  struct willis_extent extent; /* padded */
  bool padded;
  void *plan;
  struct willis_block_parameters *blocks;
  struct willis_arena arena;
  float *x, *logit; /* [extent], only when padded */
};

static size_t fixed_bytes(const struct willis_architecture *a) {
  return a->plan_bytes + (size_t)a->layer_count * sizeof(struct willis_block_parameters);
}

static void plan_buffers(const struct willis_architecture *a, struct inference *run,
                         struct willis_arena *arena) {
  if (run->padded) {
    run->x = willis_arena_take(arena, willis_extent_count(run->extent), sizeof *run->x);
    run->logit = willis_arena_take(arena, willis_extent_count(run->extent), sizeof *run->logit);
  }
  a->plan(run->plan, run->extent, arena);
}

static void inference_release(struct inference *run) {
  willis_arena_release(&run->arena);
  willis_release(run->blocks);
  willis_release(run->plan);
}

/* Without an arena of its own: only *bytes is learned. */
static enum willis_status inference_prepare(const struct willis_network *network,
                                            const ptrdiff_t size[3], struct inference *run,
                                            size_t *bytes, struct willis_error *err) {
  const struct willis_architecture *a = network->architecture;
  *run = (struct inference){0};
  enum willis_status status = willis_network_extent(network, size, &run->extent, err);
  if (status != WILLIS_OK) return status;
  run->padded =
      run->extent.width != size[0] || run->extent.height != size[1] || run->extent.depth != size[2];
  run->plan = willis_take(1, a->plan_bytes);
  run->blocks = willis_take(a->layer_count, sizeof *run->blocks);
  if (!run->plan || !run->blocks)
    return willis_fail_memory(err, "a network's plan", 1, fixed_bytes(a));
  struct willis_arena counting = {0};
  plan_buffers(a, run, &counting);
  *bytes = counting.peak;
  return WILLIS_OK;
}

enum willis_status willis_inference_bytes(const struct willis_network *network,
                                          const ptrdiff_t size[3], size_t *bytes,
                                          struct willis_error *err) {
  struct inference run;
  enum willis_status status = inference_prepare(network, size, &run, bytes, err);
  if (status == WILLIS_OK) *bytes += fixed_bytes(network->architecture);
  inference_release(&run);
  return status;
}

/* The rows of a volume of `size` between itself and the padded one. */
static void pad(const struct inference *run, const ptrdiff_t size[3], const float *x) {
  const struct willis_extent e = run->extent;
  memset(run->x, 0, (size_t)willis_extent_count(e) * sizeof *x);
  for (ptrdiff_t z = 0; z < size[2]; z++)
    for (ptrdiff_t y = 0; y < size[1]; y++)
      memcpy(run->x + (z * e.height + y) * e.width, x + (z * size[1] + y) * size[0],
             (size_t)size[0] * sizeof *x);
}

static void crop(const struct inference *run, const ptrdiff_t size[3], float *y) {
  const struct willis_extent e = run->extent;
  for (ptrdiff_t z = 0; z < size[2]; z++)
    for (ptrdiff_t row = 0; row < size[1]; row++)
      memcpy(y + (z * size[1] + row) * size[0], run->logit + (z * e.height + row) * e.width,
             (size_t)size[0] * sizeof *y);
}

static ptrdiff_t count_broken(ptrdiff_t count, const float *x) {
  ptrdiff_t broken = 0;
#pragma omp parallel for schedule(static) reduction(+ : broken)
  for (ptrdiff_t i = 0; i < count; i++) broken += !isfinite(x[i]);
  return broken;
}

static void sigmoid(ptrdiff_t count, float *y) {
#pragma omp parallel for schedule(static)
  for (ptrdiff_t i = 0; i < count; i++) y[i] = 1 / (1 + expf(-y[i]));
}

enum willis_status willis_network_infer(const struct willis_network *network,
                                        const ptrdiff_t size[3], const float *x,
                                        enum willis_network_output output, float *y,
                                        struct willis_error *err) {
  const struct willis_architecture *a = network->architecture;
  struct inference run;
  size_t bytes = 0;
  enum willis_status status = inference_prepare(network, size, &run, &bytes, err);
  if (status != WILLIS_OK) goto out;
  const ptrdiff_t voxels = size[0] * size[1] * size[2];
  ptrdiff_t broken = count_broken(voxels, x);
  if (broken > 0) {
    status =
        willis_fail(err, WILLIS_NUMERIC, "network %s: %td voxels of its input are NaN or infinite",
                    a->name, broken);
    goto out;
  }
  status = willis_arena_init(&run.arena, bytes, err);
  if (status != WILLIS_OK) goto out;
  plan_buffers(a, &run, &run.arena);
  willis_network_blocks(network, network->parameters, network->statistics, run.blocks);
  if (run.padded) {
    pad(&run, size, x);
    a->forward(run.plan, run.blocks, run.x, run.logit);
    crop(&run, size, y);
  } else
    a->forward(run.plan, run.blocks, x, y);
  broken = count_broken(voxels, y);
  if (output == WILLIS_OUTPUT_PROBABILITY) sigmoid(voxels, y);
  if (broken > 0)
    status = willis_fail(err, WILLIS_NUMERIC, "network %s: %td voxels came out as NaN or infinity",
                         a->name, broken);
out:
  inference_release(&run);
  return status;
}

/* ---- slabs ---- */

/* One call, and the feed of its network. */
struct slab_inference {
  const char *name;
  ptrdiff_t size[3];
  struct willis_extent extent; /* padded */
  const struct willis_plane_source *source;
  const struct willis_plane_sink *sink;
  enum willis_network_output output;
  void *plan;
  struct willis_block_parameters *blocks;
  struct willis_arena arena;
};

/* Spreads rows that lie close together over the padded planes in place, from the last one on. */
static void spread(const struct slab_inference *run, ptrdiff_t planes, float *x) {
  const struct willis_extent e = run->extent;
  const ptrdiff_t width = run->size[0], height = run->size[1];
  if (width == e.width && height == e.height) return;
  for (ptrdiff_t z = planes - 1; z >= 0; z--) {
    float *plane = x + z * e.height * e.width;
    memset(plane + height * e.width, 0, (size_t)((e.height - height) * e.width) * sizeof *x);
    for (ptrdiff_t y = height - 1; y >= 0; y--) {
      float *row = plane + y * e.width;
      memmove(row, x + (z * height + y) * width, (size_t)width * sizeof *x);
      memset(row + width, 0, (size_t)(e.width - width) * sizeof *x);
    }
  }
}

static enum willis_status read_slab(ptrdiff_t begin, ptrdiff_t end, float *x, void *context,
                                    struct willis_error *err) {
  const struct slab_inference *run = context;
  const ptrdiff_t plane = run->extent.height * run->extent.width;
  ptrdiff_t last = end < run->size[2] ? end : run->size[2];
  if (last < begin) last = begin;
  if (last > begin) {
    enum willis_status status = run->source->read(begin, last, x, run->source->context, err);
    if (status != WILLIS_OK) return status;
    ptrdiff_t broken = count_broken((last - begin) * run->size[1] * run->size[0], x);
    if (broken > 0)
      return willis_fail(err, WILLIS_NUMERIC,
                         "network %s: %td voxels of its input, planes %td to %td, are NaN or "
                         "infinite",
                         run->name, broken, begin, last - 1);
    spread(run, last - begin, x);
  }
  memset(x + (last - begin) * plane, 0, (size_t)((end - last) * plane) * sizeof *x);
  return WILLIS_OK;
}

static enum willis_status write_slab(ptrdiff_t begin, ptrdiff_t end, float *logit, void *context,
                                     struct willis_error *err) {
  const struct slab_inference *run = context;
  const struct willis_extent e = run->extent;
  const ptrdiff_t width = run->size[0], height = run->size[1];
  if (end > run->size[2]) end = run->size[2];
  if (end <= begin) return WILLIS_OK;
  if (width != e.width || height != e.height)
    for (ptrdiff_t row = 0; row < (end - begin) * height; row++)
      memmove(logit + row * width, logit + (row / height * e.height + row % height) * e.width,
              (size_t)width * sizeof *logit);
  const ptrdiff_t voxels = (end - begin) * height * width;
  ptrdiff_t broken = count_broken(voxels, logit);
  if (broken > 0)
    return willis_fail(err, WILLIS_NUMERIC,
                       "network %s: %td voxels of planes %td to %td came out as NaN or infinity",
                       run->name, broken, begin, end - 1);
  if (run->output == WILLIS_OUTPUT_PROBABILITY) sigmoid(voxels, logit);
  return run->sink->write(begin, end, logit, run->sink->context, err);
}

/* Architectures that cannot stream: the volume whole, in between a source and a sink of planes. */
static enum willis_status infer_whole(const struct willis_network *network, const ptrdiff_t size[3],
                                      const struct willis_plane_source *source,
                                      enum willis_network_output output,
                                      const struct willis_plane_sink *sink,
                                      struct willis_error *err) {
  const ptrdiff_t voxels = size[0] * size[1] * size[2];
  float *x = willis_take(voxels, sizeof *x), *y = willis_take(voxels, sizeof *y);
  enum willis_status status = WILLIS_OK;
  if (!x || !y) status = willis_fail_memory(err, "a network's volumes", voxels, 2 * sizeof *x);
  if (!status) status = source->read(0, size[2], x, source->context, err);
  if (!status) status = willis_network_infer(network, size, x, output, y, err);
  if (!status) status = sink->write(0, size[2], y, sink->context, err);
  willis_release(x);
  willis_release(y);
  return status;
}

static size_t slabs_fixed_bytes(const struct willis_architecture *a) {
  return a->slabs_bytes() + (size_t)a->layer_count * sizeof(struct willis_block_parameters);
}

/* Without an arena of its own: only *bytes of it is learned. */
static enum willis_status slabs_prepare(const struct willis_network *network,
                                        const ptrdiff_t size[3], ptrdiff_t height,
                                        struct slab_inference *run, size_t *bytes,
                                        struct willis_error *err) {
  const struct willis_architecture *a = network->architecture;
  *run = (struct slab_inference){.name = a->name, .size = {size[0], size[1], size[2]}};
  enum willis_status status = willis_network_extent(network, size, &run->extent, err);
  if (status != WILLIS_OK) return status;
  if (height < 1)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "slabs of %td planes, expected at least 1",
                       height);
  run->plan = willis_take(1, a->slabs_bytes());
  run->blocks = willis_take(a->layer_count, sizeof *run->blocks);
  if (!run->plan || !run->blocks)
    return willis_fail_memory(err, "a network's plan", 1, slabs_fixed_bytes(a));
  struct willis_arena counting = {0};
  a->plan_slabs(run->plan, run->extent, height, &counting);
  *bytes = counting.peak;
  return WILLIS_OK;
}

static void slabs_release(struct slab_inference *run) {
  willis_arena_release(&run->arena);
  willis_release(run->blocks);
  willis_release(run->plan);
}

enum willis_status willis_inference_slabs_bytes(const struct willis_network *network,
                                                const ptrdiff_t size[3], ptrdiff_t height,
                                                size_t *bytes, struct willis_error *err) {
  struct slab_inference run;
  if (!network->architecture->infer_slabs) {
    enum willis_status whole = willis_inference_bytes(network, size, bytes, err);
    if (whole == WILLIS_OK) *bytes += (size_t)(size[0] * size[1] * size[2]) * 2 * sizeof(float);
    return whole;
  }
  enum willis_status status = slabs_prepare(network, size, height, &run, bytes, err);
  if (status == WILLIS_OK) *bytes += slabs_fixed_bytes(network->architecture);
  slabs_release(&run);
  return status;
}

enum willis_status willis_network_infer_slabs(const struct willis_network *network,
                                              const ptrdiff_t size[3], ptrdiff_t height,
                                              const struct willis_plane_source *source,
                                              enum willis_network_output output,
                                              const struct willis_plane_sink *sink,
                                              struct willis_error *err) {
  const struct willis_architecture *a = network->architecture;
  if (!a->infer_slabs) return infer_whole(network, size, source, output, sink, err);
  struct slab_inference run;
  size_t bytes = 0;
  enum willis_status status = slabs_prepare(network, size, height, &run, &bytes, err);
  if (status == WILLIS_OK) status = willis_arena_init(&run.arena, bytes, err);
  if (status != WILLIS_OK) goto out;
  a->plan_slabs(run.plan, run.extent, height, &run.arena);
  willis_network_blocks(network, network->parameters, network->statistics, run.blocks);
  run.source = source;
  run.sink = sink;
  run.output = output;
  struct willis_slab_feed feed = {read_slab, write_slab, &run};
  status = a->infer_slabs(run.plan, run.blocks, &feed, err);
out:
  slabs_release(&run);
  return status;
}
