/* Chunked loops over OpenMP with sums in fixed order. */
#include "base/parallel.h"

#include <omp.h>

enum { MOST_CHUNKS = 4096 };

void willis_parallel_set_threads(int threads) {
  int cores = omp_get_num_procs();
  omp_set_num_threads(threads > 0 ? threads : cores);
}

int willis_parallel_threads(void) {
  return omp_get_max_threads();
}

void willis_parallel_for(ptrdiff_t count, ptrdiff_t chunk,
                         void (*body)(ptrdiff_t begin, ptrdiff_t end, void *context),
                         void *context) {
  ptrdiff_t chunks = (count + chunk - 1) / chunk;
#pragma omp parallel for schedule(dynamic, 1) if (chunks > 1)
  for (ptrdiff_t c = 0; c < chunks; c++) {
    ptrdiff_t begin = c * chunk, end = begin + chunk < count ? begin + chunk : count;
    body(begin, end, context);
  }
}

void willis_parallel_sum(ptrdiff_t count, ptrdiff_t chunk, int sums,
                         void (*body)(ptrdiff_t begin, ptrdiff_t end, double *sum, void *context),
                         void *context, double *total) {
  if (chunk < (count + MOST_CHUNKS - 1) / MOST_CHUNKS)
    chunk = (count + MOST_CHUNKS - 1) / MOST_CHUNKS;
  ptrdiff_t chunks = count > 0 ? (count + chunk - 1) / chunk : 0;
  double partial[MOST_CHUNKS][WILLIS_PARALLEL_SUMS];
#pragma omp parallel for schedule(dynamic, 1) if (chunks > 1)
  for (ptrdiff_t c = 0; c < chunks; c++) {
    ptrdiff_t begin = c * chunk, end = begin + chunk < count ? begin + chunk : count;
    for (int s = 0; s < sums; s++) partial[c][s] = 0;
    body(begin, end, partial[c], context);
  }
  for (int s = 0; s < sums; s++) total[s] = 0;
  for (ptrdiff_t c = 0; c < chunks; c++)
    for (int s = 0; s < sums; s++) total[s] += partial[c][s];
}
