#!/usr/bin/python3
"""PSNR and SSIM of two volumes made by a formula, by scikit-image. Writes metrics_image.txt: the three
sizes, the range, psnr, ssim, a line a case."""
import numpy as np
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

with open("metrics_image.txt", "w") as f:
    f.write("# by metrics_image.py: nx ny nz range psnr ssim\n")
    for nx, ny, nz, spread in [(7, 7, 7, 1), (11, 9, 13, 1), (16, 20, 41, 1), (8, 30, 23, 0.5)]:
        i = np.arange(nx * ny * nz)
        a = (i * 7919 % 256 / 255 * 0.25 + i // 40 % 4 * 0.2).astype(np.float32).reshape(nz, ny, nx)
        b = (a.ravel() * 0.9 + i * 104729 % 251 / 2500).astype(np.float32).reshape(nz, ny, nx)
        psnr = peak_signal_noise_ratio(a.astype(float), b.astype(float), data_range=spread)
        ssim = structural_similarity(a.astype(float), b.astype(float), data_range=spread)
        f.write(f"{nx} {ny} {nz} {spread} {psnr:.12g} {ssim:.12g}\n")
