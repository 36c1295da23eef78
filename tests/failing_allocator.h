/* An allocator whose n-th allocation fails, once; and that counts what is still held. */
#ifndef TESTS_FAILING_ALLOCATOR_H
#define TESTS_FAILING_ALLOCATOR_H

#include "base/memory.h"

#include <stdlib.h>

struct failing_allocator {
  int until_failure; /* 0: the next one fails; negative: none */
  int held;
};

static inline void *failing_allocate(size_t bytes, size_t alignment, void *context) {
  struct failing_allocator *failing = context;
  void *block = NULL;
  if (failing->until_failure-- == 0) return NULL;
  if (posix_memalign(&block, alignment, bytes)) return NULL;
  failing->held++;
  return block;
}

static inline void failing_release(void *block, void *context) {
  ((struct failing_allocator *)context)->held--;
  free(block);
}

/* Until the next call; null puts the standard allocator back. */
static inline void failing_allocator_use(struct failing_allocator *failing) {
  struct willis_allocator table = {failing_allocate, failing_release, failing};
  willis_allocator_set(failing ? &table : NULL);
}

#endif
