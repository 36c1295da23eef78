/* Messages: complete, cut to fit, and harmless on a terminal. */
#include "base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_every_status_has_a_name_and_a_meaning(void **state) {
  (void)state;
  for (int s = WILLIS_OK; s <= WILLIS_CANCELLED; s++) {
    assert_true(strlen(willis_status_name((enum willis_status)s)) > 1);
    assert_true(strlen(willis_status_meaning((enum willis_status)s)) > 3);
  }
  assert_string_equal(willis_status_name(WILLIS_FORMAT), "FORMAT");
  assert_string_equal(willis_status_name((enum willis_status)9999), "UNKNOWN");
  assert_non_null(willis_status_meaning((enum willis_status) - 1));
}

static void test_fail_fills_and_returns(void **state) {
  (void)state;
  struct willis_error err;
  assert_int_equal(willis_fail(&err, WILLIS_IO, "%s: byte %d", "a.nii", 12), WILLIS_IO);
  assert_int_equal(err.status, WILLIS_IO);
  assert_string_equal(err.message, "a.nii: byte 12");
  assert_int_equal(willis_fail(NULL, WILLIS_FORMAT, "nobody listens"), WILLIS_FORMAT);
}

static void test_memory_message_names_the_size(void **state) {
  (void)state;
  struct willis_error err;
  assert_int_equal(willis_fail_memory(&err, "voxels", 7, 4), WILLIS_OUT_OF_MEMORY);
  assert_string_equal(err.message, "no memory for voxels: 7 items of 4 bytes");
}

static void test_control_bytes_are_escaped(void **state) {
  (void)state;
  struct willis_error err;
  (void)willis_fail(&err, WILLIS_FORMAT, "%s", "a\x1b[2Jb\r\n\x7f");
  assert_string_equal(err.message, "a\\x1b[2Jb\\x0d\\x0a\\x7f");
  /* U+009B starts a control sequence too, like ESC [. Degrees and letters are left alone. */
  (void)willis_fail(&err, WILLIS_FORMAT, "\xc2\x9b%s", "2J \xc2\xb0 \xce\xb1");
  assert_string_equal(err.message, "\\xc2\\x9b2J \xc2\xb0 \xce\xb1");
}

static void test_escaping_twice_changes_nothing(void **state) {
  (void)state;
  char once[64], twice[64], small[4] = "???";
  willis_text_escape(once, sizeof once, "a\tb");
  willis_text_escape(twice, sizeof twice, once);
  assert_string_equal(once, "a\\x09b");
  assert_string_equal(twice, once);
  willis_text_escape(small, sizeof small, "ab\t"); /* half an escape would say something else */
  assert_string_equal(small, "ab");
}

static void test_long_messages_are_cut(void **state) {
  (void)state;
  struct willis_error err;
  char text[2000];
  memset(text, '\n', sizeof text - 1);
  text[sizeof text - 1] = 0;
  (void)willis_fail(&err, WILLIS_FORMAT, "%s", text);
  size_t n = strlen(err.message);
  assert_true(n < sizeof err.message && n > sizeof err.message - 8);
  assert_string_equal(err.message + n - 4, "\\x0a"); /* no half escape */
}

static void test_prefixes_nest(void **state) {
  (void)state;
  struct willis_error err;
  (void)willis_fail(&err, WILLIS_FORMAT, "tag %c", 1);
  assert_int_equal(willis_fail_in(&err, WILLIS_FORMAT, "slice 3"), WILLIS_FORMAT);
  assert_int_equal(willis_fail_in(&err, WILLIS_FORMAT, "head\n"), WILLIS_FORMAT);
  assert_string_equal(err.message, "head\\x0a: slice 3: tag \\x01");
  assert_int_equal(willis_fail_in(NULL, WILLIS_IO, "x"), WILLIS_IO);
  for (int i = 0; i < 500; i++) (void)willis_fail_in(&err, WILLIS_FORMAT, "again");
  assert_true(strlen(err.message) < sizeof err.message);
}

static void keep(const char *message, void *context) {
  strcpy(context, message);
}

static void test_warnings_reach_the_listener(void **state) {
  (void)state;
  char got[600] = "";
  struct willis_warnings warnings = {keep, got};
  willis_warn(&warnings, "line %d\tis cut", 9);
  assert_string_equal(got, "line 9\\x09is cut");
  willis_warn(NULL, "nobody");
  willis_warn(&(struct willis_warnings){NULL, NULL}, "nobody");
  assert_string_equal(got, "line 9\\x09is cut");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_status_has_a_name_and_a_meaning),
      cmocka_unit_test(test_fail_fills_and_returns),
      cmocka_unit_test(test_memory_message_names_the_size),
      cmocka_unit_test(test_control_bytes_are_escaped),
      cmocka_unit_test(test_escaping_twice_changes_nothing),
      cmocka_unit_test(test_long_messages_are_cut),
      cmocka_unit_test(test_prefixes_nest),
      cmocka_unit_test(test_warnings_reach_the_listener),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
