/* Looking where a result is to go, before the work that makes it. */
#include "base/path.h"

#include <willis/io.h>

#include <string.h>

enum willis_status willis_output_check(const char *path, bool overwrite, struct willis_error *err) {
  enum willis_path_kind kind;
  if (!strcmp(path, "-")) return WILLIS_OK;
  enum willis_status status = willis_path_look(path, &kind, err);
  if (status) return status;
  if (kind == WILLIS_PATH_NONE) return willis_path_check_folder(path, err);
  /* A folder is left to whoever fills folders. */
  return overwrite || kind == WILLIS_PATH_FOLDER ? WILLIS_OK : willis_fail_existing(path, err);
}
