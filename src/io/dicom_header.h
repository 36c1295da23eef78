/* The attributes of a DICOM file, by DCMTK, which sees the bytes before the pixels and nothing
 * else. */
#ifndef WILLIS_IO_DICOM_HEADER_H
#define WILLIS_IO_DICOM_HEADER_H

#include <willis/error.h>

#include <stddef.h>
#include <stdint.h>

WILLIS_BEGIN

struct willis_dicom_header;
/* The attributes of the file or of an item of a sequence; belongs to the header. */
struct willis_dicom_item;

/* For bytes that willis_dicom_locate() has passed, up to its `header_end`. They may go after the
 * call. FORMAT. The caller closes it. */
WILLIS_CHECKED enum willis_status willis_dicom_header_open(const unsigned char *bytes, size_t size,
                                                           struct willis_dicom_header **header,
                                                           struct willis_error *err);
void willis_dicom_header_close(struct willis_dicom_header *header); /* null is fine */
const struct willis_dicom_item *willis_dicom_header_root(const struct willis_dicom_header *header);

/* Tags are written 0xggggeeee. A null item has nothing in it. */

/* Item `index` of a sequence; null when there is none. */
const struct willis_dicom_item *willis_dicom_child(const struct willis_dicom_item *item,
                                                   uint32_t sequence, ptrdiff_t index);
/* How many items a sequence has. */
ptrdiff_t willis_dicom_child_count(const struct willis_dicom_item *item, uint32_t sequence);
/* The numbers of an attribute, at most `room` of them into `value`. Returns how many it has: 0 when
 * it is missing or empty, −1 when one of them is no finite number. */
ptrdiff_t willis_dicom_reals(const struct willis_dicom_item *item, uint32_t tag, double *value,
                             ptrdiff_t room);
/* An attribute's text, cut to fit, without spaces around it; empty when there is none. Returns
 * `to`. Several values stand between backslashes. */
const char *willis_dicom_text(const struct willis_dicom_item *item, uint32_t tag, char *to,
                              size_t size);

WILLIS_END

#endif
