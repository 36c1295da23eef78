/* Convolutions know where things lie, and what a layer is told of views; all else is blind to it.
 */
#include "nn/hull_mirror.h"

#include "nn/lattice.h"
#include "nn/network.h"
#include "nn/ray_exchange.h"

#include <string.h>

/* Of kernels of n³ taps. */
static void mirror_taps(unsigned mirror, const struct willis_tensor_row *row, const float *from,
                        float *to) {
  ptrdiff_t source[WILLIS_AROUND];
  const ptrdiff_t n = row->shape[2], taps = n * n * n;
  for (ptrdiff_t t = 0; t < taps; t++) {
    ptrdiff_t x = t % n, z = t / n / n;
    const ptrdiff_t y = t / n % n;
    if (mirror & WILLIS_MIRROR_LEFT_RIGHT) x = n - 1 - x;
    if (mirror & WILLIS_MIRROR_UPSIDE_DOWN) z = n - 1 - z;
    source[t] = (z * n + y) * n + x;
  }
  for (ptrdiff_t k = 0; k < row->count; k += taps)
    for (ptrdiff_t t = 0; t < taps; t++) to[k + t] = from[k + source[t]];
}

/* What a view shows beside a voxel trades places, and 2xy of its beam its sign (hull_set.h). */
static void mirror_views(unsigned mirror, const struct willis_tensor_row *row, const float *from,
                         float *to) {
  enum { RIGHT = WILLIS_RAY_BIDS + 3, LEFT, BELOW, ABOVE, SQUARES, DIAGONAL };
  for (ptrdiff_t k = 0; k < row->count; k += WILLIS_RAY_INPUTS) {
    if (mirror & WILLIS_MIRROR_LEFT_RIGHT) {
      to[k + RIGHT] = from[k + LEFT];
      to[k + LEFT] = from[k + RIGHT];
      to[k + DIAGONAL] = -from[k + DIAGONAL];
    }
    if (mirror & WILLIS_MIRROR_UPSIDE_DOWN) {
      to[k + BELOW] = from[k + ABOVE];
      to[k + ABOVE] = from[k + BELOW];
    }
  }
}

void willis_hull_mirror(const struct willis_network *network, unsigned mirror, float *parameters) {
  enum { KERNEL = 5 }; /* dimensions */
  memcpy(parameters, network->parameters, (size_t)network->parameter_count * sizeof *parameters);
  for (int i = 0; i < network->tensor_count; i++) {
    const struct willis_tensor_row *row = &network->tensor[i];
    const float *from = network->parameters + row->offset;
    if (row->rank == KERNEL) mirror_taps(mirror, row, from, parameters + row->offset);
    if (strstr(row->name, ".view.")) mirror_views(mirror, row, from, parameters + row->offset);
  }
}
