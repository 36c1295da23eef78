/* Networks as tables: each row names an operation and whose output it reads. A graph knows nothing
 * of what its network is for; a network is a file with two tables (layers, which have parameters,
 * and rows, which say how data goes through them) and a few lines that put them into struct
 * willis_architecture.
 *
 * Everything that backward needs is kept. Same bits for any number of threads. */
#ifndef WILLIS_NN_GRAPH_H
#define WILLIS_NN_GRAPH_H

#include "nn/architecture.h"
#include "nn/convolution.h"

#include <stdint.h>

enum willis_op {
  WILLIS_OP_CONV,           /* a layer: convolution, normalisation, dropout, activation */
  WILLIS_OP_CONV_TRANSPOSE, /* a layer: the same with a transposed convolution */
  WILLIS_OP_MAX_POOL,       /* max_pool.h */
  WILLIS_OP_CONCAT          /* channels of `from`, then channels of `with` */
};
enum willis_activation {
  WILLIS_ACTIVATION_NONE,
  WILLIS_ACTIVATION_LEAKY_RELU,
  WILLIS_ACTIVATION_TANH
};

struct willis_graph_row {
  enum willis_op op;
  const char *name;        /* for later rows; null when only the next one reads it */
  const char *from, *with; /* null: the row before; the first row reads the input */
  int layer;               /* of the two layer operations */
  enum willis_activation activation;
  float slope;    /* of the leaky rectifier; 0: the rectifier */
  double dropout; /* rate; 0: none */
};

struct willis_graph {
  const struct willis_layer *layer; /* with stencils */
  const struct willis_graph_row *row;
  int row_count;
  int inputs; /* channels */
};

enum { WILLIS_GRAPH_ROWS = 32 };

/* What a row puts out; node 0 is the input. */
struct willis_graph_node {
  const struct willis_graph_row *row;
  int from, with; /* nodes */
  struct willis_extent extent;
  int channels;
  struct willis_convolution convolution; /* of a transposed one: that whose data gradient it is */
  float *raw; /* the convolution's output, where normalisation needs it again; bias left out */
  float *out, *d_out; /* [extent][channels] */
  uint8_t *argmax;
  double *mean, *variance; /* [channels], of raw */
  double *biased_mean;     /* mean + bias: what running statistics track */
  bool reached;            /* d_out holds the share of a later row */
};

struct willis_graph_plan {
  const struct willis_graph *graph;
  bool training;
  uint64_t seed, step; /* of dropout; set by the caller before forward, and kept for backward */
  struct willis_graph_node node[WILLIS_GRAPH_ROWS + 1];
  void *scratch;
  float *spare; /* a gradient on its way to a node that has one */
};

/* Takes every buffer from the arena, which may only count. Extents must suit strides and pools. */
void willis_graph_plan(struct willis_graph_plan *plan, const struct willis_graph *graph,
                       struct willis_extent extent, bool training, struct willis_arena *arena);
/* x: [extent][inputs]; y: what the last row puts out. p: [layers]. */
void willis_graph_forward(struct willis_graph_plan *plan, const struct willis_block_parameters *p,
                          const float *x, float *y);
/* After a forward pass in training with the same p, x and y (which is read). Overwrites d_y and the
 * gradients; d_x, shaped like x, may be null. */
void willis_graph_backward(struct willis_graph_plan *plan, const struct willis_block_parameters *p,
                           const float *x, float *d_y,
                           const struct willis_block_parameters *gradient, float *d_x);
/* Of a layer, after a forward pass in training. */
struct willis_batch_statistics willis_graph_statistics(const struct willis_graph_plan *plan,
                                                       int layer);

#endif
