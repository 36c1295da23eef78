/* Mutations. A series is a stream of the library's counter-based generator, so that input `index`
 * is made without the ones before it. */
#include "mutation.h"

#include "base/random.h"
#include "io/bytes.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* The input in the making, with the numbers it is made from. */
struct making {
  const struct fuzz_target *target;
  const struct fuzz_corpus *corpus;
  uint64_t series, index, drawn;
  unsigned char *bytes;
  size_t size;
};

static uint32_t draw(struct making *m) {
  uint32_t word[4];
  willis_random_words(m->series, m->index, m->drawn++, word);
  return word[0];
}
/* 0 … below−1; 0 for 0. */
static size_t pick(struct making *m, size_t below) {
  return below ? draw(m) % below : 0;
}
static bool chance(struct making *m, unsigned one_in) {
  return pick(m, one_in) == 0;
}

/* Replaces `taken` bytes at `at` by `given` ones, which may lie inside the input itself. */
static void replace(struct making *m, size_t at, size_t taken, const void *from, size_t given) {
  static unsigned char copy[FUZZ_LONGEST];
  if (at > m->size || taken > m->size - at) return;
  if (given > FUZZ_LONGEST - (m->size - taken)) given = FUZZ_LONGEST - (m->size - taken);
  if (given) memcpy(copy, from, given);
  memmove(m->bytes + at + given, m->bytes + at + taken, m->size - at - taken);
  if (given) memcpy(m->bytes + at, copy, given);
  m->size += given - taken;
}

/* Puts `times` copies of a piece, which may lie inside the input, at `at`. */
static void insert_copies(struct making *m, size_t at, const unsigned char *piece, size_t n,
                          size_t times) {
  static unsigned char row[FUZZ_LONGEST];
  size_t used = 0;
  for (; times && n && n <= sizeof row - used; times--, used += n) memcpy(row + used, piece, n);
  replace(m, at, 0, row, used);
}

/* ---- bytes ---- */

static void flip_bit(struct making *m) {
  if (m->size) m->bytes[pick(m, m->size)] ^= (unsigned char)(1u << pick(m, 8));
}
static void set_byte(struct making *m) {
  if (m->size) m->bytes[pick(m, m->size)] = (unsigned char)draw(m);
}

/* Headers come first, so half of all places lie in the first half kilobyte. */
static size_t place(struct making *m, size_t width) {
  if (m->size < width) return m->size;
  size_t span = m->size - width + 1;
  if (chance(m, 2) && span > 512) span = 512;
  size_t at = pick(m, span);
  return chance(m, 2) ? at / width * width : at;
}

static void interesting_integer(struct making *m) {
  static const uint64_t values[] = {
      0,     1,     2,          3,          7,          16,         64,
      127,   128,   255,        256,        348,        540,        4096,
      32767, 32768, 65535,      65536,      0x7fffffff, 0x80000000, 0xffffffff,
      -1ull, -2ull, 1ull << 32, 1ull << 62, INT64_MAX,  1ull << 63, 0xfffffffeu};
  const size_t width = (size_t)1 << pick(m, 4), at = place(m, width);
  if (at + width > m->size) return;
  uint64_t value = values[pick(m, sizeof values / sizeof *values)];
  const bool swapped = chance(m, 4);
  if (chance(m, 4)) /* a little more or less than what is there */
    value = willis_load(m->bytes + at, width, swapped) + pick(m, 9) - 4;
  if (chance(m, 8)) value = m->size - pick(m, 16);
  for (size_t i = 0; i < width; i++)
    m->bytes[at + (swapped ? width - 1 - i : i)] = (unsigned char)(value >> 8 * i);
}

static void interesting_real(struct making *m) {
  static const double values[] = {0,     -0.0, 1,   -1,    1e-30, 1e30,   3.5e38,
                                  1e308, -352, 0.5, 352.5, 4.3e9, 9.3e18, 1e-320};
  const size_t kinds = sizeof values / sizeof *values;
  const size_t k = pick(m, kinds + 2), width = chance(m, 3) ? 8 : 4, at = place(m, width);
  const double value = k < kinds    ? values[k]
                       : k == kinds ? (double)__builtin_nanf("")
                                    : (double)__builtin_inff();
  if (at + width > m->size) return;
  uint64_t bits = 0;
  const float narrow = value > 3.4e38 ? __builtin_inff() : (float)value;
  if (width == 8)
    memcpy(&bits, &value, 8);
  else
    memcpy(&bits, &narrow, 4);
  willis_store(m->bytes + at, bits, width);
}

static size_t length(struct making *m, size_t most) {
  const size_t small = pick(m, 4) ? 32 : most;
  return most ? 1 + pick(m, small < most ? small : most) : 0;
}
static void cut_out(struct making *m) {
  const size_t at = pick(m, m->size), n = length(m, m->size - at);
  replace(m, at, n, NULL, 0);
}
static void repeat(struct making *m) {
  const size_t at = pick(m, m->size), n = length(m, m->size - at);
  insert_copies(m, at, m->bytes + at, n, chance(m, 8) ? 1 + pick(m, 64) : 1);
}
static void copy_over(struct making *m) {
  const size_t from = pick(m, m->size), n = length(m, m->size - from), to = pick(m, m->size);
  replace(m, to, n < m->size - to ? n : m->size - to, m->bytes + from, n);
}
static void cut_short(struct making *m) {
  m->size = pick(m, m->size + 1);
}
static void append(struct making *m) {
  unsigned char some[16];
  for (size_t i = 0; i < sizeof some; i++) some[i] = (unsigned char)draw(m);
  replace(m, m->size, 0, some, 1 + pick(m, sizeof some));
}
static void splice(struct making *m) {
  const struct fuzz_seed *other = &m->corpus->seed[pick(m, m->corpus->count)];
  const size_t from = pick(m, other->size), at = pick(m, m->size);
  replace(m, at, m->size - at, other->bytes + from, other->size - from);
}
static void splice_piece(struct making *m) {
  const struct fuzz_seed *other = &m->corpus->seed[pick(m, m->corpus->count)];
  const size_t from = pick(m, other->size), n = length(m, other->size - from);
  replace(m, pick(m, m->size), 0, other->bytes + from, n);
}

/* ---- text ---- */

static bool is_number(unsigned char c) {
  return (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '+';
}

/* The first run of bytes of a kind from a chance place on; false when there is none. */
static bool find_run(struct making *m, bool (*kind)(unsigned char), size_t *at, size_t *n) {
  *at = pick(m, m->size);
  while (*at < m->size && !kind(m->bytes[*at])) ++*at;
  for (*n = 0; *at + *n < m->size && kind(m->bytes[*at + *n]);) ++*n;
  return *n > 0;
}

static void another_number(struct making *m) {
  static const char *const numbers[] = {
      "0",
      "1",
      "-1",
      "2",
      "3",
      "7",
      "255",
      "256",
      "4096",
      "4097",
      "65536",
      "2147483647",
      "-2147483648",
      "4294967295",
      "4294967296",
      "9223372036854775807",
      "-9223372036854775808",
      "18446744073709551616",
      "1e999",
      "-1e999",
      "nan",
      "inf",
      "-0",
      "0x10",
      "1e-400",
      "0.1e-30",
      "1e30",
      "1.5",
      "",
      "00000000000000000000000000000000000000000000000000000000000000001"};
  size_t at, n;
  const char *text = numbers[pick(m, sizeof numbers / sizeof *numbers)];
  if (find_run(m, is_number, &at, &n)) replace(m, at, n, text, strlen(text));
}
static void digit(struct making *m) {
  size_t at, n;
  if (find_run(m, is_number, &at, &n)) m->bytes[at + pick(m, n)] = "0123456789.-eE+"[pick(m, 15)];
}
static void word(struct making *m) {
  size_t words = 0;
  while (m->target->words && m->target->words[words]) words++;
  if (!words) return;
  const char *text = m->target->words[pick(m, words)];
  replace(m, pick(m, m->size + 1), chance(m, 2) ? 0 : strlen(text), text, strlen(text));
}

/* A line with its end. */
static void find_line(struct making *m, size_t *at, size_t *n) {
  *at = pick(m, m->size);
  while (*at && m->bytes[*at - 1] != '\n') --*at;
  const unsigned char *end = memchr(m->bytes + *at, '\n', m->size - *at);
  *n = end ? (size_t)(end + 1 - (m->bytes + *at)) : m->size - *at;
}
static void drop_line(struct making *m) {
  size_t at, n;
  find_line(m, &at, &n);
  replace(m, at, n, NULL, 0);
}
static void double_line(struct making *m) {
  size_t at, n;
  find_line(m, &at, &n);
  const size_t to = chance(m, 2) ? at : pick(m, m->size);
  replace(m, to, 0, m->bytes + at, n);
}
/* Nesting, long words, long lines. */
static void many(struct making *m) {
  const size_t n = 1 + pick(m, 8), at = pick(m, m->size);
  if (m->size - at >= n) insert_copies(m, at, m->bytes + at, n, (size_t)1 << pick(m, 13));
}

/* ---- DICOM ---- */

/* Elements of the outermost level as far as they can be walked, written as the file's head says
 * little-endian explicit; other kinds of files still have their heads walked. */
enum { ELEMENTS = 256, DICOM_HEAD = 132 };
static size_t walk(const struct making *m, size_t start[ELEMENTS + 1]) {
  size_t count = 0, at = DICOM_HEAD;
  while (count < ELEMENTS && at <= m->size && m->size - at >= 8) {
    const unsigned char *e = m->bytes + at;
    const bool is_long = memchr("OSU", e[4], 3) && memcmp(e + 4, "SH", 2) &&
                         memcmp(e + 4, "SL", 2) && memcmp(e + 4, "SS", 2) &&
                         memcmp(e + 4, "ST", 2) && memcmp(e + 4, "UI", 2) &&
                         memcmp(e + 4, "UL", 2) && memcmp(e + 4, "US", 2);
    const size_t head = is_long ? 12 : 8;
    if (m->size - at < head) break;
    const uint64_t n = is_long ? willis_load(e + 8, 4, false) : willis_load(e + 6, 2, false);
    start[count++] = at;
    if (n > m->size - at - head) break;
    at += head + (size_t)n;
    start[count] = at;
  }
  if (count && start[count - 1] + 8 > m->size) count--;
  return count;
}

/* The length field of the element at `at`. */
static void change_length(struct making *m, size_t at) {
  static const uint32_t lengths[] = {0,      1,          2,          8,         0xffff,
                                     0xfffe, 0xffffffff, 0xfffffffe, 0x7fffffff};
  const size_t width = chance(m, 2) ? 2 : 4, field = width == 2 ? at + 6 : at + 8;
  if (field + width > m->size) return;
  uint64_t value = lengths[pick(m, sizeof lengths / sizeof *lengths)];
  if (chance(m, 2)) value = willis_load(m->bytes + field, width, false) + pick(m, 9) - 4;
  willis_store(m->bytes + field, value, width);
}

/* `depth` sequences of one item around what follows. */
static void nest(struct making *m, size_t at) {
  static const unsigned char open[] = {0x40, 0,    0x75, 2,    'S',  'Q',  0,    0,    0xff, 0xff,
                                       0xff, 0xff, 0xfe, 0xff, 0x00, 0xe0, 0xff, 0xff, 0xff, 0xff};
  for (size_t depth = (size_t)1 << pick(m, 9); depth; depth--) replace(m, at, 0, open, sizeof open);
}

static void element(struct making *m) {
  static const char kinds[] =
      "AEASATCSDADSDTFDFLISLOLTOBODOFOLOVOWPNSHSLSQSSSTSVTMUCUIULUNURUSUTUV";
  static const char *const texts[] = {"0",     "-1",          "1\\0",   "nan",
                                      "1e999", "99999999999", "\\\\\\", ""};
  size_t start[ELEMENTS + 1] = {0};
  const size_t count = walk(m, start);
  if (!count) return;
  const size_t i = pick(m, count), at = start[i];
  const size_t end = start[i + 1] > at && start[i + 1] <= m->size ? start[i + 1] : m->size;
  const size_t other = start[pick(m, count)];
  switch (pick(m, 9)) {
  case 0:
    replace(m, at, end - at, NULL, 0);
    break;
  case 1:
    replace(m, other, 0, m->bytes + at, end - at);
    break;
  case 2:
    change_length(m, at);
    break;
  case 3:
    if (at + 6 <= m->size) memcpy(m->bytes + at + 4, kinds + 2 * pick(m, sizeof kinds / 2), 2);
    break;
  case 4: /* another element's tag */
    if (at + 4 <= m->size && other + 4 <= m->size) memcpy(m->bytes + at, m->bytes + other, 4);
    break;
  case 5:
    nest(m, at);
    break;
  case 6: { /* a value of text, with its length */
    const char *text = texts[pick(m, sizeof texts / sizeof *texts)];
    const size_t n = strlen(text);
    if (end - at < 8) break;
    replace(m, at + 8, end - at - 8, text, n);
    willis_store(m->bytes + at + 6, n, 2);
    break;
  }
  case 7: /* a number in a short value */
    if (end - at >= 10) willis_store(m->bytes + at + 8, draw(m) >> pick(m, 32), 2);
    break;
  default: /* inside a value */
    if (end - at > 8) m->bytes[at + 8 + pick(m, end - at - 8)] = (unsigned char)draw(m);
  }
}

/* ---- all ---- */

static void (*const on_bytes[])(struct making *) = {
    flip_bit, set_byte,    interesting_integer, interesting_integer, interesting_real,
    cut_out,  repeat,      copy_over,           cut_short,           append,
    splice,   splice_piece};
static void (*const on_text[])(struct making *) = {
    another_number, another_number, digit, word, word, drop_line, double_line, many};

static void mutate_once(struct making *m) {
  if (m->target->knows & FUZZ_TEXT && !chance(m, 4))
    on_text[pick(m, sizeof on_text / sizeof *on_text)](m);
  else if (m->target->knows & FUZZ_DICOM && !chance(m, 3))
    element(m);
  else
    on_bytes[pick(m, sizeof on_bytes / sizeof *on_bytes)](m);
}

/* Checksums of a checkpoint as its reader wants them; sizes too, or as they have become. */
static void mend_checkpoint(struct making *m) {
  enum { HEAD = 24, ENTRY = 32, FOOT = 8, MOST = 16 };
  if (m->size < HEAD + FOOT) return;
  const size_t n = (size_t)willis_load(m->bytes + 12, 4, false);
  if (n > MOST || m->size < HEAD + ENTRY * n + FOOT) return;
  const size_t end = HEAD + ENTRY * n;
  const bool sizes_too = chance(m, 2);
  size_t at = end + FOOT;
  for (size_t i = 0; i < n; i++) {
    unsigned char *entry = m->bytes + HEAD + ENTRY * i;
    uint64_t size = willis_load(entry + 16, 8, false);
    if (size > m->size - at || (i + 1 == n && sizes_too)) size = m->size - at;
    if (sizes_too) willis_store(entry + 16, size, 8);
    willis_store(entry + 24, crc32(0, m->bytes + at, (uInt)size), 4);
    at += (size_t)size;
  }
  willis_store(m->bytes + 16, m->size, 8);
  willis_store(m->bytes + end, crc32(0, m->bytes, (uInt)end), 8);
}

/* The header of a safetensors file ends with the last brace that another does not follow at once.
 */
static void mend_safetensors(struct making *m) {
  for (size_t at = m->size; at > 8; at--)
    if (m->bytes[at - 1] == '}') {
      willis_store(m->bytes, at - 8, 8);
      return;
    }
}

/* Packs what is behind `head` bytes in place; what does not fit stays as it is. */
static void compress_again(struct making *m, size_t head, int window_bits) {
  static unsigned char packed[FUZZ_LONGEST];
  z_stream z = {0};
  if (head > m->size || deflateInit2(&z, 1, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY) != Z_OK)
    return;
  z.next_in = m->bytes + head;
  z.avail_in = (uInt)(m->size - head);
  z.next_out = packed;
  z.avail_out = (uInt)(sizeof packed - head);
  if (deflate(&z, Z_FINISH) == Z_STREAM_END) {
    memcpy(m->bytes + head, packed, z.total_out);
    m->size = head + z.total_out;
  }
  deflateEnd(&z);
}

/* How much of a deflated DICOM file is not: the head, whose elements are of group 2. */
static size_t dicom_head(const struct making *m) {
  size_t start[ELEMENTS + 1] = {0}, count = walk(m, start), i = 0;
  while (i < count && willis_load(m->bytes + start[i], 2, false) == 2) i++;
  return i < count ? start[i] : m->size;
}

size_t fuzz_mutate(const struct fuzz_target *target, const struct fuzz_corpus *corpus,
                   uint64_t series, uint64_t index, unsigned char *bytes) {
  struct making m = {target, corpus, series, index, 0, bytes, 0};
  const struct fuzz_seed *seed = &corpus->seed[pick(&m, corpus->count)];
  memcpy(bytes, seed->bytes, seed->size);
  m.size = seed->size;
  size_t times = 1;
  while (times < 12 && chance(&m, 2)) times++;
  for (; times; times--) mutate_once(&m);
  if (target->knows & FUZZ_CHECKPOINT && chance(&m, 2)) mend_checkpoint(&m);
  if (target->knows & FUZZ_SAFETENSORS && chance(&m, 2)) mend_safetensors(&m);
  if (seed->wrapping == FUZZ_GZIP) compress_again(&m, 0, 16 + MAX_WBITS);
  if (seed->wrapping == FUZZ_DEFLATED) compress_again(&m, dicom_head(&m), -MAX_WBITS);
  if (seed->wrapping && chance(&m, 4)) on_bytes[pick(&m, sizeof on_bytes / sizeof *on_bytes)](&m);
  return m.size;
}
