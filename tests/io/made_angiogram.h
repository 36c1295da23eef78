/* Angiograms made element by element. */
#ifndef TESTS_MADE_ANGIOGRAM_H
#define TESTS_MADE_ANGIOGRAM_H

#include "io/angiogram.h"

#include "base/error.h"
#include "io_test.h"

static const struct willis_pose_override none = {.primary_angle_deg = NAN,
                                                 .secondary_angle_deg = NAN};

enum { ROOM = 1 << 14 };
struct made {
  unsigned char bytes[ROOM];
  size_t size;
};

static inline void put_number(struct made *made, uint64_t value, size_t width) {
  for (size_t i = 0; i < width; i++) made->bytes[made->size++] = (unsigned char)(value >> (8 * i));
}
static inline void put(struct made *made, uint32_t tag, const char *vr, const void *value,
                       size_t length) {
  put_number(made, tag >> 16, 2);
  put_number(made, tag & 0xFFFF, 2);
  memcpy(made->bytes + made->size, vr, 2);
  made->size += 2;
  bool is_long = !strcmp(vr, "OW") || !strcmp(vr, "SQ");
  if (is_long) put_number(made, 0, 2);
  put_number(made, length + length % 2, is_long ? 4 : 2);
  memcpy(made->bytes + made->size, value, length);
  made->size += length;
  if (length % 2) put_number(made, strcmp(vr, "UI") ? ' ' : 0, 1);
}
static inline void put_text(struct made *made, uint32_t tag, const char *vr, const char *text) {
  put(made, tag, vr, text, strlen(text));
}
static inline void put_shorts(struct made *made, uint32_t tag, const int *value, int count) {
  unsigned char bytes[64];
  for (int i = 0; i < count; i++) {
    bytes[2 * i] = (unsigned char)value[i];
    bytes[2 * i + 1] = (unsigned char)(value[i] >> 8);
  }
  put(made, tag, "US", bytes, 2 * (size_t)count);
}

/* An attribute of a test: its text takes the place of the usual one; null leaves it out. */
struct change {
  uint32_t tag;
  const char *vr, *text;
};
enum { MOST_ROWS = 40 };

/* Four frames of 4 × 3 pixels of 8 bits: value 10·frame + pixel. */
static inline struct made make_run_with(const struct change *change, int changes,
                                        const struct made *more) {
  static const struct change usual[] = {
      {0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.12.1"},
      {0x00100010, "PN", "Secret^Name"},
      {0x00181110, "DS", "1200"},
      {0x00181111, "DS", "750"},
      {0x00181114, "DS", NULL},
      {0x00181147, "CS", NULL},
      {0x00181149, "IS", NULL},
      {0x00181164, "DS", "0.4\\0.3"},
      {0x00181500, "CS", NULL},
      {0x00181510, "DS", "30"},
      {0x00181511, "DS", "-10"},
      {0x00181520, "DS", NULL},
      {0x00181521, "DS", NULL},
      {0x00181600, "CS", NULL},
      {0x00181602, "IS", NULL},
      {0x00181604, "IS", NULL},
      {0x00181606, "IS", NULL},
      {0x00181608, "IS", NULL},
      {0x00181610, "IS", NULL},
      {0x00181612, "IS", NULL},
      {0x00181620, "IS", NULL},
      {0x00187032, "DS", NULL},
      {0x00187034, "CS", NULL},
      {0x00200020, "CS", NULL},
      {0x00280002, "US", "1"},
      {0x00280004, "CS", "MONOCHROME2"},
      {0x00280008, "IS", "4"},
      {0x00280010, "US", "3"},
      {0x00280011, "US", "4"},
      {0x00280100, "US", "8"},
      {0x00280101, "US", "8"},
      {0x00280102, "US", "7"},
      {0x00280103, "US", "0"},
      {0x00281040, "CS", NULL},
      {0x00281052, "DS", NULL},
      {0x00281053, "DS", NULL},
  };
  struct made made = {.size = 128};
  unsigned char pixels[48];
  memcpy(made.bytes + 128, "DICM", 4);
  made.size = 132;
  put_text(&made, 0x00020010, "UI", "1.2.840.10008.1.2.1");
  for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
    struct change row = usual[i];
    for (int k = 0; k < changes; k++)
      if (change[k].tag == row.tag) row.text = change[k].text;
    if (!row.text) continue;
    int value = atoi(row.text);
    if (strcmp(row.vr, "US") == 0)
      put_shorts(&made, row.tag, &value, 1);
    else
      put_text(&made, row.tag, row.vr, row.text);
  }
  if (more) {
    memcpy(made.bytes + made.size, more->bytes, more->size);
    made.size += more->size;
  }
  for (int i = 0; i < 48; i++) pixels[i] = (unsigned char)(10 * (i / 12) + i % 12);
  put(&made, 0x7FE00010, "OW", pixels, sizeof pixels);
  return made;
}

static inline struct made make_run(const struct change *change, int changes) {
  return make_run_with(change, changes, NULL);
}

/* A sequence of one item for each of `inside`. */
static inline void put_sequence(struct made *made, uint32_t tag, const struct made *inside,
                                int items) {
  static struct made all;
  all.size = 0;
  for (int i = 0; i < items; i++) {
    put_number(&all, 0xFFFE, 2);
    put_number(&all, 0xE000, 2);
    put_number(&all, inside[i].size, 4);
    memcpy(all.bytes + all.size, inside[i].bytes, inside[i].size);
    all.size += inside[i].size;
  }
  put(made, tag, "SQ", all.bytes, all.size);
}

static inline enum willis_status open_run(const struct made *made, struct willis_angiogram *a,
                                          const struct willis_warnings *warnings,
                                          struct willis_error *err) {
  struct willis_limits limits = willis_limits_defaults();
  unsigned char *own = willis_take((ptrdiff_t)made->size, 1);
  memcpy(own, made->bytes, made->size);
  return willis_angiogram_parse(own, made->size, &limits, a, warnings, err);
}

#endif
