/* A folder of phantom patients for tests of training. */
#ifndef TESTS_RECON_PATIENTS_H
#define TESTS_RECON_PATIENTS_H

#include "scratch.h"

#include <willis/willis.h>

#include <ftw.h>

/* Writes `count` shapes into the scratch folder's "patients" and returns its path. */
static inline const char *make_patients(int count) {
  static char folder[300];
  snprintf(folder, sizeof folder, "%s/patients", scratch_folder);
  assert_int_equal(mkdir(folder, 0777), 0);
  for (int i = 0; i < count; i++) {
    struct willis_error err;
    struct willis_tree tree = {0};
    char path[400];
    assert_int_equal(willis_tree_phantom((uint64_t)i + 1, &tree, &err), WILLIS_OK);
    snprintf(path, sizeof path, "%s/phantom-%02d.swc", folder, i);
    assert_int_equal(willis_tree_write(path, &tree, false, &err), WILLIS_OK);
    willis_tree_release(&tree);
  }
  return folder;
}

/* Models of the scratch folder. */
static inline void same_parameters(const char *a, const char *b) {
  struct willis_network *x, *y;
  char path[512];
  snprintf(path, sizeof path, "%s", scratch_path(a));
  assert_int_equal(willis_network_read(path, &x, NULL), WILLIS_OK);
  assert_int_equal(willis_network_read(scratch_path(b), &y, NULL), WILLIS_OK);
  for (int t = 0; t < willis_network_tensor_count(x); t++) {
    struct willis_network_tensor p = willis_network_tensor(x, t), q = willis_network_tensor(y, t);
    assert_memory_equal(p.values, q.values, (size_t)p.count * sizeof(float));
  }
  willis_network_destroy(x);
  willis_network_destroy(y);
}

static inline int remove_entry(const char *path, const struct stat *st, int kind,
                               struct FTW *where) {
  (void)st;
  (void)kind;
  (void)where;
  return remove(path);
}

/* The scratch folder with everything below it. */
static inline int remove_scratch_tree(void **state) {
  (void)state;
  return nftw(scratch_folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

#endif
