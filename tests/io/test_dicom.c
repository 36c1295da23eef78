/* DICOM slices, made here element by element: order, gaps, mixtures, nesting. */
#include "io/dicom.h"

#include "io/dicom_header.h"
#include "io/dicom_slice.h"
#include "io_test.h"

/* ---- files ---- */

enum { ROOM = 1 << 16 };
enum { ROWS = 3, COLUMNS = 4 };

struct made {
  unsigned char bytes[ROOM];
  size_t size;
};

static void put_bytes(struct made *made, const void *bytes, size_t size) {
  memcpy(made->bytes + made->size, bytes, size);
  made->size += size;
}
static void put_number(struct made *made, uint64_t value, size_t width) {
  for (size_t i = 0; i < width; i++) made->bytes[made->size++] = (unsigned char)(value >> (8 * i));
}
/* Explicit, little-endian; values are padded to even length. */
static void put_element(struct made *made, unsigned group, unsigned element, const char *vr,
                        const void *value, size_t length) {
  put_number(made, group, 2);
  put_number(made, element, 2);
  put_bytes(made, vr, 2);
  bool is_long = !strcmp(vr, "OW") || !strcmp(vr, "SQ") || !strcmp(vr, "UN");
  if (is_long) put_number(made, 0, 2);
  put_number(made, length + length % 2, is_long ? 4 : 2);
  put_bytes(made, value, length);
  if (length % 2) put_number(made, strcmp(vr, "UI") ? ' ' : 0, 1);
}
static void put_text(struct made *made, unsigned group, unsigned element, const char *vr,
                     const char *text) {
  put_element(made, group, element, vr, text, strlen(text));
}
static void put_short(struct made *made, unsigned group, unsigned element, unsigned value) {
  unsigned char bytes[2] = {(unsigned char)value, (unsigned char)(value >> 8)};
  put_element(made, group, element, "US", bytes, 2);
}

/* What a slice says; a null text leaves the attribute out. */
struct attributes {
  const char *series, *spacing, *position, *orientation, *thickness, *slope, *frames;
  int rows, samples, is_signed;
  int first; /* value of the first pixel; the others count up */
};
static const struct attributes usual = {
    .series = "1.2.3",
    .spacing = "2\\0.5",
    .position = "10\\20\\30",
    .orientation = "1\\0\\0\\0\\1\\0",
    .thickness = "4",
    .rows = ROWS,
    .samples = 1,
};

static void begin(struct made *made, const char *syntax) {
  made->size = 128;
  memset(made->bytes, 0, 128);
  put_bytes(made, "DICM", 4);
  put_text(made, 2, 0x10, "UI", syntax);
}

static void put_optional(struct made *made, unsigned group, unsigned element, const char *vr,
                         const char *text) {
  if (text) put_text(made, group, element, vr, text);
}

static struct made make(const struct attributes *a) {
  struct made made;
  begin(&made, "1.2.840.10008.1.2.1");
  put_text(&made, 0x10, 0x10, "PN", "Secret^Name");
  put_optional(&made, 0x18, 0x50, "DS", a->thickness);
  put_optional(&made, 0x20, 0x0E, "UI", a->series);
  put_optional(&made, 0x20, 0x32, "DS", a->position);
  put_optional(&made, 0x20, 0x37, "DS", a->orientation);
  put_short(&made, 0x28, 0x02, (unsigned)a->samples);
  put_optional(&made, 0x28, 0x08, "IS", a->frames);
  put_short(&made, 0x28, 0x10, (unsigned)a->rows);
  put_short(&made, 0x28, 0x11, COLUMNS);
  put_optional(&made, 0x28, 0x30, "DS", a->spacing);
  put_short(&made, 0x28, 0x100, 16);
  put_short(&made, 0x28, 0x101, 12);
  put_short(&made, 0x28, 0x102, 11);
  put_short(&made, 0x28, 0x103, (unsigned)a->is_signed);
  if (a->slope) {
    put_text(&made, 0x28, 0x1052, "DS", "-100");
    put_text(&made, 0x28, 0x1053, "DS", a->slope);
  }
  unsigned char pixels[2 * ROWS * COLUMNS];
  for (int i = 0; i < ROWS * COLUMNS; i++) {
    unsigned value = (unsigned)(a->first + i) & 0xFFF;
    value |= 0xA000; /* bits above BitsStored mean nothing */
    pixels[2 * i] = (unsigned char)value;
    pixels[2 * i + 1] = (unsigned char)(value >> 8);
  }
  put_element(&made, 0x7FE0, 0x10, "OW", pixels, sizeof pixels);
  return made;
}

static void put_slice(const char *name, const struct attributes *a) {
  struct made made = make(a);
  put_file(scratch_path(name), made.bytes, made.size);
}

static enum willis_status read_folder(struct willis_volume *volume,
                                      const struct willis_warnings *warnings,
                                      struct willis_error *err) {
  return willis_volume_read(scratch_folder, volume, warnings, err);
}

static enum willis_status read_and_release(const unsigned char *bytes, size_t size,
                                           struct willis_error *err) {
  struct willis_limits limits = willis_limits_defaults();
  struct willis_volume volume;
  enum willis_status status = willis_dicom_parse(bytes, size, &limits, &volume, NULL, err);
  willis_volume_release(&volume);
  return status;
}

/* ---- one slice ---- */

static void test_one_slice(void **state) {
  (void)state;
  struct attributes a = usual;
  a.first = 4090; /* of 12 bits */
  a.slope = "2";
  struct willis_volume volume;
  put_slice("a.dcm", &a);
  assert_ok(willis_volume_read(scratch_path("a.dcm"), &volume, NULL, &err));
  const struct willis_grid expected = {
      {COLUMNS, ROWS, 1}, {0.5, 2, 4}, {10, 20, 30}, {1, 0, 0, 0, 1, 0, 0, 0, 1}};
  assert_memory_equal(volume.grid.size, expected.size, sizeof expected.size);
  assert_same_place(&volume.grid, &expected, 0);
  for (int i = 0; i < ROWS * COLUMNS; i++)
    assert_true(volume.voxels[i] == (float)(2 * ((4090 + i) % 4096) - 100));
  assert_true(volume.integral);
  willis_volume_release(&volume);
  a.is_signed = 1;
  a.slope = "0.5";
  put_slice("a.dcm", &a);
  assert_ok(willis_volume_read(scratch_path("a.dcm"), &volume, NULL, &err));
  assert_true(volume.voxels[0] == -103 && volume.voxels[6] == -100 && !volume.integral);
  willis_volume_release(&volume);
}

static void test_a_slice_that_is_refused(void **state) {
  (void)state;
  static const struct {
    size_t field; /* of the struct above, a text */
    const char *text;
    enum willis_status status;
    const char *part;
  } cases[] = {
#define TEXT(field) offsetof(struct attributes, field)
      {TEXT(spacing), NULL, WILLIS_GEOMETRY, "PixelSpacing (0028,0030) is missing"},
      {TEXT(spacing), "0\\1", WILLIS_GEOMETRY, "PixelSpacing"},
      {TEXT(spacing), "-1\\1", WILLIS_GEOMETRY, "PixelSpacing"},
      {TEXT(spacing), "nan\\1", WILLIS_GEOMETRY, "PixelSpacing"},
      {TEXT(spacing), "1", WILLIS_GEOMETRY, "PixelSpacing"},
      {TEXT(position), NULL, WILLIS_GEOMETRY, "ImagePositionPatient (0020,0032) is missing"},
      {TEXT(position), "1\\2", WILLIS_GEOMETRY, "ImagePositionPatient"},
      {TEXT(orientation), NULL, WILLIS_GEOMETRY, "ImageOrientationPatient"},
      {TEXT(orientation), "1\\0\\0\\1\\0\\0", WILLIS_GEOMETRY, "right angles"},
      {TEXT(orientation), "0\\0\\0\\0\\1\\0", WILLIS_GEOMETRY, "right angles"},
      {TEXT(thickness), NULL, WILLIS_GEOMETRY, "SliceThickness"},
      {TEXT(thickness), "-1", WILLIS_GEOMETRY, "SliceThickness"},
      {TEXT(slope), "0", WILLIS_FORMAT, "RescaleSlope"},
      {TEXT(frames), "7", WILLIS_UNSUPPORTED, "NumberOfFrames (0028,0008) is 7"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct attributes a = usual;
    memcpy((char *)&a + cases[i].field, &cases[i].text, sizeof cases[i].text);
    struct made made = make(&a);
    assert_status(read_and_release(made.bytes, made.size, &err), cases[i].status, cases[i].part);
  }
  struct attributes a = usual;
  a.samples = 3;
  struct made made = make(&a);
  assert_status(read_and_release(made.bytes, made.size, &err), WILLIS_UNSUPPORTED, "colours");
  a = usual;
  a.rows = ROWS + 1;
  made = make(&a);
  assert_status(read_and_release(made.bytes, made.size, &err), WILLIS_FORMAT, "PixelData");
  a.rows = 0;
  made = make(&a);
  assert_status(read_and_release(made.bytes, made.size, &err), WILLIS_FORMAT, "Rows");
  a.rows = 60000;
  made = make(&a);
  assert_status(read_and_release(made.bytes, made.size, &err), WILLIS_FORMAT, "Rows");
}

static void test_padding_after_the_pixels(void **state) {
  (void)state;
  struct made made = make(&usual);
  memset(made.bytes + made.size, 0, 5000);
  size_t end;
  assert_ok(willis_dicom_scan(made.bytes, made.size + 5000, &end, &err));
  assert_int_equal(end, made.size);
  assert_ok(read_and_release(made.bytes, made.size + 5000, &err));
}

static void test_any_bytes(void **state) {
  (void)state;
  struct made made = make(&usual);
  cut_everywhere(read_and_release, made.bytes, made.size, made.size);
  change_everywhere(read_and_release, made.bytes, made.size);
  starve(read_and_release, made.bytes, made.size);
}

/* ---- nesting ---- */

static enum willis_status scan(const struct made *made, struct willis_error *err) {
  size_t end;
  return willis_dicom_scan(made->bytes, made->size, &end, err);
}

static void test_nesting_is_bounded(void **state) {
  (void)state;
  for (int defined = 0; defined < 2; defined++)
    for (int depth = 1; depth <= 2000; depth += depth < 20 ? 1 : 1980) {
      struct made made;
      begin(&made, "1.2.840.10008.1.2.1");
      for (int i = 0; i < depth; i++) {
        put_number(&made, 0x00400275, 4);
        put_bytes(&made, "SQ\0\0", 4);
        /* Lengths of what is still to come, or none. */
        put_number(&made, defined ? (uint64_t)(20 * (depth - i) - 12) : 0xFFFFFFFF, 4);
        put_number(&made, 0xE000FFFE, 4);
        put_number(&made, defined ? (uint64_t)(20 * (depth - i) - 20) : 0xFFFFFFFF, 4);
      }
      /* A sequence and its item are two levels. */
      if (depth <= 8)
        assert_ok(scan(&made, &err));
      else
        assert_status(scan(&made, &err), WILLIS_FORMAT, "deeper than 16");
    }
}

static void test_lengths_are_compared(void **state) {
  (void)state;
  struct made made;
  begin(&made, "1.2.840.10008.1.2.1");
  size_t at = made.size;
  put_element(&made, 0x7FE0, 0x10, "OW", "ab", 2);
  memset(made.bytes + at + 8, 0xF0, 4);
  assert_status(scan(&made, &err), WILLIS_FORMAT, "(7fe0,0010) claims 4042322160 bytes, but 2");
  begin(&made, "1.2.840.10008.1.2"); /* implicit */
  put_number(&made, 0x00100028, 4);
  put_number(&made, 5, 4);
  put_bytes(&made, "abcd", 4);
  assert_status(scan(&made, &err), WILLIS_FORMAT, "(0028,0010) claims 5 bytes, but 4");
  begin(&made, "1.2.840.10008.1.2.1");
  put_number(&made, 0xE00DFFFE, 4);
  put_number(&made, 0, 4);
  assert_status(scan(&made, &err), WILLIS_FORMAT, "ends nothing");
  begin(&made, "1.2.840.10008.1.2.1.99");
  assert_status(scan(&made, &err), WILLIS_UNSUPPORTED, "deflated");
  made.size = 132;
  assert_status(scan(&made, &err), WILLIS_FORMAT, "TransferSyntaxUID");
}

/* ---- folders ---- */

/* Oblique as real series are, and named in an order that is not theirs. */
static const char *const oblique = "1\\0\\0\\0\\0.8\\0.6";
static const char *const shuffled[] = {"c", "a", "e", "b", "d"};
enum { SLICES = 5 };

/* Slice k lies 5k mm along the normal (0, −0.6, 0.8). */
static struct attributes slice_of_series(int k, char position[64]) {
  struct attributes a = usual;
  snprintf(position, 64, "-7\\%g\\%g", 3 - 3.0 * k, 4.0 * k);
  a.position = position;
  a.orientation = oblique;
  a.first = 100 * k;
  return a;
}

static void put_series(void) {
  char position[64];
  for (int k = 0; k < SLICES; k++) {
    struct attributes a = slice_of_series(k, position);
    put_slice(shuffled[k], &a);
  }
}

static void test_order_by_position(void **state) {
  (void)state;
  put_series();
  struct willis_volume volume;
  struct heard heard = {0};
  assert_ok(read_folder(&volume, LISTEN(heard), &err));
  const struct willis_grid expected = {
      {COLUMNS, ROWS, SLICES}, {0.5, 2, 5}, {-7, 3, 0}, {1, 0, 0, 0, 0.8, -0.6, 0, 0.6, 0.8}};
  assert_memory_equal(volume.grid.size, expected.size, sizeof expected.size);
  assert_same_place(&volume.grid, &expected, 1e-12);
  for (int k = 0; k < SLICES; k++)
    for (int i = 0; i < ROWS * COLUMNS; i++)
      assert_true(volume.voxels[k * ROWS * COLUMNS + i] == (float)(100 * k + i));
  assert_int_equal(heard.count, 0);
  willis_volume_release(&volume);
  /* What is no slice is stepped over, and said. */
  put_file(scratch_path("notes.txt"), "notes", 5);
  assert_ok(read_folder(&volume, LISTEN(heard), &err));
  assert_non_null(strstr(heard.last, "1 files that are no DICOM slices"));
  willis_volume_release(&volume);
}

static void assert_folder_refused(enum willis_status status, const char *part) {
  struct willis_volume volume;
  assert_status(read_folder(&volume, NULL, &err), status, part);
}

static void test_missing_and_double_slices(void **state) {
  (void)state;
  put_series();
  unlink(scratch_path(shuffled[3]));
  assert_folder_refused(WILLIS_FORMAT, "missing between e and d: 10 mm apart, expected 5");
  put_series();
  char position[64];
  struct attributes a = slice_of_series(2, position);
  put_slice("twin", &a);
  assert_folder_refused(WILLIS_FORMAT, "e and twin lie at the same place");
  unlink(scratch_path("twin"));
  a.position = "-7\\-3.6\\8.8"; /* 1 mm too high */
  put_slice(shuffled[2], &a);
  assert_folder_refused(WILLIS_GEOMETRY, "e lies 1 mm from its place in steps of 5 mm");
  a.position = "-4\\-3\\8"; /* 3 mm to the side */
  put_slice(shuffled[2], &a);
  assert_folder_refused(WILLIS_UNSUPPORTED, "e is shifted by 6 columns");
}

static void test_mixtures(void **state) {
  (void)state;
  static const struct {
    size_t field;
    const char *text, *part;
  } cases[] = {{TEXT(series), "1.2.4", "differ in series"},
               {TEXT(spacing), "2\\0.6", "differ in pixel spacing"},
               {TEXT(orientation), "1\\0\\0\\0\\1\\0", "differ in orientation"}};
  char position[64];
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    put_series();
    struct attributes a = slice_of_series(2, position);
    memcpy((char *)&a + cases[i].field, &cases[i].text, sizeof cases[i].text);
    put_slice(shuffled[2], &a);
    assert_folder_refused(WILLIS_MISMATCH, cases[i].part);
  }
  struct attributes a = slice_of_series(2, position);
  a.rows = 2;
  put_slice(shuffled[2], &a);
  assert_folder_refused(WILLIS_MISMATCH, "differ in size");
}

static void test_nothing_to_read(void **state) {
  (void)state;
  assert_folder_refused(WILLIS_FORMAT, "0 files, none of them");
  put_file(scratch_path("notes.txt"), "notes", 5);
  assert_folder_refused(WILLIS_FORMAT, "1 files, none of them");
  put_series();
  struct made made = make(&usual);
  put_file(scratch_path("z"), made.bytes, made.size - 1);
  assert_folder_refused(WILLIS_FORMAT, "z: byte");
}

static void test_no_memory(void **state) {
  (void)state;
  put_series();
  for (int n = 0;; n++) {
    struct failing_allocator failing = {.until_failure = n};
    struct willis_volume volume;
    failing_allocator_use(&failing);
    enum willis_status status = read_folder(&volume, NULL, NULL);
    if (!status) willis_volume_release(&volume);
    failing_allocator_use(NULL);
    assert_int_equal(failing.held, 0);
    if (failing.until_failure >= 0) break;
    assert_int_equal(status, WILLIS_OUT_OF_MEMORY);
  }
}

/* ---- attributes ---- */

static double first_real(const struct made *made, uint32_t tag, ptrdiff_t *count) {
  struct willis_dicom_header *header;
  double value = -1;
  assert_ok(willis_dicom_header_open(made->bytes, made->size, NULL, &header, &err));
  *count = willis_dicom_reals(willis_dicom_header_root(header), tag, &value, 1);
  willis_dicom_header_close(header);
  return value;
}

static void test_numbers_of_every_kind(void **state) {
  (void)state;
  static const struct {
    const char *kind, *bytes;
    size_t size;
    ptrdiff_t count;
    double value;
  } cases[] = {
      {"US", "\xfe\xff\1\0", 4, 2, 65534},
      {"SS", "\xfe\xff", 2, 1, -2},
      {"UL", "\xfe\xff\xff\xff", 4, 1, 4294967294},
      {"SL", "\xfe\xff\xff\xff", 4, 1, -2},
      {"FL", "\0\0\xc0\x3f", 4, 1, 1.5},
      {"FL", "\0\0\xc0\x7f", 4, -1, 0},
      {"FD", "\0\0\0\0\0\0\xf8\xbf", 8, 1, -1.5},
      {"US", "\1", 1, 1, 8193},
      {"DS", " 2.5 \\3\\4 ", 9, 3, 2.5},
      {"DS", "2\\", 2, -1, 0},
      {"DS", "1e999", 5, -1, 0},
      {"IS", "  ", 2, 0, -1},
      {"LO", "seven", 5, -1, 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct made made;
    ptrdiff_t count;
    begin(&made, "1.2.840.10008.1.2.1");
    put_element(&made, 0x18, 0x1110, cases[i].kind, cases[i].bytes, cases[i].size);
    double value = first_real(&made, 0x00181110, &count);
    assert_int_equal(count, cases[i].count);
    if (count >= 0) assert_true(value == cases[i].value);
  }
}

/* Elements in falling order, one of them twice, one inside a sequence: the first of the file's own
 * counts. */
static void test_order_does_not_matter(void **state) {
  (void)state;
  struct made made;
  ptrdiff_t count;
  begin(&made, "1.2.840.10008.1.2.1");
  put_short(&made, 0x28, 0x11, 5);
  put_element(&made, 0x28, 0x9110, "SQ", "\xfe\xff\x00\xe0\x0a\0\0\0\x28\0\x10\0US\2\0\7\0", 18);
  put_short(&made, 0x28, 0x10, 4);
  put_short(&made, 0x28, 0x10, 6);
  put_text(&made, 0x18, 0x50, "DS", "3");
  assert_true(first_real(&made, 0x00280010, &count) == 4 && count == 1);
  assert_true(first_real(&made, 0x00280011, &count) == 5);
  assert_true(first_real(&made, 0x00180050, &count) == 3);
  (void)first_real(&made, 0x00180051, &count);
  assert_int_equal(count, 0);
  struct willis_dicom_header *header;
  assert_ok(willis_dicom_header_open(made.bytes, made.size, NULL, &header, &err));
  const struct willis_dicom_item *root = willis_dicom_header_root(header), *item;
  double value = 0;
  char text[4];
  assert_int_equal(willis_dicom_child_count(root, 0x00289110), 1);
  assert_null(willis_dicom_child(root, 0x00289110, 1));
  item = willis_dicom_child(root, 0x00289110, 0);
  assert_true(willis_dicom_reals(item, 0x00280010, &value, 1) == 1 && value == 7);
  assert_int_equal(willis_dicom_reals(NULL, 0x00280010, &value, 1), 0);
  assert_string_equal(willis_dicom_text(root, 0x00180050, text, sizeof text), "3");
  assert_string_equal(willis_dicom_text(root, 0x00289110, text, sizeof text), "");
  willis_dicom_header_close(header);
}

/* Implicit files do not say how numbers are stored: a table does. */
static void test_implicit_kinds(void **state) {
  (void)state;
  struct made made;
  ptrdiff_t count;
  begin(&made, "1.2.840.10008.1.2");
  put_bytes(&made,
            "\x18\0\x50\0\2\0\0\0"
            "3 "
            "\x28\0\x10\0\2\0\0\0\7\0",
            20);
  assert_true(first_real(&made, 0x00180050, &count) == 3 && count == 1);
  assert_true(first_real(&made, 0x00280010, &count) == 7 && count == 1);
}

static void test_elements_are_counted(void **state) {
  (void)state;
  struct made made;
  size_t end, size;
  begin(&made, "1.2.840.10008.1.2.1");
  size = made.size + 8 * ((size_t)WILLIS_DICOM_MOST_ELEMENTS + 1);
  unsigned char *many = calloc(size, 1);
  assert_non_null(many);
  memcpy(many, made.bytes, made.size);
  for (size_t at = made.size; at < size; at += 8) memcpy(many + at, "\x11\0\1\0LO\0\0", 8);
  assert_ok(willis_dicom_scan(many, size - 8, &end, &err));
  assert_status(willis_dicom_scan(many, size, &end, &err), WILLIS_UNSUPPORTED, "more than 1048576");
  free(many);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_numbers_of_every_kind),
      cmocka_unit_test(test_order_does_not_matter),
      cmocka_unit_test(test_implicit_kinds),
      cmocka_unit_test(test_elements_are_counted),
      SCRATCH_TEST(test_one_slice),
      cmocka_unit_test(test_a_slice_that_is_refused),
      cmocka_unit_test(test_padding_after_the_pixels),
      cmocka_unit_test(test_any_bytes),
      cmocka_unit_test(test_nesting_is_bounded),
      cmocka_unit_test(test_lengths_are_compared),
      SCRATCH_TEST(test_order_by_position),
      SCRATCH_TEST(test_missing_and_double_slices),
      SCRATCH_TEST(test_mixtures),
      SCRATCH_TEST(test_nothing_to_read),
      SCRATCH_TEST(test_no_memory),
  };
  return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
