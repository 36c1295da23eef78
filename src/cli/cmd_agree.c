/* willis agree: does what some views show fit what the others show? */
#include "cli/inputs.h"
#include "cli/refining.h"
#include "cli/report.h"

#include <math.h>
#include <stdlib.h>

enum { GRID, TOLERANCE = GRID_ROW_COUNT, REFINED, MOST, ROUNDS, TURN };
static const struct option_row rows[] = {
    GRID_ROWS,
    [TOLERANCE] = {.name = "tolerance",
                   .kind = OPTION_REAL,
                   .argument = "PIXELS",
                   .fallback = "1",
                   .help = "Widen the masks by so much before their hull is taken",
                   .least = 0,
                   .most = 1000},
    [REFINED] = {.name = "refine",
                 .kind = OPTION_TEXT,
                 .argument = "MASKS.nii.gz",
                 .help = "First shift each view so that they agree; write the stack here"},
    [MOST] = {.name = "most-shift",
              .kind = OPTION_INTEGER,
              .argument = "PIXELS",
              .fallback = "40",
              .help = "With --refine: the largest step of the first round",
              .least = 1,
              .most = 256},
    [ROUNDS] = {.name = "rounds",
                .kind = OPTION_INTEGER,
                .argument = "N",
                .fallback = "8",
                .help = "With --refine: rounds",
                .least = 1,
                .most = 100},
    [TURN] = {.name = "most-turn",
              .kind = OPTION_REAL,
              .argument = "DEG",
              .fallback = "0",
              .help = "With --refine: then also turn each view, by up to so much; 0: not",
              .least = 0,
              .most = 30},
    {0},
};

static json_t *number(double value) {
  return isnan(value) ? json_null() : json_real(value);
}

static struct willis_view_agreement mean_of(const struct willis_view_agreement *each,
                                            ptrdiff_t count) {
  struct willis_view_agreement mean = {0};
  for (ptrdiff_t v = 0; v < count; v++) {
    mean.dice += each[v].dice / (double)count;
    mean.centerline_mm += each[v].centerline_mm / (double)count;
  }
  return mean;
}

/* `before` is the mean before the views were shifted. */
static int report(const struct call *call, const struct willis_projections *mask,
                  const struct willis_view_change *change,
                  const struct willis_view_agreement *agreement,
                  const struct willis_view_agreement *before) {
  json_t *views = json_array();
  const struct willis_view_agreement mean = mean_of(agreement, mask->view_count);
  for (ptrdiff_t v = 0; v < mask->view_count; v++) {
    const struct willis_view *view = &mask->view[v];
    const struct willis_view_change *to = &change[v];
    json_array_append_new(
        views, json_pack("{s:f, s:f, s:[f,f], s:[f,f,f], s:o, s:o}", "primary_angle_deg",
                         view->primary_angle_deg, "secondary_angle_deg", view->secondary_angle_deg,
                         "shift_px", to->columns, to->rows, "turn_deg", to->primary_deg,
                         to->secondary_deg, to->in_plane_deg, "dice", number(agreement[v].dice),
                         "centerline_mm", number(agreement[v].centerline_mm)));
    if (call->json) continue;
    fprintf(call->results, "view %td at %g/%g: ", v, view->primary_angle_deg,
            view->secondary_angle_deg);
    if (call->option[REFINED].given) {
      print_change(call, to);
      fputs("; ", call->results);
    }
    fprintf(call->results, "Dice %.3f, centerlines %.2f mm apart\n", agreement[v].dice,
            agreement[v].centerline_mm);
  }
  const bool refined = call->option[REFINED].given;
  if (call->json) {
    json_t *root = json_pack("{s:o, s:o, s:o}", "views", views, "mean_dice", number(mean.dice),
                             "mean_centerline_mm", number(mean.centerline_mm));
    if (root && refined) {
      json_object_set_new(root, "mean_dice_before", number(before->dice));
      json_object_set_new(root, "mean_centerline_mm_before", number(before->centerline_mm));
    }
    return print_json(call, root);
  }
  json_decref(views);
  if (refined)
    fprintf(call->results, "mean before: Dice %.3f, centerlines %.2f mm apart\n", before->dice,
            before->centerline_mm);
  fprintf(call->results, "mean: Dice %.3f, centerlines %.2f mm apart\n", mean.dice,
          mean.centerline_mm);
  return 0;
}

static enum willis_status work(const struct call *call, struct willis_projections *mask,
                               struct willis_view_change *change,
                               struct willis_view_agreement *agreement,
                               struct willis_view_agreement *before, struct willis_error *err) {
  const struct option_value *o = call->option;
  const struct refining how = {(ptrdiff_t)o[MOST].integer, (int)o[ROUNDS].integer, o[TURN].real};
  struct willis_grid grid;
  enum willis_status status = choose_grid(call, o + GRID, mask, &grid, err);
  if (!status && o[REFINED].given) {
    status = willis_views_agree(mask, &grid, o[TOLERANCE].real, agreement, &call->progress, err);
    if (!status) *before = mean_of(agreement, mask->view_count);
    if (!status) status = refine_views(call, &how, mask, &grid, change, err);
    if (!status) status = willis_projections_write(o[REFINED].text, mask, call->force, err);
  }
  if (status) return status;
  return willis_views_agree(mask, &grid, o[TOLERANCE].real, agreement, &call->progress, err);
}

static int run(const struct call *call) {
  struct willis_projections mask = {0};
  struct willis_view_agreement before = {0};
  struct willis_error err = {.status = WILLIS_OUT_OF_MEMORY, .message = "no memory"};
  const struct option_value *refined = call->option + REFINED;
  if (refined->given) {
    struct call to = *call;
    to.output = refined->text;
    int code = check_output(call, refined->text);
    if (!code) code = check_stack_output(&to);
    if (code) return code;
  }
  enum willis_status status = load_stack(call, call->argument[0], &mask, &err);
  if (status) return print_error(NULL, &err);
  const size_t views = (size_t)mask.view_count;
  struct willis_view_change *change = calloc(views, sizeof *change);
  struct willis_view_agreement *agreement = calloc(views, sizeof *agreement);
  status = change && agreement ? work(call, &mask, change, agreement, &before, &err)
                               : WILLIS_OUT_OF_MEMORY;
  int code = status ? print_error(NULL, &err) : report(call, &mask, change, agreement, &before);
  free(agreement);
  free(change);
  willis_projections_release(&mask);
  return code;
}

const struct command cmd_agree = {
    .name = "agree",
    .arguments = "MASKS",
    .summary = "Leave each view out, and see whether the others predict it",
    .details =
        "For each view of a stack of masks (`willis vessels`), the hull of the other views is "
        "projected into it and compared with what it shows: Dice, and the mean distance of centre "
        "lines in mm at the isocenter. This needs no truth, and tells wrong angles, distances or "
        "mirrored pictures at once.\n\n"
        "--refine shifts the principal point of each view to where the views agree best (a table "
        "that moved between two runs looks like that) and writes the stack with the new views; how "
        "they agreed before is said too. With --most-turn 5 the C-arm's two angles and the turn of "
        "the detector in its plane are corrected too, by up to 5 degrees. "
        "The scores that follow are of views that were fitted to one another.",
    .least_arguments = 1,
    .most_arguments = 1,
    .rows = rows,
    .run = run,
};
