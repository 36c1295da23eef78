/* The bad files of tests/bad, each read as what it is said to be: the status and the message that
 * expected.txt names, no more than 32 MiB and a tenth of a second taken whatever a header claims,
 * nothing held afterwards. */
#define _GNU_SOURCE
#include "io_test.h"

#include "base/file.h"
#include "counting_allocator.h"
#include "io/angiogram.h"

#include <time.h>

enum { MOST_BYTES = 32 << 20, TRIES = 5 };
#ifdef __SANITIZE_ADDRESS__
static const double most_s = 1;
#else
static const double most_s = 0.1;
#endif

static enum willis_status read_whatever(const char *path, struct willis_error *err) {
  enum willis_file_kind kind;
  const char *format;
  struct willis_volume volume = {0};
  struct willis_projections stack = {0};
  struct willis_mesh mesh = {0};
  struct willis_tree tree = {0};
  struct willis_angiogram run;
  enum willis_status status = willis_file_identify(path, &kind, &format, err);
  if (status) return status;
  if (kind == WILLIS_FILE_PROJECTIONS)
    status = willis_projections_read(path, &stack, NULL, err);
  else if (kind == WILLIS_FILE_MESH)
    status = willis_mesh_read(path, &mesh, NULL, err);
  else if (kind == WILLIS_FILE_TREE)
    status = willis_tree_read(path, &tree, NULL, err);
  else if (kind == WILLIS_FILE_ANGIOGRAM)
    status = willis_angiogram_open(path, &run, NULL, err);
  else
    status = willis_volume_read(path, &volume, NULL, err);
  if (kind == WILLIS_FILE_ANGIOGRAM && !status) willis_angiogram_close(&run);
  willis_volume_release(&volume);
  willis_projections_release(&stack);
  willis_mesh_release(&mesh);
  willis_tree_release(&tree);
  return status;
}

static double processor_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void test_every_file(void **state) {
  (void)state;
  FILE *list = fopen("../bad/expected.txt", "r");
  assert_non_null(list);
  char line[512], name[128], status_name[64], part[256], path[160];
  int files = 0;
  while (fgets(line, sizeof line, list)) {
    if (line[0] == '#') continue;
    assert_int_equal(sscanf(line, "%127s %63s %255[^\n]", name, status_name, part), 3);
    snprintf(path, sizeof path, "../bad/%s", name);
    struct counting_allocator counting = {0};
    struct willis_error err = {.message = ""};
    counting_allocator_use(&counting);
    /* The least of a few: a busy machine's caches are not the file's fault. */
    enum willis_status status = WILLIS_OK;
    double least_s = INFINITY;
    for (int i = 0; i < TRIES && least_s > most_s; i++) {
      const double begun_s = processor_s();
      status = read_whatever(path, &err);
      least_s = fmin(least_s, processor_s() - begun_s);
    }
    counting_allocator_use(NULL);
    if (least_s > most_s) fail_msg("%s: %.3f s of processor time", name, least_s);
    assert_int_equal(counting.held, 0);
    if (counting.peak > MOST_BYTES) fail_msg("%s: %zu bytes were taken", name, counting.peak);
    if (strcmp(willis_status_name(status), status_name) || !strstr(err.message, part))
      fail_msg("%s: %s, \"%s\"; expected %s, \"%s\"", name, willis_status_name(status), err.message,
               status_name, part);
    /* A message names the file that was asked for, or the one beside it. */
    assert_non_null(strstr(err.message, "../bad/"));
    files++;
  }
  fclose(list);
  assert_true(files > 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_file)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
