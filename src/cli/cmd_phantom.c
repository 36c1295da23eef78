/* willis phantom: a random head's arteries. */
#include "cli/options.h"
#include "cli/report.h"

#include <math.h>

static int report(const struct call *call, const struct willis_tree *tree) {
  double length_mm = 0, least_mm = INFINITY, most_mm = 0;
  for (ptrdiff_t i = 0; i < tree->node_count; i++) {
    const struct willis_tree_node *node = tree->node + i;
    least_mm = fmin(least_mm, node->radius_mm);
    most_mm = fmax(most_mm, node->radius_mm);
    if (node->parent < 0) continue;
    const double *a = node->position_mm, *b = tree->node[node->parent].position_mm;
    length_mm += sqrt((a[0] - b[0]) * (a[0] - b[0]) + (a[1] - b[1]) * (a[1] - b[1]) +
                      (a[2] - b[2]) * (a[2] - b[2]));
  }
  if (call->json)
    return print_json(
        call, json_pack("{s:o, s:I, s:o, s:o, s:o}", "seed", json_integer((json_int_t)call->seed),
                        "nodes", (json_int_t)tree->node_count, "length_mm", json_number(length_mm),
                        "least_radius_mm", json_number(least_mm), "most_radius_mm",
                        json_number(most_mm)));
  fprintf(call->results, "%td nodes, %.0f mm of vessels, radius %.2f to %.2f mm\n",
          tree->node_count, length_mm, least_mm, most_mm);
  return 0;
}

static int run(const struct call *call) {
  struct willis_error err;
  struct willis_tree tree = {0};
  int code = 0;
  if (willis_tree_phantom(call->seed, &tree, &err))
    code = print_error(NULL, &err);
  else if (willis_tree_write(call->output, &tree, call->force, &err))
    code = print_error(call->output, &err);
  else
    code = report(call, &tree);
  willis_tree_release(&tree);
  return code;
}

const struct command cmd_phantom = {
    .name = "phantom",
    .arguments = "-o SHAPE.swc",
    .summary = "Make a random head's arteries, for demo and tests",
    .details = "Two carotid and two vertebral arteries, the circle of Willis with its varieties, "
               "and branches that grow at random. The same --seed makes the same head. It looks "
               "like anatomy and is nobody's.",
    .least_arguments = 0,
    .most_arguments = 0,
    .needs_output = true,
    .run = run,
};
