/* Compressed pixels made piece by piece: which fragments make a frame, what a deflated file may
 * grow to, what a picture may say of itself, and memory that C++ does not find. */
#include "made_angiogram.h"

#include "io/dicom_codec.h"
#include "io/dicom_scan.h"

#include <zlib.h>

/* ---- which fragments make a frame ---- */

enum { PIXELS = 12, FRAMES = 4, MOST_PIECES = 16 };

struct pieces {
  unsigned char bytes[MOST_PIECES][256];
  size_t size[MOST_PIECES];
  int count;
};

static void add_piece(struct pieces *pieces, const unsigned char *bytes, size_t size) {
  assert_true(size <= sizeof pieces->bytes[0] && pieces->count < MOST_PIECES);
  memcpy(pieces->bytes[pieces->count], bytes, size);
  pieces->size[pieces->count++] = size;
}

/* Frame f as RLE: value 10·f + pixel. Its first piece holds the table, its second the values. */
static void add_rle(struct pieces *pieces, int f) {
  unsigned char table[64] = {1, 0, 0, 0, 64}, run[14] = {PIXELS - 1};
  for (int i = 0; i < PIXELS; i++) run[1 + i] = (unsigned char)(10 * f + i);
  run[PIXELS + 1] = 128; /* does nothing, makes the length even */
  add_piece(pieces, table, sizeof table);
  add_piece(pieces, run, sizeof run);
}

static void put_item(struct made *made, const unsigned char *bytes, size_t size) {
  put_number(made, 0xE000FFFE, 4);
  put_number(made, size, 4);
  if (size) memcpy(made->bytes + made->size, bytes, size);
  made->size += size;
}

static const char frames_of[FRAMES + 1] = "1234";

/* A file of `frames` frames in these pieces behind a table of `offsets` numbers. */
static struct made made_of(const struct pieces *pieces, int frames, const uint32_t *offset,
                           int offsets) {
  const char count[] = {frames_of[frames - 1], 0};
  const struct change change[] = {{0x00280008, "IS", count}};
  struct made made = make_run(change, 1);
  made.size -= 48 + 12;           /* raw pixels and their head */
  made.bytes[132 + 8 + 18] = '5'; /* RLE's name differs from plain pixels' in its last digit */
  put_number(&made, 0x00107FE0, 4);
  memcpy(made.bytes + made.size, "OB\0\0\xFF\xFF\xFF\xFF", 8);
  made.size += 8;
  unsigned char table[4 * FRAMES + 4];
  for (int i = 0; i < 4 * offsets; i++) table[i] = (unsigned char)(offset[i / 4] >> 8 * (i % 4));
  put_item(&made, table, 4 * (size_t)offsets);
  for (int i = 0; i < pieces->count; i++) put_item(&made, pieces->bytes[i], pieces->size[i]);
  put_number(&made, 0xE0DDFFFE, 4);
  put_number(&made, 0, 4);
  return made;
}

static void expect_frames(const struct made *made, int frames) {
  struct willis_angiogram a;
  float pixels[PIXELS];
  assert_ok(open_run(made, &a, NULL, &err));
  assert_int_equal(a.frame_count, frames);
  for (int f = 0; f < frames; f++) {
    assert_ok(willis_angiogram_read(&a, f, pixels, &err));
    for (int i = 0; i < PIXELS; i++) assert_true(pixels[i] == (float)(10 * f + i));
  }
  willis_angiogram_close(&a);
}

static void expect_refused(const struct made *made, const char *part) {
  struct willis_angiogram a;
  assert_status(open_run(made, &a, NULL, &err), WILLIS_FORMAT, part);
}

static struct pieces two_a_frame(int frames) {
  struct pieces pieces = {.count = 0};
  for (int f = 0; f < frames; f++) add_rle(&pieces, f);
  return pieces;
}

static void test_offsets_say_it(void **state) {
  (void)state;
  enum { STEP = 8 + 64 + 8 + 14 }; /* one frame's two items */
  static const uint32_t right[] = {0, STEP, 2 * STEP, 3 * STEP};
  static const struct {
    uint32_t offset[FRAMES + 1];
    int count;
  } wrong[] = {
      {{0}, 0},                               /* no table */
      {{0, STEP, 2 * STEP}, 3},               /* short */
      {{0, STEP, 2 * STEP, 3 * STEP, 0}, 5},  /* long */
      {{8, STEP, 2 * STEP, 3 * STEP}, 4},     /* to a value */
      {{72, STEP, 2 * STEP, 3 * STEP}, 4},    /* the first frame is not the first */
      {{0, STEP, STEP, 3 * STEP}, 4},         /* one twice */
      {{0, 2 * STEP, STEP, 3 * STEP}, 4},     /* back */
      {{0, STEP, 2 * STEP, 4 * STEP}, 4},     /* behind the end */
      {{0, STEP, 2 * STEP, 0xFFFFFFF8}, 4},   /* far behind it */
      {{0, STEP + 4, 2 * STEP, 3 * STEP}, 4}, /* between two */
  };
  const struct pieces pieces = two_a_frame(FRAMES);
  struct made made = made_of(&pieces, FRAMES, right, FRAMES);
  expect_frames(&made, FRAMES);
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    made = made_of(&pieces, FRAMES, wrong[i].offset, wrong[i].count);
    expect_refused(&made, "holds 8 compressed pieces for 4 frames, and no table says");
  }
}

static void test_pieces_of_one_frame(void **state) {
  (void)state;
  const struct pieces two = two_a_frame(1), all = two_a_frame(FRAMES);
  struct made made = made_of(&two, 1, NULL, 0);
  expect_frames(&made, 1);
  made = made_of(&two, 3, NULL, 0);
  expect_refused(&made, "holds 2 compressed pieces, expected the 3 of NumberOfFrames (0028,0008)");
  struct pieces none_at_all = {.count = 0};
  made = made_of(&none_at_all, 1, NULL, 0);
  expect_refused(&made, "holds 0 compressed pieces");
  made = made_of(&all, FRAMES, NULL, 0);
  made.size -= 8; /* the end of the row */
  expect_refused(&made, "byte ");
}

/* Two bytes decide whether a frame begins; nothing is decoded here. */
static void test_markers_say_it(void **state) {
  (void)state;
  static const unsigned char jpeg[4] = {0xFF, 0xD8, 1, 2}, j2k[4] = {0xFF, 0x4F, 1, 2},
                             more[4] = {1, 2, 3, 4};
  static const struct {
    const char *order; /* J and K begin a frame, '.' goes on with it, '-' is an empty piece */
    bool good;
  } rows[] = {{"J.J..", true}, {"K.K-.", true},  {"J.K", true},  {"J..", false},
              {".J.J", false}, {"J.J.J", false}, {"J-.", false}, {"-JJ", false}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct pieces pieces = {.count = 0};
    for (const char *at = rows[i].order; *at; at++)
      add_piece(&pieces, *at == 'J' ? jpeg : *at == 'K' ? j2k : more, *at == '-' ? 0 : 4);
    struct made made = made_of(&pieces, 2, NULL, 0);
    struct willis_angiogram a;
    if (!rows[i].good) {
      expect_refused(&made, "for 2 frames, and no table says");
      continue;
    }
    float pixels[PIXELS];
    assert_ok(open_run(&made, &a, NULL, &err));
    assert_status(willis_angiogram_read(&a, 1, pixels, &err), WILLIS_FORMAT, "RLE segments");
    willis_angiogram_close(&a);
  }
}

static enum willis_status open_once(const unsigned char *bytes, size_t size,
                                    struct willis_error *err) {
  const struct willis_limits limits = willis_limits_defaults();
  struct willis_angiogram a;
  unsigned char *own = willis_take((ptrdiff_t)size, 1);
  if (!own) return willis_fail_memory(err, "a file", (ptrdiff_t)size, 1);
  memcpy(own, bytes, size);
  enum willis_status status = willis_angiogram_parse(own, size, &limits, &a, NULL, err);
  if (!status) willis_angiogram_close(&a);
  return status;
}

static void test_no_memory_for_places(void **state) {
  (void)state;
  const struct pieces pieces = two_a_frame(1);
  const struct made made = made_of(&pieces, 1, NULL, 0);
  starve(open_once, made.bytes, made.size);
}

/* ---- deflated files ---- */

enum { HEAD = 132 + 8 + 22 };

/* A deflated file whose elements are these bytes. */
static unsigned char *deflated(const unsigned char *plain, size_t plain_size, size_t *size) {
  struct made head = {.size = 128};
  memcpy(head.bytes + 128, "DICM", 4);
  head.size = 132;
  put_text(&head, 0x00020010, "UI", WILLIS_DICOM_DEFLATED);
  assert_int_equal(head.size, HEAD);
  z_stream stream = {0};
  assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
  const size_t room = HEAD + deflateBound(&stream, plain_size);
  unsigned char *bytes = malloc(room);
  memcpy(bytes, head.bytes, HEAD);
  stream.next_in = (Bytef *)(uintptr_t)plain;
  stream.avail_in = (uInt)plain_size;
  stream.next_out = bytes + HEAD;
  stream.avail_out = (uInt)(room - HEAD);
  assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
  *size = room - stream.avail_out;
  deflateEnd(&stream);
  return bytes;
}

static enum willis_status inflate_once(const unsigned char *bytes, size_t size,
                                       struct willis_error *err) {
  const struct willis_limits limits = willis_limits_defaults();
  unsigned char *plain;
  size_t plain_size;
  enum willis_status status = willis_dicom_inflate(bytes, size, &limits, &plain, &plain_size, err);
  assert_true(!plain == (status != WILLIS_OK));
  willis_release(plain);
  return status;
}

/* Noise does not shrink, so that what is known of a ratio does not stop it. */
static void test_inflating_grows(void **state) {
  (void)state;
  enum { NOISE = 3000, ZEROS = 40000, ALL = NOISE + ZEROS };
  static unsigned char plain[ALL];
  uint32_t noise = 1;
  for (int i = 0; i < NOISE; i++) plain[i] = (unsigned char)((noise = noise * 1664525 + 1) >> 24);
  struct willis_limits limits = willis_limits_defaults();
  size_t size, out_size;
  unsigned char *bytes = deflated(plain, ALL, &size), *out;
  assert_true(4 * size + 1024 < ALL / 2); /* what is taken at first has to grow more than once */
  assert_ok(willis_dicom_inflate(bytes, size, &limits, &out, &out_size, &err));
  assert_true(out_size > ALL);
  assert_memory_equal(out + out_size - ALL, plain, ALL);
  willis_release(out);
  starve(inflate_once, bytes, size);

  limits.expanded_bytes = ALL;
  assert_status(willis_dicom_inflate(bytes, size, &limits, &out, &out_size, &err), WILLIS_FORMAT,
                "grows beyond 43000 bytes");
  assert_null(out);
  assert_status(inflate_once(bytes, size - 5, &err), WILLIS_FORMAT, "is cut or broken");
  bytes[HEAD] ^= 6; /* the kind of the first block */
  assert_status(inflate_once(bytes, size, &err), WILLIS_FORMAT, "is cut or broken");
  bytes[132 + 8 + 20] = '1'; /* the name of another syntax */
  assert_status(inflate_once(bytes, size, &err), WILLIS_FORMAT, "expected a deflated DICOM file");
  free(bytes);
}

/* 40 MB of zeros in 40 kB, and noise before them so that a hundredfold is not the first bound. */
static void test_a_bomb_is_small(void **state) {
  (void)state;
  enum { ALL = 40 << 20 };
  unsigned char *plain = calloc(ALL, 1);
  size_t size;
  unsigned char *bytes = deflated(plain, ALL, &size);
  assert_status(inflate_once(bytes, size, &err), WILLIS_FORMAT, "grows beyond");
  uint32_t noise = 1;
  for (int i = 0; i < 400000; i++)
    plain[ALL - 400000 + i] = (unsigned char)((noise = noise * 1664525 + 1) >> 24);
  free(bytes);
  bytes = deflated(plain, ALL, &size);
  assert_true(100 * size > ALL); /* as a whole it is no bomb: at first it is one */
  assert_status(inflate_once(bytes, size, &err), WILLIS_FORMAT, "grows beyond");
  free(bytes);
  free(plain);
}

/* ---- what a picture says of itself ---- */

enum { J2K_ROWS = 14, J2K_COLUMNS = 20 };
static const struct willis_dicom_format j2k_format = {
    .columns = J2K_COLUMNS, .rows = J2K_ROWS, .allocated = 16, .stored = 12};

/* The first frame of a file of the oracle's. */
static unsigned char *first_frame(const char *path, size_t *length) {
  static unsigned char bytes[1 << 14];
  struct willis_dicom_layout layout;
  FILE *file = fopen(path, "rb");
  assert_non_null(file);
  size_t size = fread(bytes, 1, sizeof bytes, file), at, value;
  fclose(file);
  assert_ok(willis_dicom_locate(bytes, size, &layout, &err));
  at = layout.value;
  for (int i = 0; i < 2; i++) /* the table, then the frame */
    assert_ok(willis_dicom_fragment_next(bytes, layout.end, &at, &value, length, &err));
  return bytes + value;
}

static void test_jpeg_2000_heads(void **state) {
  (void)state;
  enum { X_END = 8, Y_END = 12, X_BEGIN = 16, X_TILE = 24, Y_TILE = 28, X_FROM = 32, PARTS = 40 };
  static const struct {
    struct {
      int at;
      uint32_t value;
    } change[4];
    const char *part;
  } rows[] = {
      {{{X_END, 21}}, "ends at 21, 14, expected 20 columns and 14 rows"},
      {{{Y_END, 13}}, "ends at 20, 13"},
      {{{X_BEGIN, 21}}, "expected 20 columns"},
      {{{X_TILE, 0}}, "has tiles of 0 x "},
      {{{Y_TILE, 0}}, " x 0"},
      {{{X_FROM, 1}}, "has tiles of"}, /* begins too late */
      {{{X_END, UINT32_MAX}, {X_BEGIN, UINT32_MAX - 20}, {X_TILE, 1}}, "tiles of 1 x"},
      {{{PARTS, 0x00030B01}}, "has 3 components, expected 1: grey values"},
      {{{PARTS, 0x00012001}}, "has 33 bits a value, expected 1 to 16"},
  };
  size_t size;
  unsigned short value[J2K_ROWS * J2K_COLUMNS];
  unsigned char *frame = first_frame("angiograms/jpeg_2000.dcm", &size), kept[64];
  memcpy(kept, frame, sizeof kept);
  assert_ok(willis_jpeg2000_decode(&j2k_format, frame, size, value, &err));
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    for (int k = 0; k < 4 && rows[i].change[k].at; k++)
      for (int b = 0; b < 4; b++)
        frame[rows[i].change[k].at + b] = (unsigned char)(rows[i].change[k].value >> (24 - 8 * b));
    enum willis_status expected = i == 7 ? WILLIS_UNSUPPORTED : WILLIS_FORMAT;
    assert_status(willis_jpeg2000_decode(&j2k_format, frame, size, value, &err), expected,
                  rows[i].part);
    memcpy(frame, kept, sizeof kept);
  }
  /* Tiles of one pixel, as many as there are pixels. */
  struct willis_dicom_format big = {.columns = 100, .rows = 100, .allocated = 16, .stored = 12};
  static const unsigned char hundred[4] = {0, 0, 0, 100}, one[4] = {0, 0, 0, 1};
  memcpy(frame + X_END, hundred, 4);
  memcpy(frame + Y_END, hundred, 4);
  memcpy(frame + X_TILE, one, 4);
  memcpy(frame + Y_TILE, one, 4);
  assert_status(willis_jpeg2000_decode(&big, frame, size, value, &err), WILLIS_FORMAT,
                "tiles of 1 x 1");
  assert_status(willis_dicom_frame_decode("1.2.3", &big, frame, size, value, &err),
                WILLIS_UNSUPPORTED, "is none of raw, deflated, RLE");
}

/* ---- memory that C++ does not find ---- */

/* Of the linker (--wrap) and of libstdc++, which throws for us. */
void *__real__Znwm(size_t bytes);
void *__wrap__Znwm(size_t bytes);
_Noreturn void _ZSt17__throw_bad_allocv(void);
_Noreturn void _ZSt20__throw_length_errorPKc(const char *why);

static int until_failure = -1;
static bool throws_another;

void *__wrap__Znwm(size_t bytes) {
  if (until_failure-- != 0) return __real__Znwm(bytes);
  if (throws_another) _ZSt20__throw_length_errorPKc("of this test");
  _ZSt17__throw_bad_allocv();
}

static void test_no_memory_in_the_codec(void **state) {
  (void)state;
  static const char jpeg_ls[] = "1.2.840.10008.1.2.4.80";
  size_t size;
  unsigned short value[J2K_ROWS * J2K_COLUMNS];
  const unsigned char *frame = first_frame("angiograms/jpeg_ls.dcm", &size);
  assert_ok(willis_dicom_frame_decode(jpeg_ls, &j2k_format, frame, size, value, &err));
  int failures = 0;
  for (int other = 0; other < 2; other++)
    for (int n = 0;; n++, failures++) {
      struct willis_error why = {.message = ""};
      throws_another = other == 1;
      until_failure = n;
      const enum willis_status status =
          willis_dicom_frame_decode(jpeg_ls, &j2k_format, frame, size, value, &why);
      const bool struck = until_failure < 0;
      until_failure = -1;
      if (!struck) {
        assert_int_equal(status, WILLIS_OK);
        break;
      }
      assert_int_equal(status, other ? WILLIS_FORMAT : WILLIS_OUT_OF_MEMORY);
      assert_non_null(strstr(why.message, other ? "cannot be decoded" : "no memory to decode"));
    }
  assert_true(failures >= 4);
  assert_status(
      willis_dicom_dcmtk_decode(jpeg_ls, &j2k_format, true, frame, (size_t)1 << 32, value, &err),
      WILLIS_UNSUPPORTED, "a compressed frame of 4294967296 bytes");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_offsets_say_it),  cmocka_unit_test(test_pieces_of_one_frame),
      cmocka_unit_test(test_markers_say_it),  cmocka_unit_test(test_no_memory_for_places),
      cmocka_unit_test(test_inflating_grows), cmocka_unit_test(test_a_bomb_is_small),
      cmocka_unit_test(test_jpeg_2000_heads), cmocka_unit_test(test_no_memory_in_the_codec),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
