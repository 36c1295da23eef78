/* Lines, words and numbers of text that may end anywhere, and text output. Numbers have a point in
 * every locale: each reader and writer of text works between willis_locale_enter() and _leave(). */
#ifndef WILLIS_IO_TEXT_H
#define WILLIS_IO_TEXT_H

#include "base/file.h"

#include <locale.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The "C" locale for this thread; what was there comes back with leave. */
locale_t willis_locale_enter(void);
void willis_locale_leave(locale_t before);

/* A piece of text; `line` counts from 1 once the first line has been taken. */
struct willis_text {
  const char *at, *end;
  ptrdiff_t line;
};
struct willis_word {
  const char *at;
  size_t length;
};
struct willis_text willis_text_of(const unsigned char *bytes, size_t size);
/* Takes the next line (ended by \n, \r\n, \r or the end of the text) off `text`; false at the end.
 */
bool willis_text_line(struct willis_text *text, struct willis_text *line);
/* Takes the next word off `text`; blanks, tabs and, with them, ends of lines (counted) separate. */
bool willis_text_word(struct willis_text *text, struct willis_word *word);
bool willis_word_is(struct willis_word word, const char *text);
/* The whole word must be the number. NaN and infinity are numbers: the caller decides. */
bool willis_word_real(struct willis_word word, double *value);
bool willis_word_integer(struct willis_word word, int64_t *value);
/* For messages: at most 24 bytes of the word. */
#define WILLIS_WORD_ARGUMENTS(word) ((word).length > 24 ? 24 : (int)(word).length), (word).at

/* Small pieces into a writer, gathered. `status` keeps the first failure. */
struct willis_out {
  struct willis_writer *writer;
  struct willis_error *err;
  enum willis_status status;
  size_t used;
  unsigned char piece[1 << 14];
};
void willis_out_put(struct willis_out *out, const void *bytes, size_t size);
/* At most 511 characters. */
void willis_out_print(struct willis_out *out, const char *format, ...) WILLIS_PRINTF(2, 3);
/* Puts what is left; returns the status. */
WILLIS_CHECKED enum willis_status willis_out_flush(struct willis_out *out);

#endif
