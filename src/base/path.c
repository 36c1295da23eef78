/* Looking at paths and listing folders. */
#include "base/path.h"

#include "base/error.h"
#include "base/io_table.h"
#include "base/memory.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool willis_path_ends(const char *path, const char *ending) {
  size_t n = strlen(path), m = strlen(ending);
  return n >= m && strcasecmp(path + n - m, ending) == 0;
}

static enum willis_status look(int (*call)(const char *path, struct stat *st), const char *path,
                               enum willis_path_kind *kind, struct willis_error *err) {
  struct stat st;
  int failed;
  *kind = WILLIS_PATH_NONE;
  do failed = call(path, &st);
  while (failed && errno == EINTR);
  if (failed && (errno == ENOENT || errno == ENOTDIR)) return WILLIS_OK;
  if (failed) return willis_fail(err, WILLIS_IO, "%s: cannot look: %s", path, strerror(errno));
  *kind = S_ISREG(st.st_mode)   ? WILLIS_PATH_FILE
          : S_ISDIR(st.st_mode) ? WILLIS_PATH_FOLDER
                                : WILLIS_PATH_OTHER;
  return WILLIS_OK;
}

enum willis_status willis_path_look(const char *path, enum willis_path_kind *kind,
                                    struct willis_error *err) {
  return look(willis_io()->look, path, kind, err);
}

enum willis_status willis_path_is_plain(const char *path, bool *plain, struct willis_error *err) {
  enum willis_path_kind kind;
  enum willis_status status = look(willis_io()->look_at_link, path, &kind, err);
  *plain = kind == WILLIS_PATH_NONE || kind == WILLIS_PATH_FILE;
  return status;
}

enum willis_status willis_fail_existing(const char *path, struct willis_error *err) {
  return willis_fail(err, WILLIS_EXISTS, "%s: exists already; --force replaces it", path);
}

enum willis_status willis_path_refuse_existing(const char *path, struct willis_error *err) {
  enum willis_path_kind kind = WILLIS_PATH_NONE;
  enum willis_status status = path ? willis_path_look(path, &kind, err) : WILLIS_OK;
  if (status || kind == WILLIS_PATH_NONE) return status;
  return willis_fail_existing(path, err);
}

enum willis_status willis_path_check_folder(const char *path, struct willis_error *err) {
  char folder[PATH_MAX] = ".";
  const char *slash = strrchr(path, '/');
  if (slash) snprintf(folder, sizeof folder, "%.*s", (int)(slash - path) + 1, path);
  int failed;
  do failed = willis_io()->may_write(folder);
  while (failed && errno == EINTR);
  if (!failed) return WILLIS_OK;
  return willis_fail(err, WILLIS_IO, "cannot write in folder %.300s: %s", folder, strerror(errno));
}

enum willis_status willis_path_remove(const char *path, struct willis_error *err) {
  int failed;
  do failed = willis_io()->remove(path);
  while (failed && errno == EINTR);
  if (!failed || errno == ENOENT) return WILLIS_OK;
  return willis_fail(err, WILLIS_IO, "%s: cannot remove it: %s", path, strerror(errno));
}

enum willis_status willis_folder_make(const char *path, struct willis_error *err) {
  int failed;
  do failed = willis_io()->make_folder(path);
  while (failed && errno == EINTR);
  if (!failed || errno == EEXIST) return WILLIS_OK;
  return willis_fail(err, WILLIS_IO, "%s: cannot make the folder: %s", path, strerror(errno));
}

/* ---- listing ---- */

static enum willis_status add_name(struct willis_names *names, const char *text,
                                   struct willis_error *err) {
  if (names->count == names->room) {
    ptrdiff_t room = names->room ? 2 * names->room : 64;
    char **grown = willis_grow(names->name, names->count, room, sizeof *grown);
    if (!grown) return willis_fail_memory(err, "names", room, sizeof *grown);
    names->name = grown;
    names->room = room;
  }
  ptrdiff_t size = (ptrdiff_t)strlen(text) + 1;
  char *copy = willis_take(size, 1);
  if (!copy) return willis_fail_memory(err, "a name", size, 1);
  memcpy(copy, text, (size_t)size);
  names->name[names->count++] = copy;
  return WILLIS_OK;
}

static int by_bytes(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

enum willis_status willis_folder_list(const char *path, struct willis_names *names,
                                      struct willis_error *err) {
  *names = (struct willis_names){0};
  DIR *folder;
  do folder = willis_io()->open_folder(path);
  while (!folder && errno == EINTR);
  if (!folder)
    return willis_fail(err, WILLIS_IO, "%s: cannot open the folder: %s", path, strerror(errno));
  enum willis_status status = WILLIS_OK;
  while (!status) {
    errno = 0;
    const struct dirent *entry = willis_io()->read_folder(folder);
    if (!entry && errno == EINTR) continue;
    if (!entry && errno)
      status = willis_fail(err, WILLIS_IO, "%s: cannot list the folder: %s", path, strerror(errno));
    if (!entry) break;
    if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
      status = add_name(names, entry->d_name, err);
  }
  willis_io()->close_folder(folder);
  if (!status && names->count)
    qsort(names->name, (size_t)names->count, sizeof *names->name, by_bytes);
  return status;
}

void willis_names_release(struct willis_names *names) {
  for (ptrdiff_t i = 0; i < names->count; i++) willis_release(names->name[i]);
  willis_release(names->name);
  *names = (struct willis_names){0};
}
