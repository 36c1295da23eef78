/* Numbers of 16 bits: values, rounding, and the same bits with and without F16C. */
#include "numbers.h"

#include "base/cpu.h"
#include "nn/half.h"

static uint16_t packed(float value) {
  uint16_t half;
  willis_half_pack(1, &value, &half);
  return half;
}

static void known_values(void **state) {
  (void)state;
  static const struct {
    float value;
    uint16_t half;
  } known[] = {{0, 0},
               {-0.0f, 0x8000},
               {1, 0x3c00},
               {-2, 0xc000},
               {65504, 0x7bff},
               {65519.996f, 0x7bff},
               {65520, 0x7c00},
               {INFINITY, 0x7c00},
               {1e30f, 0x7c00},
               {-INFINITY, 0xfc00},
               {0x1p-14f, 0x0400},
               {0x1p-24f, 0x0001},
               {0x1p-25f, 0},
               {0x1.8p-25f, 0x0001},
               {0x1.8p-24f, 0x0002},
               {1 + 0x1p-11f, 0x3c00},
               {1e-30f, 0},
               {1 + 0x1.8p-10f, 0x3c02},
               {0x1.ffcp-15f, 0x0400},
               {0.333251953125f, 0x3555}};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (packed(known[i].value) != known[i].half)
      fail_msg("%a became %#x, expected %#x", (double)known[i].value, packed(known[i].value),
               known[i].half);
  assert_true((packed(NAN) & 0x7fff) > 0x7c00);
}

/* Every number there is comes back, and what lies between two goes to the nearer one. */
static void rounds_to_the_nearest(void **state) {
  (void)state;
  for (int sign = 0; sign < 2; sign++)
    for (uint16_t h = 0; h < 0x7bff; h++) {
      uint16_t pair[2] = {(uint16_t)(h | sign << 15), (uint16_t)((h + 1) | sign << 15)};
      float value[2];
      willis_half_unpack(2, pair, value);
      assert_int_equal(packed(value[0]), pair[0]);
      const double middle = 0.5 * ((double)value[0] + (double)value[1]);
      assert_int_equal(packed((float)middle), pair[h & 1]);
      assert_int_equal(packed(nextafterf((float)middle, value[0])), pair[0]);
      assert_int_equal(packed(nextafterf((float)middle, value[1])), pair[1]);
    }
}

static void same_bits_without_f16c(void **state) {
  (void)state;
  enum { COUNT = 1 << 20 };
  float *value = room_for(COUNT), *back[2] = {room_for(COUNT), room_for(COUNT)};
  uint16_t *half[2] = {willis_take(COUNT, 2), willis_take(COUNT, 2)};
  for (ptrdiff_t i = 0; i < COUNT; i++) {
    /* Bits all over the range of float, and often near that of 16 bits. */
    uint32_t bits = (uint32_t)i * 2654435761u;
    memcpy(&value[i], &bits, sizeof bits);
    if (i % 2) value[i] = ldexpf(number(5, i), (int)(i / 2 % 48) - 30);
  }
  for (int mask = 0; mask < 2; mask++) {
    willis_cpu_mask(mask ? ~0u : 0u);
    willis_half_pack_all(COUNT - 3, value, half[mask]);
    willis_half_unpack_all(COUNT - 3, half[mask], back[mask]);
  }
  willis_cpu_mask(~0u);
  assert_memory_equal(half[0], half[1], (COUNT - 3) * sizeof(uint16_t));
  assert_memory_equal(back[0], back[1], (COUNT - 3) * sizeof(float));
  for (int mask = 0; mask < 2; mask++) {
    willis_release(half[mask]);
    willis_release(back[mask]);
  }
  willis_release(value);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(known_values),
      cmocka_unit_test(rounds_to_the_nearest),
      cmocka_unit_test(same_bits_without_f16c),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
