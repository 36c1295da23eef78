/* The text of a calibration: what is read, what is refused, and what lies between its rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <willis/reconstruct.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

static struct willis_calibration parsed(const char *text) {
  struct willis_calibration calibration;
  struct willis_error err;
  if (willis_calibration_parse(text, &calibration, &err)) fail_msg("%s: %s", text, err.message);
  return calibration;
}

static void reads_rows(void **state) {
  (void)state;
  const struct willis_calibration c = parsed("max 2 1.5 0.4; max 8 1 .3;sum 3  2e0 0.25 ");
  assert_int_equal(c.count, 3);
  assert_true(c.row[0].mode == WILLIS_PROJECTION_MAX && c.row[2].mode == WILLIS_PROJECTION_SUM);
  assert_int_equal(c.row[1].views, 8);
  assert_true(c.row[0].temperature == 1.5 && c.row[2].temperature == 2);
  assert_true(c.row[0].threshold == 0.4 && c.row[1].threshold == 0.3);
}

static void refuses_what_is_none(void **state) {
  (void)state;
  static const char *const bad[] = {
      "",
      " ",
      ";",
      "max",
      "max 2",
      "max 2 1.5",
      "max 2 1.5 0.4 7",
      "max 2 1.5 0.4; ;max 3 1 0.4",
      "min 2 1.5 0.4",
      "MAX 2 1.5 0.4",
      "max 2.5 1.5 0.4",
      "max 0 1.5 0.4",
      "max -2 1.5 0.4",
      "max 1001 1.5 0.4",
      "max 99999999999999999999 1.5 0.4",
      "max 2 0 0.4",
      "max 2 -1 0.4",
      "max 2 nan 0.4",
      "max 2 inf 0.4",
      "max 2 1e9 0.4",
      "max 2 0x1p0 0.4",
      "max 2 1,5 0.4",
      "max 2 1.5 1.4",
      "max 2 1.5 -0.1",
      "max 2 1.5 0.4; max 2 1.5 0.4",
      "max 3 1.5 0.4; max 2 1.5 0.4",
      "sum 2 1.5 0.4; max 2 1.5 0.4",
      "max 2 1.5 0.4\n",
      "max 2 1.00000000000000000000000000000000000001 0.4",
      "\xff\xfe 2 1.5 0.4",
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    struct willis_calibration calibration;
    struct willis_error err = {0};
    if (willis_calibration_parse(bad[i], &calibration, &err) != WILLIS_FORMAT)
      fail_msg("'%s' was read", bad[i]);
    assert_int_equal(calibration.count, 0);
    assert_non_null(strstr(err.message, "calibration"));
  }
}

static void refuses_too_many(void **state) {
  (void)state;
  char text[64 * (WILLIS_CALIBRATION_ROWS + 1)] = "";
  struct willis_calibration calibration;
  struct willis_error err;
  for (int i = 0, n = 0; i <= WILLIS_CALIBRATION_ROWS; i++) {
    n += snprintf(text + n, sizeof text - (size_t)n, "max %d 1 0.5;", i + 1);
    if (i + 1 == WILLIS_CALIBRATION_ROWS) assert_int_equal(parsed(text).count, i + 1);
  }
  assert_int_equal(willis_calibration_parse(text, &calibration, &err), WILLIS_FORMAT);
  assert_non_null(strstr(err.message, "more than"));
}

static void every_cut_and_every_byte_is_read_or_refused(void **state) {
  (void)state;
  static const char whole[] = "max 2 1.31 0.412; max 10 1.12 0.43; sum 2 1.4 0.39";
  char text[sizeof whole];
  for (size_t at = 0; at < sizeof whole - 1; at++)
    for (int byte = 0; byte < 256; byte++) {
      struct willis_calibration c;
      memcpy(text, whole, sizeof whole);
      text[at] = (char)byte; /* 0 cuts */
      const enum willis_status status = willis_calibration_parse(text, &c, NULL);
      assert_true(status == WILLIS_OK || status == WILLIS_FORMAT);
      for (int i = 0; i < c.count; i++) {
        assert_true(c.row[i].views >= 1 && c.row[i].views <= 1000);
        assert_true(c.row[i].temperature >= 0.01 && c.row[i].temperature <= 100);
        assert_true(c.row[i].threshold >= 0 && c.row[i].threshold <= 1);
      }
    }
}

static void near(double value, double expected) {
  if (fabs(value - expected) > 1e-12) fail_msg("%.15g, expected %.15g", value, expected);
}

static void goes_between_rows(void **state) {
  (void)state;
  const struct willis_calibration c = parsed("max 2 1.5 0.4; max 8 1 0.3; max 9 3 0.9");
  struct willis_calibration_row at = willis_calibration_at(&c, WILLIS_PROJECTION_MAX, 4, 0.5);
  near(at.temperature, 1.25); /* half the way from log2 2 to log2 8 */
  near(at.threshold, 0.35);
  at = willis_calibration_at(&c, WILLIS_PROJECTION_MAX, 8, 0.5);
  near(at.temperature, 1);
  near(at.threshold, 0.3);
  at = willis_calibration_at(&c, WILLIS_PROJECTION_MAX, 1, 0.5);
  near(at.temperature, 1.5);
  at = willis_calibration_at(&c, WILLIS_PROJECTION_MAX, 90, 0.5);
  near(at.temperature, 3);
  near(at.threshold, 0.9);
  at = willis_calibration_at(&c, WILLIS_PROJECTION_SUM, 4, 0.7);
  near(at.temperature, 1);
  near(at.threshold, 0.7);
}

static void lies_in_the_metadata(void **state) {
  (void)state;
  struct willis_network *network;
  struct willis_calibration c = parsed("max 2 1.31 0.412; sum 10 1.12 0.43"), again;
  struct willis_model_card card;
  struct willis_error err = {0};
  struct willis_projections stack = {.mode = WILLIS_PROJECTION_MAX, .view_count = 2};
  assert_int_equal(willis_network_create("hull", 1, &network, NULL), WILLIS_OK);
  assert_int_equal(willis_network_metadata_set(network, "size", "64", NULL), WILLIS_OK);
  assert_int_equal(willis_network_metadata_set(network, "projection", "both", NULL), WILLIS_OK);
  assert_int_equal(willis_network_metadata_set(network, "threshold", "0.6", NULL), WILLIS_OK);
  assert_int_equal(willis_model_describe(network, &card, &err), WILLIS_UNSUPPORTED);
  assert_non_null(strstr(err.message, "inputs ''"));
  assert_int_equal(willis_network_metadata_set(network, "inputs", "2", NULL), WILLIS_OK);
  assert_int_equal(willis_model_describe(network, &card, &err), WILLIS_UNSUPPORTED);
  assert_int_equal(willis_network_metadata_set(network, "inputs", "3", NULL), WILLIS_OK);
  /* One that is not calibrated. */
  assert_int_equal(willis_calibration_of(network, &again, NULL), WILLIS_OK);
  assert_int_equal(again.count, 0);
  assert_int_equal(willis_model_describe(network, &card, NULL), WILLIS_OK);
  near(willis_model_threshold(&card, &stack), 0.6);
  assert_int_equal(willis_calibration_store(&c, network, &err), WILLIS_OK);
  assert_string_equal(willis_network_metadata(network, "calibration"),
                      "max 2 1.31 0.412; sum 10 1.12 0.43");
  assert_int_equal(willis_calibration_of(network, &again, NULL), WILLIS_OK);
  assert_int_equal(again.count, 2);
  assert_int_equal(willis_model_describe(network, &card, NULL), WILLIS_OK);
  near(willis_model_threshold(&card, &stack), 0.412);
  c.row[0].temperature = NAN;
  assert_int_equal(willis_calibration_store(&c, network, &err), WILLIS_INVALID_ARGUMENT);
  c.count = 0;
  assert_int_equal(willis_calibration_store(&c, network, &err), WILLIS_INVALID_ARGUMENT);
  assert_int_equal(willis_network_metadata_set(network, "calibration", "max 2 0 1", NULL),
                   WILLIS_OK);
  assert_int_equal(willis_model_describe(network, &card, &err), WILLIS_FORMAT);
  assert_non_null(strstr(err.message, "metadata: calibration, row 1: 'max 2 0 1'"));
  willis_network_destroy(network);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads_rows),
      cmocka_unit_test(refuses_what_is_none),
      cmocka_unit_test(refuses_too_many),
      cmocka_unit_test(every_cut_and_every_byte_is_read_or_refused),
      cmocka_unit_test(goes_between_rows),
      cmocka_unit_test(lies_in_the_metadata),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
