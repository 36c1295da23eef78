/* SWC. Ids come in any order and with holes, so they are sorted once and looked up. */
#include "io/swc.h"

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "io/io.h"
#include "io/text.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A node's id and line until parents are resolved. */
struct entry {
  int64_t id, parent_id;
  ptrdiff_t index, line;
};

struct swc {
  struct willis_tree_node *node;
  struct entry *entry;
  ptrdiff_t count, room;
  ptrdiff_t lines, skipped, first_skipped;
  const struct willis_warnings *warnings;
  struct willis_error *err;
};

static enum willis_status reserve(struct swc *swc) {
  if (swc->count < swc->room) return WILLIS_OK;
  ptrdiff_t room = swc->room ? 2 * swc->room : 1024;
  void *node = willis_grow(swc->node, swc->count, room, sizeof *swc->node);
  if (node) swc->node = node;
  void *entry = node ? willis_grow(swc->entry, swc->count, room, sizeof *swc->entry) : NULL;
  if (entry) swc->entry = entry;
  if (!entry) return willis_fail_memory(swc->err, "SWC nodes", room, sizeof *swc->node);
  swc->room = room;
  return WILLIS_OK;
}

/* Nothing that is seen by X-rays lies further away: a kilometre. */
static const double MOST_MM = 1e6;

static enum willis_status check_numbers(const struct willis_tree_node *node, ptrdiff_t line,
                                        struct willis_error *err) {
  for (int axis = 0; axis < 3; axis++)
    if (!(fabs(node->position_mm[axis]) <= MOST_MM))
      return willis_fail(err, WILLIS_FORMAT,
                         "line %td: coordinate %c is %g, expected mm from -1e6 to 1e6", line,
                         "xyz"[axis], node -> position_mm[axis]);
  if (!(node->radius_mm >= 0 && node->radius_mm <= MOST_MM))
    return willis_fail(err, WILLIS_FORMAT, "line %td: radius is %g, expected mm from 0 to 1e6",
                       line, node->radius_mm);
  return WILLIS_OK;
}

/* False when the line is not seven numbers. More columns than seven are other programs' notes. */
static bool read_node(struct willis_text *line, struct entry *entry,
                      struct willis_tree_node *node) {
  struct willis_word word[7];
  for (int i = 0; i < 7; i++)
    if (!willis_text_word(line, &word[i])) return false;
  int64_t kind;
  if (!willis_word_integer(word[0], &entry->id) || !willis_word_integer(word[1], &kind) ||
      kind < INT_MIN || kind > INT_MAX || !willis_word_integer(word[6], &entry->parent_id))
    return false;
  node->kind = (int)kind;
  node->parent = -1;
  for (int axis = 0; axis < 3; axis++)
    if (!willis_word_real(word[2 + axis], &node->position_mm[axis])) return false;
  return willis_word_real(word[5], &node->radius_mm);
}

bool willis_swc_recognize(const unsigned char *bytes, size_t size) {
  struct willis_text text = willis_text_of(bytes, size), line;
  locale_t before = willis_locale_enter();
  bool recognized = false;
  while (willis_text_line(&text, &line)) {
    struct willis_text rest = line;
    struct willis_word first;
    struct entry entry;
    struct willis_tree_node node;
    if (!willis_text_word(&rest, &first) || first.at[0] == '#') continue;
    recognized = read_node(&line, &entry, &node);
    break;
  }
  willis_locale_leave(before);
  return recognized;
}

static enum willis_status read_lines(struct swc *swc, struct willis_text text) {
  static const char byte_order_mark[] = "\xef\xbb\xbf";
  struct willis_text line;
  if (text.end - text.at >= 3 && !memcmp(text.at, byte_order_mark, 3)) text.at += 3;
  while (willis_text_line(&text, &line)) {
    struct willis_text rest = line;
    struct willis_word first;
    if (!willis_text_word(&rest, &first) || first.at[0] == '#') continue;
    swc->lines++;
    enum willis_status status = reserve(swc);
    if (status) return status;
    struct entry *entry = &swc->entry[swc->count];
    struct willis_tree_node *node = &swc->node[swc->count];
    if (!read_node(&line, entry, node)) {
      if (swc->skipped++ == 0) swc->first_skipped = text.line;
      continue;
    }
    status = check_numbers(node, text.line, swc->err);
    if (status) return status;
    entry->index = swc->count++;
    entry->line = text.line;
  }
  if (swc->count == 0 || swc->skipped > swc->count)
    return willis_fail(swc->err, WILLIS_FORMAT,
                       "line %td: %td of %td lines are SWC nodes, expected id kind x y z radius "
                       "parent on each",
                       swc->first_skipped, swc->count, swc->lines);
  if (swc->skipped)
    willis_warn(swc->warnings, "line %td: %td of %td lines are cut or not SWC nodes and skipped",
                swc->first_skipped, swc->skipped, swc->lines);
  return WILLIS_OK;
}

static int by_id(const void *a, const void *b) {
  const struct entry *p = a, *q = b;
  return p->id != q->id ? (p->id < q->id ? -1 : 1) : (p->line > q->line) - (p->line < q->line);
}

/* The first entry whose id is not below `id`. */
static ptrdiff_t find_id(const struct entry *entry, ptrdiff_t count, int64_t id) {
  ptrdiff_t low = 0, high = count;
  while (low < high) {
    ptrdiff_t middle = low + (high - low) / 2;
    if (entry[middle].id < id)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static enum willis_status resolve_parents(struct swc *swc) {
  struct entry *entry = swc->entry;
  qsort(entry, (size_t)swc->count, sizeof *entry, by_id);
  for (ptrdiff_t i = 1; i < swc->count; i++)
    if (entry[i].id == entry[i - 1].id)
      return willis_fail(swc->err, WILLIS_FORMAT,
                         "line %td: node %jd is there already at line %td, expected an id of its "
                         "own",
                         entry[i].line, (intmax_t)entry[i].id, entry[i - 1].line);
  ptrdiff_t orphans = 0, orphan_line = PTRDIFF_MAX, thin = 0, thin_line = PTRDIFF_MAX;
  for (ptrdiff_t i = 0; i < swc->count; i++) {
    struct willis_tree_node *node = &swc->node[entry[i].index];
    if (node->radius_mm == 0) {
      thin++;
      if (entry[i].line < thin_line) thin_line = entry[i].line;
    }
    if (entry[i].parent_id == -1) continue;
    ptrdiff_t low = find_id(entry, swc->count, entry[i].parent_id);
    if (low < swc->count && entry[low].id == entry[i].parent_id) {
      node->parent = entry[low].index;
    } else {
      orphans++;
      if (entry[i].line < orphan_line) orphan_line = entry[i].line;
    }
  }
  if (orphans)
    willis_warn(swc->warnings, "line %td: %td nodes name a parent that is not there; now roots",
                orphan_line, orphans);
  if (thin)
    willis_warn(swc->warnings, "line %td: %td nodes have radius 0 and are kept", thin_line, thin);
  return WILLIS_OK;
}

/* Each node is walked over once: 0 not seen, else the number of the walk that saw it. */
static enum willis_status refuse_cycles(const struct swc *swc) {
  ptrdiff_t *walk = willis_take_zeroed(swc->count, sizeof *walk);
  if (!walk) return willis_fail_memory(swc->err, "SWC walks", swc->count, sizeof *walk);
  enum willis_status status = WILLIS_OK;
  for (ptrdiff_t start = 0; start < swc->count && !status; start++) {
    ptrdiff_t i = start;
    while (i >= 0 && !walk[i]) {
      walk[i] = start + 1;
      i = swc->node[i].parent;
    }
    if (i < 0 || walk[i] != start + 1) continue;
    for (ptrdiff_t e = 0; e < swc->count; e++)
      if (swc->entry[e].index == i)
        status = willis_fail(swc->err, WILLIS_FORMAT,
                             "line %td: node %jd is its own ancestor, expected a tree",
                             swc->entry[e].line, (intmax_t)swc->entry[e].id);
  }
  willis_release(walk);
  return status;
}

enum willis_status willis_swc_parse(const unsigned char *bytes, size_t size,
                                    struct willis_tree *tree,
                                    const struct willis_warnings *warnings,
                                    struct willis_error *err) {
  *tree = (struct willis_tree){0};
  struct swc swc = {.warnings = warnings, .err = err};
  locale_t before = willis_locale_enter();
  enum willis_status status = read_lines(&swc, willis_text_of(bytes, size));
  if (!status) status = resolve_parents(&swc);
  if (!status) status = refuse_cycles(&swc);
  willis_locale_leave(before);
  if (!status) {
    *tree = (struct willis_tree){swc.node, swc.count};
    swc.node = NULL;
  }
  willis_release(swc.node);
  willis_release(swc.entry);
  return status;
}

enum willis_status willis_tree_read(const char *path, struct willis_tree *tree,
                                    const struct willis_warnings *warnings,
                                    struct willis_error *err) {
  *tree = (struct willis_tree){0};
  unsigned char *bytes;
  size_t size;
  enum willis_status status =
      willis_file_read_expanded(path, WILLIS_SHAPE_BYTES, WILLIS_SHAPE_BYTES, &bytes, &size, err);
  if (status) return status;
  struct willis_warned_path named;
  status = willis_swc_parse(bytes, size, tree, willis_warnings_name(&named, warnings, path), err);
  willis_release(bytes);
  return status ? willis_fail_in(err, status, path) : WILLIS_OK;
}
