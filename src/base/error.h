/* How functions fail: fill the caller's error and return its status in one expression. */
#ifndef WILLIS_BASE_ERROR_H
#define WILLIS_BASE_ERROR_H

#include <willis/error.h>

#include <stddef.h>

/* Writes the message (control bytes escaped, cut to fit) into err, if any, and returns status. */
enum willis_status willis_fail(struct willis_error *err, enum willis_status status,
                               const char *format, ...) WILLIS_PRINTF(3, 4);
/* OUT_OF_MEMORY for `count` items of `size` bytes wanted for `what`. */
enum willis_status willis_fail_memory(struct willis_error *err, const char *what, ptrdiff_t count,
                                      size_t size);
/* Puts "prefix: " before the message of an error that a callee filled; returns its status. */
enum willis_status willis_fail_in(struct willis_error *err, enum willis_status status,
                                  const char *prefix);
#ifdef WILLIS_ANALYSE /* lets an analyser see that what fails does not return OK */
#define willis_fail(err, status, ...) ((willis_fail)(err, status, __VA_ARGS__), (status))
#define willis_fail_memory(err, what, count, size)                                                 \
  ((willis_fail_memory)(err, what, count, size), WILLIS_OUT_OF_MEMORY)
#endif
/* Sends one warning line to the listener, if there is one. */
void willis_warn(const struct willis_warnings *warnings, const char *format, ...)
    WILLIS_PRINTF(2, 3);

#endif
