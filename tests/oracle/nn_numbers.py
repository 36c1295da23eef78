"""Numbers that the C tests make again (tests/nn/numbers.h): uniform in [-1, 1), a hash of tensor
and element."""
import numpy as np


def numbers(stream, count):
    h = (np.arange(count, dtype=np.uint64) * 2654435761 + stream * 40503 + 12345) & 0xFFFFFFFF
    for _ in range(2):
        h ^= h >> np.uint64(16)
        h = h * 0x45D9F3B & 0xFFFFFFFF
    h ^= h >> np.uint64(16)
    return (h.astype(np.float64) / 2**31 - 1).astype(np.float32)
