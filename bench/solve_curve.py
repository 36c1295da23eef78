#!/usr/bin/python3
"""Draws PSNR, SSIM, IoU and CPU seconds against views out of the lines that bench/solve prints:
   solve_curve.py RESULTS.txt CURVE.png"""
import re, sys
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

line = re.compile(r"(\w+) +(\d+) views of (\w+) .* PSNR +([\d.]+) dB +SSIM +([\d.]+) +IoU ([\d.]+) +([\d.]+) CPU-s")
rows = [m.groups() for m in map(line.match, open(sys.argv[1])) if m]
figure, axes = plt.subplots(2, 2, figsize=(8, 6), sharex=True)
for axis, (name, column) in zip(axes.flat, [("PSNR, dB", 3), ("SSIM", 4), ("IoU", 5), ("CPU seconds", 6)]):
    for method in sorted({r[0] for r in rows}, key="tv sart cgls sirt fdk".split().index):
        points = sorted((int(r[1]), float(r[column])) for r in rows if r[0] == method and r[2] == "boxes")
        axis.plot(*zip(*points), "o-", label=method)
    axis.set_ylabel(name)
    axis.set_xscale("log")
    axis.set_xticks([5, 10, 20, 50], ["5", "10", "20", "50"])
    axis.minorticks_off()
    axis.grid(alpha=0.3)
axes[0, 0].axhline(41.81, color="grey", lw=0.8, ls="--")
axes[0, 0].text(5, 42.1, "R2-Gaussian, 50 views: 41.81", fontsize=7, color="grey")
axes[0, 1].legend(fontsize=8, loc="lower left")
for axis in axes[1]:
    axis.set_xlabel("views")
axes[1, 1].set_ylim(bottom=0)
figure.tight_layout()
figure.savefig(sys.argv[2], dpi=90)
