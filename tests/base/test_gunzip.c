/* Inflating: round trip, every cut, every flipped byte, members, bombs. */
#include "base/file.h"

#include "base/memory.h"
#include "failing_allocator.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

/* One gzip member; the caller frees it with free(). */
static unsigned char *pack(const unsigned char *bytes, size_t size, size_t *packed_size) {
  z_stream z = {0};
  assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
  size_t room = deflateBound(&z, size);
  unsigned char *packed = malloc(room);
  assert_non_null(packed);
  z.next_in = (unsigned char *)(uintptr_t)bytes;
  z.avail_in = (uInt)size;
  z.next_out = packed;
  z.avail_out = (uInt)room;
  assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
  *packed_size = z.total_out;
  deflateEnd(&z);
  return packed;
}

static unsigned char *noise(size_t size) {
  unsigned char *bytes = malloc(size);
  uint32_t x = 1;
  for (size_t i = 0; i < size; i++) {
    x = x * 1664525u + 1013904223u;
    bytes[i] = (unsigned char)(x >> 24 & 0x1f);
  }
  return bytes;
}

static void test_round_trip_at_many_sizes(void **state) {
  (void)state;
  static const size_t sizes[] = {0, 1, 63, 1000, 65536, 300000, 3000000};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    size_t packed_size, got_size, size = sizes[i];
    unsigned char *bytes = noise(size + 1), *packed = pack(bytes, size, &packed_size), *got;
    assert_int_equal(willis_gunzip(packed, packed_size, size, &got, &got_size, NULL), WILLIS_OK);
    assert_int_equal(got_size, size);
    assert_memory_equal(got, bytes, size);
    assert_int_equal(got[size], 0);
    willis_release(got);
    if (size) {
      struct willis_error err;
      assert_int_equal(willis_gunzip(packed, packed_size, size - 1, &got, &got_size, &err),
                       WILLIS_FORMAT);
      assert_null(got);
      assert_non_null(strstr(err.message, "expand beyond"));
    }
    free(packed);
    free(bytes);
  }
}

static void test_a_bomb_stops_at_the_limit(void **state) {
  (void)state;
  size_t size = (size_t)64 << 20, packed_size, got_size;
  unsigned char *zeros = calloc(size, 1), *packed = pack(zeros, size, &packed_size), *got;
  free(zeros);
  struct failing_allocator counting = {.until_failure = -1};
  failing_allocator_use(&counting);
  assert_int_equal(willis_gunzip(packed, packed_size, 1 << 20, &got, &got_size, NULL),
                   WILLIS_FORMAT);
  failing_allocator_use(NULL);
  assert_int_equal(counting.held, 0);
  free(packed);
}

static void test_members_follow_each_other(void **state) {
  (void)state;
  size_t a, b, got_size;
  unsigned char *first = pack((const unsigned char *)"Circle of ", 10, &a),
                *second = pack((const unsigned char *)"Willis", 6, &b), *both = malloc(a + b + 4),
                *got;
  memcpy(both, first, a);
  memcpy(both + a, second, b);
  memset(both + a + b, 0, 4); /* padding after the last member is no error, as in gzip(1) */
  for (size_t padding = 0; padding <= 4; padding += 4) {
    assert_int_equal(willis_gunzip(both, a + b + padding, 16, &got, &got_size, NULL), WILLIS_OK);
    assert_int_equal(got_size, 16);
    assert_string_equal((char *)got, "Circle of Willis");
    willis_release(got);
  }
  assert_int_equal(willis_gunzip(both, a + b, 15, &got, &got_size, NULL), WILLIS_FORMAT);
  free(first);
  free(second);
  free(both);
}

static void test_every_cut_and_every_flip_is_noticed(void **state) {
  (void)state;
  size_t size = 700, packed_size, got_size;
  unsigned char *bytes = noise(size), *packed = pack(bytes, size, &packed_size), *got;
  struct willis_error err;
  for (size_t cut = 0; cut < packed_size; cut++) {
    assert_int_equal(willis_gunzip(packed, cut, 4 * size, &got, &got_size, &err), WILLIS_FORMAT);
    assert_null(got);
    assert_non_null(strstr(err.message, "at byte"));
  }
  for (size_t at = 0; at < packed_size; at++) {
    packed[at] ^= 0x10;
    enum willis_status status = willis_gunzip(packed, packed_size, 4 * size, &got, &got_size, NULL);
    /* Bytes 4 to 9 (time, level, system) mean nothing for the content. */
    if (!status) {
      assert_in_range(at, 3, 9);
      assert_memory_equal(got, bytes, size);
    }
    willis_release(got);
    packed[at] ^= 0x10;
  }
  free(packed);
  free(bytes);
}

static void test_every_allocation_may_fail(void **state) {
  (void)state;
  size_t size = 200000, packed_size, got_size;
  unsigned char *zeros = calloc(size, 1), *packed = pack(zeros, size, &packed_size), *got;
  for (int n = 0;; n++) {
    struct failing_allocator failing = {.until_failure = n};
    failing_allocator_use(&failing);
    enum willis_status status = willis_gunzip(packed, packed_size, size, &got, &got_size, NULL);
    willis_release(got);
    failing_allocator_use(NULL);
    assert_int_equal(failing.held, 0);
    if (!status) {
      assert_true(n > 2);
      break;
    }
    assert_int_equal(status, WILLIS_OUT_OF_MEMORY);
  }
  free(packed);
  free(zeros);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_round_trip_at_many_sizes),
      cmocka_unit_test(test_a_bomb_stops_at_the_limit),
      cmocka_unit_test(test_members_follow_each_other),
      cmocka_unit_test(test_every_cut_and_every_flip_is_noticed),
      cmocka_unit_test(test_every_allocation_may_fail),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
