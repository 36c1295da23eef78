"""Scores of small random cases by NumPy, SciPy and scikit-image -> metrics_scores.txt"""
import pathlib
import numpy as np
from scipy import ndimage
from skimage.morphology import skeletonize

NAMES = ["iou", "dice", "cldice", "hd95_mm", "assd_mm", "accuracy", "precision", "recall",
         "mse", "mae", "mse_mask", "mae_mask"]


def surface(mask):
    return mask & ~ndimage.binary_erosion(mask)  # six neighbours, outside counts as empty


def scores(probability, truth, threshold, spacing):
    """Arrays [z,y,x], spacing (x,y,z)."""
    mask = probability >= threshold
    tp, fp, fn = (mask & truth).sum(), (mask & ~truth).sum(), (~mask & truth).sum()
    a, b = surface(mask), surface(truth)
    sampling = spacing[::-1]
    ab = ndimage.distance_transform_edt(~b, sampling=sampling)[a]
    ba = ndimage.distance_transform_edt(~a, sampling=sampling)[b]
    sa, sb = skeletonize(mask, method="lee") > 0, skeletonize(truth, method="lee") > 0
    precision, sensitivity = (sa & truth).sum() / sa.sum(), (sb & mask).sum() / sb.sum()
    error, mask_error = probability.astype(float) - truth, mask.astype(float) - truth
    return dict(iou=tp / (tp + fp + fn), dice=2 * tp / (2 * tp + fp + fn),
                cldice=2 * precision * sensitivity / (precision + sensitivity),
                hd95_mm=max(np.percentile(ab, 95), np.percentile(ba, 95)),
                assd_mm=np.concatenate([ab, ba]).mean(), accuracy=(mask == truth).mean(),
                precision=tp / (tp + fp), recall=tp / (tp + fn),
                mse=(error ** 2).mean(), mae=abs(error).mean(),
                mse_mask=(mask_error ** 2).mean(), mae_mask=abs(mask_error).mean())


def hexadecimal(data):
    text = data.hex()
    return "\n".join(text[i:i + 100] for i in range(0, len(text), 100))


def main():
    random = np.random.default_rng(11)
    out = ["# case: sizes x y z, spacing mm x y z, threshold, truth (bits), prediction (bytes/255), scores"]
    for size, spacing, threshold, smooth in [((20, 17, 13), (0.5, 0.5, 0.5), 0.5, 1.2),
                                             ((17, 19, 14), (0.4, 0.7, 1.3), 0.5, 1.0),
                                             ((16, 16, 20), (0.6, 0.6, 0.35), 0.3, 1.5)]:
        field = ndimage.gaussian_filter(random.normal(size=size[::-1]), smooth)
        truth = field > np.quantile(field, 0.85)
        other = field + 0.6 * field.std() * ndimage.gaussian_filter(
            random.normal(size=size[::-1]), 0.7) / 0.3
        probability = 1 / (1 + np.exp(-4 * (other - np.quantile(other, 0.86)) / field.std()))
        byte = np.round(255 * probability).astype(np.uint8)
        probability = (byte / np.float32(255)).astype(np.float32)
        value = scores(probability, truth, threshold, spacing)
        out += ["case", *(str(n) for n in size), *(str(s) for s in spacing), str(threshold),
                hexadecimal(np.packbits(truth).tobytes()), hexadecimal(byte.tobytes()),
                *(repr(float(value[name])) for name in NAMES)]
    pathlib.Path(__file__).with_suffix(".txt").write_text("\n".join(out) + "\n")


main()
