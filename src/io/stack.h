/* Projection stacks: a NIfTI image of [columns, rows, views] and a JSON text that says where every
 * view was taken from (doc/projections.md). The image's own axes say nothing and are ignored. */
#ifndef WILLIS_IO_STACK_H
#define WILLIS_IO_STACK_H

#include <willis/io.h>

#include <stdint.h>

/* Ten times what 4096 views take; parsed JSON is forty times larger than its text. */
enum { WILLIS_STACK_JSON_BYTES = 4 << 20 };

/* The text into a stack that willis_projections_create() has made for the image: everything but
 * the pixels. FORMAT (no JSON, a wrong type), GEOMETRY (a missing or impossible number, named by
 * its key), UNSUPPORTED, MISMATCH (other sizes or other pixels than the image). */
WILLIS_CHECKED enum willis_status willis_stack_parse_json(const unsigned char *bytes, size_t size,
                                                          struct willis_projections *stack,
                                                          struct willis_error *err);
/* The image, not compressed, into a stack with zeroed views. The caller releases it. */
WILLIS_CHECKED enum willis_status willis_stack_parse_image(const unsigned char *bytes, size_t size,
                                                           const struct willis_limits *limits,
                                                           struct willis_projections *stack,
                                                           struct willis_error *err);
/* CRC-32 of the pixels as little-endian 32-bit floats, in the order of the image. */
uint32_t willis_stack_checksum(const struct willis_projections *stack);
/* "a.nii.gz" or "a.nii" → "a.json" for the caller to free. INVALID_ARGUMENT for other endings. */
WILLIS_CHECKED enum willis_status willis_stack_json_path(const char *image, char **json,
                                                         struct willis_error *err);

#endif
