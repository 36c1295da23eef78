/* oneDNN's direct convolutions through its C interface. */
#include "peer_dnnl.h"

#include <stdio.h>

#ifdef BENCH_HAVE_DNNL
#include "base/memory.h"
#include "base/random.h"

#include <oneapi/dnnl/dnnl.h>
#include <string.h>

enum { ARGUMENTS = 4 };

struct peer {
  dnnl_engine_t engine;
  dnnl_stream_t stream;
  dnnl_primitive_desc_t hint, description;
  dnnl_primitive_t primitive;
  int arguments;
  dnnl_exec_arg_t argument[ARGUMENTS];
};

/* Which arrays an operation takes: what to ask its description for, and the name to pass it by. */
static const struct {
  int count;
  struct {
    dnnl_query_t query;
    int index, name;
  } array[ARGUMENTS];
} operations[PEER_OPERATIONS] = {
    [PEER_FORWARD] = {4,
                      {{dnnl_query_src_md, 0, DNNL_ARG_SRC},
                       {dnnl_query_weights_md, 0, DNNL_ARG_WEIGHTS},
                       {dnnl_query_weights_md, 1, DNNL_ARG_BIAS},
                       {dnnl_query_dst_md, 0, DNNL_ARG_DST}}},
    [PEER_DATA] = {3,
                   {{dnnl_query_diff_src_md, 0, DNNL_ARG_DIFF_SRC},
                    {dnnl_query_weights_md, 0, DNNL_ARG_WEIGHTS},
                    {dnnl_query_diff_dst_md, 0, DNNL_ARG_DIFF_DST}}},
    [PEER_WEIGHT] = {4,
                     {{dnnl_query_src_md, 0, DNNL_ARG_SRC},
                      {dnnl_query_diff_weights_md, 0, DNNL_ARG_DIFF_WEIGHTS},
                      {dnnl_query_diff_weights_md, 1, DNNL_ARG_DIFF_BIAS},
                      {dnnl_query_diff_dst_md, 0, DNNL_ARG_DIFF_DST}}},
    [PEER_TRANSPOSED] = {4,
                         {{dnnl_query_src_md, 0, DNNL_ARG_SRC},
                          {dnnl_query_weights_md, 0, DNNL_ARG_WEIGHTS},
                          {dnnl_query_weights_md, 1, DNNL_ARG_BIAS},
                          {dnnl_query_dst_md, 0, DNNL_ARG_DST}}},
};

static bool describe(struct peer *p, struct willis_extent e, int inputs, int outputs,
                     enum peer_operation operation) {
  const dnnl_dims_t x = {1, inputs, e.depth, e.height, e.width};
  const dnnl_dims_t y = {1, outputs, e.depth, e.height, e.width};
  const dnnl_dims_t w = {outputs, inputs, 3, 3, 3}, b = {outputs}, ones = {1, 1, 1};
  const dnnl_data_type_t f32 = dnnl_f32;
  const dnnl_format_tag_t any = dnnl_format_tag_any;
  const dnnl_alg_kind_t direct = dnnl_convolution_direct;
  dnnl_memory_desc_t mx, my, mw, mb;
  dnnl_convolution_desc_t d;
  if (dnnl_memory_desc_init_by_tag(&mx, 5, x, f32, any) ||
      dnnl_memory_desc_init_by_tag(&my, 5, y, f32, any) ||
      dnnl_memory_desc_init_by_tag(&mw, 5, w, f32, any) ||
      dnnl_memory_desc_init_by_tag(&mb, 1, b, f32, any) ||
      dnnl_convolution_forward_desc_init(&d, dnnl_forward_training, direct, &mx, &mw, &mb, &my,
                                         ones, ones, ones) ||
      dnnl_primitive_desc_create(&p->hint, &d, NULL, p->engine, NULL))
    return false;
  dnnl_status_t status = dnnl_success;
  if (operation == PEER_DATA)
    status = dnnl_convolution_backward_data_desc_init(&d, direct, &mx, &mw, &my, ones, ones, ones);
  if (operation == PEER_WEIGHT)
    status = dnnl_convolution_backward_weights_desc_init(&d, direct, &mx, &mw, &mb, &my, ones, ones,
                                                         ones);
  return !status && !dnnl_primitive_desc_create(&p->description, &d, NULL, p->engine, p->hint) &&
         !dnnl_primitive_create(&p->primitive, p->description);
}

static bool describe_transposed(struct peer *p, struct willis_extent e, int inputs, int outputs) {
  const dnnl_dims_t x = {1, inputs, e.depth, e.height, e.width};
  const dnnl_dims_t y = {1, outputs, 2 * e.depth, 2 * e.height, 2 * e.width};
  const dnnl_dims_t w = {outputs, inputs, 2, 2, 2}, b = {outputs}, twos = {2, 2, 2}, none = {0};
  const dnnl_format_tag_t any = dnnl_format_tag_any;
  dnnl_memory_desc_t mx, my, mw, mb;
  dnnl_deconvolution_desc_t d;
  return !dnnl_memory_desc_init_by_tag(&mx, 5, x, dnnl_f32, any) &&
         !dnnl_memory_desc_init_by_tag(&my, 5, y, dnnl_f32, any) &&
         !dnnl_memory_desc_init_by_tag(&mw, 5, w, dnnl_f32, any) &&
         !dnnl_memory_desc_init_by_tag(&mb, 1, b, dnnl_f32, any) &&
         !dnnl_deconvolution_forward_desc_init(&d, dnnl_forward_inference,
                                               dnnl_deconvolution_direct, &mx, &mw, &mb, &my, twos,
                                               none, none) &&
         !dnnl_primitive_desc_create(&p->description, &d, NULL, p->engine, NULL) &&
         !dnnl_primitive_create(&p->primitive, p->description);
}

static bool give_arrays(struct peer *p, enum peer_operation operation) {
  for (int i = 0; i < operations[operation].count; i++) {
    const dnnl_memory_desc_t *md = dnnl_primitive_desc_query_md(
        p->description, operations[operation].array[i].query, operations[operation].array[i].index);
    dnnl_memory_t memory;
    void *data;
    if (!md || dnnl_memory_create(&memory, md, p->engine, DNNL_MEMORY_ALLOCATE)) return false;
    p->argument[p->arguments].arg = operations[operation].array[i].name;
    p->argument[p->arguments++].memory = memory;
    if (dnnl_memory_get_data_handle(memory, &data)) return false;
    float *to = data;
    for (size_t k = 0; k < dnnl_memory_desc_get_size(md) / sizeof *to; k++)
      to[k] = (float)willis_random_uniform(1, (uint64_t)i, k) - 0.5f;
  }
  return true;
}

struct peer *peer_create(struct willis_extent extent, int inputs, int outputs,
                         enum peer_operation operation) {
  struct peer *p = willis_take_zeroed(1, sizeof *p);
  if (!p) return NULL;
  if (!dnnl_engine_create(&p->engine, dnnl_cpu, 0) &&
      !dnnl_stream_create(&p->stream, p->engine, dnnl_stream_default_flags) &&
      (operation == PEER_TRANSPOSED ? describe_transposed(p, extent, inputs, outputs)
                                    : describe(p, extent, inputs, outputs, operation)) &&
      give_arrays(p, operation))
    return p;
  peer_destroy(p);
  return NULL;
}

void peer_run(struct peer *p) {
  if (dnnl_primitive_execute(p->primitive, p->stream, p->arguments, p->argument) ||
      dnnl_stream_wait(p->stream))
    fprintf(stderr, "kernels: oneDNN failed to run\n");
}

void peer_destroy(struct peer *p) {
  if (!p) return;
  for (int i = 0; i < p->arguments; i++) dnnl_memory_destroy(p->argument[i].memory);
  if (p->primitive) dnnl_primitive_destroy(p->primitive);
  if (p->description) dnnl_primitive_desc_destroy(p->description);
  if (p->hint) dnnl_primitive_desc_destroy(p->hint);
  if (p->stream) dnnl_stream_destroy(p->stream);
  if (p->engine) dnnl_engine_destroy(p->engine);
  willis_release(p);
}

const char *peer_name(void) {
  static char name[32];
  const dnnl_version_t *v = dnnl_version();
  snprintf(name, sizeof name, "oneDNN %d.%d.%d", v->major, v->minor, v->patch);
  return name;
}

#else

struct peer *peer_create(struct willis_extent extent, int inputs, int outputs,
                         enum peer_operation operation) {
  (void)extent, (void)inputs, (void)outputs, (void)operation;
  return NULL;
}
void peer_run(struct peer *p) {
  (void)p;
}
void peer_destroy(struct peer *p) {
  (void)p;
}
const char *peer_name(void) {
  return NULL;
}

#endif
