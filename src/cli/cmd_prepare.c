/* willis prepare: X-ray angiograms out of DICOM files into a projection stack. */
#include "cli/inputs.h"
#include "cli/prepare_options.h"
#include "cli/report.h"

static int report(const struct call *call, const struct willis_projections *stack,
                  const struct willis_prepared_view *done) {
  static const char *const kinds[] = {"none", "average", "interval", "reversed interval"};
  json_t *views = json_array();
  if (!call->json)
    fprintf(call->results, "%s: %td views of %td x %td pixels\n", call->output, stack->view_count,
            stack->columns, stack->rows);
  for (ptrdiff_t i = 0; i < stack->view_count; i++) {
    const struct willis_view *v = &stack->view[i];
    const char *file = call->argument[done[i].run], *kind = kinds[done[i].subtraction];
    const int turned = 90 * done[i].turn.quarters, mirrored = done[i].turn.mirrored;
    json_array_append_new(
        views, json_pack("{s:s, s:I, s:I, s:s, s:f, s:f, s:i, s:b}", "file", file, "first_frame",
                         (json_int_t)done[i].first_frame, "last_frame",
                         (json_int_t)done[i].last_frame, "subtraction", kind, "primary_angle_deg",
                         v->primary_angle_deg, "secondary_angle_deg", v->secondary_angle_deg,
                         "was_turned_deg", turned, "was_mirrored", mirrored));
    if (call->json) continue;
    fprintf(call->results, "  %td: %s, frame %td", i, file, done[i].first_frame);
    if (done[i].last_frame > done[i].first_frame)
      fprintf(call->results, "-%td", done[i].last_frame);
    fprintf(call->results, ", angles %g/%g, mask: %s", v->primary_angle_deg, v->secondary_angle_deg,
            kind);
    if (turned) fprintf(call->results, ", turned back by %d degrees", turned);
    fputs(mirrored ? ", mirrored back\n" : "\n", call->results);
  }
  if (!call->json) {
    json_decref(views);
    return 0;
  }
  return print_json(call, json_pack("{s:s, s:[I,I,I], s:o}", "output", call->output, "size",
                                    (json_int_t)stack->columns, (json_int_t)stack->rows,
                                    (json_int_t)stack->view_count, "views", views));
}

static int run(const struct call *call) {
  struct willis_prepare_options options;
  struct willis_projections stack = {0};
  struct willis_prepared_view *done = NULL;
  struct willis_error err;
  double pair[2 * MOST_RUNS];
  int code = read_prepare_options(call, &options, pair);
  if (!code) code = check_stack_output(call);
  if (code) return code;
  enum willis_status status = prepare_arguments(call, &options, &stack, &done, &err);
  if (!status) status = willis_projections_write(call->output, &stack, call->force, &err);
  code = status ? print_error(NULL, &err) : report(call, &stack, done);
  willis_projections_release(&stack);
  willis_prepared_release(done);
  return code;
}

const struct command cmd_prepare = {
    .name = "prepare",
    .arguments = "XA.dcm... -o PROJ.nii.gz",
    .summary = "Make a projection stack of X-ray angiograms (DICOM)",
    .details =
        "Each file is a run of frames seen from one direction (or from many, with --frame all). "
        "Frames are subtracted as the file says, linear intensities become logarithms, and the "
        "C-arm's angles, distances and pixel spacing become the views of the stack.\n\n"
        "Nothing is guessed: what a file does not say has to be given by an option, which then "
        "counts for every file, and what contradicts itself is refused with the option that "
        "settles it. Pictures that the file says are turned or mirrored are made upright. `willis "
        "info` shows what files say and what is missing. Nothing about a "
        "patient goes into the output.",
    .least_arguments = 1,
    .most_arguments = MOST_RUNS,
    .needs_output = true,
    .output = OUTPUT_NAMED,
    .rows = prepare_rows,
    .run = run,
};
