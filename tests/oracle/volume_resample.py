#!/usr/bin/python3
"""SciPy's linear interpolation of a small volume at the voxels of other grids.

Writes volume_resample.txt. Each case: the new grid (size, spacing, origin, direction row-major),
then its values. The old volume is 9 x 8 x 7 at spacing 1.5, 1.2, 2 and origin -3, 4, 5, made by the
same hash as in test_resample.c. New voxels are larger than old ones in the last case; there SciPy
samples each of them at 2 x 2 x 2 places and the mean is taken.
"""
import numpy as np
from scipy.ndimage import map_coordinates

SIZE, SPACING, ORIGIN = (9, 8, 7), np.array([1.5, 1.2, 2.0]), np.array([-3.0, 4.0, 5.0])


def hashed(count, salt):
    x = (np.arange(count, dtype=np.uint64) * 2654435761 + salt * 40503) & 0xFFFFFFFF
    x ^= x >> 15
    x = (x * 2246822519) & 0xFFFFFFFF
    x ^= x >> 13
    return ((x >> 12) & 0xFFFFF).astype(np.float32) * np.float32(2.0**-20)


volume = hashed(9 * 8 * 7, 3).reshape(7, 8, 9).transpose(2, 1, 0).astype(float)


def at(world):
    """Border values hold for half a voxel, then comes the minimum."""
    index = (world - ORIGIN) / SPACING
    last = np.array(SIZE) - 1.0
    values = map_coordinates(volume, index.T, order=1, mode="nearest")
    outside = np.any((index < -0.5) | (index > last + 0.5), axis=1)
    return np.where(outside, volume.min(), values)


def resample(size, spacing, origin, direction, samples):
    k, j, i = np.meshgrid(*(np.arange(n) for n in size[::-1]), indexing="ij")
    index = np.stack([i.ravel(), j.ravel(), k.ravel()], 1).astype(float)
    total = np.zeros(len(index))
    part = (np.arange(samples) + 0.5) / samples - 0.5
    for a in part:
        for b in part:
            for c in part:
                step = (index + [a, b, c]) * spacing
                total += at(np.array(origin) + step @ np.array(direction).reshape(3, 3).T)
    return total / samples**3


turn = np.deg2rad(25)
oblique = [np.cos(turn), -np.sin(turn), 0, np.sin(turn), np.cos(turn), 0, 0, 0, 1]
straight = [1, 0, 0, 0, 1, 0, 0, 0, 1]
CASES = [
    ((6, 6, 6), (1.1, 1.1, 1.1), (-2.0, 5.0, 6.0), straight, 1),
    ((7, 5, 6), (1.0, 1.1, 0.9), (1.0, 5.0, 4.3), oblique, 1),
    ((5, 5, 5), (2.2, 2.3, 2.4), (-3.3, 3.1, 4.9), straight, 2),
]
with open("volume_resample.txt", "w") as out:
    for size, spacing, origin, direction, samples in CASES:
        values = resample(size, np.array(spacing), origin, direction, samples)
        out.write(" ".join(map(str, size)) + "\n")
        for numbers in (spacing, origin, direction):
            out.write(" ".join(f"{x:.17g}" for x in numbers) + "\n")
        out.write("\n".join(f"{x:.9g}" for x in values) + "\n")
