/* willis centerline: the centre lines of a mask, with radii. */
#include "cli/inputs.h"
#include "cli/report.h"

#include <math.h>
#include <string.h>

static double length_mm(const struct willis_tree *tree) {
  double sum = 0;
  for (ptrdiff_t i = 0; i < tree->node_count; i++) {
    const struct willis_tree_node *a = &tree->node[i];
    if (a->parent < 0) continue;
    const double *p = a->position_mm, *q = tree->node[a->parent].position_mm;
    sum += hypot(hypot(p[0] - q[0], p[1] - q[1]), p[2] - q[2]);
  }
  return sum;
}

static int report(const struct call *call, const struct willis_tree *tree) {
  ptrdiff_t trees = 0;
  double radius = 0;
  for (ptrdiff_t i = 0; i < tree->node_count; i++) {
    trees += tree->node[i].parent < 0;
    radius += tree->node[i].radius_mm / (double)tree->node_count;
  }
  if (call->json)
    return print_json(call, json_pack("{s:s, s:I, s:I, s:f, s:f}", "output", call->output, "nodes",
                                      (json_int_t)tree->node_count, "trees", (json_int_t)trees,
                                      "length_mm", length_mm(tree), "mean_radius_mm", radius));
  fprintf(call->results, "%s: %td nodes in %td trees, %.1f mm long, mean radius %.2f mm\n",
          call->output, tree->node_count, trees, length_mm(tree), radius);
  return 0;
}

static int run(const struct call *call) {
  static const char *const ending[] = {".swc", ".vtp", ".csv"};
  const size_t length = strlen(call->output);
  bool known = false;
  struct willis_volume mask = {0};
  struct willis_tree tree = {0};
  struct willis_error err;
  for (int i = 0; i < 3; i++)
    known = known || (length > 4 && strcmp(call->output + length - 4, ending[i]) == 0);
  if (!known)
    return print_usage_error(call->command, "-o: '%s': expected a .swc, .vtp or .csv",
                             call->output);
  enum willis_status status = willis_volume_read(call->argument[0], &mask, &call->warnings, &err);
  if (!status) status = willis_centerline(&mask, &tree, &err);
  if (!status) status = willis_tree_write(call->output, &tree, call->force, &err);
  int code = status ? print_error(call->argument[0], &err) : report(call, &tree);
  willis_tree_release(&tree);
  willis_volume_release(&mask);
  return code;
}

const struct command cmd_centerline = {
    .name = "centerline",
    .arguments = "MASK -o LINES.swc|.vtp|.csv",
    .summary = "Centre lines of a mask, with radii",
    .details =
        "The mask (values above 0.5) is thinned to lines one voxel wide, keeping its pieces "
        "and loops; every voxel of them becomes a node with the distance to the surface as "
        "its radius. A loop is cut at one place, since SWC holds trees.\n\n"
        "A .swc has a line a node, a .csv the same as a table, and a .vtp opens in ParaView: "
        "lines from fork to fork, with radius_mm at their points. All are in LPS mm.",
    .least_arguments = 1,
    .most_arguments = 1,
    .needs_output = true,
    .output = OUTPUT_NAMED,
    .run = run,
};
