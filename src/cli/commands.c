/* The command table, in the order in which help lists it. One line a command. */
#include "cli/options.h"

/* clang-format off */
#define COMMAND_LIST(X) \
  X(info) \
  X(voxelize) \
  X(resample) \
  X(segment) \
  X(prepare) \
  X(vessels) \
  X(agree) \
  X(project) \
  X(backproject) \
  X(hull) \
  X(solve) \
  X(render) \
  X(train) \
  X(calibrate) \
  X(reconstruct) \
  X(experiment) \
  X(evaluate) \
  X(mesh) \
  X(centerline) \
  X(phantom) \
  /* end of the list */
/* clang-format on */

#define DECLARE(name) extern const struct command cmd_##name;
COMMAND_LIST(DECLARE)

#define ADDRESS(name) &cmd_##name,
const struct command *const commands[] = {COMMAND_LIST(ADDRESS) NULL};
