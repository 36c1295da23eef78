/* Which patients there are and in which order: a folder in byte order, or a list. */
#define _GNU_SOURCE
#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"

#include <willis/train.h>

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { LIST_BYTES = 16 << 20 };

static const char *const endings[] = {".obj",    ".stl",    ".ply",    ".swc",
                                      ".nii",    ".obj.gz", ".stl.gz", ".ply.gz",
                                      ".swc.gz", ".nii.gz", ".nrrd",   ".nhdr"};

/* The length of `name` without a known ending; 0 if it has none. */
static size_t stem_length(const char *name) {
  size_t n = strlen(name), longest = 0;
  for (size_t e = 0; e < sizeof endings / sizeof *endings; e++)
    if (willis_path_ends(name, endings[e]) && strlen(endings[e]) > longest)
      longest = strlen(endings[e]);
  return longest && longest < n ? n - longest : 0;
}

static char *copy_text(const char *text, size_t length) {
  char *copy = willis_take((ptrdiff_t)length + 1, 1);
  if (!copy) return NULL;
  memcpy(copy, text, length);
  copy[length] = 0;
  return copy;
}

static const char *base_of(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

/* Adds folder/entry; `room` grows by doubling. */
static enum willis_status add_case(struct willis_cohort *cohort, ptrdiff_t *room,
                                   const char *folder, const char *entry,
                                   struct willis_error *err) {
  if (cohort->count == *room) {
    ptrdiff_t more = *room ? *room * 2 : 64;
    struct willis_case *grown =
        willis_grow(cohort->cases, cohort->count, more, sizeof *cohort->cases);
    if (!grown) return willis_fail_memory(err, "the cohort", more, sizeof *cohort->cases);
    cohort->cases = grown;
    *room = more;
  }
  bool absolute = entry[0] == '/' || !folder[0];
  size_t f = absolute ? 0 : strlen(folder) + 1, e = strlen(entry);
  char *path = willis_take((ptrdiff_t)(f + e + 1), 1);
  const char *base = base_of(entry);
  size_t stem = stem_length(base);
  char *name = copy_text(base, stem ? stem : strlen(base));
  if (!path || !name) {
    willis_release(path);
    willis_release(name);
    return willis_fail_memory(err, "a patient's path", (ptrdiff_t)(f + e + 1), 1);
  }
  if (f) {
    memcpy(path, folder, f - 1);
    path[f - 1] = '/';
  }
  memcpy(path + f, entry, e + 1);
  cohort->cases[cohort->count++] = (struct willis_case){path, name};
  return WILLIS_OK;
}

static void drop_last(struct willis_cohort *cohort) {
  struct willis_case *last = &cohort->cases[--cohort->count];
  willis_release(last->path);
  willis_release(last->name);
}

static int by_path(const void *a, const void *b) {
  return strcmp(((const struct willis_case *)a)->path, ((const struct willis_case *)b)->path);
}

static enum willis_status read_folder(const char *path, struct willis_cohort *cohort,
                                      struct willis_error *err) {
  struct willis_names names;
  enum willis_status status = willis_folder_list(path, &names, err);
  ptrdiff_t room = 0;
  for (ptrdiff_t i = 0; i < names.count && !status; i++) {
    enum willis_path_kind kind;
    if (names.name[i][0] == '.') continue;
    status = add_case(cohort, &room, path, names.name[i], err);
    if (!status) status = willis_path_look(cohort->cases[cohort->count - 1].path, &kind, err);
    if (!status && kind != WILLIS_PATH_FOLDER &&
        !(kind == WILLIS_PATH_FILE && stem_length(names.name[i])))
      drop_last(cohort);
  }
  willis_names_release(&names);
  if (status) return status;
  if (!cohort->count)
    return willis_fail(err, WILLIS_FORMAT,
                       "%s: no patients: expected .obj .stl .ply .swc (plain or .gz), .nii .nrrd "
                       "or folders of DICOM slices",
                       path);
  qsort(cohort->cases, (size_t)cohort->count, sizeof *cohort->cases, by_path);
  return WILLIS_OK;
}

/* Cuts `line` at a comment and trims blanks at both ends. */
static char *trim(char *line) {
  char *comment = strchr(line, '#');
  if (comment) *comment = 0;
  while (*line == ' ' || *line == '\t') line++;
  size_t n = strlen(line);
  while (n && (line[n - 1] == ' ' || line[n - 1] == '\t' || line[n - 1] == '\r')) line[--n] = 0;
  return line;
}

static enum willis_status check_line(const struct willis_cohort *cohort, const char *list,
                                     ptrdiff_t line, struct willis_error *err) {
  const char *path = cohort->cases[cohort->count - 1].path;
  enum willis_path_kind kind;
  enum willis_status status = willis_path_look(path, &kind, err);
  if (status) return status;
  if (kind == WILLIS_PATH_NONE)
    return willis_fail(err, WILLIS_IO, "%s: line %td: %s: %s", list, line, path, strerror(ENOENT));
  for (ptrdiff_t i = 0; i + 1 < cohort->count; i++)
    if (!strcmp(cohort->cases[i].path, path))
      return willis_fail(err, WILLIS_FORMAT, "%s: line %td: %s is listed twice", list, line, path);
  return WILLIS_OK;
}

static enum willis_status read_list(const char *path, struct willis_cohort *cohort,
                                    struct willis_error *err) {
  unsigned char *bytes = NULL;
  size_t size;
  enum willis_status status = willis_file_read(path, LIST_BYTES, &bytes, &size, err);
  char *folder = NULL;
  ptrdiff_t room = 0, number = 0;
  if (status) goto out;
  if (memchr(bytes, 0, size)) {
    status = willis_fail(err, WILLIS_FORMAT, "%s: neither a folder nor a list of paths", path);
    goto out;
  }
  folder = copy_text(path, base_of(path) > path ? (size_t)(base_of(path) - path) - 1 : 0);
  if (!folder) {
    status = willis_fail_memory(err, "the list", 1, 1);
    goto out;
  }
  for (char *line = (char *)bytes; line && !status;) {
    char *next = strchr(line, '\n');
    if (next) *next++ = 0;
    number++;
    char *entry = trim(line);
    if (*entry) {
      status = add_case(cohort, &room, folder, entry, err);
      if (!status) status = check_line(cohort, path, number, err);
    }
    line = next;
  }
  if (!status && !cohort->count)
    status = willis_fail(err, WILLIS_FORMAT, "%s: the list names no patient", path);
out:
  willis_release(folder);
  willis_release(bytes);
  return status;
}

enum willis_status willis_cohort_read(const char *path, struct willis_cohort *cohort,
                                      struct willis_error *err) {
  *cohort = (struct willis_cohort){0};
  char real[PATH_MAX];
  enum willis_path_kind kind;
  enum willis_status status = willis_path_look(path, &kind, err);
  if (status) return status;
  if (!realpath(path, real)) return willis_fail(err, WILLIS_IO, "%s: %s", path, strerror(errno));
  const bool is_folder = kind == WILLIS_PATH_FOLDER;
  status = is_folder ? read_folder(path, cohort, err) : read_list(path, cohort, err);
  if (!status) {
    /* "." and "data/" have names too. */
    const char *base = base_of(real);
    const char *dot = is_folder ? NULL : strrchr(base, '.');
    cohort->name = copy_text(base, dot && dot > base ? (size_t)(dot - base) : strlen(base));
    if (!cohort->name) status = willis_fail_memory(err, "the cohort's name", 1, 1);
  }
  if (status) willis_cohort_release(cohort);
  return status;
}

void willis_cohort_release(struct willis_cohort *cohort) {
  while (cohort->count) drop_last(cohort);
  willis_release(cohort->cases);
  willis_release(cohort->name);
  *cohort = (struct willis_cohort){0};
}
