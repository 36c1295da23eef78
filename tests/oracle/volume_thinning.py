"""Skeletons of small masks by scikit-image's skeletonize(method="lee") -> volume_thinning.txt"""
import pathlib
import numpy as np
from scipy import ndimage
from skimage.morphology import skeletonize


def hexadecimal(data):
    text = data.hex()
    return "\n".join(text[i:i + 100] for i in range(0, len(text), 100))


def tubes(size):
    """A ring with branches, [z,y,x]."""
    z, y, x = np.indices(size[::-1]).astype(float)
    ring = (np.hypot(x - 18, y - 17) - 10) ** 2 + (z - 12) ** 2 < 3.2 ** 2
    branch = (x - 18 - 0.4 * z) ** 2 + (y - 7) ** 2 < 2.1 ** 2
    thin = (abs(y - 27 + 0.3 * x) < 1.5) & (abs(z - 20) < 2)
    return ring | branch | thin


def main():
    random = np.random.default_rng(5)
    cases = {"tubes": tubes((36, 34, 26))}
    for name, size, smooth, share in [("noise", (15, 14, 13), 0, 0.5), ("sparse", (16, 13, 18), 0, 0.15),
                                      ("blobs", (30, 28, 26), 2, 0.4), ("full", (9, 12, 7), 0, 1),
                                      ("single_slice", (25, 21, 1), 1, 0.5)]:
        field = ndimage.gaussian_filter(random.random(size=size[::-1]), smooth)
        cases[name] = field <= np.quantile(field, share)
    out = ["# case name, sizes x y z, mask (bits, x fastest), skeleton (bits)"]
    for name, mask in cases.items():
        skeleton = skeletonize(mask, method="lee") > 0
        out += ["case", name, *(str(n) for n in mask.shape[::-1]),
                hexadecimal(np.packbits(mask).tobytes()), hexadecimal(np.packbits(skeleton).tobytes())]
    pathlib.Path(__file__).with_suffix(".txt").write_text("\n".join(out) + "\n")


main()
