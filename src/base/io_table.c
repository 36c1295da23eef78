/* The system calls behind the I/O table. */
#define _GNU_SOURCE
#include "base/io_table.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int system_open_read(const char *path) {
  return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
}
/* As mkstemp(), but the kernel applies the umask as it does for any new file; asking for the umask
 * from here would change it for a moment for all threads. */
static int system_make_temporary(char *template_path) {
  static const char letters[] = "abcdefghijklmnopqrstuvwxyz012345";
  char *mark = template_path + strlen(template_path) - 6;
  for (int attempt = 0; attempt < 100; attempt++) {
    unsigned char random[6];
    if (getentropy(random, sizeof random)) return -1;
    for (int i = 0; i < 6; i++) mark[i] = letters[random[i] % 32];
    int fd = open(template_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd >= 0 || errno != EEXIST) return fd;
  }
  return -1;
}
static int system_rename_new(const char *from, const char *to) {
  if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return -1;
  /* Not every file system can do that. link fails when `to` exists, atomically; without links there
   * is the check that a look can give. */
  if (link(from, to) == 0) {
    if (unlink(from) == 0) return 0;
    int why = errno;
    unlink(to);
    errno = why;
    return -1;
  }
  if (errno == EEXIST) return -1;
  if (access(to, F_OK) == 0) {
    errno = EEXIST;
    return -1;
  }
  return rename(from, to);
}
static int system_sync_folder(const char *path_inside) {
  char folder[PATH_MAX];
  const char *slash = strrchr(path_inside, '/');
  int n = slash ? (int)(slash - path_inside) : 1;
  if (slash == path_inside) n = 1;
  if (n >= (int)sizeof folder) return -1;
  snprintf(folder, sizeof folder, "%.*s", n, slash ? path_inside : ".");
  int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    return errno == EACCES ? 0 : -1; /* may be written, but not read: nothing to be done */
  int result = fsync(fd);
  /* Some file systems cannot sync a folder; that is not a failure to write. */
  if (result && (errno == EINVAL || errno == ENOTSUP)) result = 0;
  close(fd);
  return result;
}

static int system_may_write(const char *folder) {
  return access(folder, W_OK | X_OK);
}
static int system_make_folder(const char *path) {
  return mkdir(path, 0777);
}

static const struct willis_io_table standard = {
    .open_read = system_open_read,
    .read = read,
    .make_temporary = system_make_temporary,
    .write = write,
    .sync = fsync,
    .close = close,
    .rename = rename,
    .rename_new = system_rename_new,
    .remove = unlink,
    .sync_folder = system_sync_folder,
    .look = stat,
    .look_at_link = lstat,
    .look_at_open = fstat,
    .may_write = system_may_write,
    .make_folder = system_make_folder,
    .open_folder = opendir,
    .read_folder = readdir,
    .close_folder = closedir,
};
static const struct willis_io_table *in_use = &standard;

const struct willis_io_table *willis_io_standard(void) {
  return &standard;
}
const struct willis_io_table *willis_io(void) {
  return in_use;
}
void willis_io_set(const struct willis_io_table *table) {
  in_use = table ? table : &standard;
}
