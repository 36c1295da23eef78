/* Table 2 on four phantoms: it is written, goes on where it was stopped with the same scores, takes
 * more seeds, and refuses what it is not about. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "patients.h"

enum { PATIENTS = 4 };

static const char *patients;

static int set_up(void **state) {
  if (scratch_make(state)) return -1;
  patients = make_patients(PATIENTS);
  return 0;
}

static struct willis_experiment_options tiny(const char *folder) {
  struct willis_experiment_options options = willis_experiment_table2_defaults();
  options.data = patients;
  options.folder = folder;
  options.first = PATIENTS;
  options.test_last = 1;
  options.validate = 1;
  options.size = 64;
  options.seeds = 1;
  for (int s = 0; s < WILLIS_EXPERIMENT_SYSTEMS; s++) options.system_epochs[s] = 1;
  return options;
}

/* Inlined, it makes GCC 12 warn of a pointer that it does not return. */
__attribute__((noinline)) static char *read_text(const char *folder, const char *name) {
  char path[600];
  unsigned char *bytes = NULL;
  size_t size;
  snprintf(path, sizeof path, "%s/%s", folder, name);
  assert_int_equal(willis_file_read(path, 1 << 26, &bytes, &size, NULL), WILLIS_OK);
  return (char *)bytes;
}

static int count(const char *text, const char *word) {
  int found = 0;
  for (const char *at = text; (at = strstr(at, word)); at++) found++;
  return found;
}

static const char *after(const char *text, const char *word) {
  const char *at = strstr(text, word);
  assert_non_null(at);
  return at + strlen(word);
}

static char folder[512];

/* Stops when a training has made a step. */
static bool stop_in_training(const char *what, double done, double total, const char *unit,
                             void *context) {
  (void)total;
  (void)unit;
  (void)context;
  return !(strstr(what, ", seed") && done >= 1);
}

/* Stopped in a training, and gone on with. */
static void is_written(void **state) {
  (void)state;
  snprintf(folder, sizeof folder, "%s", scratch_path("whole"));
  struct willis_experiment_options options = tiny(folder);
  struct willis_error err = {0};
  struct willis_progress progress = {stop_in_training, NULL};
  assert_int_equal(willis_experiment_table2(&options, &progress, NULL, &err), WILLIS_CANCELLED);
  options.resume = true;
  if (willis_experiment_table2(&options, NULL, NULL, &err)) fail_msg("%s", err.message);
  options.resume = false;
  static const char *const files[] = {"table.csv",
                                      "curves.svg",
                                      "figure.png",
                                      "models/cgan-seed0.safetensors",
                                      "models/l1-cgan-seed0.safetensors",
                                      "models/dae-seed0.safetensors",
                                      "models/unet-seed0.safetensors",
                                      "logs/unet-seed0.csv"};
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    char path[600];
    snprintf(path, sizeof path, "%s/%s", folder, files[i]);
    assert_int_equal(access(path, F_OK), 0);
  }
  char *table = read_text(folder, "table.md"), *record = read_text(folder, "run.json");
  static const char *const words[] = {"Not a medical device",
                                      "can and cannot be compared with",
                                      "| visual hull, continuity prior | 1 |",
                                      "| total variation, from line integrals | 1 |",
                                      "*L1 + conditional GAN, published, other patients*",
                                      "| 3D U-Net | 85337 | 2 |"};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    assert_non_null(strstr(table, words[i]));
  assert_non_null(strstr(record, "\"table2\""));
  /* No path of this machine. */
  assert_null(strstr(table, scratch_folder));
  assert_null(strstr(record, scratch_folder));
  willis_release(table);
  willis_release(record);
  assert_int_equal(willis_experiment_table2(&options, NULL, NULL, &err), WILLIS_EXISTS);
  options.resume = true;
  options.system_epochs[3] = 2;
  assert_int_equal(willis_experiment_table2(&options, NULL, NULL, &err), WILLIS_MISMATCH);
}

/* A second seed and a model from elsewhere: the first seed's scores stay. */
static void takes_more(void **state) {
  (void)state;
  char model[600], line[1024];
  const char *with[] = {model};
  snprintf(model, sizeof model, "%s/models/dae-seed0.safetensors", folder);
  struct willis_experiment_options options = tiny(folder);
  struct willis_error err = {0};
  char *first = read_text(folder, "cases.csv");
  options.resume = true;
  options.seeds = 2;
  options.with = with;
  options.with_count = 1;
  if (willis_experiment_table2(&options, NULL, NULL, &err)) fail_msg("%s", err.message);
  char *more = read_text(folder, "cases.csv"), *table = read_text(folder, "table.md");
  int lines = 0;
  for (const char *at = first; sscanf(at, "%1023[^\n]", line) == 1; at += strlen(line) + 1, lines++)
    assert_int_equal(count(more, line), 1);
  assert_int_equal(lines, 1 + 8);
  assert_int_equal(count(more, "phantom-"), 8 + 4 + 1);
  /* The model's row says what the system's first seed says. */
  const char *own = after(more, "dae,0,"), *other = after(more, "dae-seed0,,");
  assert_int_equal(strncmp(own, other, strcspn(own, "\n")), 0);
  assert_non_null(strstr(table, "| conditional GAN | 2 |"));
  assert_non_null(strstr(table, "| model dae-seed0 | 1 |"));
  willis_release(first);
  willis_release(more);
  willis_release(table);
}

static void refuses(void **state) {
  (void)state;
  struct willis_error err;
  const char *with[] = {"no-such.safetensors"};
  struct willis_experiment_options options = tiny(scratch_path("refused"));
  options.views[0] = 3;
  assert_int_equal(willis_experiment_table2(&options, NULL, NULL, &err), WILLIS_INVALID_ARGUMENT);
  assert_non_null(strstr(err.message, "about 2 views"));
  options = tiny(scratch_path("refused"));
  options.size = 40;
  assert_int_equal(willis_experiment_table2(&options, NULL, NULL, &err), WILLIS_INVALID_ARGUMENT);
  assert_non_null(strstr(err.message, "multiple of 64"));
  options = tiny(scratch_path("refused"));
  options.system_epochs[2] = 0;
  assert_int_equal(willis_experiment_table2(&options, NULL, NULL, &err), WILLIS_INVALID_ARGUMENT);
  options = tiny(scratch_path("refused"));
  options.seeds = -1;
  assert_int_equal(willis_experiment_table2(&options, NULL, NULL, &err), WILLIS_INVALID_ARGUMENT);
  options = tiny(scratch_path("refused"));
  options.with = with;
  options.with_count = 1;
  assert_int_equal(willis_experiment_table2(&options, NULL, NULL, &err), WILLIS_IO);
  assert_non_null(strstr(err.message, "no-such.safetensors"));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(is_written), cmocka_unit_test(takes_more),
                                     cmocka_unit_test(refuses)};
  return cmocka_run_group_tests(tests, set_up, remove_scratch_tree);
}
