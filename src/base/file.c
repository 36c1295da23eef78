/* Reading with limits, and writing aside: unique temporary in the same folder, write, fsync,
 * rename, fsync of the folder. */
#define _GNU_SOURCE
#include "base/file.h"

#include "base/error.h"
#include "base/memory.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

enum { PIECE = 1 << 18 };
/* Text and triangles shrink to a third or a tenth; a bomb to a thousandth. */
enum { MOST_RATIO = 100, RATIO_COUNTS_FROM = 8 << 20 };

/* ---- reading ---- */

static size_t smaller(size_t a, size_t b) {
  return a < b ? a : b;
}

/* A regular file, open, and its size. */
static enum willis_status open_regular(const char *path, int *fd, size_t *size,
                                       struct willis_error *err) {
  do *fd = willis_io()->open_read(path);
  while (*fd < 0 && errno == EINTR);
  if (*fd < 0) return willis_fail(err, WILLIS_IO, "%s: cannot open: %s", path, strerror(errno));
  struct stat st;
  int failed;
  do failed = willis_io()->look_at_open(*fd, &st);
  while (failed && errno == EINTR);
  if (!failed && S_ISREG(st.st_mode) && st.st_size >= 0) {
    *size = (size_t)st.st_size;
    return WILLIS_OK;
  }
  if (failed)
    willis_fail(err, WILLIS_IO, "%s: cannot look: %s", path, strerror(errno));
  else
    willis_fail(err, WILLIS_IO, "%s: not a regular file", path);
  willis_io()->close(*fd);
  *fd = -1;
  return WILLIS_IO;
}

/* All of `want` bytes: a text that ends early would look whole. */
static enum willis_status read_bytes(const char *path, int fd, unsigned char *bytes, size_t want,
                                     struct willis_error *err) {
  for (size_t got = 0; got < want;) {
    ssize_t n = willis_io()->read(fd, bytes + got, want - got);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0)
      return willis_fail(err, WILLIS_IO, "%s: reading at byte %zu: %s", path, got, strerror(errno));
    if (n == 0)
      return willis_fail(err, WILLIS_IO, "%s: ends at byte %zu of %zu: it shrank while it was read",
                         path, got, want);
    got += (size_t)n;
  }
  return WILLIS_OK;
}

enum willis_status willis_file_read(const char *path, size_t limit, unsigned char **bytes,
                                    size_t *size, struct willis_error *err) {
  *bytes = NULL;
  *size = 0;
  int fd;
  size_t there;
  unsigned char *buffer = NULL;
  enum willis_status status = open_regular(path, &fd, &there, err);
  if (status) return status;
  if (there > limit) {
    status =
        willis_fail(err, WILLIS_FORMAT, "%s: %zu bytes, at most %zu are read", path, there, limit);
    goto out;
  }
  buffer = willis_take((ptrdiff_t)there + 1, 1);
  if (!buffer) {
    status = willis_fail_memory(err, path, (ptrdiff_t)there + 1, 1);
    goto out;
  }
  status = read_bytes(path, fd, buffer, there, err);
  if (status) goto out;
  buffer[there] = 0;
  *size = there;
  *bytes = buffer;
  buffer = NULL;
out:
  willis_release(buffer);
  willis_io()->close(fd);
  return status;
}

enum willis_status willis_file_head(const char *path, unsigned char *bytes, size_t room,
                                    size_t *got, size_t *size, struct willis_error *err) {
  int fd;
  *got = 0;
  enum willis_status status = open_regular(path, &fd, size, err);
  if (status) return status;
  const size_t want = smaller(room, *size);
  status = read_bytes(path, fd, bytes, want, err);
  if (!status) *got = want;
  willis_io()->close(fd);
  return status;
}

bool willis_is_gzip(const unsigned char *bytes, size_t size) {
  return size >= 3 && bytes[0] == 0x1f && bytes[1] == 0x8b && bytes[2] == 8;
}

/* zlib's memory comes from where all memory comes from. */
static void *zlib_take(void *context, uInt count, uInt size) {
  (void)context;
  return willis_take((ptrdiff_t)count, size);
}
static void zlib_release(void *context, void *block) {
  (void)context;
  willis_release(block);
}
static const z_stream fresh_stream = {.zalloc = zlib_take, .zfree = zlib_release};

/* The output grows by doubling, so memory follows what is really there and not what a trailer says.
 */
static enum willis_status inflate_members(z_stream *z, const unsigned char *bytes, size_t size,
                                          size_t limit, bool is_claimed, unsigned char **out,
                                          size_t *out_size, struct willis_error *err) {
  size_t room = smaller(limit, size * 3 + 64), used = 0, taken = 0;
  unsigned char *buffer = willis_take((ptrdiff_t)room + 1, 1);
  if (!buffer) return willis_fail_memory(err, "inflated data", (ptrdiff_t)room, 1);
  for (;;) {
    if (used == room) {
      unsigned char *grown = NULL;
      size_t next = smaller(limit, room * 2) + (room >= limit ? 1 : 0);
      grown = willis_grow(buffer, (ptrdiff_t)used, (ptrdiff_t)next + 1, 1);
      if (!grown) {
        willis_release(buffer);
        return willis_fail_memory(err, "inflated data", (ptrdiff_t)next, 1);
      }
      buffer = grown;
      room = next;
    }
    size_t give = smaller(size - taken, PIECE), space = smaller(room - used, PIECE);
    z->next_in = (unsigned char *)(uintptr_t)(bytes + taken);
    z->avail_in = (uInt)give;
    z->next_out = buffer + used;
    z->avail_out = (uInt)space;
    int result = inflate(z, Z_NO_FLUSH);
    taken += give - z->avail_in;
    used += space - z->avail_out;
    if (used > limit) {
      willis_release(buffer);
      return willis_fail(err, WILLIS_FORMAT, "compressed data expand beyond %zu bytes", limit);
    }
    if (!is_claimed && used > RATIO_COUNTS_FROM && used / MOST_RATIO > taken) {
      willis_release(buffer);
      return willis_fail(err, WILLIS_FORMAT,
                         "byte %zu: %zu bytes came out of this, expected at most %d times as many",
                         taken, used, MOST_RATIO);
    }
    if (result == Z_STREAM_END) {
      if (!willis_is_gzip(bytes + taken, size - taken)) break;
      if (inflateReset(z) == Z_OK) continue;
    }
    if (result == Z_MEM_ERROR) {
      willis_release(buffer);
      return willis_fail(err, WILLIS_OUT_OF_MEMORY, "no memory to inflate data");
    }
    bool starved = taken == size && used < room;
    if ((result != Z_OK && result != Z_BUF_ERROR) || starved) {
      willis_release(buffer);
      return willis_fail(err, WILLIS_FORMAT, "compressed data %s at byte %zu",
                         starved ? "end too early" : "are broken", taken);
    }
  }
  buffer[used] = 0;
  *out = buffer;
  *out_size = used;
  return WILLIS_OK;
}

static enum willis_status gunzip(const unsigned char *bytes, size_t size, size_t limit,
                                 bool is_claimed, unsigned char **out, size_t *out_size,
                                 struct willis_error *err) {
  *out = NULL;
  *out_size = 0;
  z_stream z = fresh_stream;
  if (inflateInit2(&z, 16 + MAX_WBITS) != Z_OK)
    return willis_fail(err, WILLIS_OUT_OF_MEMORY, "no memory for inflating");
  enum willis_status status =
      inflate_members(&z, bytes, size, limit, is_claimed, out, out_size, err);
  inflateEnd(&z);
  return status;
}

enum willis_status willis_gunzip(const unsigned char *bytes, size_t size, size_t limit,
                                 unsigned char **out, size_t *out_size, struct willis_error *err) {
  return gunzip(bytes, size, limit, true, out, out_size, err);
}

size_t willis_gunzip_head(const unsigned char *bytes, size_t size, unsigned char *out,
                          size_t want) {
  z_stream z = fresh_stream;
  if (inflateInit2(&z, 16 + MAX_WBITS) != Z_OK) return 0;
  z.next_in = (unsigned char *)(uintptr_t)bytes;
  z.avail_in = (uInt)smaller(size, PIECE);
  z.next_out = out;
  z.avail_out = (uInt)smaller(want, PIECE);
  (void)inflate(&z, Z_SYNC_FLUSH);
  size_t got = smaller(want, PIECE) - z.avail_out;
  inflateEnd(&z);
  return got;
}

enum willis_status willis_file_read_expanded(const char *path, size_t file_limit, size_t limit,
                                             unsigned char **bytes, size_t *size,
                                             struct willis_error *err) {
  enum willis_status status = willis_file_read(path, file_limit, bytes, size, err);
  if (status || !willis_is_gzip(*bytes, *size)) return status;
  unsigned char *packed = *bytes;
  status = gunzip(packed, *size, limit, false, bytes, size, err);
  willis_release(packed);
  return status ? willis_fail_in(err, status, path) : WILLIS_OK;
}

/* ---- writing ---- */

struct willis_writer {
  int fd;
  bool overwrite, gzip, to_stdout;
  bool placed; /* or gone: there is no temporary any more */
  z_stream z;
  size_t written;
  unsigned char piece[PIECE];
  char temporary[PATH_MAX];
  char path[PATH_MAX];
};

/* May `path` be written? */
static enum willis_status check_target(const char *path, bool overwrite, struct willis_error *err) {
  enum willis_path_kind kind;
  if (!overwrite) return willis_path_refuse_existing(path, err);
  enum willis_status status = willis_path_look(path, &kind, err);
  if (!status && kind != WILLIS_PATH_NONE && kind != WILLIS_PATH_FILE)
    status = willis_fail(err, WILLIS_IO, "%s: exists and is not a regular file", path);
  return status;
}

/* Closes and removes the temporary; says so when it stays, behind what `err` says already. */
static void discard(struct willis_writer *w, struct willis_error *err) {
  if (w->to_stdout || w->placed) return;
  if (w->fd >= 0) willis_io()->close(w->fd);
  w->fd = -1;
  w->placed = true;
  struct willis_error left;
  if (!willis_path_remove(w->temporary, &left) || !err) return;
  char said[sizeof err->message];
  memcpy(said, err->message, sizeof said);
  willis_fail(err, err->status, "%.250s; left behind: %.200s", said, left.message);
}

enum willis_status willis_writer_open(const char *path, bool overwrite, bool gzip,
                                      struct willis_writer **writer, struct willis_error *err) {
  *writer = NULL;
  struct willis_writer *w = willis_take_zeroed(1, sizeof *w);
  if (!w) return willis_fail_memory(err, "a writer", 1, sizeof *w);
  w->fd = -1;
  w->overwrite = overwrite;
  w->to_stdout = strcmp(path, "-") == 0;
  const char *slash = strrchr(path, '/');
  int folder = slash ? (int)(slash - path) + 1 : 0;
  /* Cut, so that the longest name there is leaves room for the ending. */
  int n = snprintf(w->temporary, sizeof w->temporary, "%.*s.%.200s.XXXXXX", folder, path,
                   slash ? slash + 1 : path);
  if (n < 0 || n >= (int)sizeof w->temporary ||
      snprintf(w->path, sizeof w->path, "%s", path) >= (int)sizeof w->path) {
    willis_release(w);
    return willis_fail(err, WILLIS_IO, "output path is longer than %d bytes", PATH_MAX);
  }
  enum willis_status status = w->to_stdout ? WILLIS_OK : check_target(path, overwrite, err);
  if (!status) {
    do w->fd = w->to_stdout ? STDOUT_FILENO : willis_io()->make_temporary(w->temporary);
    while (w->fd < 0 && errno == EINTR);
    if (w->fd < 0)
      status = willis_fail(err, WILLIS_IO, "%s: cannot write: %s", path, strerror(errno));
  }
  if (status) {
    willis_release(w);
    return status;
  }
  if (gzip) {
    status = willis_writer_compress(w, err);
    if (status) {
      willis_writer_abandon(w, err);
      return status;
    }
  }
  *writer = w;
  return WILLIS_OK;
}

enum willis_status willis_writer_compress(struct willis_writer *w, struct willis_error *err) {
  w->z = fresh_stream;
  /* Level 1 costs a fifth of the time of level 6 and a tenth more bytes on vessel volumes. */
  if (deflateInit2(&w->z, 1, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK)
    return willis_fail(err, WILLIS_OUT_OF_MEMORY, "no memory for compressing");
  w->gzip = true;
  return WILLIS_OK;
}

static enum willis_status write_all(struct willis_writer *w, const unsigned char *bytes,
                                    size_t size, struct willis_error *err) {
  size_t done = 0;
  while (done < size) {
    ssize_t put = willis_io()->write(w->fd, bytes + done, size - done);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) {
      willis_fail(err, WILLIS_IO, "%s: writing at byte %zu: %s", w->path, w->written + done,
                  put < 0 ? strerror(errno) : "nothing was written");
      discard(w, err);
      return WILLIS_IO;
    }
    done += (size_t)put;
  }
  w->written += size;
  return WILLIS_OK;
}

static enum willis_status deflate_piece(struct willis_writer *w, const unsigned char *bytes,
                                        size_t size, int flush, struct willis_error *err) {
  w->z.next_in = (unsigned char *)(uintptr_t)bytes;
  w->z.avail_in = (uInt)size;
  int result;
  do {
    w->z.next_out = w->piece;
    w->z.avail_out = PIECE;
    result = deflate(&w->z, flush);
    enum willis_status status = write_all(w, w->piece, PIECE - w->z.avail_out, err);
    if (status) return status;
  } while (w->z.avail_out == 0 || (flush == Z_FINISH && result != Z_STREAM_END));
  return WILLIS_OK;
}

enum willis_status willis_writer_put(struct willis_writer *w, const void *bytes, size_t size,
                                     struct willis_error *err) {
  const unsigned char *from = bytes;
  if (!w->gzip) return write_all(w, from, size, err);
  for (size_t done = 0; done < size;) {
    size_t part = smaller(size - done, (size_t)1 << 30);
    enum willis_status status = deflate_piece(w, from + done, part, Z_NO_FLUSH, err);
    if (status) return status;
    done += part;
  }
  return WILLIS_OK;
}

static enum willis_status place(struct willis_writer *w, struct willis_error *err) {
  int unsynced;
  do unsynced = willis_io()->sync(w->fd);
  while (unsynced && errno == EINTR);
  if (unsynced && !(errno == EINVAL || errno == ENOTSUP))
    return willis_fail(err, WILLIS_IO, "%s: cannot sync: %s", w->path, strerror(errno));
  int fd = w->fd;
  w->fd = -1;
  if (willis_io()->close(fd) && errno != EINTR) /* interrupted or not, Linux has closed it */
    return willis_fail(err, WILLIS_IO, "%s: cannot close: %s", w->path, strerror(errno));
  int (*move)(const char *, const char *) =
      w->overwrite ? willis_io()->rename : willis_io()->rename_new;
  if (move(w->temporary, w->path)) {
    if (errno == EEXIST) return willis_fail_existing(w->path, err);
    return willis_fail(err, WILLIS_IO, "%s: cannot rename into place: %s", w->path,
                       strerror(errno));
  }
  w->placed = true;
  if (willis_io()->sync_folder(w->path))
    return willis_fail(err, WILLIS_IO, "%s: written, but its folder cannot be synced: %s", w->path,
                       strerror(errno));
  return WILLIS_OK;
}

enum willis_status willis_writer_commit(struct willis_writer *w, struct willis_error *err) {
  enum willis_status status = WILLIS_OK;
  if (w->gzip) status = deflate_piece(w, NULL, 0, Z_FINISH, err);
  if (!status && !w->to_stdout) status = place(w, err);
  willis_writer_abandon(w, err);
  return status;
}

void willis_writer_abandon(struct willis_writer *w, struct willis_error *err) {
  if (!w) return;
  if (w->gzip) deflateEnd(&w->z);
  discard(w, err);
  willis_release(w);
}

enum willis_status willis_file_write(const char *path, const void *bytes, size_t size,
                                     bool overwrite, bool gzip, struct willis_error *err) {
  struct willis_writer *writer;
  enum willis_status status = willis_writer_open(path, overwrite, gzip, &writer, err);
  if (status) return status;
  status = willis_writer_put(writer, bytes, size, err);
  if (status) {
    willis_writer_abandon(writer, err);
    return status;
  }
  return willis_writer_commit(writer, err);
}
