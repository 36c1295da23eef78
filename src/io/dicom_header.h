/* The attributes of a DICOM file. */
#ifndef WILLIS_IO_DICOM_HEADER_H
#define WILLIS_IO_DICOM_HEADER_H

#include "io/dicom_scan.h"

#include <stddef.h>
#include <stdint.h>

WILLIS_BEGIN

struct willis_dicom_header;
/* The attributes of the file or of an item of a sequence; belongs to the header. */
struct willis_dicom_item;

/* `bytes` must outlive the header: attributes are read out of them when asked for. *layout (may be
 * null) is that of willis_dicom_locate(), whose failures these are; OUT_OF_MEMORY. The caller
 * closes it. */
WILLIS_CHECKED enum willis_status willis_dicom_header_open(const unsigned char *bytes, size_t size,
                                                           struct willis_dicom_layout *layout,
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
 * it is missing or empty, −1 when one of them is no finite number. Where a file does not say how
 * they are stored, a table in dicom_header.c does: a tag that is not there is text. */
ptrdiff_t willis_dicom_reals(const struct willis_dicom_item *item, uint32_t tag, double *value,
                             ptrdiff_t room);
/* An attribute's text, cut to fit, without spaces around it; empty when there is none. Returns
 * `to`. Several values stand between backslashes. */
const char *willis_dicom_text(const struct willis_dicom_item *item, uint32_t tag, char *to,
                              size_t size);

WILLIS_END

#endif
