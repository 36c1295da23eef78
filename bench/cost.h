/* Seconds of what the bench programs run, and medians of them. */
#ifndef BENCH_COST_H
#define BENCH_COST_H

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { MOST_PAIRS = 99 };

struct cost {
  double wall, cpu; /* seconds */
};

static inline struct cost cost_now(void) {
  struct timespec t;
  struct rusage u;
  clock_gettime(CLOCK_MONOTONIC, &t);
  getrusage(RUSAGE_SELF, &u);
  return (struct cost){(double)t.tv_sec + 1e-9 * (double)t.tv_nsec,
                       (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
                           1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec)};
}

static inline struct cost cost_since(struct cost start) {
  struct cost now = cost_now();
  return (struct cost){now.wall - start.wall, now.cpu - start.cpu};
}

static inline int cost_by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static inline double cost_median(const double *values, int count) {
  double sorted[MOST_PAIRS];
  memcpy(sorted, values, sizeof(double) * (size_t)count);
  qsort(sorted, (size_t)count, sizeof(double), cost_by_value);
  return sorted[count / 2];
}

#endif
