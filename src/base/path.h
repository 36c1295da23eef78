/* What paths lead to: files, folders and the names in them, through the I/O table. */
#ifndef WILLIS_BASE_PATH_H
#define WILLIS_BASE_PATH_H

#include <willis/error.h>

#include <stdbool.h>
#include <stddef.h>

/* True when `path` ends with `ending`, ASCII case ignored. */
bool willis_path_ends(const char *path, const char *ending);

enum willis_path_kind { WILLIS_PATH_NONE, WILLIS_PATH_FILE, WILLIS_PATH_FOLDER, WILLIS_PATH_OTHER };
/* What is there, at the end of links. That nothing is there is no failure; IO when it cannot be
 * told. */
WILLIS_CHECKED enum willis_status willis_path_look(const char *path, enum willis_path_kind *kind,
                                                   struct willis_error *err);
/* False when `path` itself is a link, a folder, a pipe or a device; true for a file, or nothing. */
WILLIS_CHECKED enum willis_status willis_path_is_plain(const char *path, bool *plain,
                                                       struct willis_error *err);
/* EXISTS, in the words that are the same everywhere. */
enum willis_status willis_fail_existing(const char *path, struct willis_error *err);
/* EXISTS when something is there. Null is fine. */
WILLIS_CHECKED enum willis_status willis_path_refuse_existing(const char *path,
                                                              struct willis_error *err);
/* IO when files cannot be made where `path` is to be. */
WILLIS_CHECKED enum willis_status willis_path_check_folder(const char *path,
                                                           struct willis_error *err);
/* Removes a file; that there is none is no failure. IO. */
WILLIS_CHECKED enum willis_status willis_path_remove(const char *path, struct willis_error *err);
/* Makes a folder unless it is there. IO. */
WILLIS_CHECKED enum willis_status willis_folder_make(const char *path, struct willis_error *err);

/* The names in a folder, in byte order whatever the locale, without "." and "..". */
struct willis_names {
  ptrdiff_t count, room;
  char **name;
};
/* The caller releases them, also after a failure. IO, OUT_OF_MEMORY. */
WILLIS_CHECKED enum willis_status willis_folder_list(const char *path, struct willis_names *names,
                                                     struct willis_error *err);
void willis_names_release(struct willis_names *names);

#endif
