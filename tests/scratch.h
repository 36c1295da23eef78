/* A folder of its own for a test that writes files. Include after <cmocka.h>. */
#ifndef WILLIS_TESTS_SCRATCH_H
#define WILLIS_TESTS_SCRATCH_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Makes it under TMPDIR or /tmp; scratch_path() names files in it. */
static char scratch_folder[256];

static inline int scratch_make(void **state) {
  (void)state;
  const char *where = getenv("TMPDIR");
  snprintf(scratch_folder, sizeof scratch_folder, "%s/willis-test-XXXXXX", where ? where : "/tmp");
  return mkdtemp(scratch_folder) ? 0 : -1;
}

/* A static buffer, overwritten by the fourth call after. */
static inline const char *scratch_path(const char *name) {
  static char path[4][512];
  static int next;
  char *to = path[next++ & 3];
  snprintf(to, sizeof path[0], "%s/%s", scratch_folder, name);
  return to;
}

/* How many files are there, hidden ones included. */
static inline int scratch_count(void) {
  DIR *folder = opendir(scratch_folder);
  int count = 0;
  for (struct dirent *entry; folder && (entry = readdir(folder));)
    count += strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
  if (folder) closedir(folder);
  return count;
}

/* Removes every file, so that the next test starts with an empty folder. */
static inline int scratch_empty(void **state) {
  (void)state;
  DIR *folder = opendir(scratch_folder);
  for (struct dirent *entry; folder && (entry = readdir(folder));)
    if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
      unlinkat(dirfd(folder), entry->d_name, 0);
  if (folder) closedir(folder);
  return 0;
}

static inline int scratch_remove(void **state) {
  scratch_empty(state);
  return rmdir(scratch_folder);
}

#endif
