/* willis train: patients → a network for each view count. */
#include "cli/memory_use.h"
#include "cli/report.h"
#include "cli/train_options.h"

#include <math.h>
#include <string.h>

enum { MOST_VIEW_COUNTS = WILLIS_TRAIN_VIEW_COUNTS, PATH_SIZE = 4096 };
static const double minute_s = 60;

/* One call's worth of training: what the options say, and the patients. */
struct session {
  const struct call *call;
  struct patients patients;
  struct willis_dataset *dataset;
  struct willis_train_options options;
  struct willis_train_memory memory;
  int view_count[MOST_VIEW_COUNTS], view_counts, models;
  bool save_failed;
  json_t *report;
};

static bool announce(const struct willis_train_plan *plan, void *context) {
  const struct session *s = context;
  if (s->call->quiet) return true;
  fprintf(stderr,
          "willis: training: %td parameters, %td patients (%td held out), steps %td to %td, "
          "%.2f s each: about %.0f min\n",
          plan->parameters, plan->training_cases, plan->validation_cases, plan->first_step,
          plan->last_step, plan->seconds_per_step, ceil(plan->seconds / minute_s));
  return true;
}

static int read_views(struct session *s) {
  s->models = read_view_counts(s->call, s->call->option[VIEWS].text, s->view_count);
  if (!s->models) return 2;
  s->view_counts = s->models;
  /* One network for all of them. */
  if (learns_any_views(s->call)) s->models = 1;
  if (s->models > 1 && (s->call->option[RESUME].given || s->call->option[LOG].given))
    return print_usage_error(s->call->command, "--resume and --log go with one view count");
  return 0;
}

/* MODEL.safetensors → MODEL-N.safetensors when there are several. */
static void model_path(const struct session *s, int i, char path[PATH_SIZE]) {
  static const char ending[] = ".safetensors";
  const char *output = s->call->output;
  size_t n = strlen(output), m = sizeof ending - 1;
  if (n > m && !strcmp(output + n - m, ending)) n -= m;
  if (s->models > 1)
    snprintf(path, PATH_SIZE, "%.*s-%d%s", (int)n, output, s->view_count[i], ending);
  else
    snprintf(path, PATH_SIZE, "%s", output);
}

/* The fastest way that fits, or a refusal, before anything is read. */
static int choose_memory(struct session *s, const struct willis_sampling *sampling) {
  const struct option_value *o = s->call->option;
  struct willis_train_memory *m = &s->memory;
  struct willis_error err;
  const size_t most = (size_t)o[MAX_MEMORY].integer;
  const ptrdiff_t count = s->patients.train + s->patients.validate;
  if (learns_any_views(s->call)
          ? willis_train_hull_memory(&s->options, &s->patients.cohort, count, sampling,
                                     memory_in_use(), most, m, &err)
          : willis_train_memory(&s->options, &s->patients.cohort, count, sampling,
                                s->patients.validate > 0, memory_in_use(), most, m, &err))
    return print_error(NULL, &err);
  s->options.plan = m->plan;
  if (!s->call->quiet)
    fprintf(stderr, "willis: training takes %.0f MiB: %s, patients %s\n",
            (double)m->bytes / (1 << 20),
            m->plan == WILLIS_TRAINING_STORE ? "activations stored" : "activations computed again",
            m->kept ? "kept in memory" : "made again for every step");
  return 0;
}

static int load(struct session *s) {
  const struct option_value *o = s->call->option;
  struct willis_error err;
  memory_give_back();
  int code = read_patients(s->call, &s->patients);
  if (code) return code;
  struct willis_sampling sampling = patient_sampling(s->call);
  sampling.size = (ptrdiff_t)o[SIZE].integer;
  sampling.mode = o[MODE].integer == 1 ? WILLIS_PROJECTION_SUM : WILLIS_PROJECTION_MAX;
  /* The most views that will be needed count. */
  for (int i = 0; i < s->view_counts; i++)
    if (i == 0 || sampling.views < s->view_count[i]) sampling.views = s->view_count[i];
  code = choose_memory(s, &sampling);
  if (code) return code;
  sampling.views = s->view_count[0];
  if (willis_dataset_create(&s->patients.cohort, s->patients.train + s->patients.validate,
                            &sampling, s->memory.form, s->memory.kept, &s->call->progress,
                            &s->call->warnings, &s->dataset, &err))
    return print_error(NULL, &err);
  return 0;
}

static json_t *describe(const struct session *s, int i, const char *path,
                        const struct willis_train_result *r) {
  json_t *o = json_pack(
      "{s:s, s:s, s:s, s:I, s:i, s:I, s:I, s:I, s:I, s:s, s:o, s:o, s:o, s:o}", "model", path,
      "plan", s->memory.plan == WILLIS_TRAINING_STORE ? "store" : "recompute", "precision",
      s->options.precision == WILLIS_PRECISION_F16 ? "f16" : "f32", "memory_bytes",
      (json_int_t)s->memory.bytes, "views", s->view_count[i], "patients",
      (json_int_t)s->patients.train, "epochs", (json_int_t)r->epochs, "steps", (json_int_t)r->steps,
      "best_epoch", (json_int_t)r->best_epoch, "stopped_by", r->stopped_by, "loss",
      json_number(r->loss), "validation_iou", json_number(r->best_iou), "threshold",
      json_number(r->threshold), "seconds", json_number(r->seconds));
  if (s->options.precision == WILLIS_PRECISION_F16)
    json_object_update_new(o,
                           json_pack("{s:o, s:I}", "loss_scale", json_number(r->loss_scale.scale),
                                     "steps_skipped", (json_int_t)r->loss_scale.skipped));
  return o;
}

static int train_one(struct session *s, int i) {
  const struct option_value *o = s->call->option;
  struct willis_error err;
  char path[PATH_SIZE];
  model_path(s, i, path);
  if (willis_dataset_set_views(s->dataset, s->view_count[i], &s->call->progress, &err))
    return print_error(NULL, &err);
  s->options.trained_on = o[DATA_NAME].given ? o[DATA_NAME].text : s->patients.cohort.name;
  struct willis_subset training = {s->dataset, 0, s->patients.train};
  struct willis_subset validation = {s->dataset, s->patients.train,
                                     s->patients.train + s->patients.validate};
  struct willis_train_files files = {.model = path,
                                     .log = o[LOG].text,
                                     .from = o[FROM].text,
                                     .resume = o[RESUME].text,
                                     .overwrite = s->call->force};
  struct willis_train_listener listener = {announce, s};
  struct willis_train_result r;
  if (willis_train(training, validation, &s->options, &files, &listener, &s->call->progress,
                   &s->call->warnings, &r, &err))
    return print_error(NULL, &err);
  if (r.save_failed) s->save_failed = true;
  if (s->call->json) {
    json_array_append_new(s->report, describe(s, i, path, &r));
    return 0;
  }
  fprintf(s->call->results, "%s: %td epochs, loss %.6g, threshold %.3g", path, r.epochs, r.loss,
          r.threshold);
  if (s->patients.validate)
    fprintf(s->call->results, ", validation IoU %.4f at epoch %td", r.best_iou, r.best_epoch);
  if (s->options.precision == WILLIS_PRECISION_F16)
    fprintf(s->call->results, ", loss scaled by %g, %llu steps skipped", r.loss_scale.scale,
            (unsigned long long)r.loss_scale.skipped);
  fprintf(s->call->results, " (%s, %.0f s)\n", r.stopped_by, r.seconds);
  return 0;
}

static int run(const struct call *call) {
  struct session s = {.call = call};
  if (!call->option[DATA].given)
    return print_usage_error(call->command, "--data FOLDER|LIST.txt is missing");
  if (!strcmp(call->output, "-"))
    return print_usage_error(call->command, "a model cannot go to stdout: name a file");
  int code = check_train_options(call);
  if (!code) code = read_views(&s);
  if (code) return code;
  s.options = read_train_options(call);
  s.options.view_count_count = s.view_counts;
  memcpy(s.options.view_counts, s.view_count, sizeof s.view_count);
  char path[PATH_SIZE];
  for (int i = 0; i < s.models && !code; i++) {
    model_path(&s, i, path);
    if (s.models > 1) code = check_output(call, path);
  }
  /* A resumed run goes on with the log that is there. */
  if (!code && call->option[LOG].given && !call->option[RESUME].given)
    code = check_output(call, call->option[LOG].text);
  s.report = json_array();
  if (!code) code = load(&s);
  for (int i = 0; i < s.models && !code; i++) code = train_one(&s, i);
  if (!code && call->json) code = print_json(call, json_incref(s.report));
  json_decref(s.report);
  willis_dataset_destroy(s.dataset);
  willis_cohort_release(&s.patients.cohort);
  if (code || !s.save_failed) return code;
  /* The warning of then may have been quiet, or far above. */
  struct willis_error err = {.message = "a checkpoint or the log could not be saved"};
  return print_error(call->output, &err);
}

const struct command cmd_train = {
    .name = "train",
    .arguments = "--data FOLDER|LIST.txt --views N[,N…] -o MODEL.safetensors",
    .summary = "Train a network that turns back-projections into vessels",
    .details =
        "Patients are split in their order: the last --test-last are not touched, the last "
        "--validate of the others choose epoch and threshold, the rest are learned from. "
        "Checkpoints stand beside the model, MODEL.step-N.ckpt, the last three. Ctrl-C finishes "
        "the step and saves one; --resume goes on with the same result as if nothing had "
        "happened.\n"
        "The defaults of --alpha, --gamma and --lr are the paper's. When vessels are few voxels, "
        "--alpha 0.95 --gamma 1 --output-bias -3 learn faster.\n"
        "--network hull trains one model for all of --views, n of them shown with a probability "
        "proportional to 1/n, and for any others; it has a loss of its own, and --mode both shows "
        "it maxima and line integrals.\n"
        "With --source-to-isocenter and --source-to-detector it is for cone beams.\n"
        "--network cgan wants --views 2 and sizes that are multiples of 64; a step is 8 slices of "
        "a "
        "patient; --alpha and --gamma do not count.",
    .needs_output = true,
    .output = OUTPUT_NAMED,
    .rows = train_rows,
    .run = run,
};
