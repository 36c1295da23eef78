/* Checkpoint files: what is written comes back, every flipped byte and every cut is noticed, and
 * names are put in order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/io_table.h"
#include "base/memory.h"
#include "recon/checkpoint.h"
#include "scratch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

static const unsigned char numbers[300] = {1, 2, 3, 255, 0, 7};

static struct willis_sections example(void) {
  return (struct willis_sections){.count = 3,
                                  .section = {{"counters", "twelve bytes", 12},
                                              {"empty", "", 0},
                                              {"trainer", numbers, sizeof numbers}}};
}

static void read_example(unsigned char **bytes, size_t *size) {
  struct willis_error err;
  struct willis_sections sections = example();
  const char *path = scratch_path("example.ckpt");
  assert_int_equal(willis_sections_write(path, &sections, &err), WILLIS_OK);
  assert_int_equal(willis_file_read(path, 1 << 20, bytes, size, &err), WILLIS_OK);
}

static void comes_back(void **state) {
  (void)state;
  unsigned char *bytes;
  size_t size;
  struct willis_sections sections;
  read_example(&bytes, &size);
  assert_int_equal(willis_sections_parse(bytes, size, &sections, NULL), WILLIS_OK);
  assert_int_equal(sections.count, 3);
  const struct willis_section *s = willis_sections_find(&sections, "trainer");
  assert_non_null(s);
  assert_int_equal(s->size, sizeof numbers);
  assert_memory_equal(s->bytes, numbers, sizeof numbers);
  assert_int_equal(willis_sections_find(&sections, "empty")->size, 0);
  assert_null(willis_sections_find(&sections, "other"));
  willis_release(bytes);
}

static void every_flip_is_noticed(void **state) {
  (void)state;
  unsigned char *bytes;
  size_t size;
  struct willis_sections sections;
  read_example(&bytes, &size);
  for (size_t i = 0; i < size; i++)
    for (int bit = 0; bit < 8; bit++) {
      bytes[i] ^= (unsigned char)(1 << bit);
      assert_int_not_equal(willis_sections_parse(bytes, size, &sections, NULL), WILLIS_OK);
      bytes[i] ^= (unsigned char)(1 << bit);
    }
  assert_int_equal(willis_sections_parse(bytes, size, &sections, NULL), WILLIS_OK);
  willis_release(bytes);
}

static void every_cut_is_noticed(void **state) {
  (void)state;
  unsigned char *bytes;
  size_t size;
  struct willis_sections sections;
  read_example(&bytes, &size);
  for (size_t cut = 0; cut < size; cut++)
    assert_int_not_equal(willis_sections_parse(bytes, cut, &sections, NULL), WILLIS_OK);
  /* One byte more than the header says: the zero that the reader adds. */
  assert_int_not_equal(willis_sections_parse(bytes, size + 1, &sections, NULL), WILLIS_OK);
  willis_release(bytes);
}

/* A head whose own checksum fits, by somebody who can count: sections that do not fit the file. */
static void a_head_that_lies(void **state) {
  (void)state;
  enum { FIRST = 24, ENTRY = 32, LENGTH = 16, HEAD = FIRST + 3 * ENTRY };
  static const struct {
    int section;
    uint64_t length;
    const char *part;
  } rows[] = {
      {0, UINT64_MAX, "section 0 does not fit"},
      {0, 1 << 20, "section 0 does not fit"},
      {2, sizeof numbers + 1, "section 2 does not fit"},
      {2, sizeof numbers - 1, "the checksum of section trainer does not fit"},
      {1, 1, "the checksum of section empty does not fit"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    unsigned char *bytes;
    size_t size;
    struct willis_sections sections;
    struct willis_error err = {.message = ""};
    read_example(&bytes, &size);
    for (int b = 0; b < 8; b++)
      bytes[FIRST + ENTRY * rows[i].section + LENGTH + b] =
          (unsigned char)(rows[i].length >> (8 * b));
    const uint32_t sum = (uint32_t)crc32(crc32(0, NULL, 0), bytes, HEAD);
    for (int b = 0; b < 4; b++) bytes[HEAD + b] = (unsigned char)(sum >> (8 * b));
    assert_int_equal(willis_sections_parse(bytes, size, &sections, &err), WILLIS_FORMAT);
    assert_non_null(strstr(err.message, rows[i].part));
    assert_int_equal(sections.count, 0);
    willis_release(bytes);
  }
}

/* The last section left out of the head's list: its bytes are too many. */
static void bytes_that_nothing_names(void **state) {
  (void)state;
  struct willis_error err = {.message = ""};
  struct willis_sections sections = example();
  unsigned char *bytes;
  size_t size;
  sections.count = 2;
  const char *path = scratch_path("short.ckpt");
  assert_int_equal(willis_sections_write(path, &sections, &err), WILLIS_OK);
  assert_int_equal(willis_file_read(path, 1 << 20, &bytes, &size, &err), WILLIS_OK);
  bytes[16] = (unsigned char)(size + 1);
  enum { HEAD = 24 + 2 * 32 };
  const uint32_t sum = (uint32_t)crc32(crc32(0, NULL, 0), bytes, HEAD);
  for (int b = 0; b < 4; b++) bytes[HEAD + b] = (unsigned char)(sum >> (8 * b));
  assert_int_equal(willis_sections_parse(bytes, size + 1, &sections, &err), WILLIS_FORMAT);
  assert_non_null(strstr(err.message, "1 bytes too many"));
  willis_release(bytes);
}

static void files_are_named(void **state) {
  (void)state;
  struct willis_error err = {.message = ""};
  struct willis_sections sections = example();
  unsigned char *bytes = NULL;
  const char *path = scratch_path("named.ckpt");
  assert_int_equal(willis_sections_write(path, &sections, &err), WILLIS_OK);
  assert_int_equal(willis_sections_read(path, &bytes, &sections, &err), WILLIS_OK);
  assert_int_equal(sections.count, 3);
  willis_release(bytes);
  assert_int_equal(willis_file_write(path, "WILLISCK and no more", 20, true, false, &err),
                   WILLIS_OK);
  assert_int_equal(willis_sections_read(path, &bytes, &sections, &err), WILLIS_FORMAT);
  assert_null(bytes);
  assert_non_null(strstr(err.message, "named.ckpt: not a checkpoint of Willis"));
  assert_int_equal(willis_sections_read(scratch_path("none"), &bytes, &sections, &err), WILLIS_IO);
  assert_null(bytes);
}

static ssize_t no_room(int fd, const void *buffer, size_t bytes) {
  (void)fd, (void)buffer, (void)bytes;
  errno = ENOSPC;
  return -1;
}

static void a_full_disk(void **state) {
  (void)state;
  struct willis_error err = {.message = ""};
  const struct willis_sections sections = example();
  const char *path = scratch_path("full.ckpt");
  struct willis_io_table full = *willis_io_standard();
  full.write = no_room;
  willis_io_set(&full);
  const enum willis_status status = willis_sections_write(path, &sections, &err);
  willis_io_set(NULL);
  assert_int_equal(status, WILLIS_IO);
  assert_non_null(strstr(err.message, "No space left on device"));
  assert_int_not_equal(access(path, F_OK), 0);
}

static void names(void **state) {
  (void)state;
  char path[512], stem[512], found[512];
  snprintf(stem, sizeof stem, "%s", scratch_path("model"));
  unsigned long long step[4], one;
  int count;
  static const unsigned long long written[] = {40, 120, 7, 123456789, 80};
  for (int i = 0; i < 5; i++) {
    assert_true(willis_checkpoint_path(path, sizeof path, stem, written[i]));
    assert_int_equal(willis_file_write(path, "x", 1, true, false, NULL), WILLIS_OK);
    assert_true(willis_checkpoint_split(path, found, sizeof found, &one));
    assert_string_equal(found, stem);
    assert_int_equal(one, written[i]);
  }
  /* Neighbours that are none of its checkpoints. */
  static const char *const others[] = {"model-10.step-00000200.ckpt", "model.step-1.ckpt",
                                       "model.step-00000200.ckpt.bak", "model.ckpt"};
  for (int i = 0; i < 4; i++) {
    assert_int_equal(willis_file_write(scratch_path(others[i]), "x", 1, true, false, NULL),
                     WILLIS_OK);
  }
  assert_int_equal(willis_checkpoint_list(stem, step, 4, &count, NULL), WILLIS_OK);
  assert_int_equal(count, 4);
  static const unsigned long long newest[] = {40, 80, 120, 123456789};
  for (int i = 0; i < 4; i++) assert_int_equal(step[i], newest[i]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(comes_back),
      cmocka_unit_test(every_flip_is_noticed),
      cmocka_unit_test(every_cut_is_noticed),
      cmocka_unit_test(a_head_that_lies),
      cmocka_unit_test(bytes_that_nothing_names),
      cmocka_unit_test(files_are_named),
      cmocka_unit_test(a_full_disk),
      cmocka_unit_test(names),
  };
  return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
