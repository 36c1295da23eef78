/* Writing aside: the complete new file or the old one, whichever call fails. */
#define _GNU_SOURCE
#include "base/file.h"

#include "base/memory.h"
#include "failing_allocator.h"

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "scratch.h"

static const char old_text[] = "the old content", new_text[] = "the new and longer content";
enum { OLD = sizeof old_text - 1, NEW = sizeof new_text - 1 };

static bool holds(const char *path, const void *expected, size_t expected_size) {
  unsigned char *bytes;
  size_t size;
  if (willis_file_read_expanded(path, 1 << 20, 1 << 20, &bytes, &size, NULL)) return false;
  bool same = size == expected_size && !memcmp(bytes, expected, size);
  willis_release(bytes);
  return same;
}

static void put_old(const char *path) {
  assert_int_equal(willis_file_write(path, old_text, OLD, true, false, NULL), WILLIS_OK);
}

static void test_write_read_is_identity(void **state) {
  (void)state;
  static const size_t sizes[] = {0, 1, 4096, 1000000};
  unsigned char *bytes = willis_take_zeroed(1000000, 1);
  for (int i = 0; i < 1000000; i++) bytes[i] = (unsigned char)((unsigned)i * (unsigned)i >> 5);
  for (int gzip = 0; gzip < 2; gzip++)
    for (int i = 0; i < 4; i++) {
      const char *path = scratch_path("out");
      assert_int_equal(willis_file_write(path, bytes, sizes[i], true, gzip, NULL), WILLIS_OK);
      assert_true(holds(path, bytes, sizes[i]));
      assert_int_equal(scratch_count(), 1);
    }
  willis_release(bytes);
}

static void test_pieces_join(void **state) {
  (void)state;
  for (int gzip = 0; gzip < 2; gzip++) {
    struct willis_writer *writer;
    const char *path = scratch_path("out");
    assert_int_equal(willis_writer_open(path, true, gzip, &writer, NULL), WILLIS_OK);
    for (int i = 0; i < NEW; i++)
      assert_int_equal(willis_writer_put(writer, new_text + i, 1, NULL), WILLIS_OK);
    assert_int_equal(willis_writer_commit(writer, NULL), WILLIS_OK);
    assert_true(holds(path, new_text, NEW));
  }
}

static void test_compressed_bytes_do_not_depend_on_time(void **state) {
  (void)state;
  unsigned char *bytes;
  size_t size;
  const char *path = scratch_path("out");
  assert_int_equal(willis_file_write(path, new_text, NEW, true, true, NULL), WILLIS_OK);
  assert_int_equal(willis_file_read(path, 1000, &bytes, &size, NULL), WILLIS_OK);
  assert_memory_equal(bytes + 4, "\0\0\0\0", 4); /* gzip's time stamp */
  willis_release(bytes);
}

static void test_nothing_is_seen_before_commit(void **state) {
  (void)state;
  struct willis_writer *writer;
  const char *path = scratch_path("out");
  put_old(path);
  assert_int_equal(willis_writer_open(path, true, false, &writer, NULL), WILLIS_OK);
  assert_int_equal(willis_writer_put(writer, new_text, NEW, NULL), WILLIS_OK);
  assert_true(holds(path, old_text, OLD));
  willis_writer_abandon(writer, NULL);
  willis_writer_abandon(NULL, NULL);
  assert_true(holds(path, old_text, OLD));
  assert_int_equal(scratch_count(), 1);
}

static void test_an_existing_file_is_refused(void **state) {
  (void)state;
  struct willis_writer *writer;
  struct willis_error err;
  const char *path = scratch_path("out");
  put_old(path);
  assert_int_equal(willis_writer_open(path, false, false, &writer, &err), WILLIS_EXISTS);
  assert_null(writer);
  assert_non_null(strstr(err.message, "--force"));
  assert_int_equal(scratch_count(), 1);
}

static void test_a_file_that_appears_meanwhile_is_refused(void **state) {
  (void)state;
  struct willis_writer *writer;
  const char *path = scratch_path("out");
  assert_int_equal(willis_writer_open(path, false, false, &writer, NULL), WILLIS_OK);
  assert_int_equal(willis_writer_put(writer, new_text, NEW, NULL), WILLIS_OK);
  put_old(path);
  assert_int_equal(willis_writer_commit(writer, NULL), WILLIS_EXISTS);
  assert_true(holds(path, old_text, OLD));
  assert_int_equal(scratch_count(), 1);
}

static void test_places_that_cannot_be_written(void **state) {
  (void)state;
  struct willis_error err;
  assert_int_equal(willis_file_write(scratch_path("no/such/out"), "x", 1, false, false, &err),
                   WILLIS_IO);
  assert_non_null(strstr(err.message, "No such file"));
  assert_int_equal(willis_file_write(scratch_folder, "x", 1, true, false, &err), WILLIS_IO);
  assert_non_null(strstr(err.message, "not a regular file"));
  char path[2 * PATH_MAX];
  memset(path, 'a', sizeof path - 1);
  path[sizeof path - 1] = 0;
  assert_int_equal(willis_file_write(path, "x", 1, true, false, &err), WILLIS_IO);
  assert_int_equal(scratch_count(), 0);
}

static void test_the_longest_name_can_be_written(void **state) {
  (void)state;
  char name[NAME_MAX + 1];
  memset(name, 'n', NAME_MAX);
  name[NAME_MAX] = 0;
  const char *path = scratch_path(name);
  assert_int_equal(willis_file_write(path, new_text, NEW, false, false, NULL), WILLIS_OK);
  assert_true(holds(path, new_text, NEW));
}

static void test_the_mode_follows_umask(void **state) {
  (void)state;
  struct stat st;
  const char *path = scratch_path("out");
  mode_t before = umask(027);
  put_old(path);
  umask(before);
  assert_int_equal(stat(path, &st), 0);
  assert_int_equal(st.st_mode & 0777, 0640);
}

/* ---- one failing call after another ---- */

enum fault { FAULT_TEMPORARY, FAULT_WRITE, FAULT_SYNC, FAULT_CLOSE, FAULT_RENAME, FAULTS };
static enum fault fault;
static int fault_errno, faults_left, open_files;

static bool strikes(enum fault here) {
  if (fault != here || faults_left <= 0) return false;
  faults_left--;
  errno = fault_errno;
  return true;
}
static int faulty_temporary(char *template_path) {
  if (strikes(FAULT_TEMPORARY)) return -1;
  int fd = willis_io_standard()->make_temporary(template_path);
  open_files += fd >= 0;
  return fd;
}
/* Short as well: three bytes at a time. */
static ssize_t faulty_write(int fd, const void *bytes, size_t size) {
  if (strikes(FAULT_WRITE)) return -1;
  return write(fd, bytes, size < 3 ? size : 3);
}
static int faulty_sync(int fd) {
  return strikes(FAULT_SYNC) ? -1 : fsync(fd);
}
/* As on Linux, the descriptor is gone even when close() fails. */
static int faulty_close(int fd) {
  open_files--;
  int result = close(fd);
  return strikes(FAULT_CLOSE) ? -1 : result;
}
static int faulty_rename(const char *from, const char *to) {
  return strikes(FAULT_RENAME) ? -1 : rename(from, to);
}
static int faulty_rename_new(const char *from, const char *to) {
  return strikes(FAULT_RENAME) ? -1 : willis_io_standard()->rename_new(from, to);
}

static void use_faults(enum fault which, int number, int times) {
  static struct willis_io_table table;
  table = *willis_io_standard();
  table.make_temporary = faulty_temporary;
  table.write = faulty_write;
  table.sync = faulty_sync;
  table.close = faulty_close;
  table.rename = faulty_rename;
  table.rename_new = faulty_rename_new;
  fault = which;
  fault_errno = number;
  faults_left = times;
  open_files = 0;
  willis_io_set(&table);
}

static void test_any_failing_call_leaves_the_old_file(void **state) {
  (void)state;
  static const int numbers[] = {EIO, ENOSPC, EDQUOT, EFBIG};
  const char *path = scratch_path("out");
  for (int f = 0; f < FAULTS; f++)
    for (int n = 0; n < 4; n++)
      for (int variant = 0; variant < 4; variant++) {
        bool gzip = variant & 1, overwrite = variant & 2;
        struct willis_error err;
        scratch_empty(NULL);
        if (overwrite) put_old(path);
        use_faults((enum fault)f, numbers[n], 1);
        enum willis_status status = willis_file_write(path, new_text, NEW, overwrite, gzip, &err);
        willis_io_set(NULL);
        assert_int_equal(status, WILLIS_IO);
        assert_int_equal(faults_left, 0);
        assert_int_equal(open_files, 0);
        assert_non_null(strstr(err.message, path));
        assert_non_null(strstr(err.message, strerror(numbers[n])));
        assert_int_equal(scratch_count(), overwrite ? 1 : 0);
        if (overwrite) assert_true(holds(path, old_text, OLD));
      }
}

static void test_every_write_may_be_the_one_that_fails(void **state) {
  (void)state;
  const char *path = scratch_path("out");
  put_old(path);
  /* The k-th write fails because the faults begin only when k writes are done. */
  for (int k = 0; k < (NEW + 2) / 3; k++) {
    struct willis_writer *writer;
    use_faults(FAULTS, EIO, 1);
    assert_int_equal(willis_writer_open(path, true, false, &writer, NULL), WILLIS_OK);
    assert_int_equal(willis_writer_put(writer, new_text, (size_t)(3 * k), NULL), WILLIS_OK);
    fault = FAULT_WRITE;
    assert_int_equal(willis_writer_put(writer, new_text + 3 * k, 3, NULL), WILLIS_IO);
    willis_writer_abandon(writer, NULL);
    willis_io_set(NULL);
    assert_int_equal(open_files, 0);
    assert_true(holds(path, old_text, OLD));
    assert_int_equal(scratch_count(), 1);
  }
}

static void test_interruptions_are_no_failures(void **state) {
  (void)state;
  static const enum fault interrupted[] = {FAULT_WRITE, FAULT_SYNC, FAULT_CLOSE};
  for (int i = 0; i < 3; i++) {
    const char *path = scratch_path("out");
    put_old(path);
    use_faults(interrupted[i], EINTR, interrupted[i] == FAULT_CLOSE ? 1 : 5);
    enum willis_status status = willis_file_write(path, new_text, NEW, true, false, NULL);
    willis_io_set(NULL);
    assert_int_equal(status, WILLIS_OK);
    assert_int_equal(faults_left, 0);
    assert_true(holds(path, new_text, NEW));
    assert_int_equal(scratch_count(), 1);
  }
}

static ssize_t writes_nothing(int fd, const void *bytes, size_t size) {
  (void)fd;
  (void)bytes;
  (void)size;
  return 0;
}

static void test_a_write_that_does_nothing_ends(void **state) {
  (void)state;
  struct willis_io_table table = *willis_io_standard();
  table.write = writes_nothing;
  willis_io_set(&table);
  assert_int_equal(willis_file_write(scratch_path("out"), "x", 1, false, false, NULL), WILLIS_IO);
  willis_io_set(NULL);
  assert_int_equal(scratch_count(), 0);
}

static int no_folder_sync(const char *path) {
  (void)path;
  errno = EIO;
  return -1;
}

static void test_an_unsynced_folder_is_reported(void **state) {
  (void)state;
  const char *path = scratch_path("out");
  struct willis_error err;
  struct willis_io_table table = *willis_io_standard();
  table.sync_folder = no_folder_sync;
  willis_io_set(&table);
  assert_int_equal(willis_file_write(path, new_text, NEW, false, false, &err), WILLIS_IO);
  willis_io_set(NULL);
  assert_non_null(strstr(err.message, "folder cannot be synced"));
  assert_true(holds(path, new_text, NEW)); /* complete, perhaps not after a power cut */
  assert_int_equal(scratch_count(), 1);
}

static void test_every_allocation_may_fail(void **state) {
  (void)state;
  const char *path = scratch_path("out");
  put_old(path);
  for (int n = 0;; n++) {
    struct failing_allocator failing = {.until_failure = n};
    failing_allocator_use(&failing);
    enum willis_status status = willis_file_write(path, new_text, NEW, true, true, NULL);
    failing_allocator_use(NULL);
    assert_int_equal(failing.held, 0);
    assert_int_equal(scratch_count(), 1);
    if (!status) break;
    assert_int_equal(status, WILLIS_OUT_OF_MEMORY);
    assert_true(holds(path, old_text, OLD));
  }
  assert_true(holds(path, new_text, NEW));
}

int main(void) {
#define TEST(f) cmocka_unit_test_teardown(f, scratch_empty)
  const struct CMUnitTest tests[] = {
      TEST(test_write_read_is_identity),
      TEST(test_pieces_join),
      TEST(test_compressed_bytes_do_not_depend_on_time),
      TEST(test_nothing_is_seen_before_commit),
      TEST(test_an_existing_file_is_refused),
      TEST(test_a_file_that_appears_meanwhile_is_refused),
      TEST(test_places_that_cannot_be_written),
      TEST(test_the_longest_name_can_be_written),
      TEST(test_the_mode_follows_umask),
      TEST(test_any_failing_call_leaves_the_old_file),
      TEST(test_every_write_may_be_the_one_that_fails),
      TEST(test_interruptions_are_no_failures),
      TEST(test_a_write_that_does_nothing_ends),
      TEST(test_an_unsynced_folder_is_reported),
      TEST(test_every_allocation_may_fail),
  };
  return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
