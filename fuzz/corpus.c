/* Seeds out of folders. */
#define _GNU_SOURCE
#include "mutation.h"

#include "base/file.h"
#include "base/memory.h"
#include "io/dicom_scan.h"

#include <willis/io.h>

#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* nftw() has no argument for its visitor. */
static struct {
  const struct fuzz_target *target;
  struct fuzz_corpus *corpus;
  bool any_ending;
} walk;

/* What is inside instead of what is outside, where mutations reach it. */
static void unwrap(struct fuzz_seed *seed) {
  const struct willis_limits limits = willis_limits_defaults();
  unsigned char *plain = NULL, *own;
  size_t size = 0;
  const size_t head = willis_dicom_deflated(seed->bytes, seed->size);
  if (willis_is_gzip(seed->bytes, seed->size)) {
    if (willis_gunzip(seed->bytes, seed->size, FUZZ_LONGEST, &plain, &size, NULL)) return;
    seed->wrapping = FUZZ_GZIP;
  } else if (head) {
    /* The file's own head, then what was deflated, without the head that the reader puts there. */
    size_t own_head;
    if (willis_dicom_inflate(seed->bytes, seed->size, &limits, &plain, &size, NULL)) return;
    struct willis_dicom_layout layout;
    if (willis_dicom_locate(plain, size, &layout, NULL) || layout.data_set > head) {
      willis_release(plain);
      return;
    }
    own_head = layout.data_set;
    own = willis_take((ptrdiff_t)(head + size - own_head), 1);
    if (!own) abort();
    memcpy(own, seed->bytes, head);
    memcpy(own + head, plain + own_head, size - own_head);
    willis_release(plain);
    plain = own;
    size += head - own_head;
    seed->wrapping = FUZZ_DEFLATED;
  } else {
    return;
  }
  willis_release(seed->bytes);
  seed->bytes = plain;
  seed->size = size;
}

static bool has_ending(const char *path) {
  char ending[16];
  const char *dot = strrchr(path, '.');
  if (!dot || strlen(dot) > sizeof ending - 3) return false;
  snprintf(ending, sizeof ending, " %s ", dot);
  return strstr(walk.target->endings, ending) != NULL;
}

static int visit(const char *path, const struct stat *st, int type, struct FTW *where) {
  (void)where;
  struct fuzz_corpus *corpus = walk.corpus;
  if (type != FTW_F || st->st_size > FUZZ_LONGEST / 2) return 0;
  if (!walk.any_ending && !has_ending(path)) return 0;
  struct fuzz_seed *grown = realloc(corpus->seed, (corpus->count + 1) * sizeof *grown);
  if (!grown) abort();
  corpus->seed = grown;
  struct fuzz_seed *seed = &grown[corpus->count];
  *seed = (struct fuzz_seed){.path = strdup(path)};
  if (!seed->path || willis_file_read(path, FUZZ_LONGEST, &seed->bytes, &seed->size, NULL)) abort();
  unwrap(seed);
  corpus->count++;
  return 0;
}

static int by_path(const void *a, const void *b) {
  return strcmp(((const struct fuzz_seed *)a)->path, ((const struct fuzz_seed *)b)->path);
}

void fuzz_corpus_read(const struct fuzz_target *target, const char *source_folder,
                      struct fuzz_corpus *corpus) {
  char folder[4096];
  *corpus = (struct fuzz_corpus){0};
  walk.target = target;
  walk.corpus = corpus;
  walk.any_ending = true;
  snprintf(folder, sizeof folder, "%s/fuzz/corpus/%s", source_folder, target->name);
  (void)nftw(folder, visit, 8, FTW_PHYS);
  walk.any_ending = false;
  snprintf(folder, sizeof folder, "%s/tests", source_folder);
  if (target->endings[0]) (void)nftw(folder, visit, 8, FTW_PHYS);
  if (!corpus->count) {
    fprintf(stderr, "fuzz: no seeds for %s below %s\n", target->name, source_folder);
    exit(2);
  }
  qsort(corpus->seed, corpus->count, sizeof *corpus->seed, by_path);
}

void fuzz_corpus_release(struct fuzz_corpus *corpus) {
  for (size_t i = 0; i < corpus->count; i++) {
    willis_release(corpus->seed[i].bytes);
    free(corpus->seed[i].path);
  }
  free(corpus->seed);
  *corpus = (struct fuzz_corpus){0};
}
