/* Deflated DICOM (PS3.5, A.5): after the file's head one raw deflate stream. It is inflated here,
 * so that the walk over elements sees what a library will see. */
#include "base/error.h"
#include "base/memory.h"
#include "io/bytes.h"
#include "io/dicom_scan.h"

#include <limits.h>
#include <string.h>
#include <zlib.h>

enum { PREAMBLE = 128, PLENTY = 8 << 20, MOST_RATIO = 100 };

/* A preamble, the mark, and TransferSyntaxUID: all that a reader needs of a head. */
static size_t put_head(unsigned char *to) {
  static const char mark_and_tag[] = "DICM\x02\x00\x10\x00UI";
  static const char uid[] = WILLIS_DICOM_EXPLICIT; /* even with its final zero */
  size_t at = PREAMBLE, mark = sizeof mark_and_tag - 1;
  memset(to, 0, at);
  memcpy(to + at, mark_and_tag, mark);
  willis_store(to + at + mark, sizeof uid, 2);
  memcpy(to + at + mark + 2, uid, sizeof uid);
  return at + mark + 2 + sizeof uid;
}

static enum willis_status too_much(size_t most, struct willis_error *err) {
  return willis_fail(err, WILLIS_FORMAT, "the deflated part grows beyond %zu bytes", most);
}

enum willis_status willis_dicom_inflate(const unsigned char *bytes, size_t size,
                                        const struct willis_limits *limits, unsigned char **plain,
                                        size_t *plain_size, struct willis_error *err) {
  *plain = NULL;
  *plain_size = 0;
  const size_t from = willis_dicom_deflated(bytes, size);
  if (!from || size - from > UINT_MAX)
    return willis_fail(err, WILLIS_FORMAT, "expected a deflated DICOM file of at most 4 GiB");
  size_t most = size * MOST_RATIO > PLENTY ? size * MOST_RATIO : PLENTY;
  if (most > limits->expanded_bytes) most = limits->expanded_bytes;
  size_t room = 4 * size + 1024 < most ? 4 * size + 1024 : most;
  unsigned char *out = willis_take((ptrdiff_t)room, 1);
  if (!out) return willis_fail_memory(err, "an inflated file", (ptrdiff_t)room, 1);
  size_t used = room > 256 ? put_head(out) : 0;
  z_stream stream = {.next_in = (Bytef *)(uintptr_t)(bytes + from),
                     .avail_in = (uInt)(size - from)};
  enum willis_status status = WILLIS_OK;
  int code = used ? inflateInit2(&stream, -MAX_WBITS) : Z_MEM_ERROR;
  if (code != Z_OK) status = willis_fail(err, WILLIS_OUT_OF_MEMORY, "no memory to inflate");
  while (!status && code == Z_OK) {
    if (used == room) {
      const size_t taken = size - from - stream.avail_in;
      if (used > PLENTY && used / MOST_RATIO > taken) {
        status = too_much(used, err);
        break;
      }
      size_t next = room > most / 2 ? most : 2 * room;
      unsigned char *grown =
          next > room ? willis_grow(out, (ptrdiff_t)room, (ptrdiff_t)next, 1) : NULL;
      if (!grown) {
        status = next > room ? willis_fail_memory(err, "an inflated file", (ptrdiff_t)next, 1)
                             : too_much(most, err);
        break;
      }
      out = grown;
      room = next;
    }
    size_t step = room - used < UINT_MAX ? room - used : UINT_MAX;
    stream.next_out = out + used;
    stream.avail_out = (uInt)step;
    code = inflate(&stream, Z_NO_FLUSH);
    used += step - stream.avail_out;
  }
  if (!status && code != Z_STREAM_END)
    status = willis_fail(err, WILLIS_FORMAT, "byte %zu: the deflated part is cut or broken",
                         size - stream.avail_in);
  inflateEnd(&stream);
  if (status)
    willis_release(out);
  else
    *plain = out, *plain_size = used;
  return status;
}
