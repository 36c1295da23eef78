/* A walk over the elements of a DICOM file, before any library sees it: lengths are compared with
 * what is there and nesting is bounded. Says where the pixels are. */
#ifndef WILLIS_IO_DICOM_SCAN_H
#define WILLIS_IO_DICOM_SCAN_H

#include <willis/io.h>

#include <stdbool.h>
#include <stdint.h>

WILLIS_BEGIN

/* Transfer syntaxes that change how elements are written (PS3.5, annex A). */
#define WILLIS_DICOM_IMPLICIT "1.2.840.10008.1.2"
#define WILLIS_DICOM_EXPLICIT "1.2.840.10008.1.2.1"
#define WILLIS_DICOM_BIG_ENDIAN "1.2.840.10008.1.2.2"
#define WILLIS_DICOM_DEFLATED "1.2.840.10008.1.2.1.99"
enum { WILLIS_DICOM_UID = 65 };

/* Byte positions in the file. */
struct willis_dicom_layout {
  char syntax[WILLIS_DICOM_UID];
  size_t data_set;      /* the first element after the file's head */
  size_t header_end;    /* everything before the pixels lies before this */
  size_t end;           /* the first byte after the pixels; what follows, often padding, is left */
  bool has_pixels;      /* (7fe0,0010) of the file itself; then: */
  bool is_encapsulated; /* `value` is the first of a row of fragments */
  size_t value, length; /* its value; length 0 if encapsulated */
  bool big_endian;
};

/* An element as it lies in the file. */
struct willis_dicom_element {
  uint32_t tag, length; /* length 0xFFFFFFFF: a delimiter ends it */
  size_t value;         /* its first byte */
  char kind[2];         /* of explicit files ("US"); zeros where it is not said */
};
/* Told of every element but delimiters; `depth` counts the sequences and items around it. A status
 * other than OK ends the walk. */
struct willis_dicom_visitor {
  enum willis_status (*visit)(const struct willis_dicom_element *element, int depth, void *context);
  void *context;
};
enum { WILLIS_DICOM_DEEPEST = 16, WILLIS_DICOM_MOST_ELEMENTS = 1 << 20 };

/* FORMAT when an element claims more bytes than there are, or sequences are nested deeper than 16;
 * UNSUPPORTED for a deflated file and for more than WILLIS_DICOM_MOST_ELEMENTS. No recursion. */
WILLIS_CHECKED enum willis_status willis_dicom_locate(const unsigned char *bytes, size_t size,
                                                      struct willis_dicom_layout *layout,
                                                      struct willis_error *err);
WILLIS_CHECKED enum willis_status willis_dicom_walk(const unsigned char *bytes, size_t size,
                                                    const struct willis_dicom_visitor *visitor,
                                                    struct willis_dicom_layout *layout,
                                                    struct willis_error *err);
/* The same for who wants only `end`. */
WILLIS_CHECKED enum willis_status willis_dicom_scan(const unsigned char *bytes, size_t size,
                                                    size_t *end, struct willis_error *err);

/* What kind of file its head says it is (0002,0002); `bytes` may be the first of a file. False for
 * a file that has no such head. */
bool willis_dicom_storage_class(const unsigned char *bytes, size_t size,
                                char uid[WILLIS_DICOM_UID]);
/* Where the deflated part of a file begins; 0 for a file that is not deflated. */
size_t willis_dicom_deflated(const unsigned char *bytes, size_t size);
/* A deflated file as an ordinary one (explicit, little-endian) for the caller to free. FORMAT for a
 * broken stream, or one that grows beyond the limits or beyond any picture (`expanded_bytes`, and
 * 100 times what went in, above 8 MiB). */
WILLIS_CHECKED enum willis_status willis_dicom_inflate(const unsigned char *bytes, size_t size,
                                                       const struct willis_limits *limits,
                                                       unsigned char **plain, size_t *plain_size,
                                                       struct willis_error *err);

/* The fragment at *at, which then is where the next one begins. *value is 0 at the end of the row.
 * For bytes that willis_dicom_locate() has passed; little-endian, as compressed files are. */
WILLIS_CHECKED enum willis_status willis_dicom_fragment_next(const unsigned char *bytes, size_t end,
                                                             size_t *at, size_t *value,
                                                             size_t *length,
                                                             struct willis_error *err);

WILLIS_END

#endif
