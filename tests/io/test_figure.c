/* Figures: what was put in can be read back, and odd data and odd text draw something. */
#define _GNU_SOURCE
#include "base/file.h"
#include "base/memory.h"
#include "failing_allocator.h"
#include "io/canvas.h"

#include <willis/figure.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "scratch.h"

static cairo_surface_t *read_png(const char *path) {
  cairo_surface_t *surface = cairo_image_surface_create_from_png(path);
  assert_int_equal(cairo_surface_status(surface), CAIRO_STATUS_SUCCESS);
  return surface;
}

/* 0xRRGGBB */
static uint32_t pixel(cairo_surface_t *surface, int x, int y) {
  const unsigned char *row =
      cairo_image_surface_get_data(surface) + y * cairo_image_surface_get_stride(surface);
  uint32_t word;
  memcpy(&word, row + 4 * x, 4);
  return word & 0xffffff;
}

static bool begins_with(const char *path, const char *text) {
  unsigned char *bytes;
  size_t size;
  if (willis_file_read(path, 1 << 24, &bytes, &size, NULL)) return false;
  bool same = size > strlen(text) && !memcmp(bytes, text, strlen(text));
  willis_release(bytes);
  return same;
}

static void window_is_linear_and_clamped(void **state) {
  (void)state;
  const float values[6] = {-5, -1, 0, 1, 9, NAN};
  const unsigned char expected[6] = {0, 0, 128, 255, 255, 0};
  struct willis_picture picture;
  assert_int_equal(willis_picture_window(&picture, values, 3, 2, -1, 1, NULL), WILLIS_OK);
  assert_int_equal(picture.width, 3);
  assert_int_equal(picture.height, 2);
  assert_memory_equal(picture.bytes, expected, 6);
  willis_picture_release(&picture);
  assert_int_equal(willis_picture_window(&picture, values, 3, 2, 1, 1, NULL), WILLIS_OK);
  for (int i = 0; i < 6; i++) assert_int_equal(picture.bytes[i], 0);
  willis_picture_release(&picture);
}

static void pictures_come_back_as_they_were(void **state) {
  (void)state;
  for (int channels = 1; channels <= 3; channels += 2) {
    struct willis_picture picture;
    const char *path = scratch_path("picture.png");
    assert_int_equal(willis_picture_create(&picture, 7, 5, channels, NULL), WILLIS_OK);
    for (int i = 0; i < 35 * channels; i++) picture.bytes[i] = (unsigned char)(37 * i);
    assert_int_equal(willis_picture_write(path, &picture, true, NULL), WILLIS_OK);
    cairo_surface_t *surface = read_png(path);
    assert_int_equal(cairo_image_surface_get_width(surface), 7);
    assert_int_equal(cairo_image_surface_get_height(surface), 5);
    for (int i = 0; i < 35; i++) {
      const unsigned char *p = picture.bytes + i * channels;
      int second = channels == 3 ? 1 : 0, third = channels == 3 ? 2 : 0;
      uint32_t expected = (uint32_t)p[0] << 16 | (uint32_t)p[second] << 8 | p[third];
      assert_int_equal(pixel(surface, i % 7, i / 7), expected);
    }
    cairo_surface_destroy(surface);
    willis_picture_release(&picture);
  }
}

static void impossible_pictures_are_refused(void **state) {
  (void)state;
  static const struct {
    ptrdiff_t width, height;
    int channels;
  } bad[] = {{0, 1, 1}, {1, -1, 1}, {1, 1, 2}, {40000, 1, 1}, {1, PTRDIFF_MAX, 3}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    struct willis_picture picture;
    assert_int_equal(
        willis_picture_create(&picture, bad[i].width, bad[i].height, bad[i].channels, NULL),
        WILLIS_INVALID_ARGUMENT);
    assert_null(picture.bytes);
  }
}

/* Two rows of two; the lower right cell is empty. Bytes of picture i are all 60 + 60·i. */
static struct willis_picture four[4];
static const char *const row_label[] = {"row", "a label with \xff, \xc3 and \xed\xa0\x80 in it"};
static const char *const column_label[] = {"0°", NULL};
static struct willis_picture_table table = {.title = "title",
                                            .caption = "caption",
                                            .rows = 2,
                                            .columns = 2,
                                            .row_label = row_label,
                                            .column_label = column_label,
                                            .picture = four};

static int make_four(void **state) {
  for (int i = 0; i < 3; i++) {
    if (willis_picture_create(&four[i], 100, 50, 1, NULL)) return -1;
    memset(four[i].bytes, 60 + 60 * i, 5000);
  }
  return scratch_make(state);
}

static int release_four(void **state) {
  for (int i = 0; i < 3; i++) willis_picture_release(&four[i]);
  return scratch_remove(state);
}

static void a_table_shows_its_pictures_in_order(void **state) {
  (void)state;
  const char *path = scratch_path("table.png");
  assert_int_equal(willis_picture_table_write(path, &table, false, NULL), WILLIS_OK);
  cairo_surface_t *surface = read_png(path);
  int width = cairo_image_surface_get_width(surface);
  int height = cairo_image_surface_get_height(surface);
  /* Pictures are the only large areas of one grey: 100×50 grows by 3 to 300×150. A pixel belongs to
   * one if its neighbour over the corner has its grey; letters are thinner than that. */
  for (int i = 0; i < 3; i++) {
    uint32_t grey = (uint32_t)(60 + 60 * i) * 0x010101u;
    int count = 0, left = width, top = height;
    for (int y = 0; y < height - 5; y++)
      for (int x = 0; x < width - 5; x++)
        if (pixel(surface, x, y) == grey && pixel(surface, x + 5, y + 5) == grey) {
          count++;
          if (x < left) left = x;
          if (y < top) top = y;
        }
    assert_int_equal(count, 295 * 145);
    if (i == 1) assert_true(left > width / 2);
    if (i == 2) assert_true(left < width / 2 && top > height / 2);
  }
  assert_int_equal(pixel(surface, width - 100, height - 100), 0xffffff); /* the empty cell */
  cairo_surface_destroy(surface);
}

static void the_ending_chooses_the_format(void **state) {
  (void)state;
  static const char *const files[][2] = {
      {"t.png", "\x89PNG\r\n"}, {"t.SVG", "<?xml"}, {"t.pdf", "%PDF-"}};
  for (int i = 0; i < 3; i++) {
    const char *path = scratch_path(files[i][0]);
    assert_int_equal(willis_picture_table_write(path, &table, false, NULL), WILLIS_OK);
    assert_true(begins_with(path, files[i][1]));
    assert_int_equal(willis_picture_table_write(path, &table, false, NULL), WILLIS_EXISTS);
  }
  struct willis_error err;
  assert_int_equal(willis_picture_table_write(scratch_path("t.gif"), &table, false, &err),
                   WILLIS_INVALID_ARGUMENT);
  assert_non_null(strstr(err.message, ".svg"));
  assert_int_equal(scratch_count(), 3);
}

/* The status sentence, where a format has a place for it as plain bytes (in a PDF it is packed). */
static void files_say_what_they_are(void **state) {
  (void)state;
  static const char *const names[] = {"t.png", "t.svg"};
  for (int i = 0; i < 2; i++) {
    unsigned char *bytes;
    size_t size;
    const char *path = scratch_path(names[i]);
    assert_int_equal(willis_picture_table_write(path, &table, false, NULL), WILLIS_OK);
    assert_int_equal(willis_file_read(path, 1 << 24, &bytes, &size, NULL), WILLIS_OK);
    assert_non_null(memmem(bytes, size, "Not a medical device.", 21));
    willis_release(bytes);
  }
}

static void every_allocation_may_fail(void **state) {
  (void)state;
  const char *path = scratch_path("t.png");
  for (int n = 0;; n++) {
    struct failing_allocator failing = {.until_failure = n};
    failing_allocator_use(&failing);
    enum willis_status status = willis_picture_table_write(path, &table, false, NULL);
    failing_allocator_use(NULL);
    assert_int_equal(failing.held, 0);
    if (!status) break;
    assert_int_equal(status, WILLIS_OUT_OF_MEMORY);
    assert_int_equal(scratch_count(), 0);
  }
  assert_int_equal(scratch_count(), 1);
}

static void charts_draw_whatever_they_get(void **state) {
  (void)state;
  static const double x[] = {1, 2, 3, 4}, same[] = {5, 5, 5, 5}, zero[4] = {0},
                      odd[] = {NAN, -INFINITY, 3, 0}, huge[] = {-1e308, 1e308, 1e-308, 7},
                      deviation[] = {1, NAN, 1e9, -1};
  static const double *const data[] = {x, same, zero, odd, huge};
  const char *path = scratch_path("chart.png");
  for (int a = 0; a < 5; a++)
    for (int b = 0; b < 5; b++)
      for (int logarithmic = 0; logarithmic < 4; logarithmic++) {
        struct willis_chart_line line[] = {{"line", data[a], data[b], deviation, 4},
                                           {NULL, NULL, NULL, NULL, 0}};
        struct willis_chart chart = {.title = "\x80",
                                     .logarithmic_x = logarithmic & 1,
                                     .logarithmic_y = logarithmic & 2,
                                     .x_tick = x,
                                     .x_tick_count = b ? 4 : 0,
                                     .line = line,
                                     .line_count = 2};
        assert_int_equal(willis_charts_write(path, &chart, 1, 1, true, NULL), WILLIS_OK);
      }
  assert_int_equal(willis_charts_write(path, NULL, 0, 1, true, NULL), WILLIS_INVALID_ARGUMENT);
}

static void a_line_is_drawn_where_its_points_are(void **state) {
  (void)state;
  static const double x[] = {0, 10}, y[] = {0, 10};
  struct willis_chart_line line = {NULL, x, y, NULL, 2};
  struct willis_chart chart = {.line = &line, .line_count = 1};
  const char *path = scratch_path("chart.png");
  assert_int_equal(willis_charts_write(path, &chart, 1, 1, true, NULL), WILLIS_OK);
  cairo_surface_t *surface = read_png(path);
  int width = cairo_image_surface_get_width(surface);
  int height = cairo_image_surface_get_height(surface), first = 0, last = 0;
  /* The line is the only thing in colour, and it rises from the left to the right. */
  for (int column = 0; column < width; column++)
    for (int row = 0; row < height; row++) {
      uint32_t p = pixel(surface, column, row);
      if ((p & 0xff) < 150 || (p >> 16) > 50) continue;
      if (!first) first = row;
      last = row;
    }
  assert_true(first > height / 2 && last < height / 2);
  cairo_surface_destroy(surface);
}

int main(void) {
#define TEST(f) cmocka_unit_test_teardown(f, scratch_empty)
  const struct CMUnitTest tests[] = {
      TEST(window_is_linear_and_clamped),
      TEST(pictures_come_back_as_they_were),
      TEST(impossible_pictures_are_refused),
      TEST(a_table_shows_its_pictures_in_order),
      TEST(the_ending_chooses_the_format),
      TEST(files_say_what_they_are),
      TEST(every_allocation_may_fail),
      TEST(charts_draw_whatever_they_get),
      TEST(a_line_is_drawn_where_its_points_are),
  };
  return cmocka_run_group_tests(tests, make_four, release_four);
}
