/* Counter-based random numbers: a value is a function of (seed, stream, counter), so results do not
 * depend on the order in which threads ask. Generator: Philox4x32-10 (Salmon et al., SC 2011). */
#ifndef WILLIS_BASE_RANDOM_H
#define WILLIS_BASE_RANDOM_H

#include <stdint.h>

/* Four 32-bit words for one counter. */
void willis_random_words(uint64_t seed, uint64_t stream, uint64_t counter, uint32_t word[4]);
/* Uniform in [0,1), 53 bits. */
double willis_random_uniform(uint64_t seed, uint64_t stream, uint64_t counter);
/* Standard normal (Box–Muller). */
double willis_random_normal(uint64_t seed, uint64_t stream, uint64_t counter);

#endif
