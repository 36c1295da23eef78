/* willis evaluate: predictions against truths, every score by its name and definition. */
#include "cli/options.h"
#include "cli/reliability.h"
#include "cli/report.h"

#include <math.h>
#include <stdlib.h>

enum { THRESHOLD, RELIABILITY, REGION, RELIABILITY_FIGURE };
static const struct option_row rows[] = {
    [THRESHOLD] = {.name = "threshold",
                   .kind = OPTION_REAL,
                   .argument = "T",
                   .fallback = "0.5",
                   .help = "Predicted mask: values of T and more",
                   .least = 0,
                   .most = 1},
    [RELIABILITY] = {.name = "reliability",
                     .help = "Also whether probabilities come true as often as they say, all "
                             "cases together"},
    [REGION] = {.name = "region",
                .kind = OPTION_TEXT,
                .argument = "MASK",
                .help = "Of one pair: reliability over this mask; without: where p > 0"},
    [RELIABILITY_FIGURE] = {.name = "reliability-figure",
                            .kind = OPTION_OUTPUT,
                            .argument = "FIGURE",
                            .help = "Draw the reliability as .png, .svg or .pdf"},
    {0},
};

/* In LPS order, so that the same place in two files is the same voxel. */
static enum willis_status load(const struct call *call, const char *path,
                               struct willis_volume *volume, struct willis_error *err) {
  enum willis_status status = willis_volume_read(path, volume, &call->warnings, err);
  return status ? status : willis_volume_orient_lps(volume, &call->warnings, err);
}

static bool wants_reliability(const struct call *call) {
  const struct option_value *o = call->option;
  return o[RELIABILITY].given || o[REGION].given || o[RELIABILITY_FIGURE].given;
}

static enum willis_status add_reliability(const struct call *call,
                                          const struct willis_volume *prediction,
                                          const struct willis_volume *truth,
                                          struct willis_reliability *reliability,
                                          struct willis_error *err) {
  struct willis_volume region = {0};
  const bool given = call->option[REGION].given;
  enum willis_status status = WILLIS_OK;
  if (given) status = load(call, call->option[REGION].text, &region, err);
  if (!status)
    status = willis_reliability_add(reliability, prediction, truth, given ? &region : NULL, err);
  willis_volume_release(&region);
  return status;
}

/* Returns 0, or 1 after an error line. */
static int evaluate_case(const struct call *call, int c, struct willis_scores *scores,
                         struct willis_reliability *reliability) {
  const char *const *path = call->argument + 2 * c;
  char both[512];
  const char *subject = both;
  struct willis_error err;
  struct willis_volume prediction = {0}, truth = {0};
  snprintf(both, sizeof both, "%s against %s", path[0], path[1]);
  enum willis_status status = load(call, path[0], &prediction, &err);
  if (status) subject = path[0];
  if (!status && (status = load(call, path[1], &truth, &err))) subject = path[1];
  if (!status)
    status = willis_scores_compute(&prediction, &truth, call->option[THRESHOLD].real, scores, &err);
  if (!status && wants_reliability(call) &&
      (status = add_reliability(call, &prediction, &truth, reliability, &err)))
    subject = call->option[REGION].given ? call->option[REGION].text : both;
  willis_volume_release(&prediction);
  willis_volume_release(&truth);
  return status ? print_error(subject, &err) : 0;
}

/* What the undefined scores of a case mean; null when there is nothing to say. */
static const char *remark(const struct willis_scores *scores) {
  bool no_prediction = isnan(scores->precision), no_truth = isnan(scores->recall);
  if (no_prediction && no_truth)
    return "both masks are empty: Dice is 1 by definition, IoU is undefined";
  if (no_prediction) return "the predicted mask is empty";
  if (no_truth) return "the true mask is empty";
  if (isnan(scores->cldice)) return "thinning leaves nothing of a mask: clDice is undefined";
  return NULL;
}

static void print_value(FILE *to, int width, double value) {
  if (isnan(value))
    fprintf(to, "%*s", width, "-");
  else
    fprintf(to, "%*.*g", width, 5, value);
}

static void print_one(const struct call *call, const struct willis_scores *scores) {
  for (int i = 0; i < willis_scores_count(); i++) {
    fprintf(call->results, "%-10s", willis_scores_name(i));
    print_value(call->results, 12, willis_scores_value(scores, i));
    fprintf(call->results, "  %s\n", willis_scores_definition(i));
  }
}

static void print_several(const struct call *call, int cases, const struct willis_scores *scores,
                          const struct willis_summary *summary) {
  FILE *to = call->results;
  for (int i = 0; i < willis_scores_count(); i++) fprintf(to, "%11s", willis_scores_name(i));
  fputs("  case\n", to);
  for (int c = 0; c < cases; c++) {
    for (int i = 0; i < willis_scores_count(); i++)
      print_value(to, 11, willis_scores_value(&scores[c], i));
    fprintf(to, "  %s\n", call->argument[2 * c]);
  }
  fprintf(to, "\n%-10s%12s%12s%12s%12s%12s%6s  definition\n", "score", "mean", "sd", "median", "q1",
          "q3", "n");
  for (int i = 0; i < willis_scores_count(); i++) {
    const struct willis_summary *s = &summary[i];
    const double value[] = {s->mean, s->sd, s->median, s->q1, s->q3};
    fprintf(to, "%-10s", willis_scores_name(i));
    for (int k = 0; k < 5; k++) print_value(to, 12, value[k]);
    fprintf(to, "%6td  %s\n", s->n, willis_scores_definition(i));
  }
  fputs("sd with n-1; quartiles interpolated linearly; undefined scores (-) are left out\n", to);
}

static int print_text(const struct call *call, int cases, const struct willis_scores *scores,
                      const struct willis_summary *summary,
                      const struct willis_reliability *reliability) {
  FILE *to = call->results;
  fprintf(to, "predicted mask: value >= %g; true mask: value >= 0.5\n",
          call->option[THRESHOLD].real);
  if (cases == 1)
    print_one(call, scores);
  else
    print_several(call, cases, scores, summary);
  for (int c = 0; c < cases; c++)
    if (remark(&scores[c])) fprintf(to, "%s: %s\n", call->argument[2 * c], remark(&scores[c]));
  if (wants_reliability(call)) print_reliability(to, reliability);
  return 0;
}

static json_t *case_object(const struct call *call, int c, const struct willis_scores *scores) {
  json_t *object = json_pack("{s:s, s:s}", "prediction", call->argument[2 * c], "truth",
                             call->argument[2 * c + 1]);
  for (int i = 0; object && i < willis_scores_count(); i++)
    json_object_set_new(object, willis_scores_name(i), json_number(willis_scores_value(scores, i)));
  if (remark(scores)) json_object_set_new(object, "remark", json_string(remark(scores)));
  return object;
}

static int print_scores_json(const struct call *call, int cases, const struct willis_scores *scores,
                             const struct willis_summary *summary,
                             const struct willis_reliability *reliability) {
  json_t *list = json_array(), *summaries = json_object(), *definitions = json_object();
  for (int c = 0; c < cases; c++) json_array_append_new(list, case_object(call, c, &scores[c]));
  for (int i = 0; i < willis_scores_count(); i++) {
    const struct willis_summary *s = &summary[i];
    json_object_set_new(summaries, willis_scores_name(i),
                        json_pack("{s:I, s:o, s:o, s:o, s:o, s:o}", "n", (json_int_t)s->n, "mean",
                                  json_number(s->mean), "sd", json_number(s->sd), "median",
                                  json_number(s->median), "q1", json_number(s->q1), "q3",
                                  json_number(s->q3)));
    json_object_set_new(definitions, willis_scores_name(i),
                        json_string(willis_scores_definition(i)));
  }
  json_t *root =
      json_pack("{s:o, s:o, s:o, s:o, s:o}", "threshold", json_number(call->option[THRESHOLD].real),
                "truth_threshold", json_number(0.5), "cases", list, "summary", summaries,
                "definitions", definitions);
  if (wants_reliability(call))
    json_object_set_new(root, "reliability", reliability_object(reliability));
  return print_json(call, root);
}

static int summarize(int cases, const struct willis_scores *scores,
                     struct willis_summary *summary) {
  struct willis_error err = {.status = WILLIS_OUT_OF_MEMORY, .message = "no memory for the scores"};
  double *value = calloc((size_t)cases, sizeof *value);
  enum willis_status status = value ? WILLIS_OK : WILLIS_OUT_OF_MEMORY;
  for (int i = 0; !status && i < willis_scores_count(); i++) {
    for (int c = 0; c < cases; c++) value[c] = willis_scores_value(&scores[c], i);
    status = willis_summarize(value, cases, &summary[i], &err);
  }
  free(value);
  return status ? print_error(NULL, &err) : 0;
}

static int run(const struct call *call) {
  if (call->argument_count % 2)
    return print_usage_error(call->command, "%d files: every prediction needs its truth",
                             call->argument_count);
  int cases = call->argument_count / 2, code = 0;
  if (call->option[REGION].given && cases > 1)
    return print_usage_error(call->command, "--region goes with one pair");
  struct willis_reliability reliability = {0};
  struct willis_scores *scores = calloc((size_t)cases, sizeof *scores);
  struct willis_summary *summary = calloc((size_t)willis_scores_count(), sizeof *summary);
  struct willis_error err = {.status = WILLIS_OUT_OF_MEMORY, .message = "no memory for the scores"};
  if (!scores || !summary) {
    free(scores);
    free(summary);
    return print_error(NULL, &err);
  }
  for (int c = 0; !code && c < cases; c++) {
    if (cases > 1 && call->progress.report &&
        !call->progress.report("evaluate", c, cases, "cases", call->progress.context)) {
      err = (struct willis_error){WILLIS_CANCELLED, "stopped"};
      code = print_error(NULL, &err);
    }
    if (!code) code = evaluate_case(call, c, &scores[c], &reliability);
  }
  if (!code) code = summarize(cases, scores, summary);
  const struct option_value *figure = &call->option[RELIABILITY_FIGURE];
  if (!code && figure->given && draw_reliability(figure->text, &reliability, call->force, &err))
    code = print_error(figure->text, &err);
  if (!code)
    code =
        (call->json ? print_scores_json : print_text)(call, cases, scores, summary, &reliability);
  free(scores);
  free(summary);
  return code;
}

const struct command cmd_evaluate = {
    .name = "evaluate",
    .arguments = "PRED TRUTH [PRED TRUTH ...]",
    .summary = "Score predictions against the truth",
    .details =
        "Predictions are probabilities or masks (values in 0...1), truths are masks; both must lie "
        "on the same grid. Overlap, clDice, HD95, ASSD, accuracy, precision and recall are of "
        "masks; mse and mae of the probabilities, mse_mask and mae_mask of the mask. With several "
        "pairs, each case is scored and then summed up as mean, standard deviation, median and "
        "quartiles; what is undefined is printed as - (null in JSON) and left out. Pixel accuracy "
        "says little about vessels: an empty mask scores about 0.997.\n"
        "Reliability: ten bins of probability of equal width; in each, the mean probability and "
        "the part of its voxels that are true; the expected calibration error is their mean "
        "absolute difference, the Brier score the mean of (p - truth)^2. Voxels of p = 0, which "
        "network hull gives outside the hull, are left out.",
    .least_arguments = 2,
    .most_arguments = -1,
    .rows = rows,
    .run = run,
};
