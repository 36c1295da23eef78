/* Reading whole files: limits, odd files, and every system call that can fail. */
#define _GNU_SOURCE
#include "base/file.h"

#include "base/memory.h"
#include "failing_allocator.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "scratch.h"

static const char text[] = "twelve bytes";
enum { SIZE = sizeof text - 1 };

static const char *make_file(void) {
  const char *path = scratch_path("file");
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(text, 1, SIZE, f), SIZE);
  fclose(f);
  return path;
}

static void test_reads_all_and_ends_with_zero(void **state) {
  (void)state;
  unsigned char *bytes;
  size_t size;
  assert_int_equal(willis_file_read(make_file(), SIZE, &bytes, &size, NULL), WILLIS_OK);
  assert_int_equal(size, SIZE);
  assert_string_equal((char *)bytes, text);
  willis_release(bytes);
}

static void test_limit(void **state) {
  (void)state;
  unsigned char *bytes;
  size_t size;
  struct willis_error err;
  assert_int_equal(willis_file_read(make_file(), SIZE - 1, &bytes, &size, &err), WILLIS_FORMAT);
  assert_null(bytes);
  assert_non_null(strstr(err.message, "12 bytes, at most 11"));
}

static void test_what_is_no_regular_file(void **state) {
  (void)state;
  unsigned char *bytes;
  size_t size;
  struct willis_error err;
  assert_int_equal(willis_file_read(scratch_path("none"), 99, &bytes, &size, &err), WILLIS_IO);
  assert_non_null(strstr(err.message, "No such file"));
  assert_int_equal(willis_file_read(scratch_folder, 99, &bytes, &size, &err), WILLIS_IO);
  const char *pipe_path = scratch_path("pipe");
  assert_int_equal(mkfifo(pipe_path, 0600), 0);
  assert_int_equal(willis_file_read(pipe_path, 99, &bytes, &size, &err), WILLIS_IO); /* no wait */
  assert_non_null(strstr(err.message, "not a regular file"));
}

/* read() one byte at a time, interrupted before each; then an error at byte `fail_at`. */
static ssize_t fail_at, reads, interrupts;
static ssize_t slow_read(int fd, void *buffer, size_t bytes) {
  if (interrupts++ % 2 == 0) {
    errno = EINTR;
    return -1;
  }
  if (reads++ == fail_at) {
    errno = EIO;
    return -1;
  }
  return read(fd, buffer, bytes ? 1 : 0);
}

static void test_short_interrupted_and_failing_reads(void **state) {
  (void)state;
  const char *path = make_file();
  struct willis_io_table table = *willis_io_standard();
  table.read = slow_read;
  willis_io_set(&table);
  for (fail_at = 0; fail_at <= SIZE; fail_at++) {
    unsigned char *bytes;
    size_t size;
    struct willis_error err;
    reads = 0;
    enum willis_status status = willis_file_read(path, 99, &bytes, &size, &err);
    if (fail_at < SIZE) {
      char where[32];
      snprintf(where, sizeof where, "at byte %zd", fail_at);
      assert_int_equal(status, WILLIS_IO);
      assert_null(bytes);
      assert_non_null(strstr(err.message, where));
    } else {
      assert_int_equal(status, WILLIS_OK);
      assert_memory_equal(bytes, text, SIZE + 1);
    }
    willis_release(bytes);
  }
  willis_io_set(NULL);
}

static ssize_t ends_early(int fd, void *buffer, size_t bytes) {
  (void)fd;
  (void)buffer;
  (void)bytes;
  return 0;
}

static void test_a_file_that_shrinks(void **state) {
  (void)state;
  struct willis_io_table table = *willis_io_standard();
  table.read = ends_early;
  const char *path = make_file();
  willis_io_set(&table);
  unsigned char *bytes;
  size_t size;
  struct willis_error err;
  assert_int_equal(willis_file_read(path, 99, &bytes, &size, &err), WILLIS_IO);
  assert_non_null(strstr(err.message, "ends at byte 0 of 12"));
  assert_null(bytes);
  willis_io_set(NULL);
}

static void test_no_memory(void **state) {
  (void)state;
  const char *path = make_file();
  struct failing_allocator failing = {.until_failure = 0};
  struct willis_error err;
  unsigned char *bytes;
  size_t size;
  failing_allocator_use(&failing);
  assert_int_equal(willis_file_read(path, 99, &bytes, &size, &err), WILLIS_OUT_OF_MEMORY);
  failing_allocator_use(NULL);
  assert_int_equal(failing.held, 0);
}

static void test_endings(void **state) {
  (void)state;
  assert_true(willis_path_ends("head.NII.GZ", ".nii.gz"));
  assert_true(willis_path_ends(".nii", ".nii"));
  assert_false(willis_path_ends("nii", ".nii"));
  assert_false(willis_path_ends("a.nii.gz", ".nii"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(test_reads_all_and_ends_with_zero, scratch_empty),
      cmocka_unit_test_teardown(test_limit, scratch_empty),
      cmocka_unit_test_teardown(test_what_is_no_regular_file, scratch_empty),
      cmocka_unit_test_teardown(test_short_interrupted_and_failing_reads, scratch_empty),
      cmocka_unit_test_teardown(test_a_file_that_shrinks, scratch_empty),
      cmocka_unit_test_teardown(test_no_memory, scratch_empty),
      cmocka_unit_test(test_endings),
  };
  return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
