/* The one way to get memory. Sizes are products that are checked; blocks are aligned to a cache
 * line; tests replace the allocator to make the n-th allocation fail. */
#ifndef WILLIS_BASE_MEMORY_H
#define WILLIS_BASE_MEMORY_H

#include <willis/error.h>

#include <stdbool.h>
#include <stddef.h>

enum { WILLIS_ALIGNMENT = 64 };

/* a·b without overflow into *product; false (and 0) if it does not fit or one is negative. */
bool willis_multiply(ptrdiff_t a, ptrdiff_t b, ptrdiff_t *product);

/* count·size bytes aligned to WILLIS_ALIGNMENT, or null when the product does not fit or memory is
 * short. count 0 gives a block too. Freed by willis_release(); null is fine there. */
void *willis_take(ptrdiff_t count, size_t size);
void *willis_take_zeroed(ptrdiff_t count, size_t size);
/* A block of new_count items holding the first min(old,new) items of `block`, which is freed; null
 * (and `block` untouched) when it does not fit. */
void *willis_grow(void *block, ptrdiff_t old_count, ptrdiff_t new_count, size_t size);
void willis_release(void *block);

/* The table behind the four functions. `allocate` returns null to fail. */
struct willis_allocator {
  void *(*allocate)(size_t bytes, size_t alignment, void *context);
  void (*release)(void *block, void *context);
  void *context;
};
/* Null puts the standard one back. Not thread safe; for tests. */
void willis_allocator_set(const struct willis_allocator *allocator);

/* A stack of blocks inside one allocation, so that a training step never allocates. */
struct willis_arena {
  unsigned char *base;
  size_t size, used, peak;
};
/* OUT_OF_MEMORY. Pages are touched lazily and asked to be huge where the system can. */
WILLIS_CHECKED enum willis_status willis_arena_init(struct willis_arena *arena, size_t bytes,
                                                    struct willis_error *err);
/* An aligned block; null if the arena is full. An arena with a null base only counts: it returns
 * null and `peak` tells how much would have been needed. */
void *willis_arena_take(struct willis_arena *arena, ptrdiff_t count, size_t size);
/* Forgets every block taken after `mark` = the `used` of that moment. */
void willis_arena_rewind(struct willis_arena *arena, size_t mark);
/* Gives the pages back to the system; blocks stay taken, what they held is gone. */
void willis_arena_forget(struct willis_arena *arena);
void willis_arena_release(struct willis_arena *arena);

#endif
