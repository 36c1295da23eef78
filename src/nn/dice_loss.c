/* Soft Dice. With A = 2Σpt + 1 and B = Σp + Σt + 1, dL/dp = (A − 2t·B)/B² and dp/dz = p(1 − p). */
#include "nn/dice_loss.h"

#include "base/parallel.h"

#include <math.h>

enum { CHUNK = 4096 };

struct dice {
  const float *logit, *target;
  double above, below, weight; /* A and B */
  float *d_logit;
};

static double probability(double z) {
  double e = exp(-fabs(z));
  return z >= 0 ? 1 / (1 + e) : e / (1 + e);
}

static void sums(ptrdiff_t begin, ptrdiff_t end, double *sum, void *context) {
  const struct dice *d = context;
  for (ptrdiff_t i = begin; i < end; i++) {
    double p = probability(d->logit[i]), t = d->target[i];
    sum[0] += p * t;
    sum[1] += p + t;
  }
}

static void gradients(ptrdiff_t begin, ptrdiff_t end, void *context) {
  const struct dice *d = context;
  const double scale = d->weight / (d->below * d->below);
  for (ptrdiff_t i = begin; i < end; i++) {
    double p = probability(d->logit[i]);
    d->d_logit[i] +=
        (float)(scale * (d->above - 2 * (double)d->target[i] * d->below) * p * (1 - p));
  }
}

double willis_dice_loss_gradient(ptrdiff_t count, const float *logit, const float *target,
                                 double weight, float *d_logit) {
  struct dice d = {.logit = logit, .target = target, .weight = weight, .d_logit = d_logit};
  double total[WILLIS_PARALLEL_SUMS];
  willis_parallel_sum(count, CHUNK, 2, sums, &d, total);
  d.above = 2 * total[0] + 1;
  d.below = total[1] + 1;
  willis_parallel_for(count, CHUNK, gradients, &d);
  return 1 - d.above / d.below;
}
