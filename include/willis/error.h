/* Status codes and error messages. Nothing here allocates, prints or exits. */
#ifndef WILLIS_ERROR_H
#define WILLIS_ERROR_H

#include <willis/api.h>

#include <stddef.h>

WILLIS_BEGIN

/* X(name, what it means) */
#define WILLIS_STATUS_LIST(X)                                                                      \
  X(OK, "done")                                                                                    \
  X(INVALID_ARGUMENT, "the caller asked for something impossible")                                 \
  X(OUT_OF_MEMORY, "an allocation failed or a size does not fit")                                  \
  X(IO, "reading or writing a file failed")                                                        \
  X(EXISTS, "an output exists already")                                                            \
  X(FORMAT, "a file is not what its format demands")                                               \
  X(UNSUPPORTED, "a valid file or request that Willis does not support")                           \
  X(MISMATCH, "two inputs do not belong together")                                                 \
  X(GEOMETRY, "geometry that is missing, contradictory or not finite")                             \
  X(NUMERIC, "NaN or infinity appeared in a computation")                                          \
  X(CANCELLED, "the caller asked to stop")

enum willis_status {
#define WILLIS_STATUS_ENUM(name, meaning) WILLIS_##name,
  WILLIS_STATUS_LIST(WILLIS_STATUS_ENUM)
#undef WILLIS_STATUS_ENUM
};

/* Filled by a function that fails. Owned by the caller; a null pointer is allowed everywhere and
 * means that the message is not wanted. The message says what, where, and what was expected. */
struct willis_error {
  enum willis_status status;
  char message[512];
};

/* The short name ("FORMAT") and the meaning of a status. Static strings. */
WILLIS_API const char *willis_status_name(enum willis_status status);
WILLIS_API const char *willis_status_meaning(enum willis_status status);

/* Copies `from` into to[size], cut to fit, with control characters as \\x1b, so that a terminal
 * shows text out of files instead of obeying it. Messages have been through this. */
WILLIS_API void willis_text_escape(char *to, size_t size, const char *from);

/* Warnings that do not stop the work (an open mesh, a cut line) go to this callback, one complete
 * line each without a newline. Without one they are dropped. */
struct willis_warnings {
  void (*warn)(const char *message, void *context);
  void *context;
};

WILLIS_END

#endif
