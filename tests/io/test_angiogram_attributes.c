/* Every attribute that a view depends on, bad in every way: one clear line each. */
#include "made_angiogram.h"

enum { FRAME = 1 };

/* What has to come of it. */
enum outcome {
  FINE = '.',         /* it may be so */
  WARNED = 'w',       /* a warning, and it is left out */
  NO_FILE = 'o',      /* the file is refused */
  NO_VIEW = 'v',      /* the view is refused, and an option named */
  NO_DIRECTION = 'd', /* which way the picture lies is refused, and an option named */
};

struct trial {
  enum outcome outcome;
  char line[sizeof(((struct willis_error *)0)->message)];
};

static void hear_line(const char *message, void *context) {
  struct trial *trial = context;
  snprintf(trial->line, sizeof trial->line, "%s", message);
  trial->outcome = WARNED;
}

static struct trial try_run(const struct change *change, int changes,
                            const struct willis_pose_override *override, const struct made *more) {
  struct trial trial = {FINE, ""};
  struct willis_angiogram a;
  struct willis_view view;
  struct willis_turn turn;
  struct willis_error why;
  const struct willis_warnings warnings = {hear_line, &trial};
  struct made made = make_run_with(change, changes, more);
  enum willis_status status = open_run(&made, &a, &warnings, &why);
  if (status) trial.outcome = NO_FILE;
  if (!status) {
    status = willis_angiogram_turn(&a, WILLIS_ORIENTATION_HEADER, NULL, &turn, &why);
    if (status) trial.outcome = NO_DIRECTION;
  }
  if (trial.outcome != NO_FILE && !status) {
    status = willis_angiogram_view(&a, a.frame_count > FRAME ? FRAME : 0, override, &view, &why);
    if (status) trial.outcome = NO_VIEW;
  }
  if (trial.outcome != NO_FILE) willis_angiogram_close(&a);
  if (status) snprintf(trial.line, sizeof trial.line, "%s", why.message);
  return trial;
}

/* The line names the attribute, says what was expected or what is done, and how to go on. */
static void judge(const struct trial *trial, enum outcome expected, const char *what,
                  const char *names) {
  const char *line = trial->line;
  if (trial->outcome != expected)
    fail_msg("%s: expected '%c', got '%c': %s", what, expected, trial->outcome, line);
  if (expected == FINE) {
    assert_string_equal(line, "");
    return;
  }
  static const char *const wanted[] = {"expected", "missing", "used", "counts as",
                                       "settles",  "give it", "fit",  "begin at 0"};
  bool says = false;
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
    says = says || strstr(line, wanted[i]);
  const bool option = expected == NO_VIEW || expected == NO_DIRECTION;
  if (!strstr(line, names)) fail_msg("%s: no %s in '%s'", what, names, line);
  if (!says) fail_msg("%s: neither what was expected nor what is done: '%s'", what, line);
  if (option && !strstr(line, "--")) fail_msg("%s: no option in '%s'", what, line);
  assert_null(strchr(line, '\n'));
  assert_true(strlen(line) < 240);
}

/* The ways to be bad, in the order of the letters below. */
static const char *const ways[] = {NULL, "", "0", "nan", "inf", "x", "-5", "1e9"};
enum { WAYS = sizeof ways / sizeof *ways };

static void test_every_attribute_in_every_way(void **state) {
  (void)state;
  static const struct {
    uint32_t tag;
    const char *vr;
    int times; /* values of the attribute, all alike */
    const char outcome[WAYS + 1];
    const char *names;
    struct change besides[6]; /* what the attribute needs beside it */
  } row[] = {
      {0x00181510, "DS", 1, "vv.vvv.v", "PositionerPrimaryAngle (0018,1510)", {{0}}},
      {0x00181511, "DS", 1, "vv.vvv.v", "PositionerSecondaryAngle (0018,1511)", {{0}}},
      {0x00181110, "DS", 1, "vvvvvvvv", "DistanceSourceToDetector (0018,1110)", {{0}}},
      {0x00181111, "DS", 1, "vvvvvvvv", "source to isocenter (0018,1111)", {{0}}},
      {0x00181114, "DS", 1, "..vvvvvv", "RadiographicMagnificationFactor (0018,1114)", {{0}}},
      {0x00181164, "DS", 2, "vvvvvvvv", "ImagerPixelSpacing (0018,1164)", {{0}}},
      {0x00181164, "DS", 1, "vvvvvvvv", "ImagerPixelSpacing (0018,1164)", {{0}}},
      {0x00181520, "DS", 4, "...ooowv", "PositionerPrimaryAngle", {{0}}},
      {0x00181521, "DS", 4, "...ooowv", "(0018,15", {{0}}},
      {0x00181520, "DS", 3, "..oooooo", "PrimaryAngleIncrement (0018,1520)", {{0}}},
      {0x00187032, "DS", 1, "...ddddd", "FieldOfViewRotation (0018,7032)", {{0}}},
      {0x00280008, "IS", 1, "..oooooo", "NumberOfFrames (0028,0008)", {{0}}},
      {0x00281052, "DS", 1, "...ooo..", "RescaleIntercept (0028,1052)", {{0}}},
      {0x00281053, "DS", 1, "..oooo..", "RescaleSlope (0028,1053)", {{0}}},
      {0x00181602,
       "IS",
       1,
       "ww.www.w",
       "ShutterShape (0018,1600)",
       {{0x00181600, "CS", "RECTANGULAR"},
        {0x00181604, "IS", "4"},
        {0x00181606, "IS", "1"},
        {0x00181608, "IS", "3"}}},
      {0x00181604,
       "IS",
       1,
       "wwwwwww.",
       "ShutterShape (0018,1600)",
       {{0x00181600, "CS", "RECTANGULAR"},
        {0x00181602, "IS", "1"},
        {0x00181606, "IS", "1"},
        {0x00181608, "IS", "3"}}},
      {0x00181612,
       "IS",
       1,
       "wwwwwww.",
       "ShutterShape (0018,1600)",
       {{0x00181600, "CS", "CIRCULAR"}, {0x00181610, "IS", "2\\2"}}},
      {0x00181610,
       "IS",
       2,
       "ww.www..",
       "ShutterShape (0018,1600)",
       {{0x00181600, "CS", "CIRCULAR"}, {0x00181612, "IS", "9"}}},
      {0x00181620,
       "IS",
       4,
       "wwwwwwww",
       "ShutterShape (0018,1600)",
       {{0x00181600, "CS", "POLYGONAL"}}},
  };
  for (size_t i = 0; i < sizeof row / sizeof *row; i++)
    for (int w = 0; w < WAYS; w++) {
      char text[64] = "", what[128];
      struct change change[8] = {{row[i].tag, row[i].vr, ways[w] ? text : NULL}};
      int changes = 1;
      for (int k = 0; ways[w] && ways[w][0] && k < row[i].times; k++) {
        if (k) strcat(text, "\\");
        strcat(text, ways[w]);
      }
      for (int k = 0; k < 6 && row[i].besides[k].tag; k++) change[changes++] = row[i].besides[k];
      snprintf(what, sizeof what, "%08x '%s'", (unsigned)row[i].tag, ways[w] ? text : "missing");
      struct trial trial = try_run(change, changes, &none, NULL);
      judge(&trial, (enum outcome)row[i].outcome[w], what, row[i].names);
    }
}

/* What is well formed and cannot be true. */
static void test_contradictions(void **state) {
  (void)state;
  static const struct {
    struct change change[4];
    enum outcome outcome;
    const char *names;
  } row[] = {
      {{{0x00181110, "DS", "700"}}, NO_VIEW, "source to detector 700 mm"},
      {{{0x00181110, "DS", "750"}}, NO_VIEW, "source to detector 750 mm"},
      {{{0x00181114, "DS", "1.3"}}, NO_VIEW, "(0018,1114)"},
      {{{0x00181500, "CS", "DYNAMIC"}}, NO_VIEW, "first frame only"},
      {{{0x00181520, "DS", "30\\40\\50\\60"}}, NO_VIEW, "begins at the base angle 30"},
      {{{0x00181520, "DS", "-40\\-20\\0\\20"}, {0x00181510, "DS", "0"}}, WARNED, "used as such"},
      {{{0x00280008, "IS", "5"}}, NO_FILE, "holds 4 frames"},
      {{{0x00280010, "US", "4"}}, NO_FILE, "frames"},
      {{{0x00280011, "US", "9"}}, NO_FILE, "frames"},
      {{{0x00280100, "US", "16"}}, NO_FILE, ""},
      {{{0x00280101, "US", "12"}}, NO_FILE, "BitsStored (0028,0101)"},
      {{{0x00181600, "CS", "RECTANGULAR"},
        {0x00181602, "IS", "3"},
        {0x00181604, "IS", "2"},
        {0x00181606, "IS", "1"}},
       WARNED,
       "ShutterShape (0018,1600)"},
  };
  for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
    int changes = 0;
    char what[32];
    while (changes < 4 && row[i].change[changes].tag) changes++;
    snprintf(what, sizeof what, "contradiction %zu", i);
    struct trial trial = try_run(row[i].change, changes, &none, NULL);
    judge(&trial, row[i].outcome, what, row[i].names);
  }
}

/* A field of view in the place of the pixel spacing. */
static void test_field_of_view(void **state) {
  (void)state;
  static const char outcome[WAYS + 1] = "vvvvvvvv";
  struct willis_pose_override field = none;
  field.from_field_of_view = true;
  for (int w = 0; w < WAYS; w++) {
    char text[64];
    snprintf(text, sizeof text, "%s\\%s", ways[w] ? ways[w] : "", ways[w] ? ways[w] : "");
    const struct change change[] = {{0x00181164, "DS", NULL},
                                    {0x00181147, "CS", "RECTANGLE"},
                                    {0x00181149, "IS", ways[w] ? text : NULL}};
    struct trial trial = try_run(change, 3, &field, NULL);
    judge(&trial, (enum outcome)outcome[w], text, "ImagerPixelSpacing (0018,1164)");
  }
}

/* A Secondary Capture may have no geometry at all: a picture, but no view until all is given. */
static void test_captures(void **state) {
  (void)state;
  static const struct change bare[] = {{0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.7"},
                                       {0x00181110, "DS", NULL},
                                       {0x00181111, "DS", NULL},
                                       {0x00181164, "DS", NULL},
                                       {0x00181510, "DS", NULL},
                                       {0x00181511, "DS", NULL}};
  struct willis_pose_override given = none;
  struct trial trial = try_run(bare, 6, &given, NULL);
  judge(&trial, NO_VIEW, "a capture", "Secondary Capture has no geometry");
  assert_non_null(strstr(trial.line, "--angles"));
  given.primary_angle_deg = 90;
  given.secondary_angle_deg = 0;
  trial = try_run(bare, 6, &given, NULL);
  judge(&trial, NO_VIEW, "a capture with angles", "--source-to-detector");
  given.source_to_detector_mm = 1000;
  given.source_to_isocenter_mm = 700;
  given.pixel_spacing_mm = 0.3;
  trial = try_run(bare, 6, &given, NULL);
  judge(&trial, FINE, "a capture with all", "");
}

/* Numbers of mask subtraction: 4 frames, average of the first two. */
static void test_masks(void **state) {
  (void)state;
  static const unsigned char nan_shift[8] = {0, 0, 0xC0, 0x7F, 0, 0, 0, 0};
  static const unsigned char far_shift[8] = {0, 0, 0, 0, 0, 0, 0, 0x50}; /* 8.6e9 */
  static const struct {
    uint32_t tag;
    const char *vr;
    int value;
    const unsigned char *bytes;
    const char *names;
  } row[] = {
      {0x00286110, "US", 0, NULL, "MaskFrameNumbers (0028,6110)"},
      {0x00286110, "US", 5, NULL, "MaskFrameNumbers (0028,6110)"},
      {0x00286112, "US", 0, NULL, "MaskSubtractionSequence (0028,6100)"},
      {0x00286112, "US", 5, NULL, "MaskSubtractionSequence (0028,6100)"},
      {0x00286114, "FL", 0, nan_shift, "MaskSubtractionSequence (0028,6100)"},
      {0x00286114, "FL", 0, far_shift, "MaskSubtractionSequence (0028,6100)"},
      {0x00286102, "US", 3, NULL, "ApplicableFrameRange (0028,6102)"},
  };
  for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
    static struct made item, more;
    item.size = more.size = 0;
    put_text(&item, 0x00286101, "CS", "AVG_SUB");
    if (row[i].tag != 0x00286110) put_shorts(&item, 0x00286110, (const int[]){1, 2}, 2);
    if (row[i].bytes)
      put(&item, row[i].tag, row[i].vr, row[i].bytes, 8);
    else
      put_shorts(&item, row[i].tag, &row[i].value, 1);
    put_sequence(&more, 0x00286100, &item, 1);
    struct trial trial = try_run(NULL, 0, &none, &more);
    judge(&trial, NO_FILE, "mask", row[i].names);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_attribute_in_every_way),
      cmocka_unit_test(test_contradictions),
      cmocka_unit_test(test_field_of_view),
      cmocka_unit_test(test_captures),
      cmocka_unit_test(test_masks),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
