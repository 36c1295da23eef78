/* Threads. The rule of the house: work is cut into chunks whose size does not depend on the number
 * of threads, each chunk writes its own memory, and partial sums are added in the order of the
 * chunks; then every result has the same bits for any number of threads. */
#ifndef WILLIS_BASE_PARALLEL_H
#define WILLIS_BASE_PARALLEL_H

#include <stddef.h>

void willis_parallel_set_threads(int threads); /* 0: all cores this process may use */
int willis_parallel_threads(void);

/* Calls body(begin, end, context) for [0,chunk), [chunk,2·chunk), … in any order on any thread. */
void willis_parallel_for(ptrdiff_t count, ptrdiff_t chunk,
                         void (*body)(ptrdiff_t begin, ptrdiff_t end, void *context),
                         void *context);

enum { WILLIS_PARALLEL_SUMS = 8 };
/* As above for bodies that return up to WILLIS_PARALLEL_SUMS sums; the chunks' sums are added in
 * order into total[0..sums). Uses at most 4096 chunks (grows the chunk by a fixed rule if more). */
void willis_parallel_sum(ptrdiff_t count, ptrdiff_t chunk, int sums,
                         void (*body)(ptrdiff_t begin, ptrdiff_t end, double *sum, void *context),
                         void *context, double *total);

#endif
