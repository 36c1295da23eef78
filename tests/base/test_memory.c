/* Sizes that do not fit, alignment, growing, and the arena. */
#include "base/memory.h"

#include "failing_allocator.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_products_are_checked(void **state) {
  (void)state;
  ptrdiff_t product;
  assert_true(willis_multiply(3, 4, &product));
  assert_int_equal(product, 12);
  assert_true(willis_multiply(PTRDIFF_MAX, 1, &product));
  assert_false(willis_multiply(PTRDIFF_MAX / 2 + 1, 2, &product));
  assert_int_equal(product, 0);
  assert_false(willis_multiply(-1, 2, &product));
  assert_false(willis_multiply(0, -1, &product));
}

static void test_impossible_sizes_give_null(void **state) {
  (void)state;
  assert_null(willis_take(PTRDIFF_MAX, 2));
  assert_null(willis_take(-1, 1));
  assert_null(willis_take(1, SIZE_MAX));
  assert_null(willis_take_zeroed(PTRDIFF_MAX, 8));
}

static void test_blocks_are_aligned_and_zeroed(void **state) {
  (void)state;
  for (ptrdiff_t n = 0; n < 200; n += 7) {
    unsigned char *block = willis_take_zeroed(n, 3);
    assert_non_null(block);
    assert_int_equal((uintptr_t)block % WILLIS_ALIGNMENT, 0);
    for (ptrdiff_t i = 0; i < 3 * n; i++) assert_int_equal(block[i], 0);
    willis_release(block);
  }
  willis_release(NULL);
}

static void test_growing_keeps_what_was_there(void **state) {
  (void)state;
  int *block = willis_grow(NULL, 0, 4, sizeof *block);
  assert_non_null(block);
  for (int i = 0; i < 4; i++) block[i] = 10 + i;
  block = willis_grow(block, 4, 1000, sizeof *block);
  for (int i = 0; i < 4; i++) assert_int_equal(block[i], 10 + i);
  block = willis_grow(block, 1000, 2, sizeof *block);
  assert_int_equal(block[1], 11);
  assert_null(willis_grow(block, 2, PTRDIFF_MAX, sizeof *block));
  assert_int_equal(block[1], 11); /* untouched */
  willis_release(block);
}

static void test_a_failing_table_is_obeyed(void **state) {
  (void)state;
  struct failing_allocator failing = {.until_failure = 1};
  failing_allocator_use(&failing);
  void *first = willis_take(1, 1), *second = willis_take(1, 1);
  assert_non_null(first);
  assert_null(second);
  willis_release(first);
  failing_allocator_use(NULL);
  assert_int_equal(failing.held, 0);
}

static void test_arena_counts_then_serves_the_same(void **state) {
  (void)state;
  struct willis_arena counting = {0}, arena;
  struct willis_error err;
  static const ptrdiff_t counts[] = {1, 64, 65, 0, 1000};
  for (int i = 0; i < 5; i++) assert_null(willis_arena_take(&counting, counts[i], 4));
  assert_int_equal(willis_arena_init(&arena, counting.peak, &err), WILLIS_OK);
  unsigned char *end = arena.base;
  for (int i = 0; i < 5; i++) {
    unsigned char *block = willis_arena_take(&arena, counts[i], 4);
    assert_non_null(block);
    assert_int_equal((uintptr_t)block % WILLIS_ALIGNMENT, 0);
    assert_true(block >= end); /* blocks do not overlap */
    memset(block, 0xff, (size_t)counts[i] * 4);
    end = block + counts[i] * 4;
  }
  assert_int_equal(arena.used, counting.used);
  assert_null(willis_arena_take(&arena, 1, 1)); /* full */
  assert_null(willis_arena_take(&arena, PTRDIFF_MAX, 16));
  willis_arena_rewind(&arena, 0);
  assert_ptr_equal(willis_arena_take(&arena, 1, 4), arena.base);
  assert_int_equal(arena.peak, counting.peak);
  willis_arena_release(&arena);
  assert_null(arena.base);
}

static void test_arena_that_does_not_fit(void **state) {
  (void)state;
  struct willis_arena arena;
  struct willis_error err;
  assert_int_equal(willis_arena_init(&arena, SIZE_MAX, &err), WILLIS_OUT_OF_MEMORY);
  struct failing_allocator failing = {.until_failure = 0};
  failing_allocator_use(&failing);
  assert_int_equal(willis_arena_init(&arena, 100, &err), WILLIS_OUT_OF_MEMORY);
  failing_allocator_use(NULL);
  willis_arena_release(&arena);
}

static void test_a_large_arena_is_writable_to_its_end(void **state) {
  (void)state;
  struct willis_arena arena;
  struct willis_error err;
  size_t bytes = ((size_t)4 << 20) + 4096;
  assert_int_equal(willis_arena_init(&arena, bytes, &err), WILLIS_OK);
  memset(arena.base, 1, bytes);
  willis_arena_release(&arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_products_are_checked),
      cmocka_unit_test(test_impossible_sizes_give_null),
      cmocka_unit_test(test_blocks_are_aligned_and_zeroed),
      cmocka_unit_test(test_growing_keeps_what_was_there),
      cmocka_unit_test(test_a_failing_table_is_obeyed),
      cmocka_unit_test(test_arena_counts_then_serves_the_same),
      cmocka_unit_test(test_arena_that_does_not_fit),
      cmocka_unit_test(test_a_large_arena_is_writable_to_its_end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
