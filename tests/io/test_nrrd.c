/* NRRD: headers as texts, and files beside them. */
#include "io/nrrd.h"

#include "io_test.h"

#include "base/file.h"

#include <zlib.h>

static enum willis_status read_and_release(const unsigned char *bytes, size_t size,
                                           struct willis_error *err) {
  struct willis_limits limits = willis_limits_defaults();
  struct willis_volume volume;
  enum willis_status status = willis_nrrd_parse(bytes, size, &limits, NULL, &volume, NULL, err);
  willis_volume_release(&volume);
  return status;
}

#define GOOD                                                                                       \
  "NRRD0004\n# a remark\ntype: uint8\ndimension: 3\nspace: left-posterior-superior\n"              \
  "sizes: 2 3 1\nspace directions: (0.5,0,0) (0,2,0) (0,0,3)\nkinds: domain domain domain\n"       \
  "encoding: raw\nspace origin: (1,2,3)\nkey:=value\n\nabcdef"

static enum willis_status read_text(const char *text, struct willis_volume *volume,
                                    const struct willis_warnings *warnings,
                                    struct willis_error *err) {
  struct willis_limits limits = willis_limits_defaults();
  return willis_nrrd_parse((const unsigned char *)text, strlen(text), &limits, NULL, volume,
                           warnings, err);
}

/* GOOD with the line that begins with `field` replaced by `line` ("" leaves it out). */
static const char *with(const char *field, const char *line) {
  static char text[1024];
  const char *at = strstr(GOOD, field), *end = strchr(at, '\n');
  snprintf(text, sizeof text, "%.*s%s%s%s", (int)(at - GOOD), GOOD, line, *line ? "\n" : "",
           end + 1);
  return text;
}

static void test_a_good_one(void **state) {
  (void)state;
  struct willis_volume volume;
  struct heard heard = {0};
  assert_ok(read_text(GOOD, &volume, LISTEN(heard), &err));
  const struct willis_grid expected = {
      {2, 3, 1}, {0.5, 2, 3}, {1, 2, 3}, {1, 0, 0, 0, 1, 0, 0, 0, 1}};
  assert_memory_equal(expected.size, volume.grid.size, sizeof expected.size);
  assert_same_place(&expected, &volume.grid, 0);
  for (int i = 0; i < 6; i++) assert_true(volume.voxels[i] == 'a' + i);
  assert_true(volume.integral && heard.count == 0);
  willis_volume_release(&volume);
}

/* x and y change sign between RAS and LPS, x between LAS and LPS. */
static void test_spaces(void **state) {
  (void)state;
  static const struct {
    const char *line;
    double x, y;
    int warnings;
  } cases[] = {{"space: LPS", 1, 1, 0},
               {"space: right-anterior-superior", -1, -1, 0},
               {"space: RAS", -1, -1, 0},
               {"space: Left-Anterior-Superior", 1, -1, 0},
               {"", 1, 1, 1}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct willis_volume volume;
    struct heard heard = {0};
    assert_ok(read_text(with("space: ", cases[i].line), &volume, LISTEN(heard), &err));
    assert_int_equal(heard.count, cases[i].warnings);
    assert_true(volume.grid.direction[0] == cases[i].x && volume.grid.direction[4] == cases[i].y);
    assert_true(volume.grid.origin_mm[0] == cases[i].x &&
                volume.grid.origin_mm[1] == 2 * cases[i].y);
    willis_volume_release(&volume);
  }
}

static void test_units_and_spacings(void **state) {
  (void)state;
  struct willis_volume volume;
  assert_ok(read_text(with("kinds", "space units: \"um\" \"cm\" \"m\""), &volume, NULL, &err));
  assert_true(fabs(volume.grid.spacing_mm[0] - 5e-4) < 1e-15);
  assert_true(volume.grid.spacing_mm[1] == 20 && volume.grid.origin_mm[2] == 3000);
  willis_volume_release(&volume);
  assert_ok(read_text(with("space directions", "spacings: 1 2 3.5"), &volume, NULL, &err));
  assert_true(volume.grid.spacing_mm[2] == 3.5 && volume.grid.direction[8] == 1);
  willis_volume_release(&volume);
}

static void test_text_encoding(void **state) {
  (void)state;
  static const char head[] = "NRRD0003\ntype: float\ndimension: 3\nspace: LPS\nsizes: 2 1 2\n"
                             "spacings: 1 1 1\nencoding: ascii\n\n";
  char text[256];
  struct willis_volume volume;
  snprintf(text, sizeof text, "%s1.5 -2e3\n0 4\n", head);
  assert_ok(read_text(text, &volume, NULL, &err));
  assert_true(volume.voxels[0] == 1.5f && volume.voxels[1] == -2000 && volume.voxels[3] == 4);
  willis_volume_release(&volume);
  snprintf(text, sizeof text, "%s1.5 -2e3 x 4\n", head);
  assert_status(read_text(text, &volume, NULL, &err), WILLIS_FORMAT, "voxel 2 of 4");
  snprintf(text, sizeof text, "%s1", head);
  assert_status(read_text(text, &volume, NULL, &err), WILLIS_FORMAT, "claims");
}

static void test_an_axis_that_is_not_in_space(void **state) {
  (void)state;
  struct willis_volume volume;
  static const char four[] =
      "NRRD0004\ntype: int8\ndimension: 4\nspace: LPS\nsizes: %s\n"
      "space directions: none (1,0,0) (0,1,0) (0,0,1)\nencoding: raw\n\nabcdefghijkl";
  char text[512];
  snprintf(text, sizeof text, four, "1 2 3 2");
  assert_ok(read_text(text, &volume, NULL, &err));
  assert_true(volume.grid.size[0] == 2 && volume.grid.size[1] == 3 && volume.grid.size[2] == 2);
  willis_volume_release(&volume);
  snprintf(text, sizeof text, four, "2 2 3 1");
  assert_status(read_text(text, &volume, NULL, &err), WILLIS_UNSUPPORTED, "2 values along axis 0");
}

static void test_bad_headers(void **state) {
  (void)state;
  static const struct {
    const char *field, *line;
    enum willis_status status;
    const char *part;
  } cases[] = {
      {"NRRD", "NRRD0009", WILLIS_FORMAT, "line 1"},
      {"NRRD", "NRRD", WILLIS_FORMAT, "line 1"},
      {"type", "", WILLIS_FORMAT, "\"type\" is missing"},
      {"type", "type: uint9", WILLIS_FORMAT, "line 3: expected a type"},
      {"type", "type: block", WILLIS_UNSUPPORTED, "block"},
      {"type", "type: short", WILLIS_FORMAT, "\"endian\" is missing"},
      {"type", "type: short\nendian: little", WILLIS_FORMAT, "claims 12 bytes"},
      {"type", "type short", WILLIS_FORMAT, "\"field: value\""},
      {"dimension", "dimension: 9", WILLIS_FORMAT, "dimension"},
      {"dimension", "dimension: 2", WILLIS_FORMAT, "as many sizes"},
      {"dimension", "", WILLIS_FORMAT, "the dimension before this"},
      {"sizes", "", WILLIS_FORMAT, "\"sizes\" is missing"},
      {"sizes", "sizes: 2 3", WILLIS_FORMAT, "size"},
      {"sizes", "sizes: 2 3 0", WILLIS_FORMAT, "at least 1"},
      {"sizes", "sizes: 2 3 -1", WILLIS_FORMAT, "at least 1"},
      {"sizes", "sizes: 2 3 99999999999999999999", WILLIS_FORMAT, "at least 1"},
      {"sizes", "sizes: 2 3 4097", WILLIS_FORMAT, "at most 4096"},
      {"sizes", "sizes: 4096 4096 4096", WILLIS_FORMAT, "claims 68719476736 bytes"},
      {"space: ", "space: scanner-xyz", WILLIS_UNSUPPORTED, "space"},
      {"space directions", "", WILLIS_GEOMETRY, "neither space directions nor spacings"},
      {"space directions", "space directions: (1,0,0) (0,1,0)", WILLIS_FORMAT, "every axis"},
      {"space directions", "space directions: (1,0,0) (0,1,0) (0,0,nan)", WILLIS_GEOMETRY, NULL},
      {"space directions", "space directions: (1,0,0) (0,1,0) (0,0,0)", WILLIS_GEOMETRY, NULL},
      {"space directions", "space directions: (1,0,0) (1,1,0) (0,0,1)", WILLIS_GEOMETRY, NULL},
      {"space directions", "space directions: none none none", WILLIS_UNSUPPORTED, NULL},
      {"space directions", "spacings: 1 1 -1", WILLIS_GEOMETRY, "-1"},
      {"space directions", "spacings: 1 0 1", WILLIS_GEOMETRY, "spacings: 0"},
      {"space origin", "space origin: (1,2)", WILLIS_FORMAT, "(x,y,z)"},
      {"space origin", "space origin: (1,2,inf)", WILLIS_GEOMETRY, "origin"},
      {"encoding", "", WILLIS_FORMAT, "\"encoding\" is missing"},
      {"encoding", "encoding: bzip2", WILLIS_UNSUPPORTED, "encoding"},
      {"encoding", "encoding: gzip", WILLIS_FORMAT, "compressed data"},
      {"encoding", "encoding: raw\nbyte skip: -2", WILLIS_FORMAT, "byte skip"},
      {"encoding", "encoding: raw\nbyte skip: 1", WILLIS_FORMAT, "there are 5"},
      {"encoding", "encoding: raw\nbyte skip: 9223372036854775807", WILLIS_FORMAT, "byte skip"},
      {"encoding", "encoding: raw\nline skip: 3", WILLIS_FORMAT, "3 lines to skip"},
      {"encoding", "encoding: raw\ndata file: ../secret.raw", WILLIS_FORMAT, "the same folder"},
      {"encoding", "encoding: raw\ndata file: /etc/passwd", WILLIS_FORMAT, "the same folder"},
      {"encoding", "encoding: raw\ndata file: ..", WILLIS_FORMAT, "the same folder"},
      {"encoding", "encoding: raw\ndata file: LIST", WILLIS_UNSUPPORTED, "several files"},
      {"encoding", "encoding: raw\ndata file: a%03d.raw 1 20 1", WILLIS_UNSUPPORTED, "several"},
      {"encoding", "encoding: raw\ndata file: a.raw", WILLIS_UNSUPPORTED, "another file"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct willis_volume volume;
    assert_status(read_text(with(cases[i].field, cases[i].line), &volume, NULL, &err),
                  cases[i].status, cases[i].part);
  }
  struct willis_volume volume;
  assert_status(read_text("NRRD0004\ntype: uint8\ndimension: 3\nsizes: 1 1 1\nencoding: raw\n"
                          "spacings: 1 1 1",
                          &volume, NULL, &err),
                WILLIS_FORMAT, "does not end");
}

static void test_any_bytes(void **state) {
  (void)state;
  const unsigned char *good = (const unsigned char *)GOOD;
  cut_everywhere(read_and_release, good, sizeof GOOD - 1, sizeof GOOD - 1);
  change_everywhere(read_and_release, good, sizeof GOOD - 1);
  starve(read_and_release, good, sizeof GOOD - 1);
}

/* ---- files beside ---- */

static const char *put_header(const char *more) {
  char text[512];
  snprintf(text, sizeof text,
           "NRRD0004\ntype: ushort\nendian: big\ndimension: 3\nspace: LPS\nsizes: 3 1 1\n"
           "spacings: 1 1 1\n%s\n",
           more);
  const char *path = scratch_path("a.nhdr");
  put_file(path, text, strlen(text));
  return path;
}

static void assert_one_two_three(const char *path) {
  struct willis_volume volume;
  assert_ok(willis_volume_read(path, &volume, NULL, &err));
  for (int i = 0; i < 3; i++) assert_true(volume.voxels[i] == i + 1);
  willis_volume_release(&volume);
}

static void test_a_data_file_beside(void **state) {
  (void)state;
  static const char data[] = "one line\n??\0\1\0\2\0\3";
  put_file(scratch_path("a.raw"), data, sizeof data - 1);
  assert_one_two_three(put_header("encoding: raw\nbyte skip: 11\ndata file: a.raw"));
  assert_one_two_three(put_header("encoding: raw\nbyte skip: -1\ndata file: a.raw"));
  assert_one_two_three(put_header("encoding: raw\nline skip: 1\nbyte skip: 2\ndata file: a.raw"));

  assert_ok(willis_file_write(scratch_path("a.raw"), data + 11, 6, true, true, &err));
  assert_one_two_three(put_header("encoding: gzip\ndata file: a.raw"));
  assert_ok(willis_file_write(scratch_path("a.raw"), data, sizeof data - 1, true, true, &err));
  assert_one_two_three(put_header("encoding: gzip\nbyte skip: 11\ndatafile: a.raw"));
  assert_one_two_three(put_header("encoding: gzip\nbyte skip: -1\ndata file: a.raw"));
  struct willis_volume volume;
  assert_status(
      willis_volume_read(put_header("encoding: gzip\ndata file: a.raw"), &volume, NULL, &err),
      WILLIS_FORMAT, "beyond 6 bytes");
  assert_status(
      willis_volume_read(put_header("encoding: raw\ndata file: b.raw"), &volume, NULL, &err),
      WILLIS_IO, "b.raw");
}

static void test_a_data_file_that_is_none(void **state) {
  (void)state;
  struct willis_volume volume;
  put_file(scratch_path("a.raw"), "\0\1\0\2\0\3", 6);
  assert_int_equal(symlink("a.raw", scratch_path("link.raw")), 0);
  assert_int_equal(mkfifo(scratch_path("fifo.raw"), 0600), 0);
  assert_status(
      willis_volume_read(put_header("encoding: raw\ndata file: link.raw"), &volume, NULL, &err),
      WILLIS_FORMAT, "no link");
  assert_status(
      willis_volume_read(put_header("encoding: raw\ndata file: fifo.raw"), &volume, NULL, &err),
      WILLIS_FORMAT, "no link");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_good_one),
      cmocka_unit_test(test_spaces),
      cmocka_unit_test(test_units_and_spacings),
      cmocka_unit_test(test_text_encoding),
      cmocka_unit_test(test_an_axis_that_is_not_in_space),
      cmocka_unit_test(test_bad_headers),
      cmocka_unit_test(test_any_bytes),
      SCRATCH_TEST(test_a_data_file_beside),
      SCRATCH_TEST(test_a_data_file_that_is_none),
  };
  return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
