/* What a run leaves behind and goes on from: checkpoints, the best model, metadata. */
#define _GNU_SOURCE
#include "recon/train_run.h"

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "nn/hull_net.h"
#include "recon/checkpoint.h"
#include "recon/dataset.h"
#include "recon/lesson.h"

#include <willis/willis.h>

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { KEPT = 3, LISTED = 64 };

/* ---- saving ---- */

static void add(struct willis_sections *s, const char *tag, const void *bytes, size_t size) {
  struct willis_section *section = &s->section[s->count++];
  snprintf(section->tag, sizeof section->tag, "%s", tag);
  section->bytes = bytes;
  section->size = size;
}

static enum willis_status save_checkpoint(struct willis_run *run, struct willis_error *err) {
  char path[PATH_MAX];
  if (!willis_checkpoint_path(path, sizeof path, run->stem, run->counters.step))
    return willis_fail(err, WILLIS_IO, "%s: the path is too long for a checkpoint", run->stem);
  struct willis_run_counters counters = run->counters;
  counters.seconds = willis_run_seconds(run);
  run->lesson->state_export(run, run->block);
  struct willis_sections s = {0};
  add(&s, "configuration", run->configuration, sizeof run->configuration);
  add(&s, "data", run->data, sizeof run->data);
  add(&s, "counters", &counters, sizeof counters);
  add(&s, "order", run->order, (size_t)willis_subset_count(&run->training) * sizeof *run->order);
  add(&s, "epochs", run->epoch, (size_t)run->epoch_count * sizeof *run->epoch);
  add(&s, "trainer", run->block, run->block_size);
  if (run->counters.best_epoch) add(&s, "best", run->best, run->block_size);
  return willis_sections_write(path, &s, err);
}

/* Removes what is older than the KEPT newest up to this step. Later ones may exist when a run went
 * back to an older checkpoint; they are replaced when it gets there. */
static void remove_old(const struct willis_run *run) {
  unsigned long long step[LISTED];
  char path[PATH_MAX];
  int count;
  struct willis_error err;
  if (willis_checkpoint_list(run->stem, step, LISTED, &count, &err)) {
    willis_warn(run->warnings, "old checkpoints stay: %s", err.message);
    return;
  }
  while (count && step[count - 1] > run->counters.step) count--;
  for (int i = 0; i + KEPT < count; i++)
    if (willis_checkpoint_path(path, sizeof path, run->stem, step[i]) &&
        willis_path_remove(path, &err))
      willis_warn(run->warnings, "an old checkpoint stays: %s", err.message);
}

static enum willis_status save_best(struct willis_run *run, struct willis_error *err) {
  char path[PATH_MAX + 32];
  snprintf(path, sizeof path, "%s.best.safetensors", run->stem);
  /* The block of now was exported for the checkpoint just before. */
  enum willis_status status = run->lesson->state_import(run, run->best, err);
  if (status) return status;
  status = willis_run_describe(run, run->counters.best_threshold,
                               (ptrdiff_t)run->counters.best_epoch, err);
  if (!status) status = willis_network_write(path, run->network, true, err);
  enum willis_status back = run->lesson->state_import(run, run->block, NULL);
  return status ? status : back;
}

static enum willis_status save(struct willis_run *run, struct willis_error *err) {
  enum willis_status status = save_checkpoint(run, err);
  if (!status) remove_old(run);
  if (!status && run->counters.best_epoch && !run->best_saved) {
    status = save_best(run, err);
    run->best_saved = !status;
  }
  return status ? status : willis_run_write_log(run, err);
}

void willis_run_save(struct willis_run *run) {
  struct willis_error err = {0};
  /* Once more: a share that was away for a moment, a block that was remapped. */
  if (!save(run, &err)) return;
  willis_warn(run->warnings, "saving failed and is tried again: %s", err.message);
  if (!save(run, &err)) return;
  run->save_failed = true;
  willis_warn(run->warnings, "training goes on, but saving failed: %s", err.message);
}

enum willis_status willis_run_clear(struct willis_run *run, struct willis_error *err) {
  unsigned long long step[LISTED];
  char path[PATH_MAX];
  int count = 0;
  do {
    enum willis_status status = willis_checkpoint_list(run->stem, step, LISTED, &count, err);
    if (status) return status;
    for (int i = 0; i < count; i++) {
      if (!willis_checkpoint_path(path, sizeof path, run->stem, step[i])) continue;
      if (!run->files->overwrite)
        return willis_fail(err, WILLIS_EXISTS,
                           "%s: a checkpoint of an earlier run; --resume goes on with it, --force "
                           "removes it",
                           path);
      status = willis_path_remove(path, err);
      if (status) return status;
    }
  } while (count);
  return WILLIS_OK;
}

/* ---- going on ---- */

static enum willis_status check_origin(const struct willis_run *run, const char *path,
                                       const struct willis_sections *s, struct willis_error *err) {
  const struct willis_section *section = willis_sections_find(s, "configuration");
  if (!section || section->size != WILLIS_DIGEST_BYTES)
    return willis_fail(err, WILLIS_FORMAT, "%s: no configuration", path);
  if (memcmp(section->bytes, run->configuration, WILLIS_DIGEST_BYTES))
    return willis_fail(err, WILLIS_MISMATCH,
                       "%s: a run with other options (views, size, loss, rate, seed, epochs, "
                       "validation, precision or network); give the same ones",
                       path);
  section = willis_sections_find(s, "data");
  if (!section || section->size != WILLIS_DIGEST_BYTES)
    return willis_fail(err, WILLIS_FORMAT, "%s: no data digest", path);
  if (memcmp(section->bytes, run->data, WILLIS_DIGEST_BYTES))
    return willis_fail(err, WILLIS_MISMATCH, "%s: a run on other patients or changed files", path);
  return WILLIS_OK;
}

/* Copies a section of exactly `size` bytes. */
static enum willis_status take(const struct willis_sections *s, const char *path, const char *tag,
                               void *to, size_t size, struct willis_error *err) {
  const struct willis_section *section = willis_sections_find(s, tag);
  if (!section || section->size != size)
    return willis_fail(err, WILLIS_FORMAT, "%s: section %s: expected %zu bytes", path, tag, size);
  memcpy(to, section->bytes, size);
  return WILLIS_OK;
}

static enum willis_status take_epochs(struct willis_run *run, const struct willis_sections *s,
                                      const char *path, struct willis_error *err) {
  const struct willis_section *section = willis_sections_find(s, "epochs");
  if (!section || section->size % sizeof(struct willis_epoch))
    return willis_fail(err, WILLIS_FORMAT, "%s: section epochs: not whole rows", path);
  run->epoch_count = 0;
  for (size_t at = 0; at < section->size; at += sizeof(struct willis_epoch)) {
    struct willis_epoch row;
    memcpy(&row, (const unsigned char *)section->bytes + at, sizeof row);
    enum willis_status status = willis_run_add_epoch(run, &row, err);
    if (status) return status;
  }
  return WILLIS_OK;
}

/* The order is checked rather than taken: it says whether the shuffle is still the same. */
static enum willis_status check_order(struct willis_run *run, const struct willis_sections *s,
                                      const char *path, struct willis_error *err) {
  ptrdiff_t n = willis_subset_count(&run->training);
  const struct willis_section *section = willis_sections_find(s, "order");
  willis_run_order(run->options->seed, run->counters.step / (uint64_t)n, n, run->order);
  if (!section || section->size != (size_t)n * sizeof *run->order ||
      memcmp(section->bytes, run->order, section->size))
    return willis_fail(err, WILLIS_FORMAT, "%s: section order: another order of patients", path);
  return WILLIS_OK;
}

static enum willis_status load_from(struct willis_run *run, const char *path,
                                    struct willis_error *err) {
  unsigned char *bytes = NULL;
  struct willis_sections s;
  enum willis_status status = willis_sections_read(path, &bytes, &s, err);
  if (!status) status = check_origin(run, path, &s, err);
  if (!status) status = take(&s, path, "counters", &run->counters, sizeof run->counters, err);
  if (!status) status = check_order(run, &s, path, err);
  if (!status) status = take_epochs(run, &s, path, err);
  if (!status && run->counters.best_epoch) {
    status = take(&s, path, "best", run->best, run->block_size, err);
    /* Imported once so that its values are looked at too. */
    if (!status) status = run->lesson->state_import(run, run->best, err);
  }
  if (!status) status = take(&s, path, "trainer", run->block, run->block_size, err);
  if (!status) status = run->lesson->state_import(run, run->block, err);
  if (!status && (run->lesson->steps(run) != run->counters.step ||
                  !isfinite(run->counters.loss_sum) || !isfinite(run->counters.seconds)))
    status = willis_fail(err, WILLIS_FORMAT, "%s: its sections contradict each other", path);
  willis_release(bytes);
  return status;
}

enum willis_status willis_run_load(struct willis_run *run, struct willis_error *err) {
  const char *path = run->files->resume;
  enum willis_status status = load_from(run, path, err);
  /* Only what is broken is stepped over: a wrong or missing file is the caller's mistake. */
  if (status != WILLIS_FORMAT && status != WILLIS_NUMERIC) return status;
  char stem[PATH_MAX], older[PATH_MAX];
  unsigned long long named, step[LISTED];
  int count = 0;
  if (!willis_checkpoint_split(path, stem, sizeof stem, &named) ||
      willis_checkpoint_list(stem, step, LISTED, &count, NULL))
    return status;
  for (int i = count; i-- > 0;) {
    struct willis_error next = {0};
    if (step[i] >= named || !willis_checkpoint_path(older, sizeof older, stem, step[i])) continue;
    enum willis_status found = load_from(run, older, &next);
    if (found == WILLIS_OK) {
      willis_warn(run->warnings, "%s; going on from %s", err ? err->message : path, older);
      return WILLIS_OK;
    }
    if (found != WILLIS_FORMAT && found != WILLIS_NUMERIC) break;
  }
  return status;
}

/* ---- metadata ---- */

enum willis_status willis_run_describe(struct willis_run *run, double threshold, ptrdiff_t epochs,
                                       struct willis_error *err) {
  const struct willis_sampling *s = willis_dataset_sampling(run->training.dataset);
  const struct willis_train_options *o = run->options;
  const bool any = run->lesson->any_views, drawn = run->lesson->drawn;
  char views[64], arc[32], size[16], cut[32], alpha[32], gamma[32], rate[32], bias[32], epoch[32],
      seed[32], patients[32], near[32], far[32], l1[32];
  int length = snprintf(views, sizeof views, "%d", any ? o->view_counts[0] : s->views);
  for (int i = 1; any && i < o->view_count_count; i++)
    length += snprintf(views + length, sizeof views - (size_t)length, ",%d", o->view_counts[i]);
  snprintf(arc, sizeof arc, "%.9g", s->arc_deg);
  snprintf(near, sizeof near, "%.9g", s->source_to_isocenter_mm);
  snprintf(far, sizeof far, "%.9g", s->source_to_detector_mm);
  snprintf(size, sizeof size, "%td", s->size);
  snprintf(cut, sizeof cut, "%.9g", threshold);
  snprintf(alpha, sizeof alpha, "%.9g", o->alpha);
  snprintf(l1, sizeof l1, "%.9g", o->l1);
  snprintf(gamma, sizeof gamma, "%.9g", o->gamma);
  snprintf(rate, sizeof rate, "%.9g", o->learning_rate);
  snprintf(bias, sizeof bias, "%.9g", o->output_bias);
  snprintf(epoch, sizeof epoch, "%td", epochs);
  snprintf(seed, sizeof seed, "%" PRIu64, o->seed);
  snprintf(patients, sizeof patients, "%td", willis_subset_count(&run->training));
  const bool cone = s->source_to_isocenter_mm > 0;
  const char *const pair[][2] = {
      {"views", views},
      {"arc_deg", arc},
      {"source_to_isocenter_mm", cone ? near : NULL},
      {"source_to_detector_mm", cone ? far : NULL},
      {"projection", any && o->both_modes               ? "both"
                     : s->mode == WILLIS_PROJECTION_SUM ? "sum"
                                                        : "max"},
      {"inputs", any ? WILLIS_HULL_INPUTS : NULL},
      {"size", size},
      {"threshold", cut},
      {"trained_on", o->trained_on ? o->trained_on : "unknown"},
      {"version", willis_version()},
      {"alpha", drawn ? NULL : alpha},
      {"gamma", drawn ? NULL : gamma},
      {"l1_weight", drawn ? l1 : NULL},
      {"learning_rate", rate},
      {"schedule", o->schedule == WILLIS_SCHEDULE_COSINE ? "cosine" : "constant"},
      {"output_bias", isnan(o->output_bias) || run->files->from ? NULL : bias},
      {"started_from", run->start[0] ? run->start : NULL},
      {"precision", o->precision == WILLIS_PRECISION_F16 ? "f16" : NULL},
      {"epochs", epoch},
      {"seed", seed},
      {"patients", patients},
  };
  enum willis_status status = WILLIS_OK;
  for (size_t i = 0; i < sizeof pair / sizeof *pair && !status; i++)
    status = willis_network_metadata_set(run->network, pair[i][0], pair[i][1], err);
  return status;
}
