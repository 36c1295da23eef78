/* Several cases in a few numbers. Percentiles are NumPy's default ("linear", Hyndman and Fan's
 * type 7), as the tables of the field are made. */
#include "metrics/scores.h"

#include "base/error.h"
#include "base/memory.h"

#include <math.h>
#include <stdlib.h>

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

void willis_sort_doubles(double *value, ptrdiff_t count) {
  qsort(value, (size_t)count, sizeof *value, compare);
}

double willis_percentile(const double *ascending, ptrdiff_t count, double p) {
  double position = p / 100 * (double)(count - 1);
  ptrdiff_t below = (ptrdiff_t)floor(position);
  if (below >= count - 1) return ascending[count - 1];
  return ascending[below] + (position - (double)below) * (ascending[below + 1] - ascending[below]);
}

enum willis_status willis_summarize(const double *value, ptrdiff_t count,
                                    struct willis_summary *summary, struct willis_error *err) {
  *summary = (struct willis_summary){0, NAN, NAN, NAN, NAN, NAN};
  if (count < 0) return willis_fail(err, WILLIS_INVALID_ARGUMENT, "%td cases", count);
  double *sorted = willis_take(count, sizeof *sorted);
  if (!sorted) return willis_fail_memory(err, "a summary", count, sizeof *sorted);
  ptrdiff_t n = 0;
  double sum = 0, squares = 0;
  for (ptrdiff_t i = 0; i < count; i++)
    if (!isnan(value[i])) sum += sorted[n++] = value[i];
  if (n > 0) {
    double mean = sum / (double)n;
    for (ptrdiff_t i = 0; i < n; i++) squares += (sorted[i] - mean) * (sorted[i] - mean);
    willis_sort_doubles(sorted, n);
    *summary = (struct willis_summary){.n = n,
                                       .mean = mean,
                                       .sd = n > 1 ? sqrt(squares / (double)(n - 1)) : NAN,
                                       .median = willis_percentile(sorted, n, 50),
                                       .q1 = willis_percentile(sorted, n, 25),
                                       .q3 = willis_percentile(sorted, n, 75)};
  }
  willis_release(sorted);
  return WILLIS_OK;
}
