/* Checkpoint files (doc/training.md): named sections, each with its own CRC-32, behind a header
 * with one over itself, so that a flip of any byte is noticed. Numbers are little-endian. Data
 * only.
 *
 *   bytes 0–7   "WILLISCK"
 *   8, 12       version, number of sections n (uint32)
 *   16          file size (uint64)
 *   24          n × { tag[16], size (uint64), CRC-32 (uint32), zero (uint32) }
 *   24 + 32·n   CRC-32 of everything before, zero (uint32)
 *   then        the sections in order, nothing between or after */
#ifndef WILLIS_RECON_CHECKPOINT_H
#define WILLIS_RECON_CHECKPOINT_H

#include <willis/error.h>

#include <stdbool.h>
#include <stddef.h>

enum { WILLIS_SECTION_TAG = 16, WILLIS_SECTIONS_MOST = 16 };

struct willis_section {
  char tag[WILLIS_SECTION_TAG]; /* ends with a zero */
  const void *bytes;
  size_t size;
};

struct willis_sections {
  int count;
  struct willis_section section[WILLIS_SECTIONS_MOST];
};

/* Replaces the file, atomically. */
WILLIS_CHECKED enum willis_status willis_sections_write(const char *path,
                                                        const struct willis_sections *sections,
                                                        struct willis_error *err);
/* The sections point into `bytes`. FORMAT with the offset, UNSUPPORTED for another version. */
WILLIS_CHECKED enum willis_status willis_sections_parse(const unsigned char *bytes, size_t size,
                                                        struct willis_sections *sections,
                                                        struct willis_error *err);
/* The sections point into *bytes, which the caller frees with willis_release(). */
WILLIS_CHECKED enum willis_status willis_sections_read(const char *path, unsigned char **bytes,
                                                       struct willis_sections *sections,
                                                       struct willis_error *err);
/* Null if there is none. */
const struct willis_section *willis_sections_find(const struct willis_sections *sections,
                                                  const char *tag);

/* "<stem>.step-<8 digits>.ckpt" into `path`; false if it is too long. */
bool willis_checkpoint_path(char *path, size_t size, const char *stem, unsigned long long step);
/* Steps of the checkpoints of `stem`, ascending, at most `most` (the newest). IO. */
WILLIS_CHECKED enum willis_status willis_checkpoint_list(const char *stem, unsigned long long *step,
                                                         int most, int *count,
                                                         struct willis_error *err);
/* The stem and step of a checkpoint's path; false if it is not named so. */
bool willis_checkpoint_split(const char *path, char *stem, size_t size, unsigned long long *step);

#endif
