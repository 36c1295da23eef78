"""The hull with a continuity prior (doc/method.md, M16) in NumPy and SciPy, float64, from two views at
0 and 90 degrees, which are maxima along an axis -> xray_continuity.txt"""
import pathlib
import numpy as np
from scipy import ndimage

N, LEAST, ROUNDS = 14, 0.1, 6


def kernel():
    d = np.arange(-2, 3)
    w = np.exp(-(d[:, None, None] ** 2 + d[:, None] ** 2 + d ** 2) / 2)
    return np.where(w >= 0.01, w, 0)


def continuity(volume):
    """volume[z,y,x]; view 0 looks along y, view 90 along x."""
    pictures = [volume.max(axis=1, keepdims=True), volume.max(axis=2, keepdims=True)]
    h = np.minimum(*np.broadcast_arrays(*pictures)) / max(p.max() for p in pictures)
    h = np.where(h >= LEAST, h, 0)
    u = h.copy()
    for _ in range(ROUNDS):
        m = np.where(h > 0, ndimage.correlate(u, kernel(), mode="constant"), 0)
        share = [np.divide(m, most, out=np.zeros_like(m), where=most > 0)
                 for most in (m.max(axis=1, keepdims=True), m.max(axis=2, keepdims=True))]
        u = h * np.maximum(*share) ** 2
    return u


def main():
    random = np.random.default_rng(11)
    volume = np.zeros((N, N, N))
    for _ in range(6):
        at = random.uniform(2, N - 3, size=3)
        step = random.normal(size=3) * 0.6 + np.array([0.9, 0, 0])
        for _ in range(9):
            volume[tuple(np.clip(np.rint(at), 0, N - 1).astype(int))] = random.integers(40, 101)
            at += step
    belief = continuity(volume)
    lines = ["# size, then every voxel that is not 0: x y z value; size and the same of what comes out above 1e-6"]
    for array, least in ((volume, 0), (belief, 1e-6)):
        place = np.argwhere(array > least)
        lines.append(f"{len(place)}")
        lines += [f"{x} {y} {z} {array[z, y, x]:.9g}" for z, y, x in place]
    pathlib.Path(__file__).with_suffix(".txt").write_text("\n".join(lines) + "\n")


main()
