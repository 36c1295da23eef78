/* Voxels of an NRRD, the file beside it, and writing. */
#define _GNU_SOURCE
#include "io/nrrd.h"

#include "base/error.h"
#include "base/memory.h"
#include "io/io.h"
#include "io/text.h"

#include <stdio.h>
#include <string.h>

enum { MOST_SKIPPED = 1 << 20 };

static enum willis_status too_few(size_t have, size_t need, struct willis_error *err) {
  return willis_fail(err, WILLIS_FORMAT, "the header claims %zu bytes of voxels, but there are %zu",
                     need, have);
}

static enum willis_status decode_text(const struct willis_nrrd *nrrd, const unsigned char *bytes,
                                      size_t size, struct willis_volume *volume,
                                      struct willis_error *err) {
  /* A number and its separator take two bytes. */
  if ((size_t)nrrd->count > size / 2 + 1) return too_few(size, 2 * (size_t)nrrd->count, err);
  enum willis_status status = willis_volume_create(volume, &nrrd->grid, err);
  struct willis_text text = willis_text_of(bytes, size);
  locale_t before = willis_locale_enter();
  for (ptrdiff_t i = 0; i < nrrd->count && !status; i++) {
    struct willis_word word;
    double value;
    if (!willis_text_word(&text, &word) || !willis_word_real(word, &value))
      status = willis_fail(err, WILLIS_FORMAT, "voxel %td of %td is not a number", i, nrrd->count);
    else
      volume->voxels[i] = (float)value;
  }
  willis_locale_leave(before);
  return status;
}

static enum willis_status decode_raw(const struct willis_nrrd *nrrd, const unsigned char *bytes,
                                     size_t size, struct willis_volume *volume,
                                     struct willis_error *err) {
  ptrdiff_t need;
  if (!willis_multiply(nrrd->count, (ptrdiff_t)willis_sample_bytes(nrrd->samples.type), &need))
    return willis_fail(err, WILLIS_FORMAT, "sizes: the product does not fit");
  size_t skip = nrrd->byte_skip < 0 ? size - (size_t)need : (size_t)nrrd->byte_skip;
  if ((size_t)need > size || skip > size - (size_t)need)
    return too_few(nrrd->byte_skip < 0 ? size : skip < size ? size - skip : 0, (size_t)need, err);
  enum willis_status status = willis_volume_create(volume, &nrrd->grid, err);
  if (!status) willis_samples_decode(&nrrd->samples, bytes + skip, nrrd->count, volume->voxels);
  return status;
}

static enum willis_status decode_gzip(const struct willis_nrrd *nrrd, const unsigned char *bytes,
                                      size_t size, const struct willis_limits *limits,
                                      struct willis_volume *volume, struct willis_error *err) {
  ptrdiff_t need;
  if (!willis_multiply(nrrd->count, (ptrdiff_t)willis_sample_bytes(nrrd->samples.type), &need) ||
      need > PTRDIFF_MAX / 2)
    return willis_fail(err, WILLIS_FORMAT, "sizes: the product does not fit");
  /* Bytes to skip are inflated and held too, and nothing but the header vouches for them. */
  if (nrrd->byte_skip > MOST_SKIPPED)
    return willis_fail(err, WILLIS_UNSUPPORTED, "byte skip: %td in compressed voxels, at most %d",
                       nrrd->byte_skip, MOST_SKIPPED);
  size_t limit = (size_t)need + (size_t)(nrrd->byte_skip < 0 ? MOST_SKIPPED : nrrd->byte_skip);
  if (limit > limits->expanded_bytes) limit = limits->expanded_bytes;
  unsigned char *plain;
  size_t plain_size;
  enum willis_status status = willis_gunzip(bytes, size, limit, &plain, &plain_size, err);
  if (!status) status = decode_raw(nrrd, plain, plain_size, volume, err);
  willis_release(plain);
  return status;
}

enum willis_status willis_nrrd_voxels(const struct willis_nrrd *nrrd, const unsigned char *bytes,
                                      size_t size, const struct willis_limits *limits,
                                      struct willis_volume *volume, struct willis_error *err) {
  *volume = (struct willis_volume){0};
  for (ptrdiff_t i = 0; i < nrrd->line_skip; i++) {
    const unsigned char *end = memchr(bytes, '\n', size);
    if (!end)
      return willis_fail(err, WILLIS_FORMAT, "line skip: %td lines to skip, but there are %td",
                         nrrd->line_skip, i);
    size -= (size_t)(end + 1 - bytes);
    bytes = end + 1;
  }
  enum willis_status status = WILLIS_OK;
  if (nrrd->encoding == WILLIS_NRRD_TEXT)
    status = decode_text(nrrd, bytes, size, volume, err);
  else if (nrrd->encoding == WILLIS_NRRD_GZIP)
    status = decode_gzip(nrrd, bytes, size, limits, volume, err);
  else
    status = decode_raw(nrrd, bytes, size, volume, err);
  volume->integral = willis_samples_integral(&nrrd->samples);
  if (status) willis_volume_release(volume);
  return status;
}

/* The data file's bytes. The header's reader has made sure that its name holds no folder. */
static enum willis_status read_beside(const char *path, const char *name,
                                      const struct willis_limits *limits, unsigned char **bytes,
                                      size_t *size, struct willis_error *err) {
  const char *slash = strrchr(path, '/');
  ptrdiff_t folder = slash ? slash + 1 - path : 0;
  ptrdiff_t length = folder + (ptrdiff_t)strlen(name) + 1;
  char *beside = willis_take(length, 1);
  if (!beside) return willis_fail_memory(err, "a path", length, 1);
  memcpy(beside, path, (size_t)folder);
  memcpy(beside + folder, name, strlen(name) + 1);
  bool is_plain;
  enum willis_status status = willis_path_is_plain(beside, &is_plain, err);
  if (!status && !is_plain)
    status =
        willis_fail(err, WILLIS_FORMAT,
                    "data file %s is not a regular file, expected no link, pipe or device", name);
  if (!status) status = willis_file_read(beside, limits->file_bytes, bytes, size, err);
  willis_release(beside);
  return status;
}

enum willis_status willis_nrrd_parse(const unsigned char *bytes, size_t size,
                                     const struct willis_limits *limits, const char *path,
                                     struct willis_volume *volume,
                                     const struct willis_warnings *warnings,
                                     struct willis_error *err) {
  *volume = (struct willis_volume){0};
  struct willis_nrrd nrrd;
  enum willis_status status = willis_nrrd_header(bytes, size, limits, &nrrd, warnings, err);
  if (status) return status;
  if (!nrrd.data_file[0])
    return willis_nrrd_voxels(&nrrd, bytes + nrrd.data, size - nrrd.data, limits, volume, err);
  if (!path) return willis_fail(err, WILLIS_UNSUPPORTED, "the voxels are in another file");
  unsigned char *data = NULL;
  size_t data_size = 0;
  status = read_beside(path, nrrd.data_file, limits, &data, &data_size, err);
  if (!status) status = willis_nrrd_voxels(&nrrd, data, data_size, limits, volume, err);
  willis_release(data);
  return status;
}

enum willis_status willis_nrrd_print_header(struct willis_writer *writer,
                                            const struct willis_grid *grid,
                                            enum willis_voxel_type type, struct willis_error *err) {
  static const char *const types[] = {[WILLIS_VOXEL_FLOAT32] = "float",
                                      [WILLIS_VOXEL_UINT8] = "uint8",
                                      [WILLIS_VOXEL_INT16] = "int16"};
  struct willis_out out = {.writer = writer, .err = err};
  locale_t before = willis_locale_enter();
  willis_out_print(&out, "NRRD0004\n# %s\ntype: %s\ndimension: 3\n", WILLIS_FILE_COMMENT,
                   types[type]);
  willis_out_print(&out, "space: left-posterior-superior\nsizes: %td %td %td\nspace directions:",
                   grid->size[0], grid->size[1], grid->size[2]);
  for (int axis = 0; axis < 3; axis++) {
    double s = grid->spacing_mm[axis];
    willis_out_print(&out, " (%.17g,%.17g,%.17g)", s * grid->direction[axis],
                     s * grid->direction[3 + axis], s * grid->direction[6 + axis]);
  }
  willis_out_print(&out, "\nkinds: domain domain domain\nspace units: \"mm\" \"mm\" \"mm\"\n");
  willis_out_print(&out, "endian: little\nencoding: gzip\nspace origin: (%.17g,%.17g,%.17g)\n\n",
                   grid->origin_mm[0], grid->origin_mm[1], grid->origin_mm[2]);
  willis_locale_leave(before);
  enum willis_status status = willis_out_flush(&out);
  return status ? status : willis_writer_compress(writer, err);
}
