/* Safetensors: 8 bytes of header length, a JSON header, raw little-endian data
 * (https://huggingface.co/docs/safetensors). The container only; which tensors a network wants is
 * decided in network_file.c. */
#ifndef WILLIS_NN_WEIGHTS_H
#define WILLIS_NN_WEIGHTS_H

#include <willis/error.h>

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum willis_weights_type { WILLIS_WEIGHTS_F32, WILLIS_WEIGHTS_F16, WILLIS_WEIGHTS_I64 };
enum { WILLIS_WEIGHTS_RANK = 8 };

/* One tensor of a file; `name` belongs to the header, `data` to the file's bytes. */
struct willis_weights_entry {
  const char *name;
  enum willis_weights_type type;
  int rank;
  ptrdiff_t shape[WILLIS_WEIGHTS_RANK];
  ptrdiff_t count;
  size_t begin, end; /* offsets into the data */
  const unsigned char *data;
};

struct willis_weights {
  json_t *header;
  json_t *metadata; /* an object of strings, null if the file has none; owned by header */
  struct willis_weights_entry *entry;
  ptrdiff_t entry_count;
};

/* Checks everything that the format promises: lengths, types, shapes, and offsets that tile the
 * data exactly. `bytes` must outlive `weights`. The caller releases it, also after a failure.
 * FORMAT, UNSUPPORTED (another data type), OUT_OF_MEMORY. */
WILLIS_CHECKED enum willis_status willis_weights_parse(const unsigned char *bytes, size_t size,
                                                       struct willis_weights *weights,
                                                       struct willis_error *err);
void willis_weights_release(struct willis_weights *weights);
/* Null if there is no tensor of this name. */
const struct willis_weights_entry *willis_weights_find(const struct willis_weights *weights,
                                                       const char *name);
/* Value i of an F32 or F16 tensor, or of an I64 one. */
float willis_weights_float(const struct willis_weights_entry *entry, ptrdiff_t i);
int64_t willis_weights_integer(const struct willis_weights_entry *entry, ptrdiff_t i);

/* A tensor to be written. F32 (float) or I64 (int64_t). */
struct willis_weights_item {
  const char *name;
  enum willis_weights_type type;
  int rank;
  const ptrdiff_t *shape;
  ptrdiff_t count;
  const void *values;
};
/* metadata: an object of strings. Written aside and renamed. EXISTS, IO, OUT_OF_MEMORY. */
WILLIS_CHECKED enum willis_status willis_weights_write(const char *path, const json_t *metadata,
                                                       const struct willis_weights_item *item,
                                                       ptrdiff_t item_count, bool overwrite,
                                                       struct willis_error *err);

#endif
