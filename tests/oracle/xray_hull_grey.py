#!/usr/bin/python3
"""Grey values of a list of voxels that explain maximum projections, or line integrals: how little

    1/2 sum_r (f_r(x) - p_r)^2 / tau^2 + 1/2 sum_i (x_i - mean_i)^2 / variance_i,   0 <= x <= 1,

f the maximum of a ray's samples or their sum, tau^2 = max(0.01^2, mean of (f_r(x) - p_r)^2 at that x), can be made by L-BFGS-B of SciPy
from the same start, maxima being smooth ones that are made sharper step by step: nothing of it is shared with the steps of Willis. Parallel views about z of a
cube; rays, samples and interpolation are those of scipy.ndimage.rotate (order 1), written down here anew. Writes
xray_hull_grey.txt: for each case 1 for line integrals, the edge, the views and rows, the angles, the voxels, the pixels, the probabilities, the grey values that
the pixels are of, then the objective of the means and the one reached, with tau^2 of the latter."""
import numpy as np
from scipy.optimize import minimize

rng = np.random.default_rng(29)
MIDDLE = 0.376


def samples(n, angles, voxel):
    """For every ray that touches a listed voxel: (pixel's number, rows [s,4], weights [s,4]); row len(voxel) is empty."""
    at = -np.ones((n, n, n), int)
    at[voxel // n // n, voxel // n % n, voxel % n] = np.arange(len(voxel))
    m, rays = (n - 1) / 2, []
    for v, deg in enumerate(angles):
        a = np.radians(deg)
        for row in range(n):
            z = n - 1 - row
            for column in range(n):
                rows, weights = [], []
                for t in range(n):
                    x = m + (column - m) * np.cos(a) - (t - m) * np.sin(a)
                    y = m + (column - m) * np.sin(a) + (t - m) * np.cos(a)
                    if not (-1e-9 <= x <= n - 1 + 1e-9 and -1e-9 <= y <= n - 1 + 1e-9):
                        continue
                    x0, y0 = int(np.floor(x + 1e-6)), int(np.floor(y + 1e-6))
                    fx, fy, r, w = x - x0, y - y0, [], []
                    for dx, dy, part in ((0, 0, (1 - fx) * (1 - fy)), (1, 0, fx * (1 - fy)), (0, 1, (1 - fx) * fy), (1, 1, fx * fy)):
                        inside = part > 1e-6 and x0 + dx < n and y0 + dy < n
                        i = at[z, y0 + dy, x0 + dx] if inside else -1
                        r.append(i if i >= 0 else len(voxel))
                        w.append(part if i >= 0 else 0)
                    if max(w) > 0:
                        rows.append(r)
                        weights.append(w)
                if rows:
                    rays.append(((v * n + row) * n + column, np.array(rows), np.array(weights)))
    return rays


def shown(rays, x, kind, sharp=None):
    """Their maxima (smooth ones if sharp) or sums, and the weight of every sample."""
    full, out, share = np.append(x, 0), [], []
    for _, rows, weights in rays:
        s = (full[rows] * weights).sum(1)
        top = max(s.max(), 0)
        if kind:
            out.append(s.sum())
            share.append(np.ones(len(s)))
        elif sharp is None:
            out.append(top)
        else:
            e = np.exp(sharp * (s - top))
            out.append(top + np.log(e.sum()) / sharp)
            share.append(e / e.sum())
    return np.array(out), share


def parts(rays, p, mean, variance, x, kind, tau2=None):
    missed = shown(rays, x, kind)[0] - p
    tau2 = max(0.01**2, (missed**2).mean()) if tau2 is None else tau2
    return (missed**2).sum() / 2 / tau2 + ((x - mean) ** 2 / variance).sum() / 2, tau2


def least(rays, p, mean, variance, kind):
    x = mean.copy()
    tau2 = parts(rays, p, mean, variance, x, kind)[1]
    for sharp in (20, 50, 100, 200, 400, 800, 1600, 3200, 3200, 3200):
        def of(x):
            m, share = shown(rays, x, kind, sharp)
            slope = np.append((x - mean) / variance, 0)
            for (_, rows, weights), s, e in zip(rays, share, m - p):
                np.add.at(slope, rows, e / tau2 * s[:, None] * weights)
            return ((m - p) ** 2).sum() / 2 / tau2 + ((x - mean) ** 2 / variance).sum() / 2, slope[:-1]
        x = minimize(of, x, jac=True, method="L-BFGS-B", bounds=[(0, 1)] * len(x), options=dict(maxiter=150)).x
        tau2 = parts(rays, p, mean, variance, x, kind)[1]
    return x


with open("xray_hull_grey.txt", "w") as f:
    f.write("# by xray_hull_grey.py\n")
    for kind, n, angles, keep, wrong in ((0, 6, (0, 45, 90), 0.5, 0), (0, 8, (0, 22, 45, 67, 90), 0.4, 0),
                                         (0, 8, (3, 20, 50, 70, 100, 140), 0.5, 0.15), (1, 6, (0, 45, 90), 0.5, 0),
                                         (1, 8, (0, 22, 45, 67, 90), 0.5, 0), (1, 8, (3, 20, 50, 70, 100, 140), 0.5, 0.3)):
        voxel = np.flatnonzero(rng.random(n**3) < keep)
        grey = np.round(np.clip(1.6 - 0.5 * np.hypot(voxel % n - n / 2 + 0.3, voxel // n % n - n / 2), 0, 1), 3)
        rays = samples(n, angles, voxel)
        p = shown(rays, grey, kind)[0]
        p = np.round(np.clip(p + wrong * rng.standard_normal(len(p)), 0, n if kind else 1), 4)
        pixels = np.zeros(len(angles) * n * n)
        pixels[[r[0] for r in rays]] = p
        q = np.round(np.clip(0.5 + 0.9 * (grey - MIDDLE) + 0.15 * rng.standard_normal(len(voxel)), 0.02, 0.98), 3)
        odds = (q / (1 - q)) ** 0.4 * MIDDLE / (1 - MIDDLE)
        mean = odds / (1 + odds)
        variance = 0.2 * mean * (1 - mean) + 1e-4
        x = least(rays, p, mean, variance, kind)
        reached, tau2 = parts(rays, p, mean, variance, x, kind)
        begun = parts(rays, p, mean, variance, mean, kind, tau2)[0]
        print(kind, n, angles, len(voxel), begun, reached, np.sqrt(tau2), np.abs(x - grey).mean(), np.abs(mean - grey).mean())
        f.write(f"{kind} {n} {len(angles)} {len(voxel)}\n{' '.join(map(str, angles))}\n{' '.join(map(str, voxel))}\n")
        for numbers in (pixels, q, grey):
            f.write(" ".join(f"{v:g}" for v in numbers) + "\n")
        f.write(f"{begun!r} {reached!r} {tau2!r}\n")
