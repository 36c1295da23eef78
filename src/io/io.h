/* What the readers and writers of this room share. */
#ifndef WILLIS_IO_IO_H
#define WILLIS_IO_IO_H

#include <willis/io.h>

/* Goes into every file that has a place for a remark. Nothing about a patient does. */
#define WILLIS_FILE_COMMENT                                                                        \
  "Made by Willis. Frame LPS, mm. Research software. Not a medical device."

/* A surface or a tree after decompression; no real one comes near. */
enum { WILLIS_SHAPE_BYTES = 1 << 30 };

/* Warnings of a parser that knows no path, passed on with "path: " before them. `named` lives as
 * long as the returned listener is used; the result may be null. */
struct willis_warned_path {
  const char *path;
  const struct willis_warnings *to;
  struct willis_warnings own;
};
const struct willis_warnings *willis_warnings_name(struct willis_warned_path *named,
                                                   const struct willis_warnings *warnings,
                                                   const char *path);

#endif
