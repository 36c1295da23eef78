/* SHA-256 (FIPS 180-4): what tells configurations and data apart, in checkpoints and records. */
#ifndef WILLIS_RECON_DIGEST_H
#define WILLIS_RECON_DIGEST_H

#include <stddef.h>
#include <stdint.h>

enum { WILLIS_DIGEST_BYTES = 32, WILLIS_DIGEST_TEXT = 2 * WILLIS_DIGEST_BYTES + 1 };

struct willis_digest {
  uint32_t state[8];
  uint64_t bytes;
  unsigned char block[64];
};

void willis_digest_begin(struct willis_digest *digest);
void willis_digest_add(struct willis_digest *digest, const void *bytes, size_t size);
/* Formatted text, for configurations; at most 255 characters. */
void willis_digest_add_text(struct willis_digest *digest, const char *format, ...)
    __attribute__((__format__(__printf__, 2, 3)));
void willis_digest_end(struct willis_digest *digest, unsigned char out[WILLIS_DIGEST_BYTES]);
/* Lower-case hexadecimal with a final zero. */
void willis_digest_text(const unsigned char digest[WILLIS_DIGEST_BYTES],
                        char text[WILLIS_DIGEST_TEXT]);

#endif
