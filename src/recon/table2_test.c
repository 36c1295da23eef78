/* The rows of table 2 on the cases: scores, and what a prediction takes of processor and memory. */
#define _GNU_SOURCE
#include "recon/table2.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/progress.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* ---- what it takes ---- */

/* Bytes above those of the beginning. Blocks of before may be released meanwhile. */
struct meter {
  _Atomic ptrdiff_t now, most;
};

static void *counted(size_t bytes, size_t alignment, void *context) {
  struct meter *meter = context;
  void *block = NULL;
  if (posix_memalign(&block, alignment, bytes)) return NULL;
  ptrdiff_t now = atomic_fetch_add(&meter->now, (ptrdiff_t)malloc_usable_size(block)) +
                  (ptrdiff_t)malloc_usable_size(block);
  ptrdiff_t most = atomic_load(&meter->most);
  while (now > most && !atomic_compare_exchange_weak(&meter->most, &most, now)) continue;
  return block;
}

static void uncounted(void *block, void *context) {
  struct meter *meter = context;
  atomic_fetch_sub(&meter->now, (ptrdiff_t)malloc_usable_size(block));
  free(block);
}

/* Of all threads. */
static double busy_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- predictions ---- */

static enum willis_status predict(struct willis_rival *r, const struct willis_projections *stack,
                                  const struct willis_grid *grid, struct willis_volume *prediction,
                                  struct willis_error *err) {
  if (r->kind->make) return willis_experiment_make(stack, grid, r->kind->make, prediction, err);
  return willis_experiment_infer(r->job.model, stack, grid, prediction, err);
}

enum willis_status willis_table2_predict(struct willis_table2 *t, struct willis_rival *r,
                                         const struct willis_volume *volume,
                                         struct willis_volume *prediction,
                                         struct willis_error *err) {
  *prediction = (struct willis_volume){0};
  struct willis_projections stack = {0};
  const enum willis_projection_mode mode = r->kind->make ? r->kind->mode : t->e.options->mode;
  enum willis_status status =
      willis_experiment_project(&t->e, WILLIS_TABLE2_VIEWS, mode, volume, &stack, err);
  if (!status) status = predict(r, &stack, &volume->grid, prediction, err);
  willis_projections_release(&stack);
  return status;
}

/* The same with the meters running; the views are there already. */
static enum willis_status predict_metered(struct willis_table2 *t, struct willis_rival *r,
                                          const struct willis_volume *volume,
                                          struct willis_volume *prediction,
                                          struct willis_error *err) {
  *prediction = (struct willis_volume){0};
  struct willis_projections stack = {0};
  struct meter meter = {0};
  const struct willis_allocator counting = {counted, uncounted, &meter};
  const enum willis_projection_mode mode = r->kind->make ? r->kind->mode : t->e.options->mode;
  enum willis_status status =
      willis_experiment_project(&t->e, WILLIS_TABLE2_VIEWS, mode, volume, &stack, err);
  if (!status) {
    const double start = busy_s();
    willis_allocator_set(&counting);
    status = predict(r, &stack, &volume->grid, prediction, err);
    willis_allocator_set(NULL);
    r->infer_cpu_s += (busy_s() - start) / (double)willis_experiment_cases(&t->e);
    if ((size_t)meter.most > r->infer_bytes) r->infer_bytes = (size_t)meter.most;
  }
  willis_projections_release(&stack);
  return status;
}

/* ---- thresholds ---- */

enum willis_status willis_table2_choose(struct willis_table2 *t, struct willis_rival *r,
                                        struct willis_error *err) {
  const struct willis_experiment *e = &t->e;
  const ptrdiff_t first = r->kind->slow ? e->train - e->options->validate : 0;
  struct willis_sweep *sweep = willis_take_zeroed(1, sizeof *sweep);
  if (!sweep) return willis_fail_memory(err, "thresholds", 1, sizeof *sweep);
  enum willis_status status = WILLIS_OK;
  for (ptrdiff_t i = first; i < e->train && !status; i++) {
    struct willis_pair pair;
    struct willis_volume prediction = {0};
    if (!willis_progress_report(e->progress, r->kind->label, (double)(i - first),
                                (double)(e->train - first), "patients"))
      status = willis_fail(err, WILLIS_CANCELLED, "stopped while choosing thresholds");
    if (!status) status = willis_dataset_fetch(e->dataset, i, &pair, err);
    if (!status) status = willis_table2_predict(t, r, pair.volume, &prediction, err);
    if (!status) willis_sweep_add(sweep, &prediction, pair.truth);
    willis_volume_release(&prediction);
  }
  r->threshold = willis_sweep_best(sweep).threshold;
  willis_release(sweep);
  return status;
}

/* ---- cases ---- */

enum willis_status willis_table2_test(struct willis_table2 *t, struct willis_rival *r,
                                      struct willis_error *err) {
  const ptrdiff_t cases = willis_experiment_cases(&t->e);
  enum willis_status status = WILLIS_OK;
  r->infer_cpu_s = 0;
  r->cases = willis_take_zeroed(cases, sizeof *r->cases);
  if (!r->cases) return willis_fail_memory(err, "scores", cases, sizeof *r->cases);
  for (ptrdiff_t i = 0; i < cases && !status; i++) {
    const struct willis_volume *volume, *truth;
    struct willis_volume prediction = {0};
    if (!willis_progress_report(t->e.progress, "testing", (double)i, (double)cases, "cases"))
      status = willis_fail(err, WILLIS_CANCELLED, "stopped while testing");
    if (!status) status = willis_experiment_case(&t->e, i, &volume, &truth, err);
    if (!status) status = predict_metered(t, r, volume, &prediction, err);
    if (!status)
      status = willis_scores_compute(&prediction, truth, r->threshold, &r->cases[i], err);
    willis_volume_release(&prediction);
  }
  return status;
}
