/* Training (M8, M9): batch of one patient, an order shuffled each epoch, Adam, and what surrounds
 * it: validation, the best parameters, patience, checkpoints, a stop that loses nothing.
 *
 * Every decision depends on the step alone, never on the clock, so that a run that was interrupted
 * gives the same bits as one that was not; only the budget, which asks for it, looks at time. */
#define _GNU_SOURCE
#include "recon/train_run.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/path.h"
#include "base/progress.h"
#include "base/random.h"
#include "io/text.h"
#include "recon/dataset.h"
#include "recon/lesson.h"
#include "recon/sweep.h"
#include "xray/disturbance.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Stream of the order of patients; "order" in ASCII. */
static const uint64_t order_stream = 0x6f72646572;
static const double cosine_floor = 0.01;
static const double log_every_s = 5;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Of all threads: what other programs take meanwhile does not count. */
static double busy_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

double willis_run_seconds(const struct willis_run *run) {
  return run->counters.seconds + now() - run->session_start;
}

void willis_run_order(uint64_t seed, uint64_t epoch, ptrdiff_t count, uint32_t *order) {
  for (ptrdiff_t i = 0; i < count; i++) order[i] = (uint32_t)i;
  for (ptrdiff_t i = count - 1; i > 0; i--) {
    double u = willis_random_uniform(seed, order_stream, epoch << 32 | (uint64_t)i);
    ptrdiff_t j = (ptrdiff_t)(u * (double)(i + 1));
    uint32_t kept = order[i];
    order[i] = order[j];
    order[j] = kept;
  }
}

struct willis_train_options willis_train_defaults(void) {
  return (struct willis_train_options){.alpha = 0.5,
                                       .gamma = 0.2,
                                       .learning_rate = 1e-3,
                                       .output_bias = NAN,
                                       .epochs = 100,
                                       .validate_every = 5,
                                       .threshold = NAN,
                                       .checkpoint_every_s = 600};
}

static enum willis_status check_options(const struct willis_train_options *o,
                                        const struct willis_subset *training,
                                        const struct willis_subset *validation,
                                        struct willis_error *err) {
  if (!(o->alpha > 0 && o->alpha < 1))
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "alpha %g: expected between 0 and 1",
                       o->alpha);
  if (!(o->gamma >= 0 && o->gamma <= 10))
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "gamma %g: expected 0 to 10", o->gamma);
  if (!(o->l1 >= 0 && o->l1 <= 1e6))
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "L1 weight %g: expected 0 to 1e6", o->l1);
  if (!(o->learning_rate > 0 && o->learning_rate <= 1))
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "learning rate %g: expected 0 to 1",
                       o->learning_rate);
  if (isinf(o->output_bias) || fabs(o->output_bias) > 100)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "output bias %g: expected -100 to 100",
                       o->output_bias);
  if (!isnan(o->threshold) && !(o->threshold > 0 && o->threshold < 1))
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "threshold %g: expected between 0 and 1",
                       o->threshold);
  if (o->epochs < 1 || o->max_steps < 0 || o->patience < 0 || o->validate_every < 1 ||
      !(o->budget_s >= 0) || !(o->checkpoint_every_s >= 0))
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "a count of epochs, steps or seconds is < 1");
  if (o->view_count_count < 0 || o->view_count_count > WILLIS_TRAIN_VIEW_COUNTS)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "%d view counts: expected at most %d",
                       o->view_count_count, WILLIS_TRAIN_VIEW_COUNTS);
  enum willis_status status = willis_disturbance_check(&o->disturbance, err);
  if (status) return status;
  if (willis_subset_count(training) < 1)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "no patient is left to train on");
  if (willis_subset_count(validation) && validation->dataset == training->dataset &&
      validation->begin < training->end && training->begin < validation->end)
    return willis_fail(err, WILLIS_INVALID_ARGUMENT, "a patient is in training and validation");
  return WILLIS_OK;
}

/* A mistyped path must not look like anything else that is wrong. */
static enum willis_status refuse_missing(const char *path, struct willis_error *err) {
  enum willis_path_kind kind = WILLIS_PATH_FILE;
  enum willis_status status = path ? willis_path_look(path, &kind, err) : WILLIS_OK;
  if (status || kind != WILLIS_PATH_NONE) return status;
  return willis_fail(err, WILLIS_IO, "%s: no such checkpoint", path);
}

/* ---- set-up ---- */

/* Warm start: the numbers of another model, for instance of the next smaller size. What that model
 * says about itself is not taken over. */
static enum willis_status take_start(struct willis_run *run, struct willis_error *err) {
  struct willis_network *start = NULL;
  enum willis_status status = willis_network_read(run->files->from, &start, err);
  if (status) return status;
  struct willis_digest digest;
  unsigned char bytes[WILLIS_DIGEST_BYTES];
  willis_digest_begin(&digest);
  for (int t = 0; t < willis_network_tensor_count(run->network) && !status; t++) {
    struct willis_network_tensor to = willis_network_tensor(run->network, t);
    int found = willis_network_tensor_find(start, to.name);
    struct willis_network_tensor of = {0};
    if (found >= 0) of = willis_network_tensor(start, found);
    if (of.count != to.count) {
      status = willis_fail(err, WILLIS_MISMATCH, "%s: no %s of %td numbers: another architecture",
                           run->files->from, to.name, to.count);
    } else {
      /* A tensor has numbers, so this one was found.
       * NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker) */
      memcpy(to.values, of.values, (size_t)of.count * sizeof *of.values);
      willis_digest_add(&digest, of.values, (size_t)of.count * sizeof *of.values);
    }
  }
  willis_digest_end(&digest, bytes);
  willis_digest_text(bytes, run->start);
  willis_network_destroy(start);
  return status;
}

static void digest_configuration(struct willis_run *run) {
  const struct willis_train_options *o = run->options;
  struct willis_digest digest;
  willis_digest_begin(&digest);
  willis_digest_add_text(&digest, "%s parameters %td\n",
                         willis_network_metadata(run->network, "network"),
                         willis_network_parameter_count(run->network));
  willis_digest_add_text(&digest, "alpha %.17g gamma %.17g rate %.17g bias %.17g schedule %d\n",
                         o->alpha, o->gamma, o->learning_rate, o->output_bias, (int)o->schedule);
  willis_digest_add_text(&digest, "seed %llu validate every %td threshold %.17g patience %td\n",
                         (unsigned long long)o->seed, o->validate_every, o->threshold, o->patience);
  if (run->start[0]) willis_digest_add_text(&digest, "from %s\n", run->start);
  /* With 16 bits what is stored is also what is rounded. */
  if (o->precision == WILLIS_PRECISION_F16)
    willis_digest_add_text(&digest, "precision f16 plan %d\n", (int)o->plan);
  /* With a constant rate a run may be made longer. */
  if (o->schedule != WILLIS_SCHEDULE_CONSTANT)
    willis_digest_add_text(&digest, "epochs %td\n", o->epochs);
  const struct willis_sampling *s = willis_dataset_sampling(run->training.dataset);
  willis_digest_add_text(&digest, "size %td views %d arc %.17g mode %d tissue %d\n", s->size,
                         s->views, s->arc_deg, (int)s->mode, (int)s->tissue);
  willis_sampling_digest_beams(s, &digest);
  if (run->lesson->add_configuration) run->lesson->add_configuration(run, &digest);
  willis_digest_end(&digest, run->configuration);
  willis_digest_begin(&digest);
  willis_subset_digest(&run->training, &digest);
  willis_subset_digest(&run->validation, &digest);
  willis_digest_end(&digest, run->data);
}

static enum willis_status name_stem(struct willis_run *run, struct willis_error *err) {
  static const char ending[] = ".safetensors";
  const char *model = run->files->model;
  size_t n = strlen(model), m = sizeof ending - 1;
  if (n > m && !strcmp(model + n - m, ending)) n -= m;
  if (n + 64 > sizeof run->stem)
    return willis_fail(err, WILLIS_IO, "%s: the path is too long", model);
  memcpy(run->stem, model, n);
  run->stem[n] = 0;
  return WILLIS_OK;
}

/* True when the checkpoint is one of this model's: then model and log are of the same run. */
static bool resumes_its_own(const struct willis_run *run) {
  size_t n = strlen(run->stem);
  const char *resume = run->files->resume;
  return resume && !strncmp(resume, run->stem, n) && resume[n] == '.';
}

static enum willis_status set_up(struct willis_run *run, struct willis_error *err) {
  const struct willis_train_options *o = run->options;
  run->lesson = willis_lesson_of(o);
  enum willis_status status =
      willis_network_create(willis_lesson_network(o), o->seed, &run->network, err);
  if (!status) status = run->lesson->check(run, err);
  if (status) return status;
  if (run->files->from)
    status = take_start(run, err);
  else if (!isnan(o->output_bias))
    willis_network_set_output_bias(run->network, (float)o->output_bias);
  if (status) return status;
  status = run->lesson->begin(run, err);
  if (status) return status;
  ptrdiff_t n = willis_subset_count(&run->training);
  run->block_size = run->lesson->state_bytes(run);
  run->block = willis_take((ptrdiff_t)run->block_size, 1);
  run->best = willis_take((ptrdiff_t)run->block_size, 1);
  run->order = willis_take(n, sizeof *run->order);
  if (!run->block || !run->best || !run->order)
    return willis_fail_memory(err, "training", 2, run->block_size);
  willis_run_order(o->seed, 0, n, run->order);
  run->counters.best_score = -INFINITY;
  run->counters.best_iou = run->counters.best_threshold = NAN;
  digest_configuration(run);
  return WILLIS_OK;
}

static void tear_down(struct willis_run *run) {
  if (run->lesson) run->lesson->end(run);
  willis_network_destroy(run->network);
  willis_release(run->order);
  willis_release(run->epoch);
  willis_release(run->block);
  willis_release(run->best);
}

/* ---- the plan ---- */

static ptrdiff_t last_step(const struct willis_run *run) {
  ptrdiff_t steps = run->options->epochs * willis_subset_count(&run->training);
  ptrdiff_t most = run->options->max_steps;
  return most && most < steps ? most : steps;
}

/* One step and one validation on the clock; then everything is as before. */
static enum willis_status measure(struct willis_run *run, struct willis_train_plan *plan,
                                  struct willis_error *err) {
  double loss, validation = 0;
  ptrdiff_t n = willis_subset_count(&run->training), v = willis_subset_count(&run->validation);
  struct willis_sweep *sweep = willis_take_zeroed(1, sizeof *sweep);
  if (!sweep) return willis_fail_memory(err, "validation", 1, sizeof *sweep);
  run->lesson->state_export(run, run->block);
  double start = now(), busy = busy_s();
  enum willis_status status = run->lesson->step(run, run->training.begin, &loss, err);
  double step_s = now() - start;
  plan->cpu_seconds_per_step = busy_s() - busy;
  if (!status && v) {
    start = now();
    status = run->lesson->predict(run, run->validation.begin, sweep, err);
    validation = now() - start;
  }
  willis_release(sweep);
  if (!status) status = run->lesson->state_import(run, run->block, err);
  if (status) return status;
  plan->bytes = run->lesson->bytes(run);
  plan->parameters = willis_network_parameter_count(run->network);
  plan->training_cases = n;
  plan->validation_cases = v;
  plan->first_step = (ptrdiff_t)run->counters.step;
  plan->last_step = last_step(run);
  double left = (double)(plan->last_step - plan->first_step);
  plan->seconds_per_step = step_s;
  plan->seconds = left * step_s +
                  left / (double)n / (double)run->options->validate_every * (double)v * validation;
  return WILLIS_OK;
}

enum willis_status willis_train_measure(struct willis_subset training,
                                        struct willis_subset validation,
                                        const struct willis_train_options *options,
                                        struct willis_train_plan *plan, struct willis_error *err) {
  static const struct willis_train_files none = {.model = ""};
  enum willis_status status = check_options(options, &training, &validation, err);
  if (status) return status;
  struct willis_run *run = willis_take_zeroed(1, sizeof *run);
  if (!run) return willis_fail_memory(err, "training", 1, sizeof *run);
  *run = (struct willis_run){
      .options = options, .files = &none, .training = training, .validation = validation};
  status = set_up(run, err);
  if (!status) status = measure(run, plan, err);
  tear_down(run);
  willis_release(run);
  return status;
}

/* ---- epochs ---- */

static enum willis_status validate(struct willis_run *run, struct willis_epoch *row,
                                   struct willis_error *err) {
  struct willis_sweep *sweep = willis_take_zeroed(1, sizeof *sweep);
  if (!sweep) return willis_fail_memory(err, "validation", 1, sizeof *sweep);
  enum willis_status status = WILLIS_OK;
  for (ptrdiff_t i = run->validation.begin; i < run->validation.end && !status; i++)
    status = run->lesson->predict(run, i, sweep, err);
  if (!status) {
    struct willis_sweep_point best = willis_sweep_best(sweep);
    row->iou = willis_sweep_at(sweep, 0.5).iou;
    if (!isnan(run->options->threshold)) best = willis_sweep_at(sweep, run->options->threshold);
    row->best_iou = best.iou;
    row->best_threshold = isnan(run->options->threshold) ? best.threshold : run->options->threshold;
  }
  willis_release(sweep);
  return status;
}

/* Keeps the parameters when they are the best so far; of equal ones the later. */
static void judge(struct willis_run *run, const struct willis_epoch *row, bool validated) {
  struct willis_run_counters *c = &run->counters;
  bool held_out = willis_subset_count(&run->validation) > 0;
  double score = held_out ? row->best_iou : -row->loss;
  c->epochs_waited++;
  if (held_out && !validated) return;
  if (score > c->best_score) c->epochs_waited = 0;
  if (score < c->best_score) return;
  c->best_score = score;
  if (!held_out) return;
  c->best_epoch = (uint64_t)row->epoch;
  c->best_iou = row->best_iou;
  c->best_threshold = row->best_threshold;
  run->lesson->state_export(run, run->best);
  run->best_saved = false;
}

static enum willis_status end_epoch(struct willis_run *run, struct willis_error *err) {
  ptrdiff_t n = willis_subset_count(&run->training);
  uint64_t epoch = run->counters.step / (uint64_t)n;
  /* Not last_step(): where a run is cut short must not change what a longer one does. */
  bool last = (ptrdiff_t)epoch >= run->options->epochs;
  bool validated = willis_subset_count(&run->validation) > 0 &&
                   ((ptrdiff_t)epoch % run->options->validate_every == 0 || last);
  struct willis_epoch row = {.epoch = (double)epoch,
                             .step = (double)run->counters.step,
                             .loss = run->counters.loss_sum / (double)n,
                             .learning_rate = willis_run_rate(run, run->counters.step - 1),
                             .iou = NAN,
                             .best_iou = NAN,
                             .best_threshold = NAN};
  enum willis_status status = validated ? validate(run, &row, err) : WILLIS_OK;
  if (status) return status;
  judge(run, &row, validated);
  row.seconds = willis_run_seconds(run);
  run->counters.loss_sum = 0;
  willis_run_order(run->options->seed, epoch, n, run->order);
  return willis_run_add_epoch(run, &row, err);
}

/* Why training ends at this step; null to go on. */
static const char *reason_to_stop(const struct willis_run *run) {
  const struct willis_train_options *o = run->options;
  ptrdiff_t n = willis_subset_count(&run->training), step = (ptrdiff_t)run->counters.step;
  if (step >= o->epochs * n) return "epochs";
  if (o->max_steps && step >= o->max_steps) return "steps";
  if (step == 0 || step % n) return NULL;
  if (o->patience && (ptrdiff_t)run->counters.epochs_waited >= o->patience) return "patience";
  if (o->budget_s > 0 && willis_run_seconds(run) > o->budget_s) return "budget";
  return NULL;
}

double willis_run_rate(const struct willis_run *run, uint64_t step) {
  const struct willis_train_options *o = run->options;
  if (o->schedule == WILLIS_SCHEDULE_CONSTANT) return o->learning_rate;
  double total = (double)(o->epochs * willis_subset_count(&run->training));
  double fall = 0.5 * (1 + cos(M_PI * (double)step / total));
  return o->learning_rate * (cosine_floor + (1 - cosine_floor) * fall);
}

static enum willis_status one_step(struct willis_run *run, struct willis_error *err) {
  ptrdiff_t n = willis_subset_count(&run->training);
  ptrdiff_t i = run->training.begin + run->order[run->counters.step % (uint64_t)n];
  double loss;
  run->lesson->set_rate(run, willis_run_rate(run, run->counters.step));
  enum willis_status status = run->lesson->step(run, i, &loss, err);
  if (status) return status;
  run->counters.step++;
  run->counters.loss_sum += loss;
  return run->counters.step % (uint64_t)n ? WILLIS_OK : end_epoch(run, err);
}

static enum willis_status loop(struct willis_run *run, const struct willis_progress *progress,
                               const char **reason, struct willis_error *err) {
  enum willis_status status = WILLIS_OK;
  double logged = now(), last = (double)last_step(run);
  run->last_save = now();
  while (!status && !(*reason = reason_to_stop(run))) {
    status = one_step(run, err);
    double t = now();
    if (status == WILLIS_NUMERIC) willis_run_save(run);
    if (status) break;
    if (!willis_progress_report(progress, "training", (double)run->counters.step, last, "steps")) {
      willis_run_save(run);
      return willis_fail(err, WILLIS_CANCELLED, "stopped after step %llu; the checkpoint is saved",
                         (unsigned long long)run->counters.step);
    }
    if (run->options->checkpoint_every_s > 0 &&
        t - run->last_save > run->options->checkpoint_every_s) {
      willis_run_save(run);
      run->last_save = logged = now();
    } else if (t - logged > log_every_s && !willis_run_write_log(run, NULL)) {
      logged = t;
    }
  }
  return status;
}

/* On the patients that were held out, if there are any. */
static enum willis_status calibrate(struct willis_run *run, const struct willis_progress *progress,
                                    struct willis_error *err) {
  const struct willis_train_options *o = run->options;
  struct willis_calibrate_options options = {.view_count_count = o->view_count_count,
                                             .both_modes = o->both_modes,
                                             .threshold = o->threshold};
  struct willis_calibration calibration;
  if (!run->lesson->any_views || !willis_subset_count(&run->validation)) return WILLIS_OK;
  memcpy(options.view_counts, o->view_counts, sizeof options.view_counts);
  return willis_calibrate(run->network, run->validation, &options, progress, &calibration, NULL,
                          err);
}

/* The last checkpoint, then the model with the parameters that are to be kept. */
static enum willis_status finish(struct willis_run *run, const struct willis_progress *progress,
                                 struct willis_train_result *result, struct willis_error *err) {
  const struct willis_train_options *o = run->options;
  struct willis_run_counters *c = &run->counters;
  ptrdiff_t n = willis_subset_count(&run->training);
  willis_run_save(run);
  result->epochs = (ptrdiff_t)(c->step / (uint64_t)n);
  result->steps = (ptrdiff_t)c->step;
  result->loss = run->epoch_count ? run->epoch[run->epoch_count - 1].loss : NAN;
  result->best_iou = c->best_iou;
  result->best_epoch = c->best_epoch ? (ptrdiff_t)c->best_epoch : result->epochs;
  result->threshold = !isnan(o->threshold) ? o->threshold : c->best_epoch ? c->best_threshold : 0.5;
  result->seconds = willis_run_seconds(run);
  result->save_failed = run->save_failed;
  result->loss_scale = (struct willis_loss_scale){.scale = 1};
  if (run->trainer) result->loss_scale = willis_trainer_loss_scale(run->trainer);
  enum willis_status status = WILLIS_OK;
  if (c->best_epoch) status = run->lesson->state_import(run, run->best, err);
  if (!status) status = calibrate(run, progress, err);
  if (!status) status = willis_run_describe(run, result->threshold, result->best_epoch, err);
  if (!status)
    status = willis_network_metadata_set(run->network, "stopped_by", result->stopped_by, err);
  if (!status) status = willis_network_write(run->files->model, run->network, true, err);
  if (status) return status;
  char best[PATH_MAX + 32];
  snprintf(best, sizeof best, "%s.best.safetensors", run->stem);
  struct willis_error left;
  if (willis_path_remove(best, &left)) /* the model holds it now */
    willis_warn(run->warnings, "%s", left.message);
  return WILLIS_OK;
}

enum willis_status willis_train(struct willis_subset training, struct willis_subset validation,
                                const struct willis_train_options *options,
                                const struct willis_train_files *files,
                                const struct willis_train_listener *listener,
                                const struct willis_progress *progress,
                                const struct willis_warnings *warnings,
                                struct willis_train_result *result, struct willis_error *err) {
  *result = (struct willis_train_result){0};
  enum willis_status status = check_options(options, &training, &validation, err);
  if (status) return status;
  struct willis_run *run = willis_take_zeroed(1, sizeof *run);
  if (!run) return willis_fail_memory(err, "training", 1, sizeof *run);
  locale_t before = willis_locale_enter();
  *run = (struct willis_run){.options = options,
                             .files = files,
                             .training = training,
                             .validation = validation,
                             .warnings = warnings};
  status = name_stem(run, err);
  if (!status) status = refuse_missing(files->resume, err);
  bool replace = files->overwrite || resumes_its_own(run);
  if (!status && !replace) status = willis_path_refuse_existing(files->model, err);
  if (!status && !replace) status = willis_path_refuse_existing(files->log, err);
  if (!status && !files->resume) status = willis_run_clear(run, err);
  if (!status) status = set_up(run, err);
  if (!status && files->resume) status = willis_run_load(run, err);
  struct willis_train_plan plan;
  if (!status) status = measure(run, &plan, err);
  if (!status && listener && listener->announce && !listener->announce(&plan, listener->context))
    status = willis_fail(err, WILLIS_CANCELLED, "not begun");
  run->session_start = now();
  if (!status) status = loop(run, progress, &result->stopped_by, err);
  if (!status) status = finish(run, progress, result, err);
  tear_down(run);
  willis_release(run);
  willis_locale_leave(before);
  return status;
}
