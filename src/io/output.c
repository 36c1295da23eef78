/* Looking where a result is to go, before the work that makes it. */
#include "base/error.h"
#include "base/path.h"

#include <willis/io.h>

#include <string.h>

enum willis_status willis_output_check(const char *path, bool overwrite, bool folder,
                                       struct willis_error *err) {
  enum willis_path_kind kind;
  if (!strcmp(path, "-")) return WILLIS_OK;
  enum willis_status status = willis_path_look(path, &kind, err);
  if (status) return status;
  if (kind == WILLIS_PATH_NONE) return willis_path_check_folder(path, err);
  if (kind == WILLIS_PATH_FOLDER)
    return folder ? WILLIS_OK
                  : willis_fail(err, WILLIS_IO, "%s: a folder, expected a file to write", path);
  return overwrite ? WILLIS_OK : willis_fail_existing(path, err);
}
