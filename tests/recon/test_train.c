/* Training on phantoms: it learns, it resumes to the bit, threads do not matter, and what does not
 * belong together is refused. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cpu.h"
#include "base/file.h"
#include "base/memory.h"
#include "patients.h"
#include "recon/checkpoint.h"
#include "recon/train_run.h"

#include <math.h>

enum { PATIENTS = 5, HELD_OUT = 1, SIZE = 16, EPOCHS = 4, STEPS = EPOCHS * (PATIENTS - HELD_OUT) };

static struct willis_cohort cohort;
static struct willis_dataset *dataset;

static int set_up(void **state) {
  if (scratch_make(state)) return -1;
  struct willis_sampling sampling = willis_sampling_defaults();
  sampling.size = SIZE;
  sampling.views = 5;
  return willis_cohort_read(make_patients(PATIENTS), &cohort, NULL) ||
         willis_dataset_create(&cohort, PATIENTS, &sampling, WILLIS_DATASET_VOLUMES, true, NULL,
                               NULL, &dataset, NULL);
}

static int tear_down(void **state) {
  willis_dataset_destroy(dataset);
  willis_cohort_release(&cohort);
  return remove_scratch_tree(state);
}

static struct willis_train_options fast(void) {
  struct willis_train_options options = willis_train_defaults();
  options.alpha = 0.95;
  options.gamma = 1;
  options.learning_rate = 3e-3;
  options.output_bias = -3;
  options.epochs = EPOCHS;
  options.validate_every = 2;
  options.seed = 3;
  return options;
}

/* Says stop after `stop_at` steps. */
struct stopper {
  double stop_at;
};
static bool stop(const char *what, double done, double total, const char *unit, void *context) {
  (void)what;
  (void)total;
  (void)unit;
  return done < ((struct stopper *)context)->stop_at;
}

static enum willis_status train(const struct willis_train_options *options, const char *model,
                                const char *resume, double stop_at,
                                struct willis_train_result *result, struct willis_error *err) {
  struct willis_subset training = {dataset, 0, PATIENTS - HELD_OUT};
  struct willis_subset validation = {dataset, PATIENTS - HELD_OUT, PATIENTS};
  char log[600];
  snprintf(log, sizeof log, "%s.csv", model);
  struct willis_train_files files = {
      .model = model, .log = log, .resume = resume, .overwrite = !resume};
  struct stopper stopper = {stop_at};
  struct willis_progress progress = {stop, &stopper};
  return willis_train(training, validation, options, &files, NULL, &progress, NULL, result, err);
}

static void same_bytes(const char *a, const char *b) {
  unsigned char *x, *y;
  size_t n, m;
  assert_int_equal(willis_file_read(a, 1 << 26, &x, &n, NULL), WILLIS_OK);
  assert_int_equal(willis_file_read(b, 1 << 26, &y, &m, NULL), WILLIS_OK);
  assert_int_equal(n, m);
  assert_memory_equal(x, y, n);
  willis_release(x);
  willis_release(y);
}

static void copy(const char *from, const char *to, ptrdiff_t flip) {
  unsigned char *bytes;
  size_t size;
  assert_int_equal(willis_file_read(from, 1 << 26, &bytes, &size, NULL), WILLIS_OK);
  if (flip >= 0) bytes[(size_t)flip < size ? (size_t)flip : size / 2] ^= 1;
  assert_int_equal(willis_file_write(to, bytes, size, true, false, NULL), WILLIS_OK);
  willis_release(bytes);
}

static const char *checkpoint_of(const char *model, unsigned long long step) {
  static char path[512];
  char stem[512];
  snprintf(stem, sizeof stem, "%.*s", (int)(strlen(model) - strlen(".safetensors")), model);
  assert_true(willis_checkpoint_path(path, sizeof path, stem, step));
  return path;
}

static void learns_one_head(void **state) {
  (void)state;
  struct willis_train_options options = fast();
  struct willis_subset one = {dataset, 0, 1}, none = {dataset, 0, 0};
  struct willis_train_files files = {.model = scratch_path("one.safetensors"),
                                     .log = scratch_path("one.csv")};
  struct willis_train_result result;
  struct willis_error err;
  options.epochs = 100;
  assert_int_equal(willis_train(one, none, &options, &files, NULL, NULL, NULL, &result, &err),
                   WILLIS_OK);
  struct willis_epoch *epoch;
  ptrdiff_t count;
  assert_int_equal(willis_log_read(files.log, &epoch, &count, &err), WILLIS_OK);
  assert_int_equal(count, options.epochs);
  assert_true(epoch[count - 1].loss < 0.2 * epoch[0].loss);
  willis_release(epoch);
  assert_int_equal(result.steps, 100);
  assert_string_equal(result.stopped_by, "epochs");
  assert_true(fabs(result.threshold - 0.5) <= 0);
}

static void model_says_what_it_is(void **state) {
  (void)state;
  struct willis_train_options options = fast();
  struct willis_train_result result;
  struct willis_error err;
  char model[512];
  snprintf(model, sizeof model, "%s", scratch_path("card.safetensors"));
  options.trained_on = "phantoms";
  assert_int_equal(train(&options, model, NULL, 1e9, &result, &err), WILLIS_OK);
  struct willis_network *network;
  struct willis_model_card card;
  assert_int_equal(willis_network_read(model, &network, &err), WILLIS_OK);
  assert_int_equal(willis_model_describe(network, &card, &err), WILLIS_OK);
  assert_int_equal(card.views, 5);
  assert_int_equal(card.size, SIZE);
  assert_true(fabs(card.arc_deg - 90) <= 0);
  assert_true(fabs(card.threshold - result.threshold) <= 1e-8);
  assert_string_equal(card.trained_on, "phantoms");
  willis_network_destroy(network);
  /* Without leave to replace it, it stays; so do its checkpoints. */
  struct willis_subset training = {dataset, 0, 2}, none = {dataset, 0, 0};
  struct willis_train_files files = {.model = model};
  assert_int_equal(willis_train(training, none, &options, &files, NULL, NULL, NULL, &result, &err),
                   WILLIS_EXISTS);
  files.model = scratch_path("card.safetensors");
  assert_int_equal(unlink(model), 0);
  assert_int_equal(willis_train(training, none, &options, &files, NULL, NULL, NULL, &result, &err),
                   WILLIS_EXISTS);
  assert_non_null(strstr(err.message, "checkpoint of an earlier run"));
}

static void resumes_to_the_bit(void **state) {
  (void)state;
  struct willis_train_options options = fast();
  struct willis_train_result result;
  struct willis_error err;
  options.schedule = WILLIS_SCHEDULE_COSINE;
  char whole[512], parts[512], checkpoint[512];
  snprintf(whole, sizeof whole, "%s", scratch_path("whole.safetensors"));
  snprintf(parts, sizeof parts, "%s", scratch_path("parts.safetensors"));
  assert_int_equal(train(&options, whole, NULL, 1e9, &result, &err), WILLIS_OK);
  /* Stopped in the middle of an epoch, at its end, and once more. */
  static const int stops[] = {6, 8, 13};
  const char *resume = NULL;
  for (int i = 0; i < 3; i++) {
    assert_int_equal(train(&options, parts, resume, stops[i], &result, &err), WILLIS_CANCELLED);
    snprintf(checkpoint, sizeof checkpoint, "%s",
             checkpoint_of(parts, (unsigned long long)stops[i]));
    resume = checkpoint;
  }
  assert_int_equal(train(&options, parts, resume, 1e9, &result, &err), WILLIS_OK);
  assert_int_equal(result.steps, STEPS);
  same_bytes(whole, parts);
  /* The last three are kept. */
  assert_int_not_equal(access(checkpoint_of(parts, 6), F_OK), 0);
  assert_int_equal(access(checkpoint_of(parts, 8), F_OK), 0);
  assert_int_equal(access(checkpoint_of(parts, 13), F_OK), 0);
  assert_int_equal(access(checkpoint_of(parts, STEPS), F_OK), 0);
}

static void threads_do_not_matter(void **state) {
  (void)state;
  struct willis_train_options options = fast();
  struct willis_subset training = {dataset, 0, 2}, none = {dataset, 0, 0};
  struct willis_train_result result;
  char model[2][512];
  options.epochs = 1;
  for (int threads = 1; threads <= 4; threads++) {
    int m = threads > 1;
    snprintf(model[m], sizeof model[m], "%s",
             scratch_path(m ? "many.safetensors" : "single.safetensors"));
    struct willis_train_files files = {.model = model[m], .overwrite = true};
    willis_threads_set(threads);
    assert_int_equal(
        willis_train(training, none, &options, &files, NULL, NULL, NULL, &result, NULL), WILLIS_OK);
    if (m) same_bytes(model[0], model[1]);
  }
  willis_threads_set(0);
}

/* With a rate that changes nothing, what is learned stays the numbers that it started with; and a
 * run that started elsewhere is another run. */
static void starts_with_another_model(void **state) {
  (void)state;
  struct willis_train_options options = fast();
  struct willis_train_result result;
  struct willis_error err = {0};
  struct willis_subset training = {dataset, 0, PATIENTS - HELD_OUT}, none = {dataset, 0, 0};
  const char *first = strdup(scratch_path("first.safetensors"));
  const char *second = strdup(scratch_path("second.safetensors"));
  struct willis_train_files files = {.model = first};
  assert_int_equal(willis_train(training, none, &options, &files, NULL, NULL, NULL, &result, NULL),
                   WILLIS_OK);
  options.learning_rate = 1e-30;
  options.seed = 4;
  files = (struct willis_train_files){.model = second, .from = first};
  if (willis_train(training, none, &options, &files, NULL, NULL, NULL, &result, &err))
    fail_msg("%s", err.message);
  struct willis_network *a, *b;
  assert_int_equal(willis_network_read(first, &a, NULL), WILLIS_OK);
  assert_int_equal(willis_network_read(second, &b, NULL), WILLIS_OK);
  for (int t = 0; t < willis_network_tensor_count(a); t++) {
    struct willis_network_tensor x = willis_network_tensor(a, t), y = willis_network_tensor(b, t);
    if (x.learned)
      assert_memory_equal(x.values, y.values, (size_t)x.count * sizeof(float));
    else
      assert_memory_not_equal(x.values, y.values, (size_t)x.count * sizeof(float));
  }
  assert_null(willis_network_metadata(a, "started_from"));
  assert_non_null(willis_network_metadata(b, "started_from"));
  assert_null(willis_network_metadata(b, "output_bias"));
  willis_network_destroy(a);
  willis_network_destroy(b);

  files.from = NULL;
  files.resume = checkpoint_of(second, STEPS);
  assert_int_equal(willis_train(training, none, &options, &files, NULL, NULL, NULL, &result, NULL),
                   WILLIS_MISMATCH);
  files = (struct willis_train_files){.model = scratch_path("third.safetensors"),
                                      .from = scratch_path("nothing.safetensors")};
  assert_int_equal(willis_train(training, none, &options, &files, NULL, NULL, NULL, &result, NULL),
                   WILLIS_IO);
  free((char *)(uintptr_t)first);
  free((char *)(uintptr_t)second);
}

/* The other network of volumes takes the same road, with its name and its own size. */
static void trains_a_unet(void **state) {
  (void)state;
  struct willis_train_options options = fast();
  options.network = "unet";
  struct willis_train_result result;
  struct willis_error err = {0};
  struct willis_train_memory memory;
  struct willis_sampling sampling = *willis_dataset_sampling(dataset);
  assert_int_equal(
      willis_train_memory(&options, &cohort, PATIENTS, &sampling, true, 0, 0, &memory, NULL),
      WILLIS_OK);
  assert_int_equal(memory.plan, WILLIS_TRAINING_STORE);
  /* It cannot recompute, so less than storing is refused. */
  assert_int_equal(
      willis_train_memory(&options, &cohort, PATIENTS, &sampling, true, 0, 1 << 20, &memory, NULL),
      WILLIS_OUT_OF_MEMORY);
  struct willis_subset training = {dataset, 0, PATIENTS - HELD_OUT},
                       validation = {dataset, PATIENTS - HELD_OUT, PATIENTS};
  struct willis_train_files files = {.model = scratch_path("unet.safetensors")};
  if (willis_train(training, validation, &options, &files, NULL, NULL, NULL, &result, &err))
    fail_msg("%s", err.message);
  struct willis_network *network;
  assert_int_equal(willis_network_read(files.model, &network, NULL), WILLIS_OK);
  assert_string_equal(willis_network_metadata(network, "network"), "unet");
  assert_int_equal(willis_network_parameter_count(network), 85337);
  willis_network_destroy(network);
}

static void falls_back_to_what_verifies(void **state) {
  (void)state;
  struct willis_train_options options = fast();
  struct willis_train_result result;
  struct willis_error err;
  char whole[512], broken[512], good[512], bad[512];
  snprintf(whole, sizeof whole, "%s", scratch_path("sound.safetensors"));
  snprintf(broken, sizeof broken, "%s", scratch_path("broken.safetensors"));
  assert_int_equal(train(&options, whole, NULL, 1e9, &result, &err), WILLIS_OK);
  assert_int_equal(train(&options, broken, NULL, 5, &result, &err), WILLIS_CANCELLED);
  snprintf(good, sizeof good, "%s", checkpoint_of(broken, 5));
  assert_int_equal(train(&options, broken, good, 9, &result, &err), WILLIS_CANCELLED);
  snprintf(bad, sizeof bad, "%s", checkpoint_of(broken, 9));
  copy(bad, bad, 4000);
  assert_int_equal(train(&options, broken, bad, 1e9, &result, &err), WILLIS_OK);
  same_bytes(whole, broken);
  /* Nothing older that verifies: refused, not begun anew. */
  const char *lonely = scratch_path("lonely.step-00000005.ckpt");
  copy(good, lonely, 4000);
  assert_int_equal(train(&options, scratch_path("lonely.safetensors"), lonely, 1e9, &result, &err),
                   WILLIS_FORMAT);
}

/* Every checksum fits, but a section is missing, short, or says what the others do not. */
static void sections_that_lie(void **state) {
  (void)state;
  static const struct {
    const char *tag, *part;
    bool renamed, no_number; /* else a byte short */
  } rows[] = {
      {"configuration", "no configuration", true, false},
      {"configuration", "no configuration", false, false},
      {"data", "no data digest", true, false},
      {"counters", "section counters: expected", true, false},
      {"counters", "section counters: expected", false, false},
      {"order", "another order of patients", true, false},
      {"order", "another order of patients", false, false},
      {"epochs", "section epochs: not whole rows", true, false},
      {"trainer", "section trainer: expected", false, false},
      {"counters", "its sections contradict each other", false, true},
  };
  struct willis_train_options options = fast();
  struct willis_train_result result;
  struct willis_error err;
  char model[512], other[512], checkpoint[512], lying[512];
  snprintf(model, sizeof model, "%s", scratch_path("truth.safetensors"));
  snprintf(other, sizeof other, "%s", scratch_path("lies.safetensors"));
  snprintf(lying, sizeof lying, "%s", scratch_path("lies.step-00000003.ckpt"));
  assert_int_equal(train(&options, model, NULL, 3, &result, &err), WILLIS_CANCELLED);
  snprintf(checkpoint, sizeof checkpoint, "%s", checkpoint_of(model, 3));
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct willis_sections sections;
    struct willis_run_counters counters;
    unsigned char *bytes;
    assert_int_equal(willis_sections_read(checkpoint, &bytes, &sections, &err), WILLIS_OK);
    for (int k = 0; k < sections.count; k++) {
      struct willis_section *section = &sections.section[k];
      if (strcmp(section->tag, rows[i].tag) != 0) continue;
      if (rows[i].renamed) {
        section->tag[0] = 'X';
      } else if (rows[i].no_number) {
        memcpy(&counters, section->bytes, sizeof counters);
        counters.loss_sum = NAN;
        section->bytes = &counters;
      } else {
        section->size--;
      }
    }
    assert_int_equal(willis_sections_write(lying, &sections, &err), WILLIS_OK);
    willis_release(bytes);
    if (train(&options, other, lying, 1e9, &result, &err) != WILLIS_FORMAT ||
        !strstr(err.message, rows[i].part))
      fail_msg("row %zu, %s: %s", i, rows[i].part, err.message);
  }
}

static void refuses_what_does_not_belong(void **state) {
  (void)state;
  struct willis_train_options options = fast();
  struct willis_train_result result;
  struct willis_error err;
  char model[512], checkpoint[512];
  snprintf(model, sizeof model, "%s", scratch_path("own.safetensors"));
  assert_int_equal(train(&options, model, NULL, 3, &result, &err), WILLIS_CANCELLED);
  snprintf(checkpoint, sizeof checkpoint, "%s", checkpoint_of(model, 3));
  options.alpha = 0.9;
  assert_int_equal(train(&options, model, checkpoint, 1e9, &result, &err), WILLIS_MISMATCH);
  options = fast();
  options.seed++;
  assert_int_equal(train(&options, model, checkpoint, 1e9, &result, &err), WILLIS_MISMATCH);
  options = fast();
  assert_int_equal(train(&options, model, scratch_path("mistyped.ckpt"), 1e9, &result, &err),
                   WILLIS_IO);
  /* Other patients. */
  struct willis_subset fewer = {dataset, 0, PATIENTS - HELD_OUT - 1}, none = {dataset, 0, 0};
  struct willis_train_files files = {.model = model, .resume = checkpoint};
  assert_int_equal(willis_train(fewer, none, &options, &files, NULL, NULL, NULL, &result, &err),
                   WILLIS_MISMATCH);
  assert_non_null(strstr(err.message, "other patients"));
}

static enum willis_status train_on(struct willis_dataset *data,
                                   const struct willis_train_options *options, const char *model,
                                   struct willis_train_result *result) {
  struct willis_subset training = {data, 0, PATIENTS - HELD_OUT};
  struct willis_subset validation = {data, PATIENTS - HELD_OUT, PATIENTS};
  struct willis_train_files files = {.model = model};
  return willis_train(training, validation, options, &files, NULL, NULL, NULL, result, NULL);
}

/* What is kept of patients and of a step is nobody's business but the memory's. */
static void all_plans_give_the_same_model(void **state) {
  (void)state;
  struct willis_train_options options = fast();
  struct willis_train_result result;
  char stored[512], other[512];
  snprintf(stored, sizeof stored, "%s", scratch_path("stored.safetensors"));
  assert_int_equal(train_on(dataset, &options, stored, &result), WILLIS_OK);
  options.plan = WILLIS_TRAINING_RECOMPUTE;
  for (int way = 0; way < 3; way++) {
    struct willis_dataset *data;
    char name[64];
    snprintf(name, sizeof name, "other-%d.safetensors", way);
    snprintf(other, sizeof other, "%s", scratch_path(name));
    assert_int_equal(
        willis_dataset_create(&cohort, PATIENTS, willis_dataset_sampling(dataset),
                              way == 0 ? WILLIS_DATASET_VOLUMES : WILLIS_DATASET_PROJECTIONS,
                              way != 2, NULL, NULL, &data, NULL),
        WILLIS_OK);
    assert_int_equal(train_on(data, &options, other, &result), WILLIS_OK);
    same_bytes(stored, other);
    willis_dataset_destroy(data);
  }
}

static void half_precision_resumes_to_the_bit(void **state) {
  (void)state;
  struct willis_train_options options = fast();
  struct willis_train_result result;
  struct willis_error err;
  char whole[512], parts[512], checkpoint[512];
  options.precision = WILLIS_PRECISION_F16;
  snprintf(whole, sizeof whole, "%s", scratch_path("half-whole.safetensors"));
  snprintf(parts, sizeof parts, "%s", scratch_path("half-parts.safetensors"));
  assert_int_equal(train(&options, whole, NULL, 1e9, &result, &err), WILLIS_OK);
  assert_true(result.loss_scale.scale == SIZE * SIZE * SIZE && result.loss_scale.skipped == 0);
  assert_int_equal(train(&options, parts, NULL, 6, &result, &err), WILLIS_CANCELLED);
  snprintf(checkpoint, sizeof checkpoint, "%s", checkpoint_of(parts, 6));
  assert_int_equal(train(&options, parts, checkpoint, 1e9, &result, &err), WILLIS_OK);
  same_bytes(whole, parts);
  struct willis_network *network;
  assert_int_equal(willis_network_read(whole, &network, &err), WILLIS_OK);
  assert_string_equal(willis_network_metadata(network, "precision"), "f16");
  willis_network_destroy(network);
  /* What is stored with 16 bits is part of what the run is. */
  struct willis_train_options other = options;
  other.precision = WILLIS_PRECISION_F32;
  assert_int_equal(train(&other, parts, checkpoint, 1e9, &result, &err), WILLIS_MISMATCH);
  other = options;
  other.plan = WILLIS_TRAINING_RECOMPUTE;
  assert_int_equal(train(&other, parts, checkpoint, 1e9, &result, &err), WILLIS_MISMATCH);
}

static void planes_are_those_of_the_volumes(void **state) {
  (void)state;
  const struct willis_sampling *sampling = willis_dataset_sampling(dataset);
  const int views = sampling->views;
  struct willis_dataset *data[3];
  enum { VOXELS = SIZE * SIZE * SIZE };
  static float x[VOXELS];
  struct willis_error err;
  for (int k = 0; k < 3; k++)
    assert_int_equal(willis_dataset_create(&cohort, PATIENTS, sampling,
                                           k ? WILLIS_DATASET_PROJECTIONS : WILLIS_DATASET_VOLUMES,
                                           k != 2, NULL, NULL, &data[k], NULL),
                     WILLIS_OK);
  for (int turn = 0; turn < 2; turn++) {
    for (int k = 0; k < 3; k++)
      assert_int_equal(willis_dataset_set_views(data[k], views + turn, NULL, NULL), WILLIS_OK);
    for (ptrdiff_t i = 0; i < PATIENTS; i++)
      for (int k = 0; k < 3; k++) {
        struct willis_pair whole;
        struct willis_planes_pair planes;
        assert_int_equal(willis_dataset_fetch(data[0], i, &whole, NULL), WILLIS_OK);
        assert_int_equal(willis_dataset_fetch_planes(data[k], i, &planes, NULL), WILLIS_OK);
        assert_true(willis_grid_equal(planes.grid, &whole.input->grid));
        for (ptrdiff_t z = 0; z < SIZE; z += 5)
          assert_int_equal(planes.input.read(z, z + 5 < SIZE ? z + 5 : SIZE, x + z * SIZE * SIZE,
                                             planes.input.context, NULL),
                           WILLIS_OK);
        assert_memory_equal(x, whole.input->voxels, sizeof x);
        for (ptrdiff_t v = 0; v < VOXELS; v++)
          assert_int_equal(planes.truth[v / 8] >> v % 8 & 1, whole.truth->voxels[v] > 0);
      }
  }
  struct willis_pair none;
  assert_int_equal(willis_dataset_fetch(data[1], 0, &none, &err), WILLIS_INVALID_ARGUMENT);
  for (int k = 0; k < 3; k++) willis_dataset_destroy(data[k]);
}

/* The fastest that fits; and the least that is named when nothing does is enough. */
static void memory_chooses_the_plan(void **state) {
  (void)state;
  struct willis_sampling sampling = *willis_dataset_sampling(dataset);
  const struct willis_train_options plain = willis_train_defaults();
  struct willis_train_memory memory[4];
  struct willis_error err;
  sampling.size = 128;
  size_t most = 0;
  int ways = 0;
  for (; ways < 4; ways++) {
    if (willis_train_memory(&plain, &cohort, PATIENTS, &sampling, true, 0, most, &memory[ways],
                            &err))
      break;
    assert_true(!most || memory[ways].bytes <= most);
    most = memory[ways].bytes - 1;
  }
  assert_true(ways >= 3);
  assert_true(memory[0].plan == WILLIS_TRAINING_STORE && memory[0].kept);
  assert_true(memory[1].plan == WILLIS_TRAINING_STORE && !memory[1].kept);
  assert_true(memory[2].plan == WILLIS_TRAINING_RECOMPUTE);
  const struct willis_train_memory *last = &memory[ways - 1];
  struct willis_train_memory refused;
  assert_int_equal(willis_train_memory(&plain, &cohort, PATIENTS, &sampling, true, 0,
                                       last->bytes - 1, &refused, &err),
                   WILLIS_OUT_OF_MEMORY);
  char least[32];
  snprintf(least, sizeof least, "%.1f MiB", (double)last->bytes / (1 << 20));
  assert_non_null(strstr(err.message, least));
  /* What is held already counts. */
  assert_int_equal(willis_train_memory(&plain, &cohort, PATIENTS, &sampling, true, 1, last->bytes,
                                       &refused, &err),
                   WILLIS_OUT_OF_MEMORY);
  /* The paper's size in one GiB, with the program itself. */
  sampling.size = 384;
  sampling.views = 90;
#ifdef WILLIS_HAVE_AVX2
  if (willis_cpu_features() & WILLIS_CPU_AVX2)
    assert_int_equal(willis_train_memory(&plain, &cohort, PATIENTS, &sampling, true, 32 << 20,
                                         (size_t)1 << 30, &refused, &err),
                     WILLIS_OK);
#endif
}

static void impossible_options(void **state) {
  (void)state;
  static const struct {
    double alpha, gamma, rate, threshold;
    ptrdiff_t epochs;
  } bad[] = {{0, 1, 1e-3, NAN, 1},    {1, 1, 1e-3, NAN, 1},  {NAN, 1, 1e-3, NAN, 1},
             {0.5, -1, 1e-3, NAN, 1}, {0.5, 1, 0, NAN, 1},   {0.5, 1, NAN, NAN, 1},
             {0.5, 1, 1e-3, 2, 1},    {0.5, 1, 1e-3, NAN, 0}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    struct willis_train_options options = fast();
    struct willis_train_result result;
    options.alpha = bad[i].alpha;
    options.gamma = bad[i].gamma;
    options.learning_rate = bad[i].rate;
    options.threshold = bad[i].threshold;
    options.epochs = bad[i].epochs;
    assert_int_equal(train(&options, scratch_path("x.safetensors"), NULL, 1e9, &result, NULL),
                     WILLIS_INVALID_ARGUMENT);
  }
}

static void memory_plan_gives_the_same_pairs(void **state) {
  (void)state;
  struct willis_dataset *streamed;
  struct willis_pair kept, made;
  size_t voxels = (size_t)SIZE * SIZE * SIZE;
  float *input = willis_take((ptrdiff_t)voxels, sizeof *input);
  assert_int_equal(willis_dataset_create(&cohort, PATIENTS, willis_dataset_sampling(dataset),
                                         WILLIS_DATASET_VOLUMES, false, NULL, NULL, &streamed,
                                         NULL),
                   WILLIS_OK);
  for (ptrdiff_t i = 0; i < PATIENTS; i++) {
    assert_int_equal(willis_dataset_fetch(dataset, i, &kept, NULL), WILLIS_OK);
    memcpy(input, kept.input->voxels, voxels * sizeof *input);
    assert_int_equal(willis_dataset_fetch(streamed, i, &made, NULL), WILLIS_OK);
    assert_memory_equal(input, made.input->voxels, voxels * sizeof *input);
    assert_memory_equal(kept.truth->voxels, made.truth->voxels, voxels * sizeof *input);
  }
  willis_release(input);
  willis_dataset_destroy(streamed);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(memory_plan_gives_the_same_pairs),
      cmocka_unit_test(planes_are_those_of_the_volumes),
      cmocka_unit_test(all_plans_give_the_same_model),
      cmocka_unit_test(half_precision_resumes_to_the_bit),
      cmocka_unit_test(memory_chooses_the_plan),
      cmocka_unit_test(impossible_options),
      cmocka_unit_test(learns_one_head),
      cmocka_unit_test(model_says_what_it_is),
      cmocka_unit_test(resumes_to_the_bit),
      cmocka_unit_test(threads_do_not_matter),
      cmocka_unit_test(starts_with_another_model),
      cmocka_unit_test(trains_a_unet),
      cmocka_unit_test(falls_back_to_what_verifies),
      cmocka_unit_test(sections_that_lie),
      cmocka_unit_test(refuses_what_does_not_belong),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
