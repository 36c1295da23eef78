/* willis calibrate: how sure a trained model may be, from patients that it has not learned from. */
#include "cli/patients.h"
#include "cli/report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE = PATIENT_ROW_COUNT, VIEWS, MODE, THRESHOLD };
enum { MODE_MAX, MODE_SUM, MODE_BOTH };
static const struct option_row rows[] = {
    PATIENT_ROWS,
    [SIZE] = {"size", 0, OPTION_INTEGER, "N", NULL, "Voxels along each edge; without: the model's",
              8, 4096},
    [VIEWS] = {"views", 0, OPTION_TEXT, "N[,N…]", NULL,
               "View counts to calibrate; without: those that the model learned from", 0, 0},
    [MODE] = {"mode", 0, OPTION_CHOICE, "max|sum|both", NULL,
              "Maxima, line integrals or both; without: what the model learned from", 0, 0},
    [THRESHOLD] = {"threshold", 0, OPTION_REAL, "T", NULL,
                   "Of every row; without: the one of the highest mean IoU", 0, 1},
    {0},
};

/* One call's worth. */
struct session {
  const struct call *call;
  struct willis_network *network;
  struct willis_model_card card;
  struct patients patients;
  struct willis_cohort held_out; /* borrowed from them */
  struct willis_dataset *dataset;
  struct willis_calibrate_options options;
  struct willis_calibration calibration;
  struct willis_calibration_fit fit[WILLIS_CALIBRATION_ROWS];
};

static int read_options(struct session *s, struct willis_sampling *sampling) {
  const struct option_value *o = s->call->option;
  const char *views = willis_network_metadata(s->network, "views");
  if (o[VIEWS].given) views = o[VIEWS].text;
  s->options.view_count_count =
      read_view_counts(s->call, views ? views : "", s->options.view_counts);
  if (!s->options.view_count_count) return 2;
  s->options.threshold = o[THRESHOLD].given ? o[THRESHOLD].real : NAN;
  s->options.both_modes = o[MODE].given ? o[MODE].integer == MODE_BOTH : s->card.any_mode;
  *sampling = patient_sampling(s->call);
  sampling->size = o[SIZE].given ? (ptrdiff_t)o[SIZE].integer : s->card.size;
  sampling->views = s->options.view_counts[0];
  sampling->mode = s->card.mode;
  if (o[MODE].given)
    sampling->mode = o[MODE].integer == MODE_SUM ? WILLIS_PROJECTION_SUM : WILLIS_PROJECTION_MAX;
  return 0;
}

/* Patients are made one after the other, when it is their turn. */
static int calibrate(struct session *s) {
  const struct call *call = s->call;
  struct willis_sampling sampling;
  struct willis_error err;
  if (willis_network_read(call->argument[0], &s->network, &err) ||
      willis_model_describe(s->network, &s->card, &err))
    return print_error(call->argument[0], &err);
  int code = read_options(s, &sampling);
  if (!code) code = read_patients(call, &s->patients);
  if (code) return code;
  /* The others are not even read. */
  s->held_out = (struct willis_cohort){.cases = s->patients.cohort.cases + s->patients.train,
                                       .count = s->patients.validate,
                                       .name = s->patients.cohort.name};
  if (willis_dataset_create(&s->held_out, s->held_out.count, &sampling, WILLIS_DATASET_GREY, false,
                            &call->progress, &call->warnings, &s->dataset, &err))
    return print_error(NULL, &err);
  const struct willis_subset held_out = {s->dataset, 0, s->held_out.count};
  if (willis_calibrate(s->network, held_out, &s->options, &call->progress, &s->calibration, s->fit,
                       &err) ||
      willis_network_write(call->output, s->network, call->force, &err))
    return print_error(NULL, &err);
  return 0;
}

static const char *kind(const struct willis_calibration_row *row) {
  return row->mode == WILLIS_PROJECTION_SUM ? "sum" : "max";
}

static int print_rows_json(const struct session *s) {
  json_t *list = json_array();
  for (int i = 0; i < s->calibration.count; i++) {
    const struct willis_calibration_row *row = &s->calibration.row[i];
    const struct willis_calibration_fit *fit = &s->fit[i];
    json_array_append_new(
        list, json_pack("{s:s, s:i, s:o, s:o, s:I, s:o, s:o, s:o}", "mode", kind(row), "views",
                        row->views, "temperature", json_number(row->temperature), "threshold",
                        json_number(row->threshold), "voxels", (json_int_t)fit->voxels,
                        "loss_as_is", json_number(fit->loss_as_is), "loss", json_number(fit->loss),
                        "iou", json_number(fit->iou)));
  }
  return print_json(s->call, json_pack("{s:s, s:I, s:o}", "model", s->call->output, "patients",
                                       (json_int_t)s->patients.validate, "rows", list));
}

static int print_rows(const struct session *s) {
  FILE *to = s->call->results;
  fprintf(to, "%4s %6s %12s %10s %12s %12s %12s %8s\n", "mode", "views", "temperature", "threshold",
          "hull voxels", "loss before", "loss after", "IoU");
  for (int i = 0; i < s->calibration.count; i++) {
    const struct willis_calibration_row *row = &s->calibration.row[i];
    const struct willis_calibration_fit *fit = &s->fit[i];
    fprintf(to, "%4s %6d %12.4g %10.4g %12td %12.5g %12.5g %8.4f\n", kind(row), row->views,
            row->temperature, row->threshold, fit->voxels, fit->loss_as_is, fit->loss, fit->iou);
  }
  return 0;
}

static int run(const struct call *call) {
  if (!call->option[DATA].given)
    return print_usage_error(call->command, "--data FOLDER|LIST.txt is missing");
  if (!call->option[VALIDATE].integer)
    return print_usage_error(call->command, "--validate K is missing: on whom to calibrate");
  struct session *s = calloc(1, sizeof *s);
  struct willis_error err = {.status = WILLIS_OUT_OF_MEMORY, .message = "no memory"};
  if (!s) return print_error(NULL, &err);
  s->call = call;
  int code = calibrate(s);
  if (!code) code = (call->json ? print_rows_json : print_rows)(s);
  willis_dataset_destroy(s->dataset);
  willis_cohort_release(&s->patients.cohort);
  willis_network_destroy(s->network);
  free(s);
  return code;
}

const struct command cmd_calibrate = {
    .name = "calibrate",
    .arguments = "MODEL --data FOLDER|LIST.txt --validate K -o MODEL.safetensors",
    .summary = "Calibrate a trained model of network hull on patients held out",
    .details =
        "For each kind of projection and each of --views, a temperature that the model's logits "
        "are "
        "divided by, so that its probabilities come true as often as they say (least binary "
        "cross-entropy over the hulls' voxels), and the threshold of the best mean IoU then. Both "
        "go into the model's metadata; `willis reconstruct` takes them for the views that it gets, "
        "between those of --views by interpolation. `willis train` does so at its end; this is for "
        "models without, other patients or other view counts.\n"
        "Patients are split as by `willis train`: give the same --first, --test-last and "
        "--validate.",
    .least_arguments = 1,
    .most_arguments = 1,
    .needs_output = true,
    .output = OUTPUT_NAMED,
    .rows = rows,
    .run = run,
};
