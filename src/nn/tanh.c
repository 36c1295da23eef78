/* The hyperbolic tangent: what ends a generator whose pictures lie in [−1, 1]. */
#include "nn/tanh.h"

#include <math.h>

void willis_tanh_forward(ptrdiff_t count, const float *x, float *y) {
#pragma omp parallel for schedule(static)
  for (ptrdiff_t i = 0; i < count; i++) y[i] = tanhf(x[i]);
}

void willis_tanh_backward(ptrdiff_t count, const float *y, const float *d_y, float *d_x) {
#pragma omp parallel for schedule(static)
  for (ptrdiff_t i = 0; i < count; i++) d_x[i] = d_y[i] * (1 - y[i] * y[i]);
}
