/* A trained hull network on one head. */
#include "base/error.h"
#include "nn/hull_mirror.h"
#include "nn/hull_net.h"
#include "nn/network.h"

#include <math.h>

enum willis_status willis_hull_infer(const struct willis_network *network, unsigned mirror,
                                     const struct willis_hull_input *input, float *logit,
                                     struct willis_error *err) {
  const struct willis_architecture *a = network->architecture;
  if (a != &willis_hull_architecture)
    return willis_fail(err, WILLIS_UNSUPPORTED, "network %s does not work on hulls", a->name);
  struct willis_hull_plan plan;
  struct willis_arena counting = {0}, arena = {0};
  enum willis_status status = WILLIS_OK;
  struct willis_block_parameters *blocks = willis_take(a->layer_count, sizeof *blocks);
  if (!blocks) return willis_fail_memory(err, "a network", a->layer_count, sizeof *blocks);
  willis_hull_plan(&plan, input, false, &counting);
  status = willis_arena_init(&arena, counting.peak, err);
  if (status != WILLIS_OK) goto out;
  willis_hull_plan(&plan, input, false, &arena);
  if (mirror) willis_hull_mirror(network, mirror, plan.mirrored);
  willis_network_blocks(network, mirror ? plan.mirrored : network->parameters, network->statistics,
                        blocks);
  willis_hull_forward(&plan, blocks, input);
  for (ptrdiff_t i = 0; i < input->views.rows; i++) {
    logit[i] = plan.logit[i];
    if (isfinite(plan.logit[i])) continue;
    status = willis_fail(err, WILLIS_NUMERIC, "the logit of voxel %td of the hull is %g", i,
                         (double)plan.logit[i]);
    break;
  }
out:
  willis_arena_release(&arena);
  willis_release(blocks);
  return status;
}
