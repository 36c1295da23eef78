"""Rotations of small volumes by SciPy, as METHOD M4 and M5 spell them -> xray_scipy.txt

Arrays are [x, y, z] in the script; the file holds volumes z slowest, x fastest, and images row by
row, row 0 towards the head (z = n-1)."""
import pathlib
import numpy as np
from scipy.ndimage import rotate

# size, lowest value, spacing, angles, slices of the back-projection that are written
CASES = [(7, -40, 1.0, [0, 90, 45, 23.6], range(7)),
         (10, 0, 0.5, [10 * 90 / 89, 180, -37], [0, 9]),
         (17, 5, 2.25, [88 * 90 / 89, 61.3], [0, 15, 16])]


def project(volume, angle, spacing):
    def turn(outside):
        return rotate(volume, -angle, axes=(0, 1), reshape=False, order=1, mode="constant",
                      cval=outside)
    return turn(volume.min()).max(axis=1), turn(0).sum(axis=1) * spacing


def back(image, angle):
    volume = np.repeat(image[:, None, :], image.shape[0], axis=1)
    return rotate(volume, angle, axes=(0, 1), reshape=False, order=1)


def numbers(values):
    return " ".join(f"{v:.7g}" for v in np.asarray(values).ravel()) + "\n"


def main():
    random = np.random.default_rng(20231)
    out = ["# tests/oracle/xray_scipy.py\n"]
    for n, lowest, spacing, angles, slices in CASES:
        stored = random.integers(0, 256, (n, n, n), dtype=np.uint8)  # [z, y, x]
        volume = stored.transpose(2, 1, 0).astype(float) + lowest
        out.append(f"size {n} {lowest} {spacing} {len(angles)} {len(slices)}\n")
        out.append(stored.tobytes().hex() + "\n")
        total = 0
        for angle in angles:
            most, integral = project(volume, angle, spacing)
            total = total + back(most, angle)
            out.append(f"angle {angle!r}\n")
            out += [numbers(image.T[::-1]) for image in (most, integral)]
        for k in slices:
            out.append(f"slice {k}\n" + numbers(total[:, :, k].T))
    pathlib.Path(__file__).with_suffix(".txt").write_text("".join(out))


main()
