/* Checkpoint files: sections behind checksums, and their names in a folder. */
#include "recon/checkpoint.h"

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static const char magic[8] = {'W', 'I', 'L', 'L', 'I', 'S', 'C', 'K'};
enum { VERSION = 1, HEAD = 24, ENTRY = 32, FOOT = 8 };
/* Parameters and moments of the largest network to come, many times over. */
static const size_t file_limit = (size_t)1 << 32;

/* ---- the container ---- */

static void put32(unsigned char *to, uint32_t value) {
  for (int i = 0; i < 4; i++) to[i] = (unsigned char)(value >> (8 * i));
}
static void put64(unsigned char *to, uint64_t value) {
  for (int i = 0; i < 8; i++) to[i] = (unsigned char)(value >> (8 * i));
}
static uint64_t get(const unsigned char *from, int bytes) {
  uint64_t value = 0;
  for (int i = bytes; i-- > 0;) value = value << 8 | from[i];
  return value;
}

static uint32_t checksum(const void *bytes, size_t size) {
  return (uint32_t)crc32_z(crc32_z(0, NULL, 0), bytes, size);
}

enum willis_status willis_sections_write(const char *path, const struct willis_sections *sections,
                                         struct willis_error *err) {
  unsigned char head[HEAD + ENTRY * WILLIS_SECTIONS_MOST + FOOT] = {0};
  size_t n = (size_t)sections->count, head_size = HEAD + ENTRY * n + FOOT, total = head_size;
  memcpy(head, magic, sizeof magic);
  put32(head + 8, VERSION);
  put32(head + 12, (uint32_t)n);
  for (size_t i = 0; i < n; i++) {
    const struct willis_section *s = &sections->section[i];
    unsigned char *entry = head + HEAD + ENTRY * i;
    memcpy(entry, s->tag, WILLIS_SECTION_TAG);
    put64(entry + 16, s->size);
    put32(entry + 24, checksum(s->bytes, s->size));
    total += s->size;
  }
  put64(head + 16, total);
  put32(head + HEAD + ENTRY * n, checksum(head, HEAD + ENTRY * n));
  struct willis_writer *writer;
  enum willis_status status = willis_writer_open(path, true, false, &writer, err);
  if (status) return status;
  status = willis_writer_put(writer, head, head_size, err);
  for (size_t i = 0; i < n && !status; i++)
    status = willis_writer_put(writer, sections->section[i].bytes, sections->section[i].size, err);
  if (status) {
    willis_writer_abandon(writer, err);
    return status;
  }
  return willis_writer_commit(writer, err);
}

/* Everything that can be said before the sections are looked at. */
static enum willis_status check_head(const unsigned char *bytes, size_t size, size_t *head_size,
                                     struct willis_error *err) {
  if (size < HEAD + FOOT || memcmp(bytes, magic, sizeof magic))
    return willis_fail(err, WILLIS_FORMAT, "not a checkpoint of Willis");
  if (get(bytes + 8, 4) != VERSION)
    return willis_fail(err, WILLIS_UNSUPPORTED, "byte 8: checkpoint version %u, expected %d",
                       (unsigned)get(bytes + 8, 4), VERSION);
  uint64_t n = get(bytes + 12, 4);
  if (n > WILLIS_SECTIONS_MOST || size < HEAD + ENTRY * n + FOOT)
    return willis_fail(err, WILLIS_FORMAT, "byte 12: %u sections do not fit", (unsigned)n);
  if (get(bytes + 16, 8) != size)
    return willis_fail(err, WILLIS_FORMAT, "byte 16: cut: %zu bytes of %llu", size,
                       (unsigned long long)get(bytes + 16, 8));
  size_t end = HEAD + ENTRY * (size_t)n;
  if (get(bytes + end, 4) != checksum(bytes, end) || get(bytes + end + 4, 4))
    return willis_fail(err, WILLIS_FORMAT, "byte %zu: the header's checksum does not fit", end);
  *head_size = end + FOOT;
  return WILLIS_OK;
}

enum willis_status willis_sections_parse(const unsigned char *bytes, size_t size,
                                         struct willis_sections *sections,
                                         struct willis_error *err) {
  *sections = (struct willis_sections){0};
  size_t at = 0;
  enum willis_status status = check_head(bytes, size, &at, err);
  if (status) return status;
  int n = (int)get(bytes + 12, 4);
  for (int i = 0; i < n; i++) {
    const unsigned char *entry = bytes + HEAD + ENTRY * i;
    struct willis_section *s = &sections->section[i];
    uint64_t length = get(entry + 16, 8);
    if (length > size - at || entry[WILLIS_SECTION_TAG - 1])
      return willis_fail(err, WILLIS_FORMAT, "byte %zu: section %d does not fit", at, i);
    memcpy(s->tag, entry, WILLIS_SECTION_TAG);
    s->bytes = bytes + at;
    s->size = (size_t)length;
    if (get(entry + 24, 4) != checksum(s->bytes, s->size))
      return willis_fail(err, WILLIS_FORMAT, "byte %zu: the checksum of section %s does not fit",
                         at, s->tag);
    at += s->size;
  }
  if (at != size)
    return willis_fail(err, WILLIS_FORMAT, "byte %zu: %zu bytes too many", at, size - at);
  sections->count = n;
  return WILLIS_OK;
}

enum willis_status willis_sections_read(const char *path, unsigned char **bytes,
                                        struct willis_sections *sections,
                                        struct willis_error *err) {
  size_t size;
  enum willis_status status = willis_file_read(path, file_limit, bytes, &size, err);
  if (status) return status;
  status = willis_sections_parse(*bytes, size, sections, err);
  if (!status) return WILLIS_OK;
  willis_release(*bytes);
  *bytes = NULL;
  return willis_fail_in(err, status, path);
}

const struct willis_section *willis_sections_find(const struct willis_sections *sections,
                                                  const char *tag) {
  for (int i = 0; i < sections->count; i++)
    if (!strcmp(sections->section[i].tag, tag)) return &sections->section[i];
  return NULL;
}

/* ---- names ---- */

static const char mark[] = ".step-", ending[] = ".ckpt";
enum { DIGITS = 8 };

bool willis_checkpoint_path(char *path, size_t size, const char *stem, unsigned long long step) {
  int n = snprintf(path, size, "%s%s%0*llu%s", stem, mark, DIGITS, step, ending);
  return n > 0 && (size_t)n < size;
}

bool willis_checkpoint_split(const char *path, char *stem, size_t size, unsigned long long *step) {
  const char *at = NULL;
  for (const char *p = path; (p = strstr(p, mark)); p++) at = p;
  if (!at || (size_t)(at - path) >= size) return false;
  const char *digit = at + sizeof mark - 1;
  char *end;
  if (*digit < '0' || *digit > '9') return false;
  errno = 0;
  *step = strtoull(digit, &end, 10);
  if (errno || end - digit < DIGITS || strcmp(end, ending)) return false;
  memcpy(stem, path, (size_t)(at - path));
  stem[at - path] = 0;
  return true;
}

enum willis_status willis_checkpoint_list(const char *stem, unsigned long long *step, int most,
                                          int *count, struct willis_error *err) {
  char folder[PATH_MAX], found[PATH_MAX];
  const char *slash = strrchr(stem, '/'), *base = slash ? slash + 1 : stem;
  *count = 0;
  int n = slash == stem ? 1 : slash ? (int)(slash - stem) : 1;
  snprintf(folder, sizeof folder, "%.*s", n, slash ? stem : ".");
  struct willis_names names;
  enum willis_status status = willis_folder_list(folder, &names, err);
  for (ptrdiff_t i = 0; i < names.count && !status; i++) {
    unsigned long long value;
    if (!willis_checkpoint_split(names.name[i], found, sizeof found, &value) || strcmp(found, base))
      continue;
    int at = *count;
    if (at == most && value < step[0]) continue;
    /* Insert in order; when full the oldest goes. */
    if (at == most) {
      memmove(step, step + 1, (size_t)(most - 1) * sizeof *step);
      at--;
    } else {
      ++*count;
    }
    for (; at > 0 && step[at - 1] > value; at--) step[at] = step[at - 1];
    step[at] = value;
  }
  willis_names_release(&names);
  return status;
}
