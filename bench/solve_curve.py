#!/usr/bin/python3
"""Draws PSNR, SSIM and IoU against views, and PSNR against CPU seconds, out of the lines that bench/solve prints:
   solve_curve.py RESULTS.txt CURVE.png"""
import re, sys
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

line = re.compile(r"(\w+) +(\d+) views of boxes +(\d+) x .* PSNR +([\d.]+) dB +SSIM +([\d.]+) +IoU ([\d.]+) +([\d.]+) CPU-s")
rows = {}  # method → views → [(passes, PSNR, SSIM, IoU, CPU seconds), …], most passes last
for m in filter(None, map(line.match, open(sys.argv[1]))):
    rows.setdefault(m[1], {}).setdefault(int(m[2]), []).append((int(m[3]), *map(float, m.groups()[3:])))
figure, axes = plt.subplots(2, 2, figsize=(8, 6))
for method in sorted(rows, key="tv sart cgls sirt fdk".split().index):
    best = sorted((views, *max(found)) for views, found in rows[method].items())
    for axis, column in zip(axes.flat, (2, 3, 4)):
        axis.plot([b[0] for b in best], [b[column] for b in best], "o-", label=method)
    colour = axes[1, 1].plot([b[5] for b in best], [b[2] for b in best], "o-")[0].get_color()
    for found in rows[method].values():
        axes[1, 1].plot([f[4] for f in sorted(found)], [f[1] for f in sorted(found)], ".--", color=colour, lw=0.8)
for axis, name in zip(axes.flat, ("PSNR, dB", "SSIM", "IoU", "PSNR, dB")):
    axis.set_ylabel(name)
    axis.set_xscale("log")
    axis.grid(alpha=0.3)
for axis in axes.flat[:3]:
    axis.set_xlabel("views")
    axis.set_xticks([5, 10, 20, 50], ["5", "10", "20", "50"])
    axis.minorticks_off()
axes[1, 1].set_xlabel("CPU seconds (dashed: fewer passes)")
axes[0, 0].axhline(41.81, color="grey", lw=0.8, ls="--")
axes[0, 0].text(5, 42.4, "dashed: R2-Gaussian, 50 views, 41.81", fontsize=7, color="grey")
axes[0, 1].legend(fontsize=8, loc="center right")
figure.tight_layout()
figure.savefig(sys.argv[2], dpi=90)
