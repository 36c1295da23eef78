/* What tests of readers share: volumes to write, listeners, and bytes that are cut and changed. */
#ifndef TESTS_IO_TEST_H
#define TESTS_IO_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <willis/io.h>

#include "base/memory.h"
#include "failing_allocator.h"
#include "scratch.h"

#include <math.h>

/* Counts warnings and keeps the last. */
struct heard {
  int count;
  char last[512];
};
static inline void heard_warn(const char *message, void *context) {
  struct heard *heard = context;
  heard->count++;
  snprintf(heard->last, sizeof heard->last, "%s", message);
}
#define LISTEN(heard) (&(struct willis_warnings){heard_warn, &(heard)})

#define assert_ok(call) assert_status(call, WILLIS_OK, NULL)
/* The status and, unless null, a part of the message. */
#define assert_status(call, expected, part)                                                        \
  do {                                                                                             \
    struct willis_error err = {.message = ""};                                                     \
    enum willis_status status_ = (call);                                                           \
    const char *part_ = (part);                                                                    \
    if (status_ != (expected) || (part_ && !strstr(err.message, part_)))                           \
      fail_msg("status %s, message \"%s\"; expected %s, \"%s\"", willis_status_name(status_),      \
               err.message, willis_status_name(expected), part_ ? part_ : "");                     \
  } while (0)

static inline void put_file(const char *path, const void *bytes, size_t size) {
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(bytes, 1, size, file), size);
  fclose(file);
}

/* Turned about all three axes; `mirror` makes it left-handed. */
static inline struct willis_grid oblique_grid(bool mirror) {
  double c = cos(0.3), s = sin(0.3), d = cos(0.7), t = sin(0.7);
  struct willis_grid grid = {
      .size = {5, 4, 3}, .spacing_mm = {0.5, 1.25, 3}, .origin_mm = {-70.5, 12.25, 333.125}};
  double turn[9] = {c, -s * d, s * t, s, c * d, -c * t, 0, t, d};
  for (int i = 0; i < 9; i++) grid.direction[i] = i % 3 == 0 && mirror ? -turn[i] : turn[i];
  return grid;
}

/* Values that every type of voxel can hold. */
static inline void fill(struct willis_volume *volume) {
  ptrdiff_t count = willis_grid_count(&volume->grid);
  for (ptrdiff_t i = 0; i < count; i++) volume->voxels[i] = (float)(i * 37 % 251);
}

static inline void assert_same_values(const struct willis_volume *a,
                                      const struct willis_volume *b) {
  assert_memory_equal(a->grid.size, b->grid.size, sizeof a->grid.size);
  assert_memory_equal(a->voxels, b->voxels, 4 * (size_t)willis_grid_count(&a->grid));
}

/* Every number of the grid within `tolerance`. */
static inline void assert_same_place(const struct willis_grid *a, const struct willis_grid *b,
                                     double tolerance) {
  for (int i = 0; i < 3; i++) {
    assert_true(fabs(a->spacing_mm[i] - b->spacing_mm[i]) <= tolerance);
    assert_true(fabs(a->origin_mm[i] - b->origin_mm[i]) <= tolerance);
  }
  for (int i = 0; i < 9; i++) assert_true(fabs(a->direction[i] - b->direction[i]) <= tolerance);
}

/* A reader for the two functions below: reads and releases. */
typedef enum willis_status read_once(const unsigned char *bytes, size_t size,
                                     struct willis_error *err);

/* Reads every prefix, each in a block of its own size so that a sanitizer sees one byte too far.
 * Those shorter than `needed` must fail. */
static inline void cut_everywhere(read_once *read, const unsigned char *bytes, size_t size,
                                  size_t needed) {
  for (size_t n = 0; n <= size; n++) {
    unsigned char *block = malloc(n ? n : 1);
    memcpy(block, bytes, n);
    struct willis_error err = {.message = ""};
    enum willis_status status = read(block, n, &err);
    if (n < needed && status == WILLIS_OK) fail_msg("%zu of %zu bytes are read as whole", n, size);
    if (n >= needed && status) fail_msg("%zu bytes: %s", n, err.message);
    if (status) assert_true(err.message[0] != 0 && err.status == status);
    free(block);
  }
}

/* Changes each byte of the first `size` in turn to a few values: any answer, but an answer. */
static inline void change_everywhere(read_once *read, const unsigned char *bytes, size_t size) {
  static const unsigned char values[] = {0x00, 0xFF, 0x7F, 0x80, '\n', '9'};
  unsigned char *block = malloc(size);
  memcpy(block, bytes, size);
  for (size_t at = 0; at < size; at++) {
    for (size_t i = 0; i < sizeof values + 1; i++) {
      block[at] = i < sizeof values ? values[i] : (unsigned char)(bytes[at] ^ 1);
      struct willis_error err = {.message = ""};
      if (read(block, size, &err)) assert_true(err.message[0] != 0);
      assert_null(strstr(err.message, "Secret")); /* the patient of test_dicom */
    }
    block[at] = bytes[at];
  }
  free(block);
}

/* Lets the first, second, third … allocation fail: each time OUT_OF_MEMORY and nothing held, until
 * it is done without a failure. */
static inline void starve(read_once *read, const unsigned char *bytes, size_t size) {
  for (int n = 0;; n++) {
    struct failing_allocator failing = {.until_failure = n};
    failing_allocator_use(&failing);
    struct willis_error err;
    enum willis_status status = read(bytes, size, &err);
    failing_allocator_use(NULL);
    assert_int_equal(failing.held, 0);
    if (failing.until_failure >= 0) {
      assert_int_equal(status, WILLIS_OK);
      assert_true(n > 0);
      return;
    }
    assert_int_equal(status, WILLIS_OUT_OF_MEMORY);
  }
}

#define SCRATCH_TEST(test) cmocka_unit_test_setup_teardown(test, scratch_empty, scratch_empty)

#endif
