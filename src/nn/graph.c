/* The walk through a table of layers, forward and back. */
#include "nn/graph.h"

#include "nn/batch_norm.h"
#include "nn/dropout.h"
#include "nn/leaky_relu.h"
#include "nn/max_pool.h"
#include "nn/tanh.h"

#include <string.h>

static bool is_layer(const struct willis_graph_row *row) {
  return row->op == WILLIS_OP_CONV || row->op == WILLIS_OP_CONV_TRANSPOSE;
}

static ptrdiff_t voxels(const struct willis_graph_node *n) {
  return willis_extent_count(n->extent);
}

static ptrdiff_t values(const struct willis_graph_node *n) {
  return voxels(n) * n->channels;
}

/* ---- plan ---- */

/* The node that a row calls `name`; without a name the one before. Tables are the house's own: a
 * name that is not there is a mistake that the first test finds. */
static int find(const struct willis_graph *g, const char *name, int row) {
  if (!name) return row;
  for (int r = 0; r < row; r++)
    if (g->row[r].name && !strcmp(g->row[r].name, name)) return r + 1;
  return 0;
}

static size_t shape_node(struct willis_graph_plan *plan, int i) {
  const struct willis_graph *g = plan->graph;
  struct willis_graph_node *n = &plan->node[i];
  n->row = &g->row[i - 1];
  n->from = find(g, n->row->from, i - 1);
  n->with = n->row->op == WILLIS_OP_CONCAT ? find(g, n->row->with, i - 1) : n->from;
  const struct willis_graph_node *from = &plan->node[n->from];
  struct willis_convolution *c = &n->convolution;
  switch (n->row->op) {
  case WILLIS_OP_MAX_POOL:
    n->extent = willis_extent_half(from->extent);
    n->channels = from->channels;
    return 0;
  case WILLIS_OP_CONCAT:
    n->extent = from->extent;
    n->channels = from->channels + plan->node[n->with].channels;
    return 0;
  case WILLIS_OP_CONV: {
    const struct willis_layer *l = &g->layer[n->row->layer];
    *c = (struct willis_convolution){from->extent, l->inputs, l->outputs, l->stencil, NULL};
    n->extent = willis_convolution_extent(c);
    n->channels = l->outputs;
    return willis_convolution_plan(c);
  }
  case WILLIS_OP_CONV_TRANSPOSE: {
    const struct willis_layer *l = &g->layer[n->row->layer];
    const struct willis_stencil *w = &l->stencil;
    n->extent = (struct willis_extent){
        (from->extent.depth - 1) * w->stride[0] - 2 * w->pad[0] + w->kernel[0],
        (from->extent.height - 1) * w->stride[1] - 2 * w->pad[1] + w->kernel[1],
        (from->extent.width - 1) * w->stride[2] - 2 * w->pad[2] + w->kernel[2]};
    n->channels = l->outputs;
    *c = (struct willis_convolution){n->extent, l->outputs, l->inputs, *w, NULL};
    return willis_convolution_plan(c);
  }
  }
  return 0;
}

static bool normalised(const struct willis_graph_plan *plan, const struct willis_graph_node *n) {
  return is_layer(n->row) && plan->graph->layer[n->row->layer].normalised;
}

/* The last row's buffers are the caller's. */
static void take_buffers(struct willis_graph_plan *plan, int i, struct willis_arena *arena) {
  struct willis_graph_node *n = &plan->node[i];
  bool last = i == plan->graph->row_count;
  if (!last) n->out = willis_arena_take(arena, values(n), sizeof(float));
  if (normalised(plan, n)) {
    n->mean = willis_arena_take(arena, n->channels, sizeof *n->mean);
    n->variance = willis_arena_take(arena, n->channels, sizeof *n->variance);
    n->biased_mean = willis_arena_take(arena, n->channels, sizeof *n->biased_mean);
  }
  if (n->row->op == WILLIS_OP_MAX_POOL) n->argmax = willis_arena_take(arena, values(n), 1);
  if (!plan->training) return;
  if (!last) n->d_out = willis_arena_take(arena, values(n), sizeof(float));
  if (normalised(plan, n)) n->raw = willis_arena_take(arena, values(n), sizeof(float));
}

void willis_graph_plan(struct willis_graph_plan *plan, const struct willis_graph *graph,
                       struct willis_extent extent, bool training, struct willis_arena *arena) {
  *plan = (struct willis_graph_plan){.graph = graph, .training = training};
  plan->node[0].extent = extent;
  plan->node[0].channels = graph->inputs;
  size_t scratch = 0;
  ptrdiff_t largest = values(&plan->node[0]);
  for (int i = 1; i <= graph->row_count; i++) {
    size_t bytes = shape_node(plan, i);
    if (bytes > scratch) scratch = bytes;
    if (values(&plan->node[i]) > largest) largest = values(&plan->node[i]);
    take_buffers(plan, i, arena);
  }
  if (training) plan->spare = willis_arena_take(arena, largest, sizeof *plan->spare);
  plan->scratch = willis_arena_take(arena, (ptrdiff_t)scratch, 1);
}

/* ---- forward ---- */

static void add_bias(const struct willis_graph_node *n, const float *bias) {
#pragma omp parallel for schedule(static)
  for (ptrdiff_t v = 0; v < voxels(n); v++)
    for (int c = 0; c < n->channels; c++) n->out[v * n->channels + c] += bias[c];
}

/* raw → out. The bias shifts values and their mean alike, so only the tracked mean hears of it. */
static void normalise(const struct willis_graph_plan *plan, const struct willis_graph_node *n,
                      const struct willis_block_parameters *p, const float *raw) {
  if (plan->training)
    willis_batch_norm_statistics(voxels(n), n->channels, raw, n->mean, n->variance);
  for (int c = 0; c < n->channels; c++) {
    if (!plan->training) {
      n->mean[c] = (double)p->running_mean[c] - (double)p->bias[c];
      n->variance[c] = p->running_variance[c];
    }
    n->biased_mean[c] = n->mean[c] + (double)p->bias[c];
  }
  willis_batch_norm_forward(voxels(n), n->channels, raw, n->mean, n->variance, p->gamma, p->beta,
                            n->out);
}

static void activate(const struct willis_graph_plan *plan, const struct willis_graph_node *n,
                     int i) {
  const struct willis_graph_row *row = n->row;
  if (plan->training && row->dropout > 0)
    willis_dropout(values(n), row->dropout, plan->seed, plan->step << 8 | (uint64_t)i, n->out,
                   n->out);
  if (row->activation == WILLIS_ACTIVATION_LEAKY_RELU)
    willis_leaky_relu_forward(values(n), row->slope, n->out, n->out);
  if (row->activation == WILLIS_ACTIVATION_TANH) willis_tanh_forward(values(n), n->out, n->out);
}

static void concatenate(const struct willis_graph_node *n, const float *a, int a_channels,
                        const float *b, int b_channels) {
#pragma omp parallel for schedule(static)
  for (ptrdiff_t v = 0; v < voxels(n); v++) {
    memcpy(n->out + v * n->channels, a + v * a_channels, (size_t)a_channels * sizeof *a);
    memcpy(n->out + v * n->channels + a_channels, b + v * b_channels,
           (size_t)b_channels * sizeof *b);
  }
}

void willis_graph_forward(struct willis_graph_plan *plan, const struct willis_block_parameters *p,
                          const float *x, float *y) {
  const int last = plan->graph->row_count;
  /* Only read through; nodes hold what rows may write. */
  plan->node[0].out = (float *)(uintptr_t)x;
  plan->node[last].out = y;
  for (int i = 1; i <= last; i++) {
    struct willis_graph_node *n = &plan->node[i];
    const struct willis_graph_node *from = &plan->node[n->from], *with = &plan->node[n->with];
    if (n->row->op == WILLIS_OP_MAX_POOL) {
      willis_max_pool_forward(from->extent, n->channels, from->out, n->out, n->argmax);
    } else if (n->row->op == WILLIS_OP_CONCAT) {
      concatenate(n, from->out, from->channels, with->out, with->channels);
    } else {
      const struct willis_block_parameters *block = &p[n->row->layer];
      float *raw = n->raw ? n->raw : n->out;
      if (n->row->op == WILLIS_OP_CONV)
        willis_convolution_forward(&n->convolution, from->out, block->weight, raw, plan->scratch);
      else
        willis_convolution_backward_data(&n->convolution, from->out, block->weight, raw,
                                         plan->scratch);
      if (normalised(plan, n))
        normalise(plan, n, block, raw);
      else
        add_bias(n, block->bias);
      activate(plan, n, i);
    }
  }
}

/* ---- backward ---- */

/* Where a row puts its share of a node's gradient: straight there, or aside when there is one. */
static float *share_begin(const struct willis_graph_plan *plan, const struct willis_graph_node *n) {
  return n->reached ? plan->spare : n->d_out;
}

static void share_end(const struct willis_graph_plan *plan, struct willis_graph_node *n) {
  if (n->reached) {
#pragma omp parallel for schedule(static)
    for (ptrdiff_t i = 0; i < values(n); i++) n->d_out[i] += plan->spare[i];
  }
  n->reached = true;
}

/* d_out of a layer to the gradient of its convolution's output, in place. */
static void deactivate(const struct willis_graph_plan *plan, const struct willis_graph_node *n,
                       int i, const struct willis_block_parameters *p,
                       const struct willis_block_parameters *gradient) {
  const struct willis_graph_row *row = n->row;
  float *d = n->d_out;
  if (row->activation == WILLIS_ACTIVATION_LEAKY_RELU)
    willis_leaky_relu_backward(values(n), row->slope, n->out, d, d);
  if (row->activation == WILLIS_ACTIVATION_TANH) willis_tanh_backward(values(n), n->out, d, d);
  if (row->dropout > 0)
    willis_dropout(values(n), row->dropout, plan->seed, plan->step << 8 | (uint64_t)i, d, d);
  if (normalised(plan, n)) {
    willis_batch_norm_backward(voxels(n), n->channels, n->raw, n->mean, n->variance, p->gamma, d, d,
                               gradient->gamma, gradient->beta);
    memset(gradient->bias, 0, (size_t)n->channels * sizeof *gradient->bias);
    return;
  }
  for (int c = 0; c < n->channels; c++) {
    double sum = 0;
    for (ptrdiff_t v = 0; v < voxels(n); v++) sum += d[v * n->channels + c];
    gradient->bias[c] = (float)sum;
  }
}

static void layer_backward(struct willis_graph_plan *plan, int i,
                           const struct willis_block_parameters *p,
                           const struct willis_block_parameters *gradient) {
  struct willis_graph_node *n = &plan->node[i], *from = &plan->node[n->from];
  const struct willis_convolution *c = &n->convolution;
  deactivate(plan, n, i, p, gradient);
  bool transposed = n->row->op == WILLIS_OP_CONV_TRANSPOSE;
  const float *wide = transposed ? n->d_out : from->out,
              *narrow = transposed ? from->out : n->d_out;
  willis_convolution_backward_weight(c, wide, narrow, gradient->weight, plan->scratch);
  if (!from->d_out) return;
  float *share = share_begin(plan, from);
  if (transposed)
    willis_convolution_forward(c, n->d_out, p->weight, share, plan->scratch);
  else
    willis_convolution_backward_data(c, n->d_out, p->weight, share, plan->scratch);
  share_end(plan, from);
}

/* Channels [first, first + channels of `to`) of the gradient of a concatenation. */
static void take_channels(const struct willis_graph_plan *plan, const struct willis_graph_node *n,
                          int first, struct willis_graph_node *to) {
  if (!to->d_out) return;
  float *share = share_begin(plan, to);
#pragma omp parallel for schedule(static)
  for (ptrdiff_t v = 0; v < voxels(n); v++)
    memcpy(share + v * to->channels, n->d_out + v * n->channels + first,
           (size_t)to->channels * sizeof *share);
  share_end(plan, to);
}

void willis_graph_backward(struct willis_graph_plan *plan, const struct willis_block_parameters *p,
                           const float *x, float *d_y,
                           const struct willis_block_parameters *gradient, float *d_x) {
  const int last = plan->graph->row_count;
  for (int i = 0; i <= last; i++) plan->node[i].reached = false;
  plan->node[0].out = (float *)(uintptr_t)x;
  plan->node[0].d_out = d_x;
  plan->node[last].d_out = d_y;
  for (int i = last; i > 0; i--) {
    struct willis_graph_node *n = &plan->node[i], *from = &plan->node[n->from];
    if (n->row->op == WILLIS_OP_MAX_POOL) {
      if (!from->d_out) continue;
      willis_max_pool_backward(from->extent, n->channels, n->argmax, n->d_out,
                               share_begin(plan, from));
      share_end(plan, from);
    } else if (n->row->op == WILLIS_OP_CONCAT) {
      take_channels(plan, n, 0, from);
      take_channels(plan, n, from->channels, &plan->node[n->with]);
    } else {
      layer_backward(plan, i, &p[n->row->layer], &gradient[n->row->layer]);
    }
  }
}

struct willis_batch_statistics willis_graph_statistics(const struct willis_graph_plan *plan,
                                                       int layer) {
  for (int i = 1; i <= plan->graph->row_count; i++) {
    const struct willis_graph_node *n = &plan->node[i];
    if (is_layer(n->row) && n->row->layer == layer)
      return (struct willis_batch_statistics){voxels(n), n->biased_mean, n->variance};
  }
  return (struct willis_batch_statistics){0};
}
