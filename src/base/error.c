/* Status names and message formatting. No heap, so that running out of memory can be reported. */
#include "base/error.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char *const names[] = {
#define NAME(name, meaning) #name,
    WILLIS_STATUS_LIST(NAME)
#undef NAME
};
static const char *const meanings[] = {
#define MEANING(name, meaning) meaning,
    WILLIS_STATUS_LIST(MEANING)
#undef MEANING
};

const char *willis_status_name(enum willis_status status) {
  size_t i = (size_t)status;
  return i < sizeof names / sizeof *names ? names[i] : "UNKNOWN";
}

const char *willis_status_meaning(enum willis_status status) {
  size_t i = (size_t)status;
  return i < sizeof meanings / sizeof *meanings ? meanings[i] : "not a status of Willis";
}

/* C2 80 to C2 9F are the control characters U+0080 to U+009F in UTF-8. */
void willis_text_escape(char *to, size_t size, const char *from) {
  size_t n = 0;
  unsigned char last = 0;
  for (; *from; last = (unsigned char)*from++) {
    unsigned char c = (unsigned char)*from, next = (unsigned char)from[1];
    bool plain = c >= 0x20 && c != 0x7f;
    if (c == 0xc2 && next >= 0x80 && next < 0xa0) plain = false;
    if (last == 0xc2 && c >= 0x80 && c < 0xa0) plain = false;
    if (n + (plain ? 1 : 4) >= size) break;
    if (plain)
      to[n++] = (char)c;
    else
      n += (size_t)snprintf(to + n, size - n, "\\x%02x", c);
  }
  to[n] = 0;
}

enum willis_status(willis_fail)(struct willis_error *err, enum willis_status status,
                                const char *format, ...) {
  if (!err) return status;
  char raw[sizeof err->message];
  va_list list;
  va_start(list, format);
  vsnprintf(raw, sizeof raw, format, list);
  va_end(list);
  err->status = status;
  willis_text_escape(err->message, sizeof err->message, raw);
  return status;
}

enum willis_status(willis_fail_memory)(struct willis_error *err, const char *what, ptrdiff_t count,
                                       size_t size) {
  return willis_fail(err, WILLIS_OUT_OF_MEMORY, "no memory for %s: %td items of %zu bytes", what,
                     count, size);
}

enum willis_status willis_fail_in(struct willis_error *err, enum willis_status status,
                                  const char *prefix) {
  if (!err) return status;
  char inner[sizeof err->message];
  memcpy(inner, err->message, sizeof inner);
  char raw[sizeof inner + 256];
  snprintf(raw, sizeof raw, "%.200s: %s", prefix, inner);
  err->status = status;
  willis_text_escape(err->message, sizeof err->message, raw);
  return status;
}

void willis_warn(const struct willis_warnings *warnings, const char *format, ...) {
  if (!warnings || !warnings->warn) return;
  char raw[512], line[512];
  va_list list;
  va_start(list, format);
  vsnprintf(raw, sizeof raw, format, list);
  va_end(list);
  willis_text_escape(line, sizeof line, raw);
  warnings->warn(line, warnings->context);
}
