/* Inside of struct willis_network: one block of learned numbers, one of running statistics, and a
 * table that names the pieces. */
#ifndef WILLIS_NN_NETWORK_H
#define WILLIS_NN_NETWORK_H

#include "nn/architecture.h"

#include <willis/network.h>

#include <jansson.h>

enum { WILLIS_TENSOR_NAME = 48 };

struct willis_tensor_row {
  char name[WILLIS_TENSOR_NAME];
  int rank;
  ptrdiff_t shape[5];
  ptrdiff_t count;
  bool learned;
  ptrdiff_t offset; /* into `parameters` or `statistics` */
};

/* How many normalised batches a layer has seen: <layer>.bn.num_batches_tracked in files. */
struct willis_counter_row {
  char name[WILLIS_TENSOR_NAME];
  int64_t value;
};

struct willis_network {
  const struct willis_architecture *architecture;
  struct willis_tensor_row *tensor;
  int tensor_count;
  struct willis_counter_row *counter; /* [layer_count]; empty name where not normalised */
  float *parameters, *statistics;
  ptrdiff_t parameter_count, statistics_count;
  json_t *metadata; /* an object of strings */
};

/* Null if there is no such architecture. */
const struct willis_architecture *willis_architecture_find(const char *name);
/* Numbers that a network of it learns. */
ptrdiff_t willis_architecture_parameter_count(const struct willis_architecture *architecture);
/* All numbers zero. UNSUPPORTED, OUT_OF_MEMORY. */
WILLIS_CHECKED enum willis_status willis_network_create_empty(const char *architecture,
                                                              struct willis_network **network,
                                                              struct willis_error *err);
/* Pointers of every layer into `parameters` (a block laid out like the network's) and, when not
 * null, `statistics`: p[layer_count]. */
void willis_network_blocks(const struct willis_network *network, float *parameters,
                           float *statistics, struct willis_block_parameters *p);
/* The extent of `size` = {x, y, z}, every edge rounded up to a multiple. INVALID_ARGUMENT for edges
 * < 1, or so large that sizes do not fit. */
WILLIS_CHECKED enum willis_status willis_network_extent(const struct willis_network *network,
                                                        const ptrdiff_t size[3],
                                                        struct willis_extent *extent,
                                                        struct willis_error *err);

#endif
