/* The peer of the kernels: the same layer in oneDNN, in the layouts that it likes best.
 */
#ifndef BENCH_PEER_DNNL_H
#define BENCH_PEER_DNNL_H

#include "nn/conv3d.h"

enum peer_operation {
  PEER_FORWARD,
  PEER_DATA,
  PEER_WEIGHT,
  PEER_TRANSPOSED, /* forward */
  PEER_OPERATIONS
};

struct peer;

/* A 3×3×3 convolution, or a 2×2×2 transposed one of stride 2, of random data; extent: of x. Null
 * without oneDNN or when it refuses. */
struct peer *peer_create(struct willis_extent extent, int inputs, int outputs,
                         enum peer_operation operation);
void peer_run(struct peer *peer);
void peer_destroy(struct peer *peer);
/* "oneDNN 2.6.3", or null. */
const char *peer_name(void);

#endif
