/* Adam (Kingma, Ba 2015) in the form of PyTorch's torch.optim.Adam. */
#ifndef WILLIS_NN_ADAM_H
#define WILLIS_NN_ADAM_H

#include <stddef.h>
#include <stdint.h>

struct willis_adam {
  double learning_rate, beta1, beta2, epsilon;
};

/* Step number `step` ≥ 1 over `count` parameters with gradient g and moments m, v:
 *   m ← β1·m + (1−β1)·g,  v ← β2·v + (1−β2)·g²,
 *   parameter ← parameter − rate/(1−β1^step) · m / (√v/√(1−β2^step) + ε). */
void willis_adam_step(const struct willis_adam *adam, uint64_t step, ptrdiff_t count,
                      const float *gradient, float *m, float *v, float *parameter);

#endif
