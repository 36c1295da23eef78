/* Volumes by content in, by the path's ending out. */
#include "base/error.h"
#include "base/memory.h"
#include "io/dicom.h"
#include "io/io.h"
#include "io/nifti.h"
#include "io/nrrd.h"

#include <string.h>

enum kind { KIND_NRRD, KIND_DICOM, KIND_NIFTI };

/* `bytes` may be the first of a file. */
static enum willis_status recognize(const unsigned char *bytes, size_t size, enum kind *kind,
                                    struct willis_error *err) {
  unsigned char plain[4];
  const bool gzip = willis_is_gzip(bytes, size);
  *kind = KIND_NIFTI;
  if (willis_nrrd_recognize(bytes, size))
    *kind = KIND_NRRD;
  else if (willis_dicom_recognize(bytes, size))
    *kind = KIND_DICOM;
  else if (gzip && !willis_nifti_recognize(plain, willis_gunzip_head(bytes, size, plain, 4)))
    return willis_fail(err, WILLIS_FORMAT, "compressed, but what is inside is not NIfTI");
  else if (!gzip && !willis_nifti_recognize(bytes, size))
    return willis_fail(err, WILLIS_FORMAT, "neither NIfTI, NRRD nor DICOM");
  return WILLIS_OK;
}

static enum willis_status parse_nifti(unsigned char *bytes, size_t size,
                                      const struct willis_limits *limits,
                                      struct willis_volume *volume,
                                      const struct willis_warnings *warnings,
                                      struct willis_error *err) {
  unsigned char *plain;
  size_t plain_size;
  enum willis_status status = willis_nifti_expand(bytes, size, limits, &plain, &plain_size, err);
  if (status) return status;
  status = willis_nifti_parse(plain, plain_size, limits, volume, warnings, err);
  if (plain != bytes) willis_release(plain);
  return status;
}

static enum willis_status parse(const char *path, unsigned char *bytes, size_t size,
                                const struct willis_limits *limits, struct willis_volume *volume,
                                const struct willis_warnings *warnings, struct willis_error *err) {
  enum kind kind;
  enum willis_status status = recognize(bytes, size, &kind, err);
  if (status) return status;
  switch (kind) {
  case KIND_NRRD:
    return willis_nrrd_parse(bytes, size, limits, path, volume, warnings, err);
  case KIND_DICOM:
    return willis_dicom_parse(bytes, size, limits, volume, warnings, err);
  default:
    return parse_nifti(bytes, size, limits, volume, warnings, err);
  }
}

enum willis_status willis_volume_read(const char *path, struct willis_volume *volume,
                                      const struct willis_warnings *warnings,
                                      struct willis_error *err) {
  *volume = (struct willis_volume){0};
  struct willis_limits limits = willis_limits_defaults();
  struct willis_warned_path named;
  const struct willis_warnings *listener = willis_warnings_name(&named, warnings, path);
  enum willis_path_kind kind;
  enum willis_status status = willis_path_look(path, &kind, err);
  if (status) return status;
  if (kind == WILLIS_PATH_FOLDER) {
    status = willis_dicom_read_folder(path, &limits, volume, listener, err);
  } else {
    enum { HEAD = 1 << 12 };
    unsigned char head[HEAD], *bytes;
    size_t got, size;
    enum kind format;
    status = willis_file_head(path, head, sizeof head, &got, &size, err);
    if (status) return status;
    /* Gigabytes of something else are not read. */
    status = recognize(head, got, &format, err);
    if (!status) {
      status = willis_file_read(path, limits.file_bytes, &bytes, &size, err);
      if (status) return status;
      status = parse(path, bytes, size, &limits, volume, listener, err);
      willis_release(bytes);
    }
  }
  if (!status) status = willis_volume_check_finite(volume, "volume", err);
  if (status) {
    willis_volume_release(volume);
    return willis_fail_in(err, status, path);
  }
  return WILLIS_OK;
}

/* ---- writing ---- */

struct willis_volume_writer {
  struct willis_writer *file;
  enum willis_voxel_type type;
  ptrdiff_t missing; /* voxels */
};

static enum willis_status open_file(const char *path, const struct willis_grid *grid,
                                    bool overwrite, struct willis_volume_writer *w,
                                    struct willis_error *err) {
  bool gzip = willis_path_ends(path, ".nii.gz"), nrrd = willis_path_ends(path, ".nrrd");
  if (!gzip && !nrrd && !willis_path_ends(path, ".nii") && strcmp(path, "-") != 0)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT,
                       "%s: a volume is written as .nii, .nii.gz or .nrrd", path);
  enum willis_status status = willis_writer_open(path, overwrite, gzip, &w->file, err);
  if (status) return status;
  return nrrd
             ? willis_nrrd_print_header(w->file, grid, w->type, err)
             : willis_nifti_print_header(w->file, grid->size, grid->spacing_mm, grid, w->type, err);
}

enum willis_status willis_volume_writer_open(const char *path, const struct willis_grid *grid,
                                             enum willis_voxel_type type, bool overwrite,
                                             struct willis_volume_writer **writer,
                                             struct willis_error *err) {
  *writer = NULL;
  enum willis_status status = willis_grid_check(grid, "volume to write", err);
  if (status) return status;
  struct willis_volume_writer *w = willis_take_zeroed(1, sizeof *w);
  if (!w) return willis_fail_memory(err, "a volume's writer", 1, sizeof *w);
  *w = (struct willis_volume_writer){.type = type, .missing = willis_grid_count(grid)};
  status = open_file(path, grid, overwrite, w, err);
  if (status)
    willis_volume_writer_abandon(w);
  else
    *writer = w;
  return status;
}

enum willis_status willis_volume_writer_put(struct willis_volume_writer *w, const float *voxels,
                                            ptrdiff_t count, struct willis_error *err) {
  if (count < 0 || count > w->missing)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "%td voxels to write where %td are missing",
                       count, w->missing);
  w->missing -= count;
  return willis_voxels_put(w->file, voxels, count, w->type, err);
}

enum willis_status willis_volume_writer_commit(struct willis_volume_writer *w,
                                               struct willis_error *err) {
  enum willis_status status;
  if (w->missing) {
    status =
        willis_fail(err, WILLIS_INVALID_ARGUMENT, "a volume to write lacks %td voxels", w->missing);
  } else {
    status = willis_writer_commit(w->file, err);
    w->file = NULL;
  }
  willis_volume_writer_abandon(w);
  return status;
}

void willis_volume_writer_abandon(struct willis_volume_writer *w) {
  if (!w) return;
  willis_writer_abandon(w->file, NULL);
  willis_release(w);
}

enum willis_status willis_volume_write(const char *path, const struct willis_volume *volume,
                                       enum willis_voxel_type type, bool overwrite,
                                       struct willis_error *err) {
  struct willis_volume_writer *writer;
  enum willis_status status =
      willis_volume_writer_open(path, &volume->grid, type, overwrite, &writer, err);
  if (status) return status;
  status = willis_volume_writer_put(writer, volume->voxels, willis_grid_count(&volume->grid), err);
  if (!status) return willis_volume_writer_commit(writer, err);
  willis_volume_writer_abandon(writer);
  return status;
}
