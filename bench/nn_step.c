/* Seconds of the paper's network, forward and training step, on one cube of random numbers.
 *
 *   nn_step SIZE [REPEATS] [THREADS] [avx2]
 *
 * One line a repeat: size, wall and CPU seconds of each; then the medians and the memory of a step.
 * avx2: no wider vectors. nn_step.py prints the same lines for PyTorch; run the two in turns. */
#define _GNU_SOURCE
#include "base/cpu.h"
#include "base/memory.h"
#include "base/parallel.h"
#include "base/random.h"
#include "cost.h"

#include <willis/network.h>

#include <stdio.h>
#include <stdlib.h>

static enum willis_status measure(ptrdiff_t size, int repeats, struct willis_error *err) {
  const ptrdiff_t count = size * size * size;
  struct willis_network *network = NULL;
  struct willis_trainer *trainer = NULL;
  struct willis_trainer_options options = willis_trainer_defaults();
  for (int axis = 0; axis < 3; axis++) options.size[axis] = size;
  static double forward[MOST_PAIRS], step[MOST_PAIRS];
  size_t bytes = 0;
  float *x = willis_take(count, sizeof *x), *target = willis_take(count, sizeof *target);
  float *y = willis_take(count, sizeof *y);
  enum willis_status status = x && target && y ? WILLIS_OK : WILLIS_OUT_OF_MEMORY;
  if (status == WILLIS_OK) status = willis_network_create("dae", 0, &network, err);
  if (status == WILLIS_OK) status = willis_training_bytes(network, &options, &bytes, err);
  if (status == WILLIS_OK) status = willis_trainer_create(network, &options, &trainer, err);
  if (status != WILLIS_OK) goto out;
  for (ptrdiff_t i = 0; i < count; i++) {
    x[i] = (float)willis_random_uniform(1, 0, (uint64_t)i);
    target[i] = willis_random_uniform(1, 1, (uint64_t)i) < 0.003;
  }
  for (int r = -1; r < repeats; r++) { /* the first touches the memory */
    double loss;
    struct cost start = cost_now();
    status = willis_network_infer(network, options.size, x, WILLIS_OUTPUT_LOGIT, y, err);
    if (status != WILLIS_OK) goto out;
    struct cost f = cost_since(start);
    start = cost_now();
    status = willis_trainer_step(trainer, x, target, &loss, err);
    if (status != WILLIS_OK) goto out;
    struct cost s = cost_since(start);
    if (r < 0) continue;
    forward[r] = f.wall;
    step[r] = s.wall;
    printf("willis %td^3 forward %.4f s (cpu %.4f) step %.4f s (cpu %.4f)\n", size, f.wall, f.cpu,
           s.wall, s.cpu);
  }
  printf("willis %td^3 median forward %.4f s step %.4f s, %d threads, step memory %.1f MiB\n", size,
         cost_median(forward, repeats), cost_median(step, repeats), willis_parallel_threads(),
         (double)bytes / 0x1p20);
out:
  willis_trainer_destroy(trainer);
  willis_network_destroy(network);
  willis_release(x);
  willis_release(target);
  willis_release(y);
  return status;
}

int main(int count, char **argument) {
  struct willis_error err = {.message = "no memory"};
  ptrdiff_t size = count > 1 ? atoi(argument[1]) : 64;
  int repeats = count > 2 ? atoi(argument[2]) : 5;
  if (repeats < 1 || repeats > MOST_PAIRS) repeats = 5;
  willis_parallel_set_threads(count > 3 ? atoi(argument[3]) : 0);
  if (count > 4) willis_cpu_mask(~(unsigned)WILLIS_CPU_AVX512);
  if (measure(size, repeats, &err) == WILLIS_OK) return 0;
  fprintf(stderr, "nn_step: %s\n", err.message);
  return 1;
}
