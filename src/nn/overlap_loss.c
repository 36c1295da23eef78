/* With J = (I+1)/(U+1), U = Σp + Σt + missed − I:  ∂J/∂p = (t·(U+1) − (1−t)·(I+1))/(U+1)². */
#include "nn/overlap_loss.h"

#include <math.h>

static double probability(double z) {
  return z >= 0 ? 1 / (1 + exp(-z)) : exp(z) / (1 + exp(z));
}

double willis_overlap_loss_gradient(ptrdiff_t count, const float *logit, const float *target,
                                    double missed, float *d_logit) {
  double both = 0, either = missed, entropy = 0;
  for (ptrdiff_t i = 0; i < count; i++) {
    const double z = (double)logit[i], t = (double)target[i], p = probability(z);
    both += p * t;
    either += p + t - p * t;
    entropy += fmax(z, 0) - z * t + log1p(exp(-fabs(z)));
  }
  const double top = both + 1, bottom = either + 1;
  for (ptrdiff_t i = 0; i < count; i++) {
    const double t = (double)target[i], p = probability((double)logit[i]);
    const double d_overlap = (t * bottom - (1 - t) * top) / (bottom * bottom);
    d_logit[i] = (float)((p - t) / (double)count - d_overlap * p * (1 - p));
  }
  return entropy / (double)count + 1 - top / bottom;
}
