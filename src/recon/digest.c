/* SHA-256 as FIPS 180-4, section 6.2, spells it. */
#include "recon/digest.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* First 32 bits of the fractional parts of the cube roots of the first 64 primes (4.2.2). */
static const uint32_t round_constant[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotate_right(uint32_t x, int n) {
  return x >> n | x << (32 - n);
}

static void absorb(uint32_t state[8], const unsigned char block[64]) {
  uint32_t w[64], v[8];
  for (int i = 0; i < 16; i++)
    w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
           (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
  for (int i = 16; i < 64; i++) {
    uint32_t a = w[i - 15], b = w[i - 2];
    uint32_t s0 = rotate_right(a, 7) ^ rotate_right(a, 18) ^ a >> 3;
    uint32_t s1 = rotate_right(b, 17) ^ rotate_right(b, 19) ^ b >> 10;
    w[i] = w[i - 16] + s0 + w[i - 7] + s1;
  }
  memcpy(v, state, sizeof v);
  for (int i = 0; i < 64; i++) {
    uint32_t e = v[4], a = v[0];
    uint32_t s1 = rotate_right(e, 6) ^ rotate_right(e, 11) ^ rotate_right(e, 25);
    uint32_t choose = (e & v[5]) ^ (~e & v[6]);
    uint32_t t1 = v[7] + s1 + choose + round_constant[i] + w[i];
    uint32_t s0 = rotate_right(a, 2) ^ rotate_right(a, 13) ^ rotate_right(a, 22);
    uint32_t majority = (a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]);
    memmove(v + 1, v, 7 * sizeof *v);
    v[4] += t1;
    v[0] = t1 + s0 + majority;
  }
  for (int i = 0; i < 8; i++) state[i] += v[i];
}

void willis_digest_begin(struct willis_digest *digest) {
  /* First 32 bits of the fractional parts of the square roots of the first 8 primes (5.3.3). */
  *digest = (struct willis_digest){{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f,
                                    0x9b05688c, 0x1f83d9ab, 0x5be0cd19},
                                   0,
                                   {0}};
}

void willis_digest_add(struct willis_digest *digest, const void *bytes, size_t size) {
  const unsigned char *from = bytes;
  size_t held = digest->bytes % 64;
  digest->bytes += size;
  while (size) {
    size_t part = 64 - held < size ? 64 - held : size;
    memcpy(digest->block + held, from, part);
    held += part;
    from += part;
    size -= part;
    if (held < 64) return;
    absorb(digest->state, digest->block);
    held = 0;
  }
}

void willis_digest_add_text(struct willis_digest *digest, const char *format, ...) {
  char text[256];
  va_list list;
  va_start(list, format);
  vsnprintf(text, sizeof text, format, list);
  va_end(list);
  willis_digest_add(digest, text, strlen(text));
}

void willis_digest_end(struct willis_digest *digest, unsigned char out[WILLIS_DIGEST_BYTES]) {
  uint64_t bits = digest->bytes * 8;
  unsigned char length[8];
  for (int i = 0; i < 8; i++) length[i] = (unsigned char)(bits >> (56 - 8 * i));
  willis_digest_add(digest, "\x80", 1);
  while (digest->bytes % 64 != 56) willis_digest_add(digest, "", 1);
  willis_digest_add(digest, length, sizeof length);
  for (int i = 0; i < WILLIS_DIGEST_BYTES; i++)
    out[i] = (unsigned char)(digest->state[i / 4] >> (24 - 8 * (i % 4)));
}

void willis_digest_text(const unsigned char digest[WILLIS_DIGEST_BYTES],
                        char text[WILLIS_DIGEST_TEXT]) {
  for (int i = 0; i < WILLIS_DIGEST_BYTES; i++) snprintf(text + 2 * i, 3, "%02x", digest[i]);
}
