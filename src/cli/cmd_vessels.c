/* willis vessels: the vessels of every picture of a projection stack, as masks. */
#include "cli/inputs.h"
#include "cli/report.h"

enum { WEAK, STRONG, NOISE, LEAST, BORDER, VALUES };
static const struct option_row rows[] = {
    [WEAK] = {.name = "weak",
              .kind = OPTION_REAL,
              .argument = "SHARE",
              .fallback = "0.2",
              .help = "A vessel is at least this share of the strongest ridges",
              .least = 1e-6,
              .most = 1},
    [STRONG] = {.name = "strong",
                .kind = OPTION_REAL,
                .argument = "SHARE",
                .fallback = "0.5",
                .help = "And joined to one of this share",
                .least = 1e-6,
                .most = 1},
    [NOISE] = {.name = "noise",
               .kind = OPTION_REAL,
               .argument = "TIMES",
               .fallback = "5",
               .help = "And at least this many times the median response",
               .least = 0,
               .most = 1e6},
    [LEAST] = {.name = "min-pixels",
               .kind = OPTION_INTEGER,
               .argument = "N",
               .fallback = "250",
               .help = "Drop smaller pieces",
               .least = 0,
               .most = 1e9},
    [BORDER] = {.name = "border",
                .kind = OPTION_INTEGER,
                .argument = "N",
                .fallback = "30",
                .help = "Ignore so many pixels along the edges of a picture",
                .least = 1,
                .most = 10000},
    [VALUES] = {.name = "values",
                .kind = OPTION_FLAG,
                .help = "Keep the grey values of vessels, less the median: for `willis solve`"},
    {0},
};

static int report(const struct call *call, const struct willis_projections *mask) {
  const ptrdiff_t count = mask->columns * mask->rows;
  json_t *shares = json_array();
  for (ptrdiff_t v = 0; v < mask->view_count; v++) {
    ptrdiff_t set = 0;
    for (ptrdiff_t i = 0; i < count; i++) set += mask->pixels[v * count + i] > 0;
    json_array_append_new(shares, json_real((double)set / (double)count));
    if (!call->json)
      fprintf(call->results, "%s: view %td: %.2f %% vessel\n", call->output, v,
              100 * (double)set / (double)count);
  }
  if (call->json)
    return print_json(call, json_pack("{s:s, s:o}", "output", call->output, "vessel", shares));
  json_decref(shares);
  return 0;
}

static int run(const struct call *call) {
  const struct option_value *o = call->option;
  struct willis_vessel_options options = willis_vessel_defaults();
  struct willis_projections stack = {0}, mask = {0};
  struct willis_error err;
  options.weak = o[WEAK].real;
  options.strong = o[STRONG].real;
  options.noise = o[NOISE].real;
  options.least_px = (double)o[LEAST].integer;
  options.border_px = (ptrdiff_t)o[BORDER].integer;
  options.keep_values = o[VALUES].given;
  int code = check_stack_output(call);
  if (code) return code;
  enum willis_status status = load_stack(call, call->argument[0], &stack, &err);
  if (!status) status = willis_vessels_segment(&stack, &options, &mask, &err);
  if (!status) status = willis_projections_write(call->output, &mask, call->force, &err);
  code = status ? print_error(NULL, &err) : report(call, &mask);
  willis_projections_release(&mask);
  willis_projections_release(&stack);
  return code;
}

const struct command cmd_vessels = {
    .name = "vessels",
    .arguments = "PROJ -o MASKS.nii.gz",
    .summary = "Find the vessels in every picture of a projection stack",
    .details =
        "Pictures that were processed for display are no line integrals; what can be used of them "
        "is where the vessels are. A vessel is a ridge, bright across and flat along, at one of "
        "three widths (Gaussians of 2.5, 4 and 6 pixels): strong ridges are taken, and weak ones "
        "joined to them. The result is a stack of masks of the same views, for hull, backproject "
        "and agree; with --values one for solve.",
    .least_arguments = 1,
    .most_arguments = 1,
    .needs_output = true,
    .output = OUTPUT_NAMED,
    .rows = rows,
    .run = run,
};
