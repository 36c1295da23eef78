#!/usr/bin/python3
"""Surfaces and scores beside scikit-image and SciPy, taking turns: surface_peers.py BENCH [SIZE [REPEATS]]

BENCH is the built program of bench/surface.c. Prints the median CPU and wall seconds of both and
the median of the paired ratios."""
import subprocess
import sys
import tempfile
import time

import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.measure import marching_cubes
from skimage.morphology import skeletonize

LEVEL = 500


def surface(mask):
    return mask & ~ndimage.binary_erosion(mask)


def all_scores(truth, prediction):
    """The scores of willis_scores_compute()."""
    probability = prediction.astype(np.float32)
    a, b = surface(prediction), surface(truth)
    ab, ba = ndimage.distance_transform_edt(~b)[a], ndimage.distance_transform_edt(~a)[b]
    sa, sb = skeletonize(prediction, method="lee") > 0, skeletonize(truth, method="lee") > 0
    return [(prediction & truth).sum(), (prediction & ~truth).sum(), (~prediction & truth).sum(),
            ((probability - truth) ** 2).mean(), abs(probability - truth).mean(),
            max(np.percentile(ab, 95), np.percentile(ba, 95)), np.concatenate([ab, ba]).mean(),
            (sa & truth).mean(), (sb & prediction).mean()]


def main():
    size = int(sys.argv[2]) if len(sys.argv) > 2 else 256
    repeats = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    with tempfile.NamedTemporaryFile() as file:
        bench = subprocess.Popen([sys.argv[1], str(size), "-", file.name], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, text=True, bufsize=1)
        assert bench.stdout.readline().strip() == "ready"
        volume = np.fromfile(file.name, np.float32).reshape(size, size, size)
        truth = volume >= LEVEL
        prediction = np.roll(truth.ravel(), 1).reshape(truth.shape)
        integers = np.rint(volume).astype(np.int16)
        peers = {"otsu": lambda: threshold_otsu(volume),
                 "otsu_integers": lambda: threshold_otsu(integers),
                 "isosurface": lambda: marching_cubes(volume, LEVEL),
                 "distances": lambda: ndimage.distance_transform_edt(~truth),
                 "thin": lambda: skeletonize(truth, method="lee"),
                 "scores": lambda: all_scores(truth, prediction)}
        for name, peer in peers.items():
            pairs = []
            for _ in range(repeats):
                cpu, wall = time.process_time(), time.perf_counter()
                peer()
                theirs = time.process_time() - cpu, time.perf_counter() - wall
                bench.stdin.write(name + "\n")
                ours = [float(word) for word in bench.stdout.readline().split()]
                pairs.append([*theirs, *ours, theirs[0] / ours[0], theirs[1] / ours[1]])
            middle = np.median(pairs, axis=0)
            print(f"{name:13s} theirs {middle[0]:8.4f} CPU-s {middle[1]:8.4f} s   ours {middle[2]:8.4f}"
                  f" CPU-s {middle[3]:8.4f} s   ratio {middle[4]:6.1f} CPU {middle[5]:6.1f} wall", flush=True)
        bench.stdin.close()
        bench.wait()


main()
