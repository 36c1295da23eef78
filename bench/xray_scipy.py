"""The X-ray operators beside SciPy's, in CPU seconds of the same machine at the same time.

Usage: xray_scipy.py build/bench/xray [SIZE [PAIRS]]    (256, 3)
Each pair is one run of the bench (90 views) and one of SciPy (a few views, times 90 over their
number, on one thread: its cost does not depend on the values). Prints the median ratios."""
import resource
import subprocess
import sys
import numpy as np
from scipy.ndimage import rotate

VIEWS, SAMPLE = 90, [0.0, 23.0, 45.0, 68.0]
NAMES = {"project max": 0, "project sum": 0, "backproject": 1}


def cpu():
    use = resource.getrusage(resource.RUSAGE_SELF)
    return use.ru_utime + use.ru_stime


def scipy_seconds(size):
    volume = np.random.default_rng(1).random((size,) * 3, dtype=np.float32)
    images, start = [], cpu()
    for angle in SAMPLE:
        turned = rotate(volume, -angle, axes=(0, 1), reshape=False, order=1)
        images.append(turned.max(axis=1))
    project, start, total = cpu() - start, cpu(), 0
    for image, angle in zip(images, SAMPLE):
        repeated = np.repeat(image[:, None, :], size, axis=1)
        total = total + rotate(repeated, angle, axes=(0, 1), reshape=False, order=1)
    return [seconds * VIEWS / len(SAMPLE) for seconds in (project, cpu() - start)]


def willis_seconds(program, size):
    lines = subprocess.run([program, str(size), str(VIEWS), "1"], check=True, text=True,
                           capture_output=True).stdout.splitlines()
    return {(line[:8].strip(), line[9:29].strip()): float(line[30:38]) for line in lines}


def main():
    size = int(sys.argv[2]) if len(sys.argv) > 2 else 256
    pairs = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    peer, own = [], []
    for _ in range(pairs):
        own.append(willis_seconds(sys.argv[1], size))
        peer.append(scipy_seconds(size))
    print(f"{size}^3, {VIEWS} views, CPU seconds, medians of {pairs} pairs")
    for key in own[0]:
        if key[1] not in NAMES:
            continue
        seconds = np.median([o[key] for o in own])
        other = np.median([p[NAMES[key[1]]] for p in peer])
        ratio = np.median([p[NAMES[key[1]]] / o[key] for o, p in zip(own, peer)])
        print(f"{key[0]:8s} {key[1]:12s} {seconds:7.3f}   SciPy {other:7.1f}   {ratio:6.0f}x")


main()
