/* Projection stacks: the text, the image, and both together. */
#include "io/stack.h"

#include "base/io_table.h"
#include "io_test.h"

#include <errno.h>

enum { COLUMNS = 5, ROWS = 4, VIEWS = 2 };

#define VIEW                                                                                       \
  "{\"kind\":\"parallel\",\"primary_angle_deg\":30,\"secondary_angle_deg\":-5,"                    \
  "\"column_spacing_mm\":0.5,\"row_spacing_mm\":2}"
#define CONE                                                                                       \
  "{\"kind\":\"cone\",\"primary_angle_deg\":90,\"secondary_angle_deg\":0,"                         \
  "\"column_spacing_mm\":0.5,\"row_spacing_mm\":2,\"source_to_detector_mm\":1000,"                 \
  "\"source_to_isocenter_mm\":700,\"principal_column\":1,\"principal_row\":-3.5,\"values\":"       \
  "\"sum\"}"
#define GRID                                                                                       \
  "{\"size\":[4,5,6],\"spacing\":[1,2,3],\"origin\":[0,0,0],\"direction\":[1,0,0,0,1,0,0,0,1]}"
#define GOOD                                                                                       \
  "{\"frame\":\"LPS\",\"mode\":\"sum\",\"isocenter_mm\":[1,2,3],\"other\":{},\"grid\":" GRID       \
  ",\"views\":[" VIEW "," CONE "]}"

/* Into a stack of the usual sizes. */
static enum willis_status read_text(const unsigned char *bytes, size_t size,
                                    struct willis_projections *stack, struct willis_error *err) {
  enum willis_status status = willis_projections_create(stack, COLUMNS, ROWS, VIEWS, err);
  if (!status) status = willis_stack_parse_json(bytes, size, stack, err);
  return status;
}
static enum willis_status read_and_release(const unsigned char *bytes, size_t size,
                                           struct willis_error *err) {
  struct willis_projections stack;
  enum willis_status status = read_text(bytes, size, &stack, err);
  willis_projections_release(&stack);
  return status;
}

static void test_a_good_text(void **state) {
  (void)state;
  struct willis_projections stack;
  assert_ok(read_text((const unsigned char *)GOOD, sizeof GOOD - 1, &stack, &err));
  assert_int_equal(stack.mode, WILLIS_PROJECTION_SUM);
  assert_true(stack.isocenter_mm[2] == 3 && stack.has_grid && stack.grid.size[2] == 6);
  const struct willis_view *a = &stack.view[0], *b = &stack.view[1];
  assert_int_equal(a->kind, WILLIS_VIEW_PARALLEL);
  assert_true(a->primary_angle_deg == 30 && a->secondary_angle_deg == -5);
  assert_true(a->principal_column == 2 && a->principal_row == 1.5); /* the middle */
  assert_true(a->source_to_detector_mm == 0);
  assert_int_equal(b->kind, WILLIS_VIEW_CONE);
  assert_true(b->source_to_detector_mm == 1000 && b->source_to_isocenter_mm == 700);
  assert_true(b->principal_column == 1 && b->principal_row == -3.5);
  willis_projections_release(&stack);
}

/* GOOD with every `from` replaced by `to`. */
static const char *with(const char *from, const char *to) {
  static char text[4096];
  size_t used = 0;
  for (const char *at = GOOD; *at;) {
    bool found = strncmp(at, from, strlen(from)) == 0;
    used += (size_t)snprintf(text + used, sizeof text - used, "%.*s", found ? (int)strlen(to) : 1,
                             found ? to : at);
    at += found ? strlen(from) : 1;
  }
  return text;
}

static void test_what_is_refused(void **state) {
  (void)state;
  static const struct {
    const char *from, *to;
    enum willis_status status;
    const char *part;
  } cases[] = {
      {"\"frame\"", "\"f\"", WILLIS_GEOMETRY, "frame is missing, expected \"LPS\""},
      {"LPS", "RAS", WILLIS_UNSUPPORTED, "frame is \"RAS\", expected \"LPS\""},
      {"\"mode\"", "\"m\"", WILLIS_GEOMETRY, "mode is missing"},
      {"\"mode\":\"sum\"", "\"mode\":\"mean\"", WILLIS_UNSUPPORTED, "mode is \"mean\""},
      {"\"mode\":\"sum\"", "\"mode\":\"max\"", WILLIS_UNSUPPORTED, "views[1].values is \"sum\""},
      {"isocenter_mm", "isocentre", WILLIS_GEOMETRY, "isocenter_mm is missing"},
      {"[1,2,3],\"other", "[1,2],\"other", WILLIS_FORMAT, "isocenter_mm"},
      {"\"views\"", "\"v\"", WILLIS_GEOMETRY, "views is missing"},
      {"," CONE, "", WILLIS_MISMATCH, "views has 1 entries, but the image has 2"},
      {VIEW, "3", WILLIS_FORMAT, "an array of objects"},
      {"parallel", "fan", WILLIS_UNSUPPORTED, "views[0].kind is \"fan\""},
      {"\"kind\"", "\"k\"", WILLIS_GEOMETRY, "views[0].kind is missing"},
      {"primary_angle_deg\":90", "p\":90", WILLIS_GEOMETRY,
       "views[1].primary_angle_deg is missing"},
      {"secondary_angle_deg\":-5", "s\":-5", WILLIS_GEOMETRY,
       "views[0].secondary_angle_deg is missing"},
      {"primary_angle_deg\":90", "primary_angle_deg\":\"90\"", WILLIS_FORMAT,
       "views[1].primary_angle_deg: expected degrees"},
      {"primary_angle_deg\":90", "primary_angle_deg\":900", WILLIS_GEOMETRY,
       "primary angle is 900"},
      {"secondary_angle_deg\":-5", "secondary_angle_deg\":-95", WILLIS_GEOMETRY, "-95"},
      {"column_spacing_mm", "c", WILLIS_GEOMETRY, "views[0].column_spacing_mm is missing"},
      {"column_spacing_mm\":0.5", "column_spacing_mm\":0", WILLIS_GEOMETRY, "column spacing is 0"},
      {"row_spacing_mm\":2", "row_spacing_mm\":-2", WILLIS_GEOMETRY, "row spacing is -2"},
      {"source_to_isocenter_mm\":700", "s\":700", WILLIS_GEOMETRY,
       "views[1].source_to_isocenter_mm is missing"},
      {"source_to_isocenter_mm\":700", "source_to_isocenter_mm\":1700", WILLIS_GEOMETRY,
       "expected 0 < the first < the second"},
      {"cone", "parallel", WILLIS_GEOMETRY, "no source"},
      {"\"values\"", "\"in_plane_angle_deg\":\"x\",\"v\"", WILLIS_FORMAT, "in_plane_angle_deg"},
      {"\"values\"", "\"source_offset_mm\":[1],\"v\"", WILLIS_FORMAT, "source_offset_mm"},
      {"\"values\"", "\"shown\":3,\"v\"", WILLIS_FORMAT, "views[1].shown: expected an object"},
      {"\"values\"", "\"shown\":{\"rectangle\":[1,2,3]},\"v\"", WILLIS_FORMAT,
       "views[1].shown.rectangle"},
      {"\"values\"", "\"shown\":{\"rectangle\":[4,2,3,9]},\"v\"", WILLIS_GEOMETRY,
       "view 1: what is shown makes no sense"},
      {"\"values\"", "\"shown\":{\"circle\":[4,2,0]},\"v\"", WILLIS_GEOMETRY, "radius above 0"},
      {"\"values\"", "\"shown\":{\"circle\":[4,2,1e999]},\"v\"", WILLIS_FORMAT, "line 1"},
      {"\"values\"", "\"shown\":{\"polygon\":[0,0,4,0]},\"v\"", WILLIS_FORMAT, "3 to 64 corners"},
      {"\"values\"", "\"shown\":{\"polygon\":[0,0,4,0,\"x\",1]},\"v\"", WILLIS_FORMAT,
       "views[1].shown.polygon"},
      {"\"values\"", "\"shown\":{},\"v\"", WILLIS_OK, NULL},
      {"\"spacing\":[1", "\"spacing\":[0", WILLIS_GEOMETRY, "spacing 0"},
      {"\"spacing\":[1,2,3],", "", WILLIS_GEOMETRY, "grid.spacing is missing"},
      {"\"direction\":[1,0", "\"direction\":[1,1", WILLIS_GEOMETRY, "orthonormal"},
      {"\"size\":[4", "\"size\":[4.5", WILLIS_FORMAT, "grid.size"},
      {"\"size\":[4", "\"size\":[-4", WILLIS_FORMAT, "grid.size"},
      {"\"other\":{}", "\"columns\":7", WILLIS_MISMATCH, "columns is 7, but the image has 5"},
      {"\"other\":{}", "\"frame\":\"LPS\"", WILLIS_FORMAT, "line 1, column"},
      {"\"other\":{}", "\"other\":NaN", WILLIS_FORMAT, "line 1, column"},
      {"\"other\":{}", "\"columns\":5,\"rows\":4", WILLIS_OK, NULL},
      {",\"grid\":" GRID, "", WILLIS_OK, NULL},
      {"\"grid\":" GRID, "\"grid\":null", WILLIS_OK, NULL},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const char *text = with(cases[i].from, cases[i].to);
    assert_status(read_and_release((const unsigned char *)text, strlen(text), &err),
                  cases[i].status, cases[i].part);
  }
}

static void test_any_bytes(void **state) {
  (void)state;
  const unsigned char *bytes = (const unsigned char *)GOOD;
  cut_everywhere(read_and_release, bytes, sizeof GOOD - 1, sizeof GOOD - 1);
  change_everywhere(read_and_release, bytes, sizeof GOOD - 1);
  starve(read_and_release, bytes, sizeof GOOD - 1);
  /* Nested deeper than any stack. */
  enum { DEEP = 1000000 };
  unsigned char *deep = malloc(DEEP);
  memset(deep, '[', DEEP);
  assert_status(read_and_release(deep, DEEP, &err), WILLIS_FORMAT, "line 1");
  free(deep);
}

static struct willis_projections make_stack(void) {
  struct willis_projections stack;
  assert_ok(willis_projections_create(&stack, COLUMNS, ROWS, VIEWS, &err));
  for (int i = 0; i < COLUMNS * ROWS * VIEWS; i++) stack.pixels[i] = 0.1f * (float)i;
  stack.view[0] = (struct willis_view){.kind = WILLIS_VIEW_PARALLEL,
                                       .primary_angle_deg = 90.0 / 89,
                                       .secondary_angle_deg = -1.0 / 3,
                                       .column_spacing_mm = 0.1,
                                       .row_spacing_mm = 0.7,
                                       .principal_column = 2,
                                       .principal_row = 1.5};
  stack.view[1] = (struct willis_view){.kind = WILLIS_VIEW_CONE,
                                       .primary_angle_deg = 12.3,
                                       .secondary_angle_deg = 45.6,
                                       .source_to_detector_mm = 1000.1,
                                       .source_to_isocenter_mm = 720.2,
                                       .column_spacing_mm = 0.3,
                                       .row_spacing_mm = 0.3,
                                       .principal_column = 1,
                                       .principal_row = 2,
                                       .in_plane_angle_deg = -0.7,
                                       .source_offset_mm = {1.1, -2.2}};
  struct willis_shutter *first = &stack.view[0].shutter, *second = &stack.view[1].shutter;
  first->any = first->is_rectangle = first->is_circle = true;
  first->left = 0.5, first->right = 4, first->lower = 3;
  first->centre_column = 2.1, first->centre_row = 1.3, first->radius = 2.7;
  second->any = true;
  second->corner_count = 3;
  second->corner[1][0] = 3.3, second->corner[2][1] = 4.4;
  willis_projections_hide(&stack);
  stack.isocenter_mm[0] = -0.1;
  stack.mode = WILLIS_PROJECTION_SUM;
  stack.has_grid = true;
  stack.grid = oblique_grid(true);
  return stack;
}

static void test_write_read_is_identity(void **state) {
  (void)state;
  static const char *const names[] = {"a.nii.gz", "b.nii"};
  struct willis_projections out = make_stack(), in;
  for (int i = 0; i < 2; i++) {
    const char *path = scratch_path(names[i]);
    assert_ok(willis_projections_write(path, &out, false, &err));
    assert_int_equal(scratch_count(), 2 * (i + 1));
    assert_ok(willis_projections_read(path, &in, NULL, &err));
    assert_int_equal(in.columns, COLUMNS);
    assert_int_equal(in.rows, ROWS);
    assert_int_equal(in.view_count, VIEWS);
    assert_true(out.pixels[0] == 0 && out.pixels[COLUMNS * ROWS - 2] > 0);
    assert_memory_equal(in.pixels, out.pixels, sizeof(float) * COLUMNS * ROWS * VIEWS);
    assert_memory_equal(in.isocenter_mm, out.isocenter_mm, sizeof in.isocenter_mm);
    assert_int_equal(in.mode, out.mode);
    assert_same_place(&in.grid, &out.grid, 0);
    for (int v = 0; v < VIEWS; v++) {
      assert_int_equal(in.view[v].kind, out.view[v].kind);
      assert_memory_equal(&in.view[v].primary_angle_deg, &out.view[v].primary_angle_deg,
                          sizeof(struct willis_view) -
                              offsetof(struct willis_view, primary_angle_deg));
    }
    willis_projections_release(&in);
  }
  willis_projections_release(&out);
}

/* A pixel of −0 comes back as 0, and the two halves still belong together. */
static void test_minus_zero(void **state) {
  (void)state;
  struct willis_projections out = make_stack(), in;
  const char *path = scratch_path("minus.nii");
  out.pixels[3] = -0.0f;
  assert_ok(willis_projections_write(path, &out, false, &err));
  assert_ok(willis_projections_read(path, &in, NULL, &err));
  assert_true(in.pixels[3] == 0);
  willis_projections_release(&in);
  willis_projections_release(&out);
}

static void test_write_refuses(void **state) {
  (void)state;
  struct willis_projections stack = make_stack();
  const char *path = scratch_path("a.nii.gz");
  assert_status(willis_projections_write(scratch_path("a.nrrd"), &stack, false, &err),
                WILLIS_INVALID_ARGUMENT, ".json");
  assert_status(willis_projections_write("-", &stack, false, &err), WILLIS_INVALID_ARGUMENT, "-");
  stack.pixels[7] = NAN; /* shown */
  assert_status(willis_projections_write(path, &stack, false, &err), WILLIS_NUMERIC, "value 7");
  stack.pixels[7] = 0;
  stack.view[1].row_spacing_mm = NAN;
  assert_status(willis_projections_write(path, &stack, false, &err), WILLIS_GEOMETRY, "view 1");
  stack.view[1].row_spacing_mm = 1;
  assert_int_equal(scratch_count(), 0);
  /* Neither file alone may be in the way. */
  put_file(scratch_path("a.json"), "{}", 2);
  assert_status(willis_projections_write(path, &stack, false, &err), WILLIS_EXISTS, "a.json");
  assert_int_equal(scratch_count(), 1);
  unlink(scratch_path("a.json"));
  put_file(path, "", 0);
  assert_status(willis_projections_write(path, &stack, false, &err), WILLIS_EXISTS, "a.nii.gz");
  assert_int_equal(scratch_count(), 1);
  assert_ok(willis_projections_write(path, &stack, true, &err));
  willis_projections_release(&stack);
}

static void test_halves(void **state) {
  (void)state;
  struct willis_projections stack = make_stack(), in;
  const char *path = scratch_path("a.nii.gz");
  assert_ok(willis_projections_write(path, &stack, false, &err));
  unlink(scratch_path("a.json"));
  assert_status(willis_projections_read(path, &in, NULL, &err), WILLIS_IO, "a.json");
  put_file(scratch_path("a.json"), "{", 1);
  assert_status(willis_projections_read(path, &in, NULL, &err), WILLIS_FORMAT, "a.json: line 1");
  assert_status(willis_projections_read(scratch_path("a.txt"), &in, NULL, &err),
                WILLIS_INVALID_ARGUMENT, ".json beside it");
  willis_projections_release(&stack);
}

static int renames;
static int second_rename_fails(const char *from, const char *to) {
  if (renames++ == 0) return rename(from, to);
  errno = EIO;
  return -1;
}

/* What a reader meets after a death between the two renames. */
static void test_halves_of_two_stacks(void **state) {
  (void)state;
  struct willis_projections stack = make_stack(), in;
  struct willis_io_table table = *willis_io_standard();
  const char *path = scratch_path("a.nii.gz");
  table.rename = second_rename_fails;
  for (int changed = 0; changed < 2; changed++) {
    assert_ok(willis_projections_write(path, &stack, true, &err));
    if (changed) stack.pixels[COLUMNS * ROWS - 2]++;
    renames = 0;
    willis_io_set(&table);
    assert_status(willis_projections_write(path, &stack, true, &err), WILLIS_IO, "a.json");
    willis_io_set(NULL);
    assert_int_equal(scratch_count(), 2);
    if (changed)
      assert_status(willis_projections_read(path, &in, NULL, &err), WILLIS_MISMATCH,
                    "not written together");
    else
      assert_ok(willis_projections_read(path, &in, NULL, &err));
    if (!changed) willis_projections_release(&in);
  }
  willis_projections_release(&stack);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_good_text), cmocka_unit_test(test_what_is_refused),
      cmocka_unit_test(test_any_bytes),   SCRATCH_TEST(test_write_read_is_identity),
      SCRATCH_TEST(test_minus_zero),      SCRATCH_TEST(test_write_refuses),
      SCRATCH_TEST(test_halves),          SCRATCH_TEST(test_halves_of_two_stacks),
  };
  return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
