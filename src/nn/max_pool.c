/* Max pooling by its definition; a thread owns whole slabs of the pooled volume. */
#include "nn/max_pool.h"

#include <math.h>

void willis_max_pool_forward(struct willis_extent extent, int channels, const float *x, float *y,
                             uint8_t *argmax) {
  const struct willis_extent half = willis_extent_half(extent);
#pragma omp parallel for schedule(dynamic, 1)
  for (ptrdiff_t z = 0; z < half.depth; z++)
    for (ptrdiff_t v = 0; v < half.height * half.width; v++) {
      ptrdiff_t to = (z * half.height * half.width + v) * channels;
      for (int c = 0; c < channels; c++) {
        float most = -INFINITY;
        int where = 0;
        for (int k = 0; k < WILLIS_POOL_WINDOW; k++) {
          float value =
              x[willis_pool_source(extent, z, v / half.width, v % half.width, k) * channels + c];
          if (value > most || isnan(value)) {
            most = value;
            where = k;
          }
        }
        y[to + c] = most;
        argmax[to + c] = (uint8_t)where;
      }
    }
}

void willis_max_pool_backward(struct willis_extent extent, int channels, const uint8_t *argmax,
                              const float *d_y, float *d_x) {
  const struct willis_extent half = willis_extent_half(extent);
#pragma omp parallel for schedule(dynamic, 1)
  for (ptrdiff_t z = 0; z < half.depth; z++)
    for (ptrdiff_t v = 0; v < half.height * half.width; v++) {
      ptrdiff_t from = (z * half.height * half.width + v) * channels;
      for (int k = 0; k < WILLIS_POOL_WINDOW; k++) {
        float *to =
            d_x + willis_pool_source(extent, z, v / half.width, v % half.width, k) * channels;
        for (int c = 0; c < channels; c++) to[c] = argmax[from + c] == k ? d_y[from + c] : 0;
      }
    }
}
