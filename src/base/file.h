/* The one way to read and write files: whole-file reading with limits, and writers that leave
 * either the complete new file or the old one. */
#ifndef WILLIS_BASE_FILE_H
#define WILLIS_BASE_FILE_H

#include "base/io_table.h"
#include "base/path.h"

#include <willis/error.h>

#include <stdbool.h>
#include <stddef.h>

/* The whole file; only regular files. The caller frees *bytes with willis_release(). One byte
 * (zero) more than *size is allocated, so that text readers find an end. IO, FORMAT (larger than
 * limit). */
WILLIS_CHECKED enum willis_status willis_file_read(const char *path, size_t limit,
                                                   unsigned char **bytes, size_t *size,
                                                   struct willis_error *err);
/* The first `room` bytes at most, for a look at what a file is; *size is the whole file's. Only
 * regular files. IO. */
WILLIS_CHECKED enum willis_status willis_file_head(const char *path, unsigned char *bytes,
                                                   size_t room, size_t *got, size_t *size,
                                                   struct willis_error *err);
/* True for a gzip header. */
bool willis_is_gzip(const unsigned char *bytes, size_t size);
/* Inflates every gzip member, at most `limit` bytes. A cut or broken stream is FORMAT with the
 * offset. The caller frees *out. */
WILLIS_CHECKED enum willis_status willis_gunzip(const unsigned char *bytes, size_t size,
                                                size_t limit, unsigned char **out, size_t *out_size,
                                                struct willis_error *err);
/* The first bytes of what a gzip stream holds, at most `want`, for a look at a header before its
 * claims are believed. Returns how many; 0 when the stream is broken at once. */
size_t willis_gunzip_head(const unsigned char *bytes, size_t size, unsigned char *out, size_t want);
/* willis_file_read(), then willis_gunzip() if it is gzip. Nothing has claimed how much comes out:
 * beyond 8 MiB, more than 100 times what went in is FORMAT. */
WILLIS_CHECKED enum willis_status willis_file_read_expanded(const char *path, size_t file_limit,
                                                            size_t limit, unsigned char **bytes,
                                                            size_t *size, struct willis_error *err);

/* A file being written aside, in the same folder, under a unique temporary name. `gzip` compresses.
 * Nothing is seen under the final name before willis_writer_commit() has synced and renamed. "-"
 * writes to stdout at once. */
struct willis_writer;
/* EXISTS when !overwrite and the path exists (checked again, atomically, at commit). */
WILLIS_CHECKED enum willis_status willis_writer_open(const char *path, bool overwrite, bool gzip,
                                                     struct willis_writer **writer,
                                                     struct willis_error *err);
/* From here on what is put is compressed with gzip: for formats with a plain header. */
WILLIS_CHECKED enum willis_status willis_writer_compress(struct willis_writer *writer,
                                                         struct willis_error *err);
WILLIS_CHECKED enum willis_status willis_writer_put(struct willis_writer *writer, const void *bytes,
                                                    size_t size, struct willis_error *err);
/* Makes the file appear. Frees the writer, whatever happens; on failure nothing is left behind and
 * the old file stays, but for one case, which the message names: the file is complete and in place
 * and only its folder could not be synced. */
WILLIS_CHECKED enum willis_status willis_writer_commit(struct willis_writer *writer,
                                                       struct willis_error *err);
/* Throws the temporary away and frees the writer; null is fine. When the temporary stays, that is
 * added to what `err` says already. */
void willis_writer_abandon(struct willis_writer *writer, struct willis_error *err);

/* Open, put, commit. */
WILLIS_CHECKED enum willis_status willis_file_write(const char *path, const void *bytes,
                                                    size_t size, bool overwrite, bool gzip,
                                                    struct willis_error *err);

#endif
