/* The table on six phantoms: it is written, it goes on where it was stopped with the same result,
 * and another experiment does not get into its folder. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "patients.h"

enum { PATIENTS = 6 };

static const char *patients;

static int set_up(void **state) {
  if (scratch_make(state)) return -1;
  patients = make_patients(PATIENTS);
  return 0;
}

static struct willis_experiment_options tiny(const char *folder) {
  struct willis_experiment_options options = willis_experiment_defaults();
  options.data = patients;
  options.folder = folder;
  options.first = PATIENTS;
  options.test_last = 2;
  options.validate = 1;
  options.size = 16;
  options.views[0] = 5;
  options.views[1] = 2;
  options.view_count = 2;
  options.epochs = 2;
  options.trial_epochs = 1;
  return options;
}

static char *read_text(const char *folder, const char *name) {
  char path[600];
  unsigned char *bytes;
  size_t size;
  snprintf(path, sizeof path, "%s/%s", folder, name);
  assert_int_equal(willis_file_read(path, 1 << 26, &bytes, &size, NULL), WILLIS_OK);
  return (char *)bytes;
}

static void is_written(void **state) {
  (void)state;
  char folder[512];
  snprintf(folder, sizeof folder, "%s", scratch_path("whole"));
  struct willis_experiment_options options = tiny(folder);
  struct willis_error err = {0};
  if (willis_experiment_table1(&options, NULL, NULL, &err)) fail_msg("%s", err.message);
  static const char *const files[] = {"table.md",
                                      "table.csv",
                                      "cases.csv",
                                      "trials.csv",
                                      "curves.svg",
                                      "figure.png",
                                      "run.json",
                                      "figure-methods.png",
                                      "models/dae-5.safetensors",
                                      "models/dae-2-paper.safetensors"};
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    char path[600];
    snprintf(path, sizeof path, "%s/%s", folder, files[i]);
    assert_int_equal(access(path, F_OK), 0);
  }
  char *table = read_text(folder, "table.md"), *record = read_text(folder, "run.json");
  assert_non_null(strstr(table, "Not a medical device"));
  assert_non_null(strstr(table, "published, other patients"));
  assert_non_null(strstr(table, "visual hull is better"));
  /* No path of this machine. */
  assert_null(strstr(table, scratch_folder));
  assert_null(strstr(record, scratch_folder));
  willis_release(table);
  willis_release(record);
  assert_int_equal(willis_experiment_table1(&options, NULL, NULL, &err), WILLIS_EXISTS);
  options.resume = true;
  options.epochs = 3;
  assert_int_equal(willis_experiment_table1(&options, NULL, NULL, &err), WILLIS_MISMATCH);
}

/* One setting, started with the models of the experiment before: no trials, and no row of the
 * paper's setting anywhere. */
static void one_setting_from_models(void **state) {
  (void)state;
  char folder[512], models[512];
  snprintf(folder, sizeof folder, "%s", scratch_path("warm"));
  snprintf(models, sizeof models, "%s", scratch_path("whole/models"));
  struct willis_experiment_options options = tiny(folder);
  options.size = 24;
  options.setting = "no such";
  options.from = models;
  struct willis_error err = {0};
  assert_int_equal(willis_experiment_table1(&options, NULL, NULL, &err), WILLIS_INVALID_ARGUMENT);
  options.setting = "d";
  if (willis_experiment_table1(&options, NULL, NULL, &err)) fail_msg("%s", err.message);
  char *table = read_text(folder, "table.md"), *cases = read_text(folder, "cases.csv");
  assert_non_null(strstr(table, "without trials"));
  assert_non_null(strstr(table, "network, chosen setting"));
  assert_null(strstr(table, "network, the paper's setting"));
  assert_null(strstr(cases, "network, the paper's setting"));
  willis_release(table);
  willis_release(cases);
  struct willis_network *network;
  char path[600];
  snprintf(path, sizeof path, "%s/models/dae-2.safetensors", folder);
  assert_int_equal(willis_network_read(path, &network, NULL), WILLIS_OK);
  assert_string_equal(willis_network_metadata(network, "size"), "24");
  assert_non_null(willis_network_metadata(network, "started_from"));
  willis_network_destroy(network);
}

/* Says stop at the report that uses up what is left. */
static bool stop_later(const char *what, double done, double total, const char *unit,
                       void *context) {
  (void)what;
  (void)done;
  (void)total;
  (void)unit;
  int *left = context;
  return --*left > 0;
}

static void goes_on(void **state) {
  (void)state;
  char folder[512], whole[512];
  snprintf(whole, sizeof whole, "%s", scratch_path("whole"));
  snprintf(folder, sizeof folder, "%s", scratch_path("parts"));
  struct willis_experiment_options options = tiny(folder);
  struct willis_error err = {0};
  enum willis_status status;
  int sessions = 0;
  do {
    /* Enough to load and test what is done, and a few steps of training. */
    int left = 45 + 2 * sessions;
    struct willis_progress progress = {stop_later, &left};
    status = willis_experiment_table1(&options, &progress, NULL, &err);
    options.resume = true;
    if (status && status != WILLIS_CANCELLED) fail_msg("%s", err.message);
  } while (status && ++sessions < 40);
  assert_int_equal(status, WILLIS_OK);
  assert_true(sessions > 1);
  static const char *const files[] = {"cases.csv", "table.csv", "trials.csv"};
  for (int i = 0; i < 3; i++) {
    char *a = read_text(whole, files[i]), *b = read_text(folder, files[i]);
    assert_string_equal(a, b);
    willis_release(a);
    willis_release(b);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(is_written),
                                     cmocka_unit_test(one_setting_from_models),
                                     cmocka_unit_test(goes_on)};
  return cmocka_run_group_tests(tests, set_up, remove_scratch_tree);
}
