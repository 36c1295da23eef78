"""Reliability of small random cases by NumPy -> metrics_reliability.txt"""
import pathlib
import numpy as np


def main():
    random = np.random.default_rng(23)
    out = ["# case: sizes x y z, truth (bits), prediction (bytes/255), region (bits), then for p > 0 and",
           "# for the region: voxels, expected calibration error, Brier score, and of each bin count,",
           "# mean, fraction (-1 for none)"]
    for size, sure in [((11, 9, 7), 1.0), ((8, 8, 8), 3.0)]:
        shape = size[::-1]
        logit = random.normal(size=shape) * 2 - 1
        truth = random.random(shape) < 1 / (1 + np.exp(-logit))
        byte = np.round(255 / (1 + np.exp(-sure * logit))).astype(np.uint8)
        byte[random.random(shape) < 0.3] = 0
        p = (byte / np.float32(255)).astype(np.float32).astype(float)
        region = random.random(shape) < 0.4
        values = []
        for chosen in (p > 0, region):
            q, t = p[chosen], truth[chosen]
            which = np.clip(np.floor(q * 10).astype(int), 0, 9)
            count = np.bincount(which, minlength=10)
            with np.errstate(invalid="ignore"):
                mean = np.bincount(which, q, 10) / count
                true = np.bincount(which, t.astype(float), 10) / count
            ece = np.nansum(count * abs(mean - true)) / count.sum()
            values += [str(count.sum()), repr(float(ece)), repr(float(((q - t) ** 2).mean()))]
            for b in range(10):
                values += [str(count[b]), repr(float(np.nan_to_num(mean[b], nan=-1))),
                           repr(float(np.nan_to_num(true[b], nan=-1)))]
        out += ["case", *(str(n) for n in size), np.packbits(truth).tobytes().hex(),
                byte.tobytes().hex(), np.packbits(region).tobytes().hex(), *values]
    pathlib.Path(__file__).with_suffix(".txt").write_text("\n".join(out) + "\n")


main()
