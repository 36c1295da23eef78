/* Allocation with checked products, cache-line alignment and a replaceable table. */
#define _GNU_SOURCE
#include "base/memory.h"

#include "base/error.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { HUGE_PAGE = 2 << 20 };

static void *standard_allocate(size_t bytes, size_t alignment, void *context) {
  (void)context;
  void *block = NULL;
  return posix_memalign(&block, alignment, bytes) ? NULL : block;
}

static void standard_release(void *block, void *context) {
  (void)context;
  free(block);
}

static const struct willis_allocator standard = {standard_allocate, standard_release, NULL};
static struct willis_allocator active = {standard_allocate, standard_release, NULL};

void willis_allocator_set(const struct willis_allocator *allocator) {
  active = allocator ? *allocator : standard;
}

bool willis_multiply(ptrdiff_t a, ptrdiff_t b, ptrdiff_t *product) {
  if (a < 0 || b < 0 || __builtin_mul_overflow(a, b, product)) {
    *product = 0;
    return false;
  }
  return true;
}

void *willis_take(ptrdiff_t count, size_t size) {
  ptrdiff_t bytes;
  if (size > PTRDIFF_MAX || !willis_multiply(count, (ptrdiff_t)size, &bytes)) return NULL;
  return active.allocate(bytes ? (size_t)bytes : 1, WILLIS_ALIGNMENT, active.context);
}

void *willis_take_zeroed(ptrdiff_t count, size_t size) {
  void *block = willis_take(count, size);
  if (block) memset(block, 0, (size_t)count * size);
  return block;
}

void *willis_grow(void *block, ptrdiff_t old_count, ptrdiff_t new_count, size_t size) {
  void *grown = willis_take(new_count, size);
  if (!grown) return NULL;
  ptrdiff_t kept = old_count < new_count ? old_count : new_count;
  if (block && kept > 0) memcpy(grown, block, (size_t)kept * size);
  willis_release(block);
  return grown;
}

void willis_release(void *block) {
  if (block) active.release(block, active.context);
}

enum willis_status willis_arena_init(struct willis_arena *arena, size_t bytes,
                                     struct willis_error *err) {
  *arena = (struct willis_arena){0};
  size_t alignment = bytes >= HUGE_PAGE ? HUGE_PAGE : WILLIS_ALIGNMENT;
  if (bytes > PTRDIFF_MAX - HUGE_PAGE) return willis_fail_memory(err, "the arena", -1, bytes);
  arena->base = active.allocate(bytes ? bytes : 1, alignment, active.context);
  if (!arena->base) return willis_fail_memory(err, "the arena", 1, bytes);
  arena->size = bytes;
#ifdef MADV_HUGEPAGE
  if (bytes >= HUGE_PAGE) (void)madvise(arena->base, bytes, MADV_HUGEPAGE);
#endif
  return WILLIS_OK;
}

void *willis_arena_take(struct willis_arena *arena, ptrdiff_t count, size_t size) {
  ptrdiff_t bytes;
  if (size > PTRDIFF_MAX || !willis_multiply(count, (ptrdiff_t)size, &bytes)) return NULL;
  if ((size_t)bytes > SIZE_MAX / 2 - arena->used) return NULL;
  size_t room = ((size_t)bytes + WILLIS_ALIGNMENT - 1) / WILLIS_ALIGNMENT * WILLIS_ALIGNMENT;
  size_t end = arena->used + room;
  if (arena->base && end > arena->size) return NULL;
  void *block = arena->base ? arena->base + arena->used : NULL;
  arena->used = end;
  if (arena->peak < end) arena->peak = end;
  return block;
}

void willis_arena_rewind(struct willis_arena *arena, size_t mark) {
  arena->used = mark;
}

void willis_arena_forget(struct willis_arena *arena) {
#ifdef MADV_DONTNEED
  /* Whole pages of an arena that is aligned to them; the rest is shared with others. */
  size_t bytes = arena->size / HUGE_PAGE * HUGE_PAGE;
  if (bytes) (void)madvise(arena->base, bytes, MADV_DONTNEED);
#else
  (void)arena;
#endif
}

void willis_arena_release(struct willis_arena *arena) {
  willis_release(arena->base);
  *arena = (struct willis_arena){0};
}
