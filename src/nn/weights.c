/* Safetensors reader and writer. The reader trusts nothing: a length is compared with what is there
 * before it is used, every byte of the data belongs to exactly one tensor, and nothing is allocated
 * because the header says so. */
#include "nn/weights.h"

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The format allows 100 MB of JSON, which would be 4 GB when parsed; a network here takes 4 kB. */
enum { LENGTH_BYTES = 8, HEADER_LIMIT = 4 << 20, ALIGN = 8 };

static const struct {
  const char *name;
  size_t bytes;
} types[] = {[WILLIS_WEIGHTS_F32] = {"F32", 4},
             [WILLIS_WEIGHTS_F16] = {"F16", 2},
             [WILLIS_WEIGHTS_I64] = {"I64", 8}};

static uint64_t little_endian(const unsigned char *p, int bytes) {
  uint64_t value = 0;
  for (int i = 0; i < bytes; i++) value |= (uint64_t)p[i] << 8 * i;
  return value;
}

static bool read_size(const json_t *number, ptrdiff_t *value) {
  json_int_t n = json_integer_value(number);
  *value = (ptrdiff_t)n;
  return json_is_integer(number) && n >= 0 && n <= PTRDIFF_MAX;
}

static enum willis_status read_type(const char *name, const json_t *value,
                                    enum willis_weights_type *type, struct willis_error *err) {
  const char *text = json_string_value(value);
  if (!text)
    return willis_fail(err, WILLIS_FORMAT, "tensor %.80s: no dtype, a string was expected", name);
  for (size_t t = 0; t < sizeof types / sizeof *types; t++)
    if (!strcmp(text, types[t].name)) {
      *type = (enum willis_weights_type)t;
      return WILLIS_OK;
    }
  return willis_fail(err, WILLIS_UNSUPPORTED,
                     "tensor %.80s: data type %.20s; F32, F16 and I64 can be read", name, text);
}

static enum willis_status read_shape(const json_t *shape, struct willis_weights_entry *e,
                                     struct willis_error *err) {
  if (!json_is_array(shape) || json_array_size(shape) > WILLIS_WEIGHTS_RANK)
    return willis_fail(err, WILLIS_FORMAT,
                       "tensor %.80s: shape is not a list of at most %d numbers", e->name,
                       WILLIS_WEIGHTS_RANK);
  e->rank = (int)json_array_size(shape);
  e->count = 1;
  for (int d = 0; d < e->rank; d++)
    if (!read_size(json_array_get(shape, (size_t)d), &e->shape[d]) ||
        !willis_multiply(e->count, e->shape[d], &e->count))
      return willis_fail(err, WILLIS_FORMAT, "tensor %.80s: edge %d of the shape is not a size",
                         e->name, d);
  return WILLIS_OK;
}

static enum willis_status read_entry(const char *name, const json_t *object, size_t data_bytes,
                                     struct willis_weights_entry *e, struct willis_error *err) {
  *e = (struct willis_weights_entry){.name = name};
  if (!json_is_object(object))
    return willis_fail(err, WILLIS_FORMAT, "tensor %.80s: its entry is not an object", name);
  enum willis_status status = read_type(name, json_object_get(object, "dtype"), &e->type, err);
  if (status == WILLIS_OK) status = read_shape(json_object_get(object, "shape"), e, err);
  if (status != WILLIS_OK) return status;
  const json_t *offsets = json_object_get(object, "data_offsets");
  ptrdiff_t begin, end, bytes;
  if (json_array_size(offsets) != 2 || !read_size(json_array_get(offsets, 0), &begin) ||
      !read_size(json_array_get(offsets, 1), &end) || begin > end || (size_t)end > data_bytes)
    return willis_fail(err, WILLIS_FORMAT,
                       "tensor %.80s: data_offsets do not lie within the %zu bytes of data", name,
                       data_bytes);
  if (!willis_multiply(e->count, (ptrdiff_t)types[e->type].bytes, &bytes) || bytes != end - begin)
    return willis_fail(err, WILLIS_FORMAT,
                       "tensor %.80s: %td bytes of data for %td values of type %s", name,
                       end - begin, e->count, types[e->type].name);
  e->begin = (size_t)begin;
  e->end = (size_t)end;
  return WILLIS_OK;
}

static int by_offset(const void *a, const void *b) {
  const struct willis_weights_entry *x = a, *y = b;
  if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
  return (x->end > y->end) - (x->end < y->end);
}

/* Sorted by offset, each tensor begins where the one before ended. */
static enum willis_status check_tiling(const struct willis_weights *w, size_t data_bytes,
                                       struct willis_error *err) {
  size_t at = 0;
  for (ptrdiff_t i = 0; i < w->entry_count; i++) {
    if (w->entry[i].begin != at)
      return willis_fail(err, WILLIS_FORMAT,
                         "tensor %.80s begins at byte %zu of the data, not at %zu",
                         w->entry[i].name, w->entry[i].begin, at);
    at = w->entry[i].end;
  }
  if (at != data_bytes)
    return willis_fail(err, WILLIS_FORMAT, "the tensors hold %zu bytes of %zu bytes of data", at,
                       data_bytes);
  return WILLIS_OK;
}

static enum willis_status read_metadata(struct willis_weights *w, struct willis_error *err) {
  w->metadata = json_object_get(w->header, "__metadata__");
  if (!w->metadata) return WILLIS_OK;
  const char *key;
  json_t *value;
  bool good = json_is_object(w->metadata);
  json_object_foreach(w->metadata, key, value) good = good && json_is_string(value);
  return good ? WILLIS_OK
              : willis_fail(err, WILLIS_FORMAT, "__metadata__ is not an object of strings");
}

enum willis_status willis_weights_parse(const unsigned char *bytes, size_t size,
                                        struct willis_weights *weights, struct willis_error *err) {
  *weights = (struct willis_weights){0};
  if (size < LENGTH_BYTES)
    return willis_fail(err, WILLIS_FORMAT, "%zu bytes are too few for a safetensors file", size);
  uint64_t header_bytes = little_endian(bytes, LENGTH_BYTES);
  if (header_bytes > HEADER_LIMIT || header_bytes > size - LENGTH_BYTES)
    return willis_fail(err, WILLIS_FORMAT,
                       "byte 0: a safetensors header of %" PRIu64
                       " bytes in a file of %zu, at most %d are read",
                       header_bytes, size, HEADER_LIMIT);
  const size_t data_bytes = size - LENGTH_BYTES - (size_t)header_bytes;
  const unsigned char *data = bytes + LENGTH_BYTES + header_bytes;
  json_error_t problem;
  weights->header = json_loadb((const char *)bytes + LENGTH_BYTES, (size_t)header_bytes,
                               JSON_REJECT_DUPLICATES, &problem);
  if (!weights->header)
    return willis_fail(err, WILLIS_FORMAT, "safetensors header, byte %d: %s",
                       problem.position + LENGTH_BYTES, problem.text);
  if (!json_is_object(weights->header))
    return willis_fail(err, WILLIS_FORMAT, "the safetensors header is not an object");
  enum willis_status status = read_metadata(weights, err);
  if (status != WILLIS_OK) return status;
  ptrdiff_t most = (ptrdiff_t)json_object_size(weights->header);
  weights->entry = willis_take(most, sizeof *weights->entry);
  if (!weights->entry)
    return willis_fail_memory(err, "the tensors of a file", most, sizeof *weights->entry);
  const char *name;
  json_t *object;
  json_object_foreach(weights->header, name, object) {
    if (object == weights->metadata) continue;
    struct willis_weights_entry *e = &weights->entry[weights->entry_count++];
    status = read_entry(name, object, data_bytes, e, err);
    if (status != WILLIS_OK) return status;
    e->data = data + e->begin;
  }
  qsort(weights->entry, (size_t)weights->entry_count, sizeof *weights->entry, by_offset);
  return check_tiling(weights, data_bytes, err);
}

void willis_weights_release(struct willis_weights *weights) {
  json_decref(weights->header);
  willis_release(weights->entry);
  *weights = (struct willis_weights){0};
}

const struct willis_weights_entry *willis_weights_find(const struct willis_weights *weights,
                                                       const char *name) {
  for (ptrdiff_t i = 0; i < weights->entry_count; i++)
    if (!strcmp(weights->entry[i].name, name)) return &weights->entry[i];
  return NULL;
}

/* IEEE 754 binary16: 1 sign, 5 exponent, 10 fraction bits. */
static float from_half(uint64_t bits) {
  int exponent = (int)(bits >> 10 & 31);
  float fraction = (float)(bits & 1023);
  float value = exponent == 31  ? (fraction > 0 ? NAN : INFINITY)
                : exponent == 0 ? ldexpf(fraction, -24)
                                : ldexpf(1024 + fraction, exponent - 25);
  return bits >> 15 & 1 ? -value : value;
}

float willis_weights_float(const struct willis_weights_entry *entry, ptrdiff_t i) {
  if (entry->type == WILLIS_WEIGHTS_F16) return from_half(little_endian(entry->data + 2 * i, 2));
  uint32_t bits = (uint32_t)little_endian(entry->data + 4 * i, 4);
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

int64_t willis_weights_integer(const struct willis_weights_entry *entry, ptrdiff_t i) {
  return (int64_t)little_endian(entry->data + 8 * i, 8);
}

static json_t *entry_object(const struct willis_weights_item *item, size_t begin, size_t end) {
  json_t *shape = json_array();
  bool good = shape != NULL;
  for (int d = 0; d < item->rank; d++)
    good = good && !json_array_append_new(shape, json_integer((json_int_t)item->shape[d]));
  if (!good) {
    json_decref(shape);
    return NULL;
  }
  return json_pack("{s:s, s:o, s:[I,I]}", "dtype", types[item->type].name, "shape", shape,
                   "data_offsets", (json_int_t)begin, (json_int_t)end);
}

/* The header's text, padded with spaces so that the data are aligned. The caller frees it. */
static char *header_text(const json_t *metadata, const struct willis_weights_item *item,
                         ptrdiff_t item_count, size_t *length) {
  char *text = NULL, *padded = NULL;
  json_t *header = json_object();
  /* Not a copy: json_deep_copy() leaves out what it finds no memory for. */
  json_t *shared = (json_t *)(uintptr_t)metadata;
  bool good = header && !json_object_set(header, "__metadata__", shared);
  size_t at = 0;
  for (ptrdiff_t i = 0; i < item_count; i++) {
    size_t end = at + (size_t)item[i].count * types[item[i].type].bytes;
    good = good && !json_object_set_new(header, item[i].name, entry_object(&item[i], at, end));
    at = end;
  }
  text = good ? json_dumps(header, JSON_COMPACT) : NULL;
  json_decref(header);
  if (!text) return NULL;
  size_t used = strlen(text);
  *length = (used + ALIGN - 1) / ALIGN * ALIGN;
  padded = willis_take((ptrdiff_t)*length + 1, 1);
  if (padded) {
    memset(padded, ' ', *length);
    /* NOLINTNEXTLINE(bugprone-not-null-terminated-result): a length is kept instead. */
    memcpy(padded, text, used);
  }
  free(text);
  return padded;
}

/* Little-endian bytes of the values, whatever this machine's own order is. */
static enum willis_status put_values(struct willis_writer *writer,
                                     const struct willis_weights_item *item,
                                     struct willis_error *err) {
  enum { BUFFER = 4096 };
  unsigned char buffer[BUFFER];
  const size_t width = types[item->type].bytes;
  size_t used = 0;
  for (ptrdiff_t i = 0; i < item->count; i++) {
    uint64_t bits = 0;
    if (item->type == WILLIS_WEIGHTS_I64)
      bits = (uint64_t)((const int64_t *)item->values)[i];
    else {
      uint32_t word;
      memcpy(&word, (const float *)item->values + i, sizeof word);
      bits = word;
    }
    for (size_t b = 0; b < width; b++) buffer[used++] = (unsigned char)(bits >> 8 * b);
    if (used + width <= BUFFER && i + 1 < item->count) continue;
    enum willis_status status = willis_writer_put(writer, buffer, used, err);
    if (status != WILLIS_OK) return status;
    used = 0;
  }
  return WILLIS_OK;
}

enum willis_status willis_weights_write(const char *path, const json_t *metadata,
                                        const struct willis_weights_item *item,
                                        ptrdiff_t item_count, bool overwrite,
                                        struct willis_error *err) {
  struct willis_writer *writer = NULL;
  size_t length = 0;
  enum willis_status status;
  char *text = header_text(metadata, item, item_count, &length);
  if (!text) return willis_fail_memory(err, "a safetensors header", item_count, sizeof *item);
  status = willis_writer_open(path, overwrite, false, &writer, err);
  if (status != WILLIS_OK) goto out;
  unsigned char head[LENGTH_BYTES];
  for (int b = 0; b < LENGTH_BYTES; b++) head[b] = (unsigned char)((uint64_t)length >> 8 * b);
  status = willis_writer_put(writer, head, sizeof head, err);
  if (status == WILLIS_OK) status = willis_writer_put(writer, text, length, err);
  for (ptrdiff_t i = 0; i < item_count && status == WILLIS_OK; i++)
    status = put_values(writer, &item[i], err);
  if (status != WILLIS_OK) goto out;
  status = willis_writer_commit(writer, err);
  writer = NULL;
out:
  willis_writer_abandon(writer, err);
  willis_release(text);
  return status;
}
