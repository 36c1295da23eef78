/* An allocator that counts bytes: what is held, and the most that was. */
#ifndef TESTS_METERED_ALLOCATOR_H
#define TESTS_METERED_ALLOCATOR_H

#include "base/memory.h"

#include <malloc.h>
#include <stdlib.h>

struct metered_allocator {
  size_t held, most;
};

static inline void *metered_allocate(size_t bytes, size_t alignment, void *context) {
  struct metered_allocator *meter = context;
  void *block = NULL;
  if (posix_memalign(&block, alignment, bytes)) return NULL;
  meter->held += malloc_usable_size(block);
  if (meter->most < meter->held) meter->most = meter->held;
  return block;
}

static inline void metered_release(void *block, void *context) {
  ((struct metered_allocator *)context)->held -= malloc_usable_size(block);
  free(block);
}

/* Until the next call; null puts the standard allocator back. */
static inline void metered_allocator_use(struct metered_allocator *meter) {
  struct willis_allocator table = {metered_allocate, metered_release, meter};
  willis_allocator_set(meter ? &table : NULL);
}

#endif
