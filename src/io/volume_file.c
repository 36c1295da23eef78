/* Volumes by content in, by the path's ending out. */
#include "base/error.h"
#include "base/memory.h"
#include "io/io.h"
#include "io/nifti.h"

#include <string.h>

enum willis_status willis_volume_read(const char *path, struct willis_volume *volume,
                                      const struct willis_warnings *warnings,
                                      struct willis_error *err) {
  *volume = (struct willis_volume){0};
  struct willis_limits limits = willis_limits_defaults();
  struct willis_warned_path named;
  const struct willis_warnings *listener = willis_warnings_name(&named, warnings, path);
  unsigned char *bytes = NULL, *plain = NULL;
  size_t size, plain_size = 0;
  enum willis_status status = willis_file_read(path, limits.file_bytes, &bytes, &size, err);
  if (status) return status;
  status = willis_nifti_expand(bytes, size, &limits, &plain, &plain_size, err);
  if (!status) status = willis_nifti_parse(plain, plain_size, &limits, volume, listener, err);
  if (plain != bytes) willis_release(plain);
  willis_release(bytes);
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
  bool gzip = willis_path_ends(path, ".nii.gz");
  if (!gzip && !willis_path_ends(path, ".nii") && strcmp(path, "-") != 0)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT,
                       "%s: a volume is written as .nii, .nii.gz or .nrrd", path);
  struct willis_writer *writer;
  status = willis_writer_open(path, overwrite, gzip, &writer, err);
  if (status) return status;
  status = willis_nifti_print(writer, volume->grid.size, volume->grid.spacing_mm, &volume->grid,
                              volume->voxels, type, err);
  if (status) {
    willis_writer_abandon(writer);
    return status;
  }
  return willis_writer_commit(writer, err);
}
