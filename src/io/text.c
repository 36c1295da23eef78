/* Text in and out. Words are copied before they are converted, so nothing needs a terminator. */
#define _GNU_SOURCE
#include "io/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

locale_t willis_locale_enter(void) {
  /* glibc's "C" is static: nothing is allocated and nothing need be freed. */
  return uselocale(newlocale(LC_ALL_MASK, "C", (locale_t)0));
}
void willis_locale_leave(locale_t before) {
  uselocale(before);
}

struct willis_text willis_text_of(const unsigned char *bytes, size_t size) {
  const char *at = (const char *)bytes;
  return (struct willis_text){at, at + size, 0};
}

bool willis_text_line(struct willis_text *text, struct willis_text *line) {
  if (text->at == text->end) return false;
  const char *at = text->at;
  while (at < text->end && *at != '\n' && *at != '\r') at++;
  text->line++;
  *line = (struct willis_text){text->at, at, text->line};
  if (at < text->end && *at == '\r' && at + 1 < text->end && at[1] == '\n') at++;
  text->at = at < text->end ? at + 1 : at;
  return true;
}

static bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

bool willis_text_word(struct willis_text *text, struct willis_word *word) {
  while (text->at < text->end && is_blank(*text->at)) {
    text->line += *text->at == '\n';
    text->at++;
  }
  word->at = text->at;
  while (text->at < text->end && !is_blank(*text->at)) text->at++;
  word->length = (size_t)(text->at - word->at);
  return word->length > 0;
}

bool willis_word_is(struct willis_word word, const char *text) {
  return strlen(text) == word.length && memcmp(text, word.at, word.length) == 0;
}

enum { NUMBER_LENGTH = 63 };

static bool copy_number(struct willis_word word, char copy[NUMBER_LENGTH + 1]) {
  if (word.length == 0 || word.length > NUMBER_LENGTH) return false;
  memcpy(copy, word.at, word.length);
  copy[word.length] = 0;
  return memchr(copy, 0, word.length) == NULL;
}

bool willis_word_real(struct willis_word word, double *value) {
  char copy[NUMBER_LENGTH + 1], *end;
  if (!copy_number(word, copy)) return false;
  *value = strtod(copy, &end);
  return *end == 0;
}

bool willis_word_integer(struct willis_word word, int64_t *value) {
  char copy[NUMBER_LENGTH + 1], *end;
  if (!copy_number(word, copy)) return false;
  errno = 0;
  *value = strtoll(copy, &end, 10);
  return *end == 0 && errno == 0;
}

enum willis_status willis_out_flush(struct willis_out *out) {
  if (!out->status) out->status = willis_writer_put(out->writer, out->piece, out->used, out->err);
  out->used = 0;
  return out->status;
}

void willis_out_put(struct willis_out *out, const void *bytes, size_t size) {
  const unsigned char *from = bytes;
  while (size > 0) {
    if (out->used == sizeof out->piece && willis_out_flush(out)) return;
    size_t room = sizeof out->piece - out->used, part = size < room ? size : room;
    memcpy(out->piece + out->used, from, part);
    out->used += part;
    from += part;
    size -= part;
  }
}

void willis_out_print(struct willis_out *out, const char *format, ...) {
  char text[512];
  va_list list;
  va_start(list, format);
  int n = vsnprintf(text, sizeof text, format, list);
  va_end(list);
  if (n > 0) willis_out_put(out, text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
}
