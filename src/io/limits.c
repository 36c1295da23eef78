/* What every reader of this room starts from. */
#include "base/error.h"
#include "io/io.h"

struct willis_limits willis_limits_defaults(void) {
  return (struct willis_limits){
      .file_bytes = (size_t)4 << 30, .expanded_bytes = (size_t)8 << 30, .edge = 4096};
}

static void warn_named(const char *message, void *context) {
  const struct willis_warned_path *named = context;
  willis_warn(named->to, "%s: %s", named->path, message);
}

const struct willis_warnings *willis_warnings_name(struct willis_warned_path *named,
                                                   const struct willis_warnings *warnings,
                                                   const char *path) {
  *named = (struct willis_warned_path){path, warnings, {warn_named, named}};
  return &named->own;
}
