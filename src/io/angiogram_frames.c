/* Where each frame's bytes lie. Raw frames follow each other; compressed ones are rows of fragments
 * whose borders are told by their number, by the table of offsets before them, or by the marker
 * with which every JPEG begins (PS3.5, A.4). */
#include "base/error.h"
#include "base/memory.h"
#include "io/angiogram.h"
#include "io/bytes.h"

static enum willis_status take_tables(struct willis_angiogram_source *source, ptrdiff_t pieces,
                                      ptrdiff_t frames, struct willis_error *err) {
  source->piece = willis_take(pieces, sizeof *source->piece);
  source->first = willis_take(frames + 1, sizeof *source->first);
  if (source->piece && source->first) return WILLIS_OK;
  return willis_fail_memory(err, "places of frames", pieces + frames, sizeof *source->piece);
}

static enum willis_status find_raw(struct willis_angiogram_source *source, ptrdiff_t frames,
                                   struct willis_error *err) {
  const struct willis_dicom_format *format = &source->format;
  const size_t frame = (size_t)(format->columns * format->rows * (format->allocated / 8));
  const size_t have = source->layout.length / frame;
  if (have < (size_t)frames)
    return willis_fail(
        err, WILLIS_FORMAT,
        "PixelData (7fe0,0010) holds %zu frames (%zu bytes of %zu each), expected the "
        "%td of NumberOfFrames (0028,0008)",
        have, source->layout.length, frame, frames);
  enum willis_status status = take_tables(source, frames, frames, err);
  if (status) return status;
  for (ptrdiff_t f = 0; f <= frames; f++) source->first[f] = f;
  for (ptrdiff_t f = 0; f < frames; f++)
    source->piece[f] = (struct willis_piece){source->layout.value + (size_t)f * frame, frame};
  return WILLIS_OK;
}

/* Counts the fragments after the table of offsets and notes them unless `piece` is null. */
static enum willis_status walk(const struct willis_angiogram_source *source,
                               struct willis_piece *table, struct willis_piece *piece,
                               ptrdiff_t *count, struct willis_error *err) {
  size_t at = source->layout.value;
  *count = -1;
  for (;;) {
    size_t value, length;
    enum willis_status status =
        willis_dicom_fragment_next(source->bytes, source->layout.end, &at, &value, &length, err);
    if (status) return status;
    if (value == 0) break;
    if (*count < 0)
      *table = (struct willis_piece){value, length};
    else if (piece)
      piece[*count] = (struct willis_piece){value, length};
    ++*count;
  }
  if (*count < 0) *count = 0;
  return WILLIS_OK;
}

/* Frames that begin where the table says; false when it does not lead to fragments. */
static bool split_by_table(const struct willis_angiogram_source *source,
                           const struct willis_piece *table, ptrdiff_t pieces, ptrdiff_t frames) {
  if (table->length != 4 * (size_t)frames) return false;
  ptrdiff_t p = 0;
  /* Offsets count from the first fragment's item, 8 bytes before its value. */
  const size_t origin = source->piece[0].at - 8;
  for (ptrdiff_t f = 0; f < frames; f++) {
    size_t offset = (size_t)willis_load(source->bytes + table->at + 4 * (size_t)f, 4, false);
    while (p < pieces && source->piece[p].at - 8 - origin < offset) p++;
    if (p == pieces || source->piece[p].at - 8 - origin != offset || (f == 0 && p != 0))
      return false;
    if (f && p == source->first[f - 1]) return false;
    source->first[f] = p;
  }
  source->first[frames] = pieces;
  return true;
}

/* Frames that begin with fragments that begin as JPEG (SOI) or JPEG 2000 (SOC). */
static bool split_by_marker(const struct willis_angiogram_source *source, ptrdiff_t pieces,
                            ptrdiff_t frames) {
  ptrdiff_t f = 0;
  for (ptrdiff_t p = 0; p < pieces; p++) {
    const struct willis_piece *piece = &source->piece[p];
    const unsigned char *start = source->bytes + piece->at;
    bool begins = piece->length >= 2 && start[0] == 0xFF && (start[1] == 0xD8 || start[1] == 0x4F);
    if (!begins && p == 0) return false;
    if (!begins) continue;
    if (f == frames) return false;
    source->first[f++] = p;
  }
  source->first[frames] = pieces;
  return f == frames;
}

static enum willis_status find_compressed(struct willis_angiogram_source *source, ptrdiff_t frames,
                                          struct willis_error *err) {
  struct willis_piece table = {0};
  ptrdiff_t pieces;
  enum willis_status status = walk(source, &table, NULL, &pieces, err);
  if (status) return status;
  if (pieces < frames)
    return willis_fail(err, WILLIS_FORMAT,
                       "PixelData (7fe0,0010) holds %td compressed pieces, expected the %td of "
                       "NumberOfFrames (0028,0008)",
                       pieces, frames);
  status = take_tables(source, pieces, frames, err);
  if (!status) status = walk(source, &table, source->piece, &pieces, err);
  if (status) return status;
  if (pieces == frames) {
    for (ptrdiff_t f = 0; f <= frames; f++) source->first[f] = f;
    return WILLIS_OK;
  }
  if (frames == 1) {
    source->first[0] = 0;
    source->first[1] = pieces;
    return WILLIS_OK;
  }
  if (split_by_table(source, &table, pieces, frames) || split_by_marker(source, pieces, frames))
    return WILLIS_OK;
  return willis_fail(err, WILLIS_FORMAT,
                     "PixelData (7fe0,0010) holds %td compressed pieces for %td frames, and no "
                     "table says which belong together",
                     pieces, frames);
}

enum willis_status willis_angiogram_find_frames(struct willis_angiogram_source *source,
                                                ptrdiff_t frames, struct willis_error *err) {
  return source->layout.is_encapsulated ? find_compressed(source, frames, err)
                                        : find_raw(source, frames, err);
}
