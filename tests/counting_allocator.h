/* An allocator that knows how many bytes are held and how many were at most. */
#ifndef TESTS_COUNTING_ALLOCATOR_H
#define TESTS_COUNTING_ALLOCATOR_H

#include "base/memory.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>

struct counting_allocator {
  atomic_size_t held, peak;
};

static inline void *counting_allocate(size_t bytes, size_t alignment, void *context) {
  struct counting_allocator *counting = context;
  void *block = NULL;
  if (posix_memalign(&block, alignment, bytes)) return NULL;
  const size_t size = malloc_usable_size(block);
  const size_t held = atomic_fetch_add(&counting->held, size) + size;
  size_t peak = atomic_load(&counting->peak);
  while (held > peak && !atomic_compare_exchange_weak(&counting->peak, &peak, held)) continue;
  return block;
}

static inline void counting_release(void *block, void *context) {
  atomic_fetch_sub(&((struct counting_allocator *)context)->held, malloc_usable_size(block));
  free(block);
}

/* Until the next call; null puts the standard allocator back. Only while nothing is held. */
static inline void counting_allocator_use(struct counting_allocator *counting) {
  struct willis_allocator table = {counting_allocate, counting_release, counting};
  willis_allocator_set(counting ? &table : NULL);
}

#endif
