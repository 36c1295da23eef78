/* The header of an NRRD, after teem's definition of the format. Why not teem's own reader: its
 * error list is one for all threads, it opens the files a header names, and it allocates what a
 * header says. */
#include "base/error.h"
#include "base/memory.h"
#include "io/nrrd.h"
#include "io/text.h"

#include <math.h>
#include <string.h>
#include <strings.h>

enum { MOST_AXES = 8 };

/* What has been read so far; axes are the file's. */
struct header {
  struct willis_nrrd *nrrd;
  const struct willis_limits *limits;
  const struct willis_warnings *warnings;
  struct willis_error *err;
  ptrdiff_t line;
  int64_t dimension;
  ptrdiff_t size[MOST_AXES];
  double spacing[MOST_AXES];      /* NaN for an axis without */
  double direction[MOST_AXES][3]; /* NaN for "none" */
  double origin[3], mm[3];
  double flip[3]; /* the space's axes to LPS */
  bool has_sizes, has_type, has_endian, has_spacings, has_directions, has_space, has_mm;
};

static enum willis_status bad(const struct header *h, const char *expected) {
  return willis_fail(h->err, WILLIS_FORMAT, "line %td: expected %s", h->line, expected);
}

/* A field's value compared without case, as a whole. */
static bool value_is(const struct willis_text *value, const char *text) {
  size_t length = (size_t)(value->end - value->at);
  return strlen(text) == length && strncasecmp(value->at, text, length) == 0;
}

static void trim(struct willis_text *text) {
  while (text->at < text->end && (*text->at == ' ' || *text->at == '\t')) text->at++;
  while (text->at < text->end && (text->end[-1] == ' ' || text->end[-1] == '\t')) text->end--;
}

/* ---- one function a field ---- */

static enum willis_status read_dimension(struct header *h, struct willis_text value) {
  struct willis_word word;
  if (!willis_text_word(&value, &word) || !willis_word_integer(word, &h->dimension) ||
      h->dimension < 1 || h->dimension > MOST_AXES)
    return bad(h, "a dimension from 1 to 8");
  return WILLIS_OK;
}

static enum willis_status read_sizes(struct header *h, struct willis_text value) {
  struct willis_word word;
  for (int64_t axis = 0; axis < h->dimension; axis++) {
    int64_t n;
    if (!willis_text_word(&value, &word) || !willis_word_integer(word, &n) || n < 1)
      return bad(h, "a size of at least 1 for every axis");
    if (n > h->limits->edge)
      return willis_fail(h->err, WILLIS_FORMAT, "line %td: size %jd, at most %td are read", h->line,
                         (intmax_t)n, h->limits->edge);
    h->size[axis] = (ptrdiff_t)n;
  }
  h->has_sizes = !willis_text_word(&value, &word);
  return h->has_sizes ? WILLIS_OK : bad(h, "as many sizes as the dimension says");
}

static const struct {
  const char *name;
  enum willis_sample_type type;
} type_names[] = {
    {"uchar", WILLIS_SAMPLE_U8},
    {"unsigned char", WILLIS_SAMPLE_U8},
    {"uint8", WILLIS_SAMPLE_U8},
    {"uint8_t", WILLIS_SAMPLE_U8},
    {"signed char", WILLIS_SAMPLE_I8},
    {"int8", WILLIS_SAMPLE_I8},
    {"int8_t", WILLIS_SAMPLE_I8},
    {"ushort", WILLIS_SAMPLE_U16},
    {"unsigned short", WILLIS_SAMPLE_U16},
    {"unsigned short int", WILLIS_SAMPLE_U16},
    {"uint16", WILLIS_SAMPLE_U16},
    {"uint16_t", WILLIS_SAMPLE_U16},
    {"short", WILLIS_SAMPLE_I16},
    {"short int", WILLIS_SAMPLE_I16},
    {"signed short", WILLIS_SAMPLE_I16},
    {"signed short int", WILLIS_SAMPLE_I16},
    {"int16", WILLIS_SAMPLE_I16},
    {"int16_t", WILLIS_SAMPLE_I16},
    {"uint", WILLIS_SAMPLE_U32},
    {"unsigned int", WILLIS_SAMPLE_U32},
    {"uint32", WILLIS_SAMPLE_U32},
    {"uint32_t", WILLIS_SAMPLE_U32},
    {"int", WILLIS_SAMPLE_I32},
    {"signed int", WILLIS_SAMPLE_I32},
    {"int32", WILLIS_SAMPLE_I32},
    {"int32_t", WILLIS_SAMPLE_I32},
    {"ulonglong", WILLIS_SAMPLE_U64},
    {"unsigned long long", WILLIS_SAMPLE_U64},
    {"unsigned long long int", WILLIS_SAMPLE_U64},
    {"uint64", WILLIS_SAMPLE_U64},
    {"uint64_t", WILLIS_SAMPLE_U64},
    {"longlong", WILLIS_SAMPLE_I64},
    {"long long", WILLIS_SAMPLE_I64},
    {"long long int", WILLIS_SAMPLE_I64},
    {"signed long long", WILLIS_SAMPLE_I64},
    {"signed long long int", WILLIS_SAMPLE_I64},
    {"int64", WILLIS_SAMPLE_I64},
    {"int64_t", WILLIS_SAMPLE_I64},
    {"float", WILLIS_SAMPLE_F32},
    {"double", WILLIS_SAMPLE_F64},
};

static enum willis_status read_type(struct header *h, struct willis_text value) {
  for (size_t i = 0; i < sizeof type_names / sizeof *type_names; i++)
    if (value_is(&value, type_names[i].name)) {
      h->nrrd->samples.type = type_names[i].type;
      h->has_type = true;
      return WILLIS_OK;
    }
  if (value_is(&value, "block"))
    return willis_fail(h->err, WILLIS_UNSUPPORTED, "line %td: type block, expected numbers",
                       h->line);
  return bad(h, "a type of integer, float or double");
}

static enum willis_status read_encoding(struct header *h, struct willis_text value) {
  static const struct {
    const char *name;
    enum willis_nrrd_encoding encoding;
  } names[] = {{"raw", WILLIS_NRRD_RAW},    {"gzip", WILLIS_NRRD_GZIP}, {"gz", WILLIS_NRRD_GZIP},
               {"ascii", WILLIS_NRRD_TEXT}, {"text", WILLIS_NRRD_TEXT}, {"txt", WILLIS_NRRD_TEXT}};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (value_is(&value, names[i].name)) {
      h->nrrd->encoding = names[i].encoding;
      return WILLIS_OK;
    }
  return willis_fail(h->err, WILLIS_UNSUPPORTED, "line %td: encoding, expected raw, gzip or ascii",
                     h->line);
}

static enum willis_status read_endian(struct header *h, struct willis_text value) {
  h->nrrd->samples.big_endian = value_is(&value, "big");
  h->has_endian = value_is(&value, "big") || value_is(&value, "little");
  return h->has_endian ? WILLIS_OK : bad(h, "little or big");
}

static enum willis_status read_spacings(struct header *h, struct willis_text value) {
  for (int64_t axis = 0; axis < h->dimension; axis++) {
    struct willis_word word;
    if (!willis_text_word(&value, &word) || !willis_word_real(word, &h->spacing[axis]))
      return bad(h, "a spacing for every axis");
  }
  h->has_spacings = h->dimension > 0;
  return WILLIS_OK;
}

/* "(1,0,0)" with blanks anywhere, or "none" as NaN. */
static bool read_vector(struct willis_text *value, double vector[3]) {
  trim(value);
  if (value->end - value->at >= 4 && strncasecmp(value->at, "none", 4) == 0) {
    value->at += 4;
    for (int i = 0; i < 3; i++) vector[i] = NAN;
    return true;
  }
  if (value->at == value->end || *value->at != '(') return false;
  for (int i = 0; i < 3; i++) {
    struct willis_text number = {++value->at, value->at, value->line};
    while (value->at < value->end && *value->at != ',' && *value->at != ')') value->at++;
    number.end = value->at;
    trim(&number);
    struct willis_word word = {number.at, (size_t)(number.end - number.at)};
    if (value->at == value->end || *value->at != (i < 2 ? ',' : ')') ||
        !willis_word_real(word, &vector[i]))
      return false;
  }
  value->at++;
  return true;
}

static enum willis_status read_directions(struct header *h, struct willis_text value) {
  for (int64_t axis = 0; axis < h->dimension; axis++)
    if (!read_vector(&value, h->direction[axis]))
      return bad(h, "\"(x,y,z)\" or \"none\" for every axis");
  h->has_directions = h->dimension > 0;
  return WILLIS_OK;
}

static enum willis_status read_origin(struct header *h, struct willis_text value) {
  return read_vector(&value, h->origin) ? WILLIS_OK : bad(h, "\"(x,y,z)\"");
}

static enum willis_status read_space(struct header *h, struct willis_text value) {
  static const struct {
    const char *name, *letters;
    double flip[3];
  } spaces[] = {{"left-posterior-superior", "LPS", {1, 1, 1}},
                {"right-anterior-superior", "RAS", {-1, -1, 1}},
                {"left-anterior-superior", "LAS", {1, -1, 1}}};
  for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++)
    if (value_is(&value, spaces[i].name) || value_is(&value, spaces[i].letters)) {
      memcpy(h->flip, spaces[i].flip, sizeof h->flip);
      h->has_space = true;
      return WILLIS_OK;
    }
  return willis_fail(h->err, WILLIS_UNSUPPORTED,
                     "line %td: space, expected left-posterior-superior, right-anterior-superior "
                     "or left-anterior-superior",
                     h->line);
}

static enum willis_status read_units(struct header *h, struct willis_text value) {
  static const struct {
    const char *name;
    double mm;
  } units[] = {{"\"mm\"", 1}, {"\"cm\"", 10}, {"\"m\"", 1000}, {"\"um\"", 1e-3}};
  for (int i = 0; i < 3; i++) {
    struct willis_word word;
    size_t row = 0, rows = sizeof units / sizeof *units;
    if (!willis_text_word(&value, &word)) return bad(h, "a unit for every axis of the space");
    while (row < rows && !willis_word_is(word, units[row].name)) row++;
    if (row == rows)
      return willis_fail(h->err, WILLIS_UNSUPPORTED, "line %td: unit %.*s, expected \"mm\"",
                         h->line, WILLIS_WORD_ARGUMENTS(word));
    h->mm[i] = units[row].mm;
  }
  return WILLIS_OK;
}

static enum willis_status read_skip(struct header *h, struct willis_text value, ptrdiff_t least,
                                    ptrdiff_t *skip) {
  struct willis_word word;
  int64_t n;
  if (!willis_text_word(&value, &word) || !willis_word_integer(word, &n) || n < least ||
      n > PTRDIFF_MAX / 2)
    return bad(h, least < 0 ? "a byte skip from -1" : "a line skip from 0");
  *skip = (ptrdiff_t)n;
  return WILLIS_OK;
}
static enum willis_status read_line_skip(struct header *h, struct willis_text value) {
  return read_skip(h, value, 0, &h->nrrd->line_skip);
}
static enum willis_status read_byte_skip(struct header *h, struct willis_text value) {
  return read_skip(h, value, -1, &h->nrrd->byte_skip);
}

/* One name without a folder; a list or a numbered pattern is data in several files. */
static enum willis_status read_data_file(struct header *h, struct willis_text value) {
  size_t length = (size_t)(value.end - value.at);
  if (value_is(&value, "LIST") || memchr(value.at, '%', length))
    return willis_fail(h->err, WILLIS_UNSUPPORTED,
                       "line %td: voxels in several files, expected one", h->line);
  if (length == 0 || length >= WILLIS_NRRD_NAME_BYTES || memchr(value.at, 0, length) ||
      memchr(value.at, '/', length) || value_is(&value, ".") || value_is(&value, ".."))
    return willis_fail(h->err, WILLIS_FORMAT,
                       "line %td: data file, expected the name of a file in the same folder",
                       h->line);
  memcpy(h->nrrd->data_file, value.at, length);
  h->nrrd->data_file[length] = 0;
  return WILLIS_OK;
}

static const struct {
  const char *name;
  enum willis_status (*read)(struct header *h, struct willis_text value);
  bool after_dimension;
} fields[] = {
    {"dimension", read_dimension, false}, {"sizes", read_sizes, true},
    {"type", read_type, false},           {"encoding", read_encoding, false},
    {"endian", read_endian, false},       {"spacings", read_spacings, true},
    {"space", read_space, false},         {"space directions", read_directions, true},
    {"space origin", read_origin, false}, {"space units", read_units, false},
    {"line skip", read_line_skip, false}, {"lineskip", read_line_skip, false},
    {"byte skip", read_byte_skip, false}, {"byteskip", read_byte_skip, false},
    {"data file", read_data_file, false}, {"datafile", read_data_file, false},
};

/* "name: value". Comments and "key:=value" are others' notes; fields not in the table say nothing
 * about values or their place. */
static enum willis_status read_field(struct header *h, struct willis_text line) {
  const char *colon = memchr(line.at, ':', (size_t)(line.end - line.at));
  if (*line.at == '#') return WILLIS_OK;
  if (!colon) return bad(h, "\"field: value\"");
  if (colon + 1 < line.end && colon[1] == '=') return WILLIS_OK;
  struct willis_text name = {line.at, colon, line.line}, value = {colon + 1, line.end, line.line};
  trim(&name);
  trim(&value);
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
    if (!value_is(&name, fields[i].name)) continue;
    if (fields[i].after_dimension && !h->dimension) return bad(h, "the dimension before this");
    return fields[i].read(h, value);
  }
  return WILLIS_OK;
}

/* ---- what the fields mean together ---- */

/* The three axes that lie in space; every other must have size 1. */
static enum willis_status choose_axes(const struct header *h, int64_t axis[3]) {
  int found = 0;
  for (int64_t i = 0; i < h->dimension; i++) {
    bool in_space = h->has_directions ? !isnan(h->direction[i][0]) : i < 3;
    if (in_space && found < 3) {
      axis[found++] = i;
    } else if (in_space || h->size[i] > 1) {
      return willis_fail(h->err, WILLIS_UNSUPPORTED,
                         "sizes: %td values along axis %jd, expected three axes in space",
                         h->size[i], (intmax_t)i);
    }
  }
  if (found == 3) return WILLIS_OK;
  return willis_fail(h->err, WILLIS_UNSUPPORTED, "%d axes in space, expected 3", found);
}

static enum willis_status make_grid(const struct header *h, struct willis_grid *grid) {
  int64_t from[3];
  enum willis_status status = choose_axes(h, from);
  if (status) return status;
  if (!h->has_directions && !h->has_spacings)
    return willis_fail(h->err, WILLIS_GEOMETRY,
                       "neither space directions nor spacings, expected the voxels' size");
  if (!h->has_space)
    willis_warn(h->warnings, "no space in the header: axes are taken as left, back, head");
  for (int axis = 0; axis < 3; axis++) {
    double vector[3] = {0}, length = 0;
    if (!h->has_directions) vector[axis] = h->spacing[from[axis]];
    for (int row = 0; row < 3; row++) {
      if (h->has_directions) vector[row] = h->direction[from[axis]][row];
      vector[row] *= h->mm[row];
      length += vector[row] * vector[row];
    }
    if (!h->has_directions && !(h->spacing[from[axis]] > 0))
      return willis_fail(h->err, WILLIS_GEOMETRY,
                         "spacings: %g on axis %jd, expected a positive number",
                         h->spacing[from[axis]], (intmax_t)from[axis]);
    length = sqrt(length);
    grid->size[axis] = h->size[from[axis]];
    grid->spacing_mm[axis] = length;
    /* The space's axes to LPS; adding 0 leaves no −0. */
    for (int row = 0; row < 3; row++)
      grid->direction[3 * row + axis] = h->flip[row] * vector[row] / length + 0.0;
  }
  for (int row = 0; row < 3; row++)
    grid->origin_mm[row] = h->flip[row] * h->mm[row] * h->origin[row] + 0.0;
  return willis_grid_check(grid, "space directions", h->err);
}

static enum willis_status finish(struct header *h) {
  struct willis_nrrd *nrrd = h->nrrd;
  const char *missing = !h->has_sizes     ? "sizes"
                        : !h->has_type    ? "type"
                        : !nrrd->encoding ? "encoding"
                                          : NULL;
  if (missing) return willis_fail(h->err, WILLIS_FORMAT, "field \"%s\" is missing", missing);
  if (!h->has_endian && willis_sample_bytes(nrrd->samples.type) > 1 &&
      nrrd->encoding != WILLIS_NRRD_TEXT)
    return willis_fail(h->err, WILLIS_FORMAT, "field \"endian\" is missing");
  enum willis_status status = make_grid(h, &nrrd->grid);
  nrrd->count = willis_grid_count(&nrrd->grid);
  return status;
}

bool willis_nrrd_recognize(const unsigned char *bytes, size_t size) {
  return size >= 8 && memcmp(bytes, "NRRD", 4) == 0;
}

enum willis_status willis_nrrd_header(const unsigned char *bytes, size_t size,
                                      const struct willis_limits *limits, struct willis_nrrd *nrrd,
                                      const struct willis_warnings *warnings,
                                      struct willis_error *err) {
  *nrrd = (struct willis_nrrd){.samples.slope = 1};
  struct header h = {.nrrd = nrrd,
                     .limits = limits,
                     .warnings = warnings,
                     .err = err,
                     .line = 1,
                     .mm = {1, 1, 1},
                     .flip = {1, 1, 1}};
  struct willis_text text = willis_text_of(bytes, size), line;
  if (!willis_text_line(&text, &line) || line.end - line.at != 8 ||
      memcmp(line.at, "NRRD000", 7) != 0 || line.at[7] < '1' || line.at[7] > '5')
    return bad(&h, "NRRD0001 to NRRD0005");
  locale_t before = willis_locale_enter();
  enum willis_status status = WILLIS_OK;
  bool ended = false;
  while (!status && !ended && willis_text_line(&text, &line)) {
    h.line = text.line;
    ended = line.at == line.end;
    if (!ended) status = read_field(&h, line);
  }
  willis_locale_leave(before);
  if (!status) status = finish(&h);
  if (!status && !ended && !nrrd->data_file[0])
    status =
        willis_fail(err, WILLIS_FORMAT,
                    "line %td: the header does not end, expected an empty line and voxels", h.line);
  nrrd->data = (size_t)(text.at - (const char *)bytes);
  return status;
}
