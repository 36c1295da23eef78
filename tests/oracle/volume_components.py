#!/usr/bin/python3
"""scipy.ndimage.label's 26-connected components of random masks that test_components.c makes too.

Writes volume_components.txt: nx ny nz, part set in 1/1000, components, and the sizes of the ten
largest (0 where there are fewer).
"""
import numpy as np
from scipy.ndimage import label


def hashed(count, salt):
    x = (np.arange(count, dtype=np.uint64) * 2654435761 + salt * 40503) & 0xFFFFFFFF
    x ^= x >> 15
    x = (x * 2246822519) & 0xFFFFFFFF
    x ^= x >> 13
    return (x >> 12) & 0xFFFFF


with open("volume_components.txt", "w") as out:
    for nx, ny, nz in ((1, 1, 1), (17, 1, 1), (1, 9, 11), (7, 13, 5), (31, 30, 29), (64, 3, 40)):
        for part in (10, 40, 80, 120, 300, 990):
            mask = (hashed(nx * ny * nz, part) * 1000 < part * 2**20).reshape(nz, ny, nx)
            labels, count = label(mask, np.ones((3, 3, 3)))
            sizes = sorted(np.bincount(labels.ravel())[1:], reverse=True)[:10]
            sizes += [0] * (10 - len(sizes))
            out.write(f"{nx} {ny} {nz} {part} {count} {' '.join(map(str, sizes))}\n")
