/* Failing tables. */
#define _GNU_SOURCE
#include "trust/faults.h"

#include "base/io_table.h"
#include "base/memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct fault fault;
static struct fault_count count;
static bool armed;

static bool strikes(enum fault_kind kind, long *counter) {
  long here = (*counter)++;
  if (!armed || fault.kind != kind || here < fault.at) return false;
  if (here > fault.at && !fault.for_good) return false;
  count.struck++;
  return true;
}

/* ---- memory ---- */

static void *take(size_t bytes, size_t alignment, void *context) {
  void *block = NULL;
  (void)context;
  if (strikes(FAULT_MEMORY, &count.memory)) return NULL;
  if (posix_memalign(&block, alignment, bytes)) return NULL;
  count.held++;
  return block;
}
static void release(void *block, void *context) {
  (void)context;
  count.held--;
  free(block);
}

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t items, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t items, size_t bytes);
void *__wrap_malloc(size_t bytes) {
  return armed && strikes(FAULT_MEMORY, &count.memory) ? NULL : __real_malloc(bytes);
}
void *__wrap_calloc(size_t items, size_t bytes) {
  return armed && strikes(FAULT_MEMORY, &count.memory) ? NULL : __real_calloc(items, bytes);
}

/* ---- files ---- */

static bool io_fails(const char *name) {
  if (!strikes(FAULT_IO, &count.io)) return false;
  if (count.struck == 1) snprintf(count.where, sizeof count.where, "%s", name);
  errno = fault.number;
  return true;
}
static size_t part(size_t bytes) {
  return bytes > 1 && strikes(FAULT_SHORT, &count.transfers) ? bytes / 2 : bytes;
}
static const struct willis_io_table *real(void) {
  return willis_io_standard();
}

static int failing_open_read(const char *path) {
  if (io_fails("open_read")) return -1;
  int fd = real()->open_read(path);
  count.open += fd >= 0;
  return fd;
}
static ssize_t failing_read(int fd, void *buffer, size_t bytes) {
  return io_fails("read") ? -1 : real()->read(fd, buffer, part(bytes));
}
static int failing_make_temporary(char *template_path) {
  if (io_fails("make_temporary")) return -1;
  int fd = real()->make_temporary(template_path);
  count.open += fd >= 0;
  return fd;
}
static ssize_t failing_write(int fd, const void *buffer, size_t bytes) {
  return io_fails("write") ? -1 : real()->write(fd, buffer, part(bytes));
}
/* Not really: these files need not outlive a power cut, and disks are slow. */
static int failing_sync(int fd) {
  (void)fd;
  return io_fails("sync") ? -1 : 0;
}
/* As on Linux, the descriptor is gone even when close() fails. */
static int failing_close(int fd) {
  count.open--;
  int result = real()->close(fd);
  return io_fails("close") ? -1 : result;
}
static int failing_rename(const char *from, const char *to) {
  return io_fails("rename") ? -1 : real()->rename(from, to);
}
static int failing_rename_new(const char *from, const char *to) {
  return io_fails("rename_new") ? -1 : real()->rename_new(from, to);
}
static int failing_remove(const char *path) {
  return io_fails("remove") ? -1 : real()->remove(path);
}
static int failing_sync_folder(const char *path) {
  (void)path;
  return io_fails("sync_folder") ? -1 : 0;
}
static int failing_look(const char *path, struct stat *st) {
  return io_fails("look") ? -1 : real()->look(path, st);
}
static int failing_look_at_link(const char *path, struct stat *st) {
  return io_fails("look_at_link") ? -1 : real()->look_at_link(path, st);
}
static int failing_look_at_open(int fd, struct stat *st) {
  return io_fails("look_at_open") ? -1 : real()->look_at_open(fd, st);
}
static int failing_may_write(const char *folder) {
  return io_fails("may_write") ? -1 : real()->may_write(folder);
}
static int failing_make_folder(const char *path) {
  return io_fails("make_folder") ? -1 : real()->make_folder(path);
}
static DIR *failing_open_folder(const char *path) {
  if (io_fails("open_folder")) return NULL;
  DIR *folder = real()->open_folder(path);
  count.open += folder != NULL;
  return folder;
}
static struct dirent *failing_read_folder(DIR *folder) {
  return io_fails("read_folder") ? NULL : real()->read_folder(folder);
}
static int failing_close_folder(DIR *folder) {
  count.open--;
  int result = real()->close_folder(folder);
  return io_fails("close_folder") ? -1 : result;
}

static const struct willis_io_table failing_table = {
    .open_read = failing_open_read,
    .read = failing_read,
    .make_temporary = failing_make_temporary,
    .write = failing_write,
    .sync = failing_sync,
    .close = failing_close,
    .rename = failing_rename,
    .rename_new = failing_rename_new,
    .remove = failing_remove,
    .sync_folder = failing_sync_folder,
    .look = failing_look,
    .look_at_link = failing_look_at_link,
    .look_at_open = failing_look_at_open,
    .may_write = failing_may_write,
    .make_folder = failing_make_folder,
    .open_folder = failing_open_folder,
    .read_folder = failing_read_folder,
    .close_folder = failing_close_folder,
};

void faults_begin(const struct fault *wanted) {
  static const struct willis_allocator allocator = {take, release, NULL};
  fault = *wanted;
  count = (struct fault_count){0};
  armed = true;
  willis_allocator_set(&allocator);
  willis_io_set(&failing_table);
}

struct fault_count faults_end(void) {
  armed = false;
  willis_allocator_set(NULL);
  willis_io_set(NULL);
  return count;
}
