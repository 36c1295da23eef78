/* X-ray angiograms: every transfer syntax (tests/oracle/angiograms.py), attributes made element by
 * element, and what is refused. */
#include "made_angiogram.h"

enum { ROWS = 14, COLUMNS = 20, FRAMES = 3, COUNT = ROWS * COLUMNS };

/* ---- every syntax ---- */

static double deep(int f, int r, int c) {
  return (700 * f + 37 * r + 3 * c * c) % 4096;
}
static double flat(int f, int r, int c) {
  return 40 * f + 4 * r + 3 * c;
}
static double flat_12(int f, int r, int c) {
  return 16 * flat(f, r, c);
}

static void test_every_syntax(void **state) {
  (void)state;
  static const struct {
    const char *name;
    double (*value)(int f, int r, int c);
    double tolerance;
  } row[] = {
      {"explicit", deep, 0},      {"implicit", deep, 0},
      {"big_endian", deep, 0},    {"big_endian_8", flat, 0},
      {"deflated", deep, 0},      {"rle", deep, 0},
      {"jpeg_baseline", flat, 3}, {"jpeg_extended", flat_12, 24},
      {"jpeg_lossless", deep, 0}, {"jpeg_lossless_sv1", deep, 0},
      {"jpeg_ls", deep, 0},       {"jpeg_ls_fragments", deep, 0},
      {"jpeg_2000", deep, 0},
  };
  for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
    char path[64];
    struct willis_angiogram a;
    struct willis_view view;
    float pixels[COUNT];
    snprintf(path, sizeof path, "angiograms/%s.dcm", row[i].name);
    assert_ok(willis_angiogram_open(path, &a, NULL, &err));
    assert_true(a.kind == WILLIS_ANGIOGRAM_XA && a.frame_count == FRAMES);
    assert_true(a.columns == COLUMNS && a.rows == ROWS);
    for (int f = FRAMES - 1; f >= 0; f--) {
      assert_ok(willis_angiogram_read(&a, f, pixels, &err));
      for (int p = 0; p < COUNT; p++)
        if (!(fabs(pixels[p] - row[i].value(f, p / COLUMNS, p % COLUMNS)) <= row[i].tolerance))
          fail_msg("%s: frame %d, pixel %d is %g", row[i].name, f, p, (double)pixels[p]);
    }
    assert_ok(willis_angiogram_view(&a, 0, &none, &view, &err));
    assert_true(view.column_spacing_mm == 0.3 && view.row_spacing_mm == 0.4);
    assert_true(view.primary_angle_deg == 30 && view.secondary_angle_deg == 25);
    assert_true(view.principal_column == 9.5 && view.principal_row == 6.5);
    assert_status(willis_angiogram_read(&a, FRAMES, pixels, &err), WILLIS_INVALID_ARGUMENT,
                  "1 to 3");
    willis_angiogram_close(&a);
  }
}

/* Opens, reads every frame, makes every view. */
static enum willis_status read_all(const unsigned char *bytes, size_t size,
                                   struct willis_error *err) {
  struct willis_limits limits = willis_limits_defaults();
  struct willis_angiogram a;
  struct willis_view view;
  limits.edge = 64; /* what a changed byte makes of a size stays small */
  unsigned char *own = willis_take((ptrdiff_t)size, 1);
  if (!own) return willis_fail_memory(err, "a file", (ptrdiff_t)size, 1);
  memcpy(own, bytes, size);
  enum willis_status status = willis_angiogram_parse(own, size, &limits, &a, NULL, err);
  if (status) return status;
  float *pixels = willis_take(a.columns * a.rows, sizeof *pixels);
  if (!pixels) status = willis_fail_memory(err, "a frame", a.columns * a.rows, sizeof *pixels);
  for (ptrdiff_t f = 0; f < a.frame_count && !status; f++) {
    status = willis_angiogram_read(&a, f, pixels, err);
    if (!status) status = willis_angiogram_view(&a, f, &none, &view, err);
  }
  willis_release(pixels);
  willis_angiogram_close(&a);
  return status;
}

static size_t load(const char *path, unsigned char *bytes, size_t room) {
  FILE *file = fopen(path, "rb");
  assert_non_null(file);
  size_t size = fread(bytes, 1, room, file);
  fclose(file);
  assert_true(size < room);
  return size;
}

static void test_any_bytes(void **state) {
  (void)state;
  static const char *const names[] = {"deflated",          "rle",     "jpeg_baseline",
                                      "jpeg_lossless_sv1", "jpeg_ls", "jpeg_2000"};
  static unsigned char bytes[1 << 14], cut[1 << 14];
  struct willis_error why;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char path[64];
    snprintf(path, sizeof path, "angiograms/%s.dcm", names[i]);
    size_t size = load(path, bytes, sizeof bytes);
    assert_ok(read_all(bytes, size, &err));
    for (size_t n = 0; n < size; n += 7) { /* the last bytes may be padding */
      unsigned char *block = malloc(n + 1);
      memcpy(block, bytes, n);
      if (read_all(block, n, &why)) assert_true(why.message[0] != 0);
      free(block);
    }
    memcpy(cut, bytes, size);
    for (size_t at = 128; at < size; at++) {
      cut[at] ^= (unsigned char)(1 << at % 8);
      if (read_all(cut, size, &why)) assert_true(why.message[0] != 0);
      cut[at] = bytes[at];
    }
    starve(read_all, bytes, size);
  }
}

/* ---- attributes ---- */

/* The status and message of the view of frame `frame` of a run with these changes. */
static void expect_view(const struct change *change, int changes, ptrdiff_t frame,
                        const struct willis_pose_override *override, enum willis_status expected,
                        const char *part, struct willis_view *view) {
  struct willis_angiogram a;
  struct made made = make_run(change, changes);
  assert_ok(open_run(&made, &a, NULL, &err));
  struct willis_view own;
  assert_status(
      willis_angiogram_view(&a, frame, override ? override : &none, view ? view : &own, &err),
      expected, part);
  willis_angiogram_close(&a);
}

static void test_bad_geometry(void **state) {
  (void)state;
  static const struct {
    struct change change[2];
    const char *part;
  } row[] = {
      {{{0x00181510, "DS", NULL}},
       "PositionerPrimaryAngle (0018,1510) is missing, give it with "
       "--angles"},
      {{{0x00181510, "DS", "nan"}}, "PositionerPrimaryAngle"},
      {{{0x00181510, "DS", "400"}}, "is 400, expected degrees from -360 to 360"},
      {{{0x00181511, "DS", NULL}}, "PositionerSecondaryAngle"},
      {{{0x00181511, "DS", "-91"}}, "is -91"},
      {{{0x00181110, "DS", NULL}}, "give it with --source-to-detector MM"},
      {{{0x00181110, "DS", "0"}},
       "is 0, expected mm above 0; --source-to-detector MM overrides it"},
      {{{0x00181110, "DS", "-1200"}}, "is -1200"},
      {{{0x00181110, "DS", "x"}}, "DistanceSourceToDetector"},
      {{{0x00181111, "DS", NULL}}, "--source-to-isocenter MM"},
      {{{0x00181111, "DS", "1300"}}, "source to isocenter is 1300 mm and source to detector 1200"},
      {{{0x00181114, "DS", "1.4"}}, "EstimatedRadiographicMagnificationFactor (0018,1114) is 1.4"},
      {{{0x00181164, "DS", NULL}}, "--pixel-spacing MM"},
      {{{0x00181164, "DS", "0.4"}}, "--pixel-spacing MM"},
      {{{0x00181164, "DS", "0\\0.3"}}, "is 0"},
      {{{0x00181164, "DS", "inf\\0.3"}}, "ImagerPixelSpacing"},
      {{{0x00181500, "CS", "DYNAMIC"}}, "first frame only, for the C-arm moves"},
  };
  for (size_t i = 0; i < sizeof row / sizeof *row; i++)
    expect_view(row[i].change, 1, 1, NULL, WILLIS_GEOMETRY, row[i].part, NULL);
}

static void test_what_the_user_says(void **state) {
  (void)state;
  static const struct change bare[] = {{0x00181110, "DS", NULL},
                                       {0x00181111, "DS", "0"},
                                       {0x00181164, "DS", NULL},
                                       {0x00181510, "DS", NULL},
                                       {0x00181511, "DS", NULL}};
  const struct willis_pose_override all = {.primary_angle_deg = 12,
                                           .secondary_angle_deg = -3,
                                           .source_to_detector_mm = 1000,
                                           .source_to_isocenter_mm = 600,
                                           .pixel_spacing_mm = 0.2};
  struct willis_view view;
  expect_view(bare, 5, 0, &all, WILLIS_OK, NULL, &view);
  assert_true(view.primary_angle_deg == 12 && view.secondary_angle_deg == -3);
  assert_true(view.source_to_detector_mm == 1000 && view.source_to_isocenter_mm == 600);
  assert_true(view.column_spacing_mm == 0.2 && view.row_spacing_mm == 0.2);

  static const struct change square[] = {
      {0x00181164, "DS", NULL}, {0x00181147, "CS", "RECTANGLE"}, {0x00181149, "IS", "30\\40"}};
  static const struct change odd[] = {
      {0x00181164, "DS", NULL}, {0x00181147, "CS", "RECTANGLE"}, {0x00181149, "IS", "30\\50"}};
  struct willis_pose_override field = none;
  field.from_field_of_view = true;
  expect_view(square, 3, 0, &none, WILLIS_GEOMETRY, "--spacing-from-field-of-view", NULL);
  expect_view(square, 3, 0, &field, WILLIS_OK, NULL, &view);
  assert_true(view.column_spacing_mm == 10 && view.row_spacing_mm == 10);
  expect_view(odd, 3, 0, &field, WILLIS_GEOMETRY, "--pixel-spacing MM", NULL);
}

static void test_increments(void **state) {
  (void)state;
  static const struct change offsets[] = {{0x00181520, "DS", "0\\10\\20\\30"}};
  static const struct change on_zero[] = {{0x00181510, "DS", "0"},
                                          {0x00181520, "DS", "-40\\-20\\0\\20"}};
  static const struct change doubtful[] = {{0x00181520, "DS", "30\\40\\50\\60"}};
  static const struct change few[] = {{0x00181520, "DS", "0\\10"}};
  struct willis_angiogram a;
  struct willis_view view;
  struct heard heard = {0};
  expect_view(offsets, 1, 3, NULL, WILLIS_OK, NULL, &view);
  assert_true(view.primary_angle_deg == 60 && view.secondary_angle_deg == -10);
  expect_view(on_zero, 2, 0, NULL, WILLIS_OK, NULL, &view);
  assert_true(view.primary_angle_deg == -40);
  struct made made = make_run(on_zero, 2);
  assert_ok(open_run(&made, &a, LISTEN(heard), &err));
  assert_true(heard.count == 1 && strstr(heard.last, "they look absolute"));
  willis_angiogram_close(&a);
  expect_view(doubtful, 1, 2, NULL, WILLIS_GEOMETRY, "--increments absolute or offsets", NULL);
  struct willis_pose_override say = none;
  say.increments = WILLIS_INCREMENTS_ON_ZERO;
  expect_view(doubtful, 1, 2, &say, WILLIS_OK, NULL, &view);
  assert_true(view.primary_angle_deg == 50);
  say.increments = WILLIS_INCREMENTS_OFFSETS;
  expect_view(doubtful, 1, 2, &say, WILLIS_OK, NULL, &view);
  assert_true(view.primary_angle_deg == 80);
  made = make_run(few, 1);
  assert_status(open_run(&made, &a, NULL, &err), WILLIS_FORMAT,
                "has 2 values, expected one for "
                "each of 4 frames");
}

static void test_refused_files(void **state) {
  (void)state;
  static const struct {
    struct change change;
    enum willis_status status;
    const char *part;
  } row[] = {
      {{0x00280008, "IS", "5"}, WILLIS_FORMAT, "holds 4 frames"},
      {{0x00280008, "IS", "0"}, WILLIS_FORMAT, "NumberOfFrames (0028,0008) is 0"},
      {{0x00280008, "IS", "4.5"}, WILLIS_FORMAT, "is 4.5"},
      {{0x00280010, "US", NULL}, WILLIS_FORMAT, "Rows (0028,0010) is missing"},
      {{0x00280010, "US", "0"}, WILLIS_FORMAT, "Rows (0028,0010) is 0"},
      {{0x00280011, "US", "60000"}, WILLIS_FORMAT, "Columns (0028,0011) is 60000"},
      {{0x00280002, "US", "3"}, WILLIS_UNSUPPORTED, "SamplesPerPixel"},
      {{0x00280100, "US", "32"}, WILLIS_UNSUPPORTED, "BitsAllocated"},
      {{0x00280100, "US", "12"}, WILLIS_UNSUPPORTED, "8 or 16"},
      {{0x00280101, "US", "9"}, WILLIS_FORMAT, "is 9, expected at most the 8 of BitsAllocated"},
      {{0x00280102, "US", "6"}, WILLIS_UNSUPPORTED, "HighBit"},
      {{0x00280004, "CS", "RGB"}, WILLIS_UNSUPPORTED, "PhotometricInterpretation"},
      {{0x00281053, "DS", "0"}, WILLIS_FORMAT, "RescaleSlope"},
      {{0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.2"}, WILLIS_UNSUPPORTED, "of another kind"},
  };
  for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
    struct willis_angiogram a;
    struct made made = make_run(&row[i].change, 1);
    assert_status(open_run(&made, &a, NULL, &err), row[i].status, row[i].part);
  }
}

static void test_values(void **state) {
  (void)state;
  static const struct change rescaled[] = {{0x00281052, "DS", "-5"}, {0x00281053, "DS", "2"}};
  static const struct change negative[] = {{0x00280004, "CS", "MONOCHROME1"},
                                           {0x00281040, "CS", "LOG"}};
  struct willis_angiogram a;
  float pixels[12];
  struct made made = make_run(rescaled, 2);
  assert_ok(open_run(&made, &a, NULL, &err));
  assert_ok(willis_angiogram_read(&a, 2, pixels, &err));
  assert_true(a.intensity == WILLIS_INTENSITY_UNKNOWN && pixels[3] == 2 * 23 - 5);
  willis_angiogram_close(&a);
  made = make_run(negative, 2);
  assert_ok(open_run(&made, &a, NULL, &err));
  assert_ok(willis_angiogram_read(&a, 2, pixels, &err));
  assert_true(a.intensity == WILLIS_INTENSITY_LOGARITHMIC && pixels[3] == 255 - 23);
  willis_angiogram_close(&a);
}

/* ---- sequences ---- */

static void test_masks(void **state) {
  (void)state;
  static struct made item[2], more;
  struct willis_angiogram a;
  memset(item, 0, sizeof item);
  more.size = 0;
  const unsigned char shift[8] = {0, 0, 0, 0x3F, 0, 0, 0x80, 0xBE}; /* 0.5, −0.25 */
  put_text(&item[0], 0x00286101, "CS", "AVG_SUB");
  put_shorts(&item[0], 0x00286102, (const int[]){3, 4}, 2);
  put_shorts(&item[0], 0x00286110, (const int[]){1, 2}, 2);
  put_shorts(&item[0], 0x00286112, (const int[]){1}, 1);
  put(&item[0], 0x00286114, "FL", shift, 8);
  put_text(&item[1], 0x00286101, "CS", "TID");
  put(&item[1], 0x00286120, "SS", "", 0);
  put_sequence(&more, 0x00286100, item, 2);
  struct made made = make_run_with(NULL, 0, &more);
  assert_ok(open_run(&made, &a, NULL, &err));
  assert_int_equal(a.subtraction_count, 2);
  const struct willis_subtraction *s = a.subtraction;
  assert_true(s[0].kind == WILLIS_SUBTRACTION_AVERAGE && s[0].range_count == 1);
  assert_true(s[0].range[0] == 2 && s[0].range[1] == 3 && s[0].mask_count == 2);
  assert_true(s[0].mask[0] == 0 && s[0].mask[1] == 1 && s[0].averaging == 1);
  assert_true(s[0].shift_rows == 0.5 && s[0].shift_columns == -0.25);
  assert_true(s[1].kind == WILLIS_SUBTRACTION_INTERVAL && s[1].interval == 1);
  willis_angiogram_close(&a);

  static const struct {
    int tag, value[2], count;
    const char *operation, *part;
  } bad[] = {
      {0x6110, {0}, 1, "AVG_SUB", "names frame 0, expected 1 to 4"},
      {0x6110, {5}, 1, "AVG_SUB", "names frame 5"},
      {0x6102, {1, 2}, 2, "AVG_SUB", "MaskFrameNumbers (0028,6110) is missing"},
      {0x6102, {3, 2}, 2, "TID", "expected pairs of a first and a last frame"},
      {0x6102, {3}, 1, "TID", "expected pairs"},
      {0x6112, {9}, 1, "TID", "averaging 9"},
      {0x6110, {1}, 1, "REV_TID", "ApplicableFrameRange (0028,6102) is missing"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    item[0].size = more.size = 0;
    put_text(&item[0], 0x00286101, "CS", bad[i].operation);
    put_shorts(&item[0], 0x00280000 | (uint32_t)bad[i].tag, bad[i].value, bad[i].count);
    put_sequence(&more, 0x00286100, item, 1);
    made = make_run_with(NULL, 0, &more);
    assert_status(open_run(&made, &a, NULL, &err), WILLIS_FORMAT, bad[i].part);
  }
}

/* Enhanced XA: angles of each frame, distances and pixels shared by all. */
static const char *const primary[] = {"-20", "0", "20", "40"};
static const struct change enhanced[] = {
    {0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.12.1.1"},
    {0x00181110, "DS", NULL},
    {0x00181111, "DS", NULL},
    {0x00181164, "DS", NULL},
    {0x00181510, "DS", NULL},
    {0x00181511, "DS", NULL},
};

/* What is said of the first `frames` frames, and of all. */
static struct made enhanced_groups(int frames) {
  static struct made frame[4], shared, inner, more;
  const unsigned char far[8] = {0, 0, 0, 0, 0, 0x40, 0x8F, 0x40};  /* 1000 */
  const unsigned char near[8] = {0, 0, 0, 0, 0, 0xE0, 0x85, 0x40}; /* 700 */
  memset(frame, 0, sizeof frame);
  shared.size = inner.size = more.size = 0;
  for (int f = 0; f < 4; f++) {
    const char *const slope[] = {"1", "2", "3", "4"}, *const right[] = {"1", "2", "3", "4"};
    inner.size = 0;
    put_text(&inner, 0x00181600, "CS", "RECTANGULAR");
    put_text(&inner, 0x00181602, "IS", "0");
    put_text(&inner, 0x00181604, "IS", right[f]);
    put_text(&inner, 0x00181606, "IS", "1");
    put_text(&inner, 0x00181608, "IS", "3");
    if (f != 1) put_sequence(&frame[f], 0x00189472, &inner, 1);
    inner.size = 0;
    put_text(&inner, 0x00281052, "DS", "-7");
    put_text(&inner, 0x00281053, "DS", slope[f]);
    if (f != 2) put_sequence(&frame[f], 0x00289145, &inner, 1);
    inner.size = 0;
    put_text(&inner, 0x00181510, "DS", primary[f]);
    put_text(&inner, 0x00181511, "DS", "5");
    put_sequence(&frame[f], 0x00189405, &inner, 1);
  }
  inner.size = 0;
  put(&inner, 0x00181110, "FD", far, 8);
  put(&inner, 0x00189402, "FD", near, 8);
  put_sequence(&shared, 0x00189476, &inner, 1);
  inner.size = 0;
  put_text(&inner, 0x00181164, "DS", "0.4\\0.3");
  put_text(&inner, 0x00281040, "CS", "LOG");
  put_sequence(&shared, 0x00289443, &inner, 1);
  inner.size = 0;
  put_text(&inner, 0x00281053, "DS", "0.5");
  put_sequence(&shared, 0x00289145, &inner, 1);
  inner.size = 0;
  put_text(&inner, 0x00200020, "CS", "L\\F");
  put_sequence(&shared, 0x00209450, &inner, 1);
  inner.size = 0;
  put(&inner, 0x00187032, "FD", far, 8);
  put_text(&inner, 0x00187034, "CS", "YES");
  put_sequence(&shared, 0x00189432, &inner, 1);
  put_sequence(&more, 0x52009229, &shared, 1);
  put_sequence(&more, 0x52009230, frame, frames);
  return more;
}

static void test_enhanced(void **state) {
  (void)state;
  struct made more = enhanced_groups(4);
  struct willis_angiogram a;
  struct willis_view view;
  struct made made = make_run_with(enhanced, 6, &more);
  assert_ok(open_run(&made, &a, NULL, &err));
  assert_true(a.kind == WILLIS_ANGIOGRAM_ENHANCED_XA && a.is_dynamic);
  for (int f = 0; f < 4; f++) {
    assert_ok(willis_angiogram_view(&a, f, &none, &view, &err));
    assert_true(view.primary_angle_deg == atoi(primary[f]) && view.secondary_angle_deg == 5);
    assert_true(view.source_to_detector_mm == 1000 && view.source_to_isocenter_mm == 700);
    assert_true(view.row_spacing_mm == 0.4 && view.column_spacing_mm == 0.3);
    /* What frames have of their own, and what all share. */
    float pixels[12];
    const float value = (float)(10 * f + 5);
    assert_ok(willis_angiogram_read(&a, f, pixels, &err));
    assert_true(pixels[5] == (f == 2 ? 0.5f * value : (float)(f + 1) * value - 7));
    const struct willis_shutter *shutter = willis_angiogram_shutter(&a, f);
    assert_true(shutter->any == (f != 1) && (f == 1 || shutter->right == f));
  }
  assert_true(a.intensity == WILLIS_INTENSITY_LOGARITHMIC && a.has_frame_shutters);
  assert_string_equal(a.patient_orientation, "L\\F");
  assert_true(a.field_rotation_deg == 1000 && a.field_flipped);
  willis_angiogram_close(&a);
  more = enhanced_groups(3);
  made = make_run_with(enhanced, 6, &more);
  assert_status(open_run(&made, &a, NULL, &err), WILLIS_FORMAT,
                "has 3 items, expected one for "
                "each of 4 frames");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_syntax), cmocka_unit_test(test_any_bytes),
      cmocka_unit_test(test_bad_geometry), cmocka_unit_test(test_what_the_user_says),
      cmocka_unit_test(test_increments),   cmocka_unit_test(test_refused_files),
      cmocka_unit_test(test_values),

      cmocka_unit_test(test_masks),        cmocka_unit_test(test_enhanced),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
