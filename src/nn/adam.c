/* Adam, element by element, in float as PyTorch does it. */
#include "nn/adam.h"

#include <math.h>

void willis_adam_step(const struct willis_adam *adam, uint64_t step, ptrdiff_t count,
                      const float *gradient, float *m, float *v, float *parameter) {
  const float b1 = (float)adam->beta1, keep1 = (float)(1 - adam->beta1);
  const float b2 = (float)adam->beta2, keep2 = (float)(1 - adam->beta2);
  const float rate = (float)(adam->learning_rate / (1 - pow(adam->beta1, (double)step)));
  const float root = (float)sqrt(1 - pow(adam->beta2, (double)step));
  const float epsilon = (float)adam->epsilon;
#pragma omp parallel for schedule(static)
  for (ptrdiff_t i = 0; i < count; i++) {
    float g = gradient[i];
    m[i] = b1 * m[i] + keep1 * g;
    v[i] = b2 * v[i] + keep2 * g * g;
    parameter[i] -= rate * (m[i] / (sqrtf(v[i]) / root + epsilon));
  }
}
