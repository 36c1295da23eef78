/* Which patients a folder or a list names, and in which order. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "scratch.h"

#include <willis/train.h>

static void touch(const char *name, const char *text) {
  assert_int_equal(willis_file_write(scratch_path(name), text, strlen(text), true, false, NULL),
                   WILLIS_OK);
}

static void folder_in_byte_order(void **state) {
  (void)state;
  static const char *const names[] = {"b.obj.gz", "B.nii.gz", "a.swc",    "a10.stl",
                                      "a9.ply",   ".x.swc",   "notes.md", "c.raw"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) touch(names[i], "");
  struct willis_cohort cohort;
  assert_int_equal(willis_cohort_read(scratch_folder, &cohort, NULL), WILLIS_OK);
  static const char *const expected[] = {"B", "a", "a10", "a9", "b"};
  assert_int_equal(cohort.count, 5);
  for (int i = 0; i < 5; i++) assert_string_equal(cohort.cases[i].name, expected[i]);
  assert_string_equal(cohort.name, strrchr(scratch_folder, '/') + 1);
  willis_cohort_release(&cohort);
}

static void list_in_its_own_order(void **state) {
  (void)state;
  touch("x.swc", "");
  touch("y.swc", "");
  touch("list.txt", "# cohort\r\n y.swc # second\n\n\tx.swc");
  struct willis_cohort cohort;
  assert_int_equal(willis_cohort_read(scratch_path("list.txt"), &cohort, NULL), WILLIS_OK);
  assert_int_equal(cohort.count, 2);
  assert_string_equal(cohort.cases[0].name, "y");
  assert_string_equal(cohort.cases[0].path, scratch_path("y.swc"));
  assert_string_equal(cohort.name, "list");
  willis_cohort_release(&cohort);
}

static void bad_lists(void **state) {
  (void)state;
  static const struct {
    const char *text, *says;
    enum willis_status status;
  } bad[] = {
      {"x.swc\nnone.swc\n", "line 2", WILLIS_IO},
      {"x.swc\n\nx.swc\n", "listed twice", WILLIS_FORMAT},
      {"# nobody\n", "names no patient", WILLIS_FORMAT},
  };
  touch("x.swc", "");
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    struct willis_cohort cohort;
    struct willis_error err;
    touch("list.txt", bad[i].text);
    assert_int_equal(willis_cohort_read(scratch_path("list.txt"), &cohort, &err), bad[i].status);
    assert_non_null(strstr(err.message, bad[i].says));
    assert_null(cohort.cases);
  }
  struct willis_cohort cohort;
  assert_int_equal(willis_cohort_read(scratch_path("nowhere"), &cohort, NULL), WILLIS_IO);
}

static void empty_folder(void **state) {
  (void)state;
  struct willis_cohort cohort;
  struct willis_error err;
  assert_int_equal(willis_cohort_read(scratch_folder, &cohort, &err), WILLIS_FORMAT);
  assert_non_null(strstr(err.message, "no patients"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(folder_in_byte_order, scratch_empty),
      cmocka_unit_test_teardown(list_in_its_own_order, scratch_empty),
      cmocka_unit_test_teardown(bad_lists, scratch_empty),
      cmocka_unit_test(empty_folder),
  };
  return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
