/* An index of the elements: one walk notes where each lies and what is around it, a sort by parent
 * and tag makes looking up a matter of bisection, also for files whose elements are out of order.
 * Values stay in the file's bytes. */
#include "io/dicom_header.h"

#include "base/error.h"
#include "base/memory.h"
#include "io/bytes.h"
#include "io/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const uint32_t DATA_SET = 0;

struct willis_dicom_item {
  const struct willis_dicom_header *header;
  uint32_t parent, tag, place; /* place: its own number in the order of the file */
  uint32_t first, count;       /* what is in it: a run of the sorted table */
  struct willis_dicom_element element;
};

struct willis_dicom_header {
  const unsigned char *bytes;
  bool big_endian;
  struct willis_dicom_item *item; /* [0] is the file itself; sorted by parent, tag and place */
  ptrdiff_t count, room;
  uint32_t around[WILLIS_DICOM_DEEPEST + 1]; /* while walking: the open sequences and items */
  struct willis_error *err;
};

/* ---- making it ---- */

static enum willis_status add(const struct willis_dicom_element *element, int depth,
                              void *context) {
  struct willis_dicom_header *h = context;
  if (h->count == h->room) {
    const ptrdiff_t room = h->room ? 2 * h->room : 256;
    void *grown = willis_grow(h->item, h->count, room, sizeof *h->item);
    if (!grown) return willis_fail_memory(h->err, "DICOM elements", room, sizeof *h->item);
    h->item = grown;
    h->room = room;
  }
  const uint32_t place = (uint32_t)h->count;
  h->item[h->count++] = (struct willis_dicom_item){.header = h,
                                                   .parent = h->around[depth],
                                                   .tag = element->tag,
                                                   .place = place,
                                                   .element = *element};
  if (depth < WILLIS_DICOM_DEEPEST) h->around[depth + 1] = place;
  return WILLIS_OK;
}

static int by_parent(const void *a, const void *b) {
  const struct willis_dicom_item *p = a, *q = b;
  if (p->parent != q->parent) return p->parent < q->parent ? -1 : 1;
  if (p->tag != q->tag) return p->tag < q->tag ? -1 : 1;
  return (p->place > q->place) - (p->place < q->place);
}

/* Sorts, and tells every element which run of the table is inside it. */
static enum willis_status arrange(struct willis_dicom_header *h) {
  struct willis_dicom_item *item = h->item;
  const ptrdiff_t count = h->count;
  uint32_t *now_at = willis_take(count, sizeof *now_at);
  if (!now_at) return willis_fail_memory(h->err, "DICOM elements", count, sizeof *now_at);
  qsort(item + 1, (size_t)count - 1, sizeof *item, by_parent);
  for (ptrdiff_t i = 0; i < count; i++) now_at[item[i].place] = (uint32_t)i;
  for (ptrdiff_t i = 1; i < count; i++) {
    struct willis_dicom_item *parent = &item[now_at[item[i].parent]];
    if (parent->count++ == 0) parent->first = (uint32_t)i;
  }
  willis_release(now_at);
  return WILLIS_OK;
}

enum willis_status willis_dicom_header_open(const unsigned char *bytes, size_t size,
                                            struct willis_dicom_layout *layout,
                                            struct willis_dicom_header **header,
                                            struct willis_error *err) {
  *header = NULL;
  struct willis_dicom_layout own;
  struct willis_dicom_header *h = willis_take_zeroed(1, sizeof *h);
  if (!h) return willis_fail_memory(err, "a DICOM header", 1, sizeof *h);
  h->bytes = bytes;
  h->err = err;
  const struct willis_dicom_visitor visitor = {add, h};
  const struct willis_dicom_element all = {.tag = DATA_SET};
  enum willis_status status = add(&all, 0, h);
  h->around[0] = h->around[1] = 0;
  if (!layout) layout = &own;
  if (!status) status = willis_dicom_walk(bytes, size, &visitor, layout, err);
  if (!status) status = arrange(h);
  if (status) {
    willis_dicom_header_close(h);
    return status;
  }
  h->big_endian = layout->big_endian;
  *header = h;
  return WILLIS_OK;
}

void willis_dicom_header_close(struct willis_dicom_header *header) {
  if (!header) return;
  willis_release(header->item);
  willis_release(header);
}

/* ---- looking up ---- */

const struct willis_dicom_item *willis_dicom_header_root(const struct willis_dicom_header *header) {
  return &header->item[0];
}

/* The first of its tag, as DCMTK and pydicom have it; null when there is none. */
static const struct willis_dicom_item *find(const struct willis_dicom_item *parent, uint32_t tag) {
  if (!parent) return NULL;
  const struct willis_dicom_item *item = parent->header->item;
  uint32_t low = parent->first, high = parent->first + parent->count;
  while (low < high) {
    const uint32_t middle = low + (high - low) / 2;
    if (item[middle].tag < tag)
      low = middle + 1;
    else
      high = middle;
  }
  return low < parent->first + parent->count && item[low].tag == tag ? &item[low] : NULL;
}

/* A sequence holds items and nothing else: they are its whole run. */
ptrdiff_t willis_dicom_child_count(const struct willis_dicom_item *item, uint32_t sequence) {
  const struct willis_dicom_item *found = find(item, sequence);
  return found ? (ptrdiff_t)found->count : 0;
}

const struct willis_dicom_item *willis_dicom_child(const struct willis_dicom_item *item,
                                                   uint32_t sequence, ptrdiff_t index) {
  const struct willis_dicom_item *found = find(item, sequence);
  if (!found || index < 0 || index >= (ptrdiff_t)found->count) return NULL;
  return &found->header->item[found->first + index];
}

/* ---- values ---- */

/* Those attributes among the ones that Willis reads that are no text (PS3.6), for files that do not
 * say. */
static const struct {
  uint32_t tag;
  char kind[3];
} kinds[] = {
    {0x00189402, "FL"}, {0x00280002, "US"}, {0x00280010, "US"}, {0x00280011, "US"},
    {0x00280100, "US"}, {0x00280101, "US"}, {0x00280102, "US"}, {0x00280103, "US"},
    {0x00281041, "SS"}, {0x00286102, "US"}, {0x00286110, "US"}, {0x00286112, "US"},
    {0x00286114, "FL"}, {0x00286120, "SS"},
};

static const char *kind_of(const struct willis_dicom_item *item) {
  const char *kind = item->element.kind;
  if (kind[0] && memcmp(kind, "UN", 2) != 0) return kind;
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if (kinds[i].tag == item->tag) return kinds[i].kind;
  return "UN";
}

static double load_us(const unsigned char *at, bool big) {
  return (double)willis_load(at, 2, big);
}
static double load_ss(const unsigned char *at, bool big) {
  return (int16_t)willis_load(at, 2, big);
}
static double load_ul(const unsigned char *at, bool big) {
  return (double)willis_load(at, 4, big);
}
static double load_sl(const unsigned char *at, bool big) {
  return (int32_t)willis_load(at, 4, big);
}
static double load_fl(const unsigned char *at, bool big) {
  return willis_load_f32(at, big);
}

static const struct {
  char kind[3];
  uint32_t bytes;
  double (*load)(const unsigned char *at, bool big_endian);
} stored[] = {{"US", 2, load_us}, {"SS", 2, load_ss}, {"UL", 4, load_ul},
              {"SL", 4, load_sl}, {"FL", 4, load_fl}, {"FD", 8, willis_load_f64}};

static uint32_t value_length(const struct willis_dicom_item *item) {
  /* Whatever has elements inside, or compressed pixels, is no value. */
  return item->count || item->element.length == UINT32_MAX ? 0 : item->element.length;
}

static struct willis_word trimmed(const char *at, size_t length) {
  while (length && (*at == ' ' || *at == 0)) at++, length--;
  while (length && (at[length - 1] == ' ' || at[length - 1] == 0)) length--;
  return (struct willis_word){at, length};
}

/* The numbers of "a\b\c"; −1 for anything else. */
static ptrdiff_t text_numbers(struct willis_word text, double *value, ptrdiff_t room) {
  ptrdiff_t count = 0;
  if (text.length == 0) return 0;
  locale_t before = willis_locale_enter();
  for (;;) {
    const char *bar = memchr(text.at, '\\', text.length);
    const size_t length = bar ? (size_t)(bar - text.at) : text.length;
    double number;
    if (!willis_word_real(trimmed(text.at, length), &number) || !isfinite(number)) {
      count = -1;
      break;
    }
    if (count < room) value[count] = number;
    count++;
    if (!bar) break;
    text = (struct willis_word){bar + 1, text.length - length - 1};
  }
  willis_locale_leave(before);
  return count;
}

ptrdiff_t willis_dicom_reals(const struct willis_dicom_item *item, uint32_t tag, double *value,
                             ptrdiff_t room) {
  const struct willis_dicom_item *found = find(item, tag);
  if (!found) return 0;
  const unsigned char *at = found->header->bytes + found->element.value;
  const uint32_t length = value_length(found);
  const char *kind = kind_of(found);
  for (size_t k = 0; k < sizeof stored / sizeof *stored; k++) {
    if (memcmp(kind, stored[k].kind, 2) != 0) continue;
    const ptrdiff_t count = length / stored[k].bytes;
    for (ptrdiff_t i = 0; i < count && i < room; i++) {
      value[i] = stored[k].load(at + (size_t)i * stored[k].bytes, found->header->big_endian);
      if (!isfinite(value[i])) return -1;
    }
    return count;
  }
  return text_numbers(trimmed((const char *)at, length), value, room);
}

const char *willis_dicom_text(const struct willis_dicom_item *item, uint32_t tag, char *to,
                              size_t size) {
  const struct willis_dicom_item *found = find(item, tag);
  to[0] = 0;
  if (!found) return to;
  const char *at = (const char *)found->header->bytes + found->element.value;
  struct willis_word text = trimmed(at, value_length(found));
  const char *zero = memchr(text.at, 0, text.length);
  if (zero) text = trimmed(text.at, (size_t)(zero - text.at));
  if (text.length > size - 1) text.length = size - 1;
  memcpy(to, text.at, text.length);
  to[text.length] = 0;
  return to;
}
