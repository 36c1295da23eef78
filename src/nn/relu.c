/* The rectifier. The backward pass looks at the output, so the input need not be kept. */
#include "nn/relu.h"

void willis_relu_forward(ptrdiff_t count, const float *x, float *y) {
#pragma omp parallel for schedule(static)
  for (ptrdiff_t i = 0; i < count; i++) y[i] = x[i] <= 0 ? 0 : x[i];
}

void willis_relu_backward(ptrdiff_t count, const float *y, const float *d_y, float *d_x) {
#pragma omp parallel for schedule(static)
  for (ptrdiff_t i = 0; i < count; i++) d_x[i] = y[i] > 0 ? d_y[i] : 0;
}
