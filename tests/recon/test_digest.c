/* SHA-256 against the examples of FIPS 180-4's publisher (NIST CAVP), whole and in pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "recon/digest.h"

#include <string.h>

static const struct {
  const char *text, *digest;
} known[] = {
    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
};

static void known_digests(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    for (size_t piece = 1; piece <= 64; piece++) {
      struct willis_digest digest;
      unsigned char bytes[WILLIS_DIGEST_BYTES];
      char text[WILLIS_DIGEST_TEXT];
      size_t n = strlen(known[i].text);
      willis_digest_begin(&digest);
      for (size_t at = 0; at < n; at += piece)
        willis_digest_add(&digest, known[i].text + at, n - at < piece ? n - at : piece);
      willis_digest_end(&digest, bytes);
      willis_digest_text(bytes, text);
      assert_string_equal(text, known[i].digest);
    }
}

static void a_million_letters(void **state) {
  (void)state;
  struct willis_digest digest;
  unsigned char bytes[WILLIS_DIGEST_BYTES], block[1000];
  char text[WILLIS_DIGEST_TEXT];
  memset(block, 'a', sizeof block);
  willis_digest_begin(&digest);
  for (int i = 0; i < 1000; i++) willis_digest_add(&digest, block, sizeof block);
  willis_digest_end(&digest, bytes);
  willis_digest_text(bytes, text);
  assert_string_equal(text, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(known_digests),
      cmocka_unit_test(a_million_letters),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
