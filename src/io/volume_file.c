/* Volumes by content in, by the path's ending out. */
#include "base/error.h"
#include "base/memory.h"
#include "io/dicom.h"
#include "io/io.h"
#include "io/nifti.h"
#include "io/nrrd.h"

#include <string.h>

static enum willis_status parse(const char *path, unsigned char *bytes, size_t size,
                                const struct willis_limits *limits, struct willis_volume *volume,
                                const struct willis_warnings *warnings, struct willis_error *err) {
  if (willis_nrrd_recognize(bytes, size))
    return willis_nrrd_parse(bytes, size, limits, path, volume, warnings, err);
  if (willis_dicom_recognize(bytes, size))
    return willis_dicom_parse(bytes, size, limits, volume, warnings, err);
  bool is_nifti = willis_nifti_recognize(bytes, size);
  if (willis_is_gzip(bytes, size)) {
    unsigned char head[4];
    is_nifti = willis_nifti_recognize(head, willis_gunzip_head(bytes, size, head, sizeof head));
    if (!is_nifti)
      return willis_fail(err, WILLIS_FORMAT, "compressed, but what is inside is not NIfTI");
  }
  if (!is_nifti) return willis_fail(err, WILLIS_FORMAT, "neither NIfTI, NRRD nor DICOM");
  unsigned char *plain;
  size_t plain_size;
  enum willis_status status = willis_nifti_expand(bytes, size, limits, &plain, &plain_size, err);
  if (status) return status;
  status = willis_nifti_parse(plain, plain_size, limits, volume, warnings, err);
  if (plain != bytes) willis_release(plain);
  return status;
}

enum willis_status willis_volume_read(const char *path, struct willis_volume *volume,
                                      const struct willis_warnings *warnings,
                                      struct willis_error *err) {
  *volume = (struct willis_volume){0};
  struct willis_limits limits = willis_limits_defaults();
  struct willis_warned_path named;
  const struct willis_warnings *listener = willis_warnings_name(&named, warnings, path);
  enum willis_status status;
  if (willis_path_is_folder(path)) {
    status = willis_dicom_read_folder(path, &limits, volume, listener, err);
  } else {
    unsigned char *bytes;
    size_t size;
    status = willis_file_read(path, limits.file_bytes, &bytes, &size, err);
    if (status) return status;
    status = parse(path, bytes, size, &limits, volume, listener, err);
    willis_release(bytes);
  }
  if (!status) status = willis_volume_check_finite(volume, "volume", err);
  if (status) {
    willis_volume_release(volume);
    return willis_fail_in(err, status, path);
  }
  return WILLIS_OK;
}

enum willis_status willis_volume_write(const char *path, const struct willis_volume *volume,
                                       enum willis_voxel_type type, bool overwrite,
                                       struct willis_error *err) {
  enum willis_status status = willis_grid_check(&volume->grid, "volume to write", err);
  if (status) return status;
  bool gzip = willis_path_ends(path, ".nii.gz"), nrrd = willis_path_ends(path, ".nrrd");
  if (!gzip && !nrrd && !willis_path_ends(path, ".nii") && strcmp(path, "-") != 0)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT,
                       "%s: a volume is written as .nii, .nii.gz or .nrrd", path);
  struct willis_writer *writer;
  status = willis_writer_open(path, overwrite, gzip, &writer, err);
  if (status) return status;
  if (nrrd)
    status = willis_nrrd_print(writer, volume, type, err);
  else
    status = willis_nifti_print(writer, volume->grid.size, volume->grid.spacing_mm, &volume->grid,
                                volume->voxels, type, err);
  if (status) {
    willis_writer_abandon(writer);
    return status;
  }
  return willis_writer_commit(writer, err);
}
