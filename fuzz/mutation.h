/* Inputs that are nearly right: a seed file, changed in a few places that depend on nothing but
 * three numbers. */
#ifndef FUZZ_MUTATION_H
#define FUZZ_MUTATION_H

#include "targets.h"

#include <stdint.h>

/* A file to start from. Compressed ones are held as what is inside: mutations work there and are
 * compressed again. */
enum fuzz_wrapping { FUZZ_PLAIN, FUZZ_GZIP, FUZZ_DEFLATED };
struct fuzz_seed {
  char *path;
  unsigned char *bytes;
  size_t size;
  enum fuzz_wrapping wrapping;
};
struct fuzz_corpus {
  struct fuzz_seed *seed;
  size_t count;
};
/* Every file of the folder fuzz/corpus/<target> and those of tests/ with the target's endings, in
 * the order of their paths; prints and exits when there are none. */
void fuzz_corpus_read(const struct fuzz_target *target, const char *source_folder,
                      struct fuzz_corpus *corpus);
void fuzz_corpus_release(struct fuzz_corpus *corpus);

/* Input `index` of a series into `bytes`, which holds FUZZ_LONGEST. Returns its size. */
size_t fuzz_mutate(const struct fuzz_target *target, const struct fuzz_corpus *corpus,
                   uint64_t series, uint64_t index, unsigned char *bytes);

#endif
