#!/usr/bin/python3
"""scikit-image's Otsu thresholds of volumes that tests/volume/test_otsu.c makes too.

Writes volume_otsu.txt: name, 1 for integers, voxels an edge, threshold (hexadecimal float).
Values come from a 32-bit hash of the voxel's number, in float32 throughout.
"""
import numpy as np
from skimage.filters import threshold_otsu

F = np.float32


def hashed(count, salt):
    """20 random bits a voxel, in [0,1): sums of a few stay exact in float32."""
    x = (np.arange(count, dtype=np.uint64) * 2654435761 + salt * 40503) & 0xFFFFFFFF
    x ^= x >> 15
    x = (x * 2246822519) & 0xFFFFFFFF
    x ^= x >> 13
    return ((x >> 12) & 0xFFFFF).astype(F) * F(2.0**-20)


VOLUMES = {
    "uniform": lambda u, v: u,
    "bimodal": lambda u, v: u + np.where(v < F(0.25), F(2), F(0)),
    "sparse": lambda u, v: np.where(u > F(0.97), v * F(1000), F(0)),
    "negative": lambda u, v: u * u - F(0.5),
    "offset": lambda u, v: F(10000) + u + v,
    "few-steps": lambda u, v: F(1) + np.floor(u * F(600)) * F(2.0**-23),
    "two-values": lambda u, v: np.where(u < F(0.01), F(1000), F(0)),
    "bytes": lambda u, v: np.floor(u * v * F(256)).astype(np.uint8),
    "shorts": lambda u, v: (np.floor((u + v) * F(3000)) - F(1000)).astype(np.int16),
    "gap": lambda u, v: np.where(v < F(0.1), F(60000), np.floor(u * F(9))).astype(np.int32),
}

with open("volume_otsu.txt", "w") as out:
    for edge in (5, 24):
        u, v = hashed(edge**3, 1), hashed(edge**3, 2)
        for name, make in VOLUMES.items():
            volume = make(u, v)
            assert volume.dtype in (F, np.uint8, np.int16, np.int32), volume.dtype
            threshold = float(threshold_otsu(volume))
            integral = int(np.issubdtype(volume.dtype, np.integer))
            out.write(f"{name} {integral} {edge} {threshold.hex()}\n")
