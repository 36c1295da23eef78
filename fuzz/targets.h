/* One row a reader of bytes that come from elsewhere: the function under test, how its input is
 * mutated, and where its first inputs lie. */
#ifndef FUZZ_TARGETS_H
#define FUZZ_TARGETS_H

#include <stdbool.h>
#include <stddef.h>

/* What a mutation knows about a format besides its bytes; bits. */
enum {
  FUZZ_TEXT = 1,          /* lines, words, numbers */
  FUZZ_DICOM = 2,         /* elements; may be put into a deflated file */
  FUZZ_CHECKPOINT = 4,    /* checksums are made to fit again in half of the cases */
  FUZZ_SAFETENSORS = 8,   /* the same for the length of the header */
  FUZZ_COMPRESSED = 16,   /* gzip outside or inside: little becomes much */
  FUZZ_LONGEST = 1 << 17, /* bytes of an input */
};

struct fuzz_target {
  const char *name;
  bool (*run)(const unsigned char *bytes, size_t size); /* whether it was read */
  unsigned knows;
  const char *endings; /* of files of the tests that are seeds too: " .nii .gz " */
  const char *const *words;
};

/* Ends with a row whose name is null. */
extern const struct fuzz_target fuzz_targets[];
const struct fuzz_target *fuzz_target_named(const char *name); /* null if there is none */

/* Runs a target on a block of exactly `size` bytes and holds the reader to what readers promise:
 * everything is given back, no more is held than a small multiple of the input, and a failure has a
 * message of printable text. Says what was broken and aborts if not. Returns whether it was read.
 */
bool fuzz_run(const struct fuzz_target *target, const unsigned char *bytes, size_t size);

#endif
