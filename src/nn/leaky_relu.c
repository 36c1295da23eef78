/* The leaky rectifier (Maas et al. 2013). Its output has the sign of its input, so the backward
 * pass looks at the output and the input need not be kept. */
#include "nn/leaky_relu.h"

void willis_leaky_relu_forward(ptrdiff_t count, float slope, const float *x, float *y) {
#pragma omp parallel for simd schedule(static)
  for (ptrdiff_t i = 0; i < count; i++) y[i] = x[i] * (x[i] > 0 ? 1 : slope);
}

void willis_leaky_relu_backward(ptrdiff_t count, float slope, const float *y, const float *d_y,
                                float *d_x) {
#pragma omp parallel for simd schedule(static)
  for (ptrdiff_t i = 0; i < count; i++) d_x[i] = d_y[i] * (y[i] > 0 ? 1 : slope);
}
