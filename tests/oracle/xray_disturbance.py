#!/usr/bin/python3
"""Poisson's law by scipy.stats, for counts of N photons behind a ray that lets 1/e through: the mean is N/e.
Writes xray_disturbance.txt: a line for each N with N, the mean, the variance expected of Willis (a
rounded normal above a mean of 100 has 1/12 more), the lowest count of the second bin, the number of bins
(the first and the last are open), the 1 - 1e-6 quantile of chi-square for them, then their probabilities;
a bin expects at least 5 of 65536; of 20000 there are none, mean and variance do. Below that, how far the rounded normal's distribution function is from
Poisson's at a mean of 100."""
import numpy as np
from scipy.stats import chi2, norm, poisson

COUNT = 65536
with open("xray_disturbance.txt", "w") as f:
    f.write("# by xray_disturbance.py: photons mean variance first bins critical, then the bins\n")
    for photons in (0.5, 1, 5, 40, 250, 300, 20000):
        mean = photons / np.e
        law = poisson(mean)
        k = np.arange(int(mean + 20 * np.sqrt(mean) + 20))
        first = k[law.cdf(k) * COUNT >= 5][0] + 1
        last = k[law.sf(k - 1) * COUNT >= 5][-1]
        bins = np.diff(np.concatenate([[0], law.cdf(np.arange(first - 1, last)), [1]]))
        variance = mean + (1 / 12 if mean > 100 else 0)
        bins = bins if photons < 1000 else bins[:0]
        critical = chi2(max(len(bins) - 1, 1)).isf(1e-6)
        f.write(f"{photons} {float(mean)!r} {float(variance)!r} {first} {len(bins)} {float(critical)!r}\n")
        f.write(" ".join(repr(float(p)) for p in bins) + "\n")
    k = np.arange(400)
    far = np.abs(norm(100, 10).cdf(k + 0.5) - poisson(100).cdf(k)).max()
    f.write(f"# the rounded normal at a mean of 100\n{float(far)!r}\n")
