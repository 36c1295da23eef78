/* Every system call that touches files, as one table, so that tests can make any of them fail. */
#ifndef WILLIS_BASE_IO_TABLE_H
#define WILLIS_BASE_IO_TABLE_H

#include <dirent.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

/* Same meaning and errno as the POSIX calls. `make_temporary` is mkstemp with the mode of any new
 * file; `rename_new` fails with EEXIST when `to` exists; `may_write` tells whether files can be
 * made in a folder. */
struct willis_io_table {
  int (*open_read)(const char *path);
  ssize_t (*read)(int fd, void *buffer, size_t bytes);
  int (*make_temporary)(char *template_path);
  ssize_t (*write)(int fd, const void *buffer, size_t bytes);
  int (*sync)(int fd);
  int (*close)(int fd);
  int (*rename)(const char *from, const char *to);
  int (*rename_new)(const char *from, const char *to);
  int (*remove)(const char *path);
  int (*sync_folder)(const char *path_inside);
  int (*look)(const char *path, struct stat *st);
  int (*look_at_link)(const char *path, struct stat *st);
  int (*look_at_open)(int fd, struct stat *st);
  int (*may_write)(const char *folder);
  int (*make_folder)(const char *path);
  DIR *(*open_folder)(const char *path);
  struct dirent *(*read_folder)(DIR *folder);
  int (*close_folder)(DIR *folder);
};
/* The system's own calls. */
const struct willis_io_table *willis_io_standard(void);
/* The one in use. */
const struct willis_io_table *willis_io(void);
/* Null puts the standard table back. Not thread safe; for tests. */
void willis_io_set(const struct willis_io_table *table);

#endif
