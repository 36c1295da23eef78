#!/usr/bin/python3
"""Line integrals explained on a list of voxels: the least that

    1/2 sum_r (sum_i w_ri x_i - p_r)^2 / sum_i w_ri + lambda (TV(x) + 1.5 sum_i doubt_i x_i)  over x >= 0,

lambda = 0.02 / views, doubt 0 or, of a voxel believed to be a vessel with probability q, max(0, log(q + 0.01) / log 0.01),

can be, by the primal-dual method of Condat and Vu in float64, which shares nothing with the accelerated
proximal gradients of Willis. Parallel views about z of a cube, written down here anew: a voxel falls between
two columns, on one row, with linear weights. TV sums the lengths of the forward differences of the list's
voxels; what is not in the list is 0. Writes xray_hull_solution.txt: for each case the edge, the views and
rows, the angles, the voxels, the pixels, then the objective of 0, of the truth and the least one, and the x
that has it; then the q of every voxel, and the same four with doubts."""
import numpy as np

rng, beliefs = np.random.default_rng(17), np.random.default_rng(18)


def operators(n, angles, voxel):
    x, y, z = voxel % n, voxel // n % n, voxel // n // n
    rows, weight = len(voxel), np.zeros((len(angles), n, n, len(voxel)))
    for v, deg in enumerate(angles):
        a, m = np.radians(deg), (n - 1) / 2
        column = np.cos(a) * (x - m) + np.sin(a) * (y - m) + m
        depth = np.cos(a) * (y - m) - np.sin(a) * (x - m) + m
        for i in range(rows):
            low = int(np.floor(column[i] + 1e-6))
            if min(column[i], depth[i]) < -1e-6 or max(column[i], depth[i]) > n - 1 + 1e-6:
                continue
            part = column[i] - low
            for k, w in ((low, 1 - part), (low + 1, part)):
                if w > 1e-6 and 0 <= k <= n - 1:
                    weight[v, n - 1 - z[i], k, i] += w
    at = {int(j): i for i, j in enumerate(voxel)}
    d = np.zeros((rows, 3, rows))
    for i, j in enumerate(voxel):
        for a, step in enumerate((1, n, n * n)):
            d[i, a, i] = -1
            if j // step % n < n - 1 and int(j) + step in at:
                d[i, a, at[int(j) + step]] = 1
    return weight.reshape(-1, rows), d


def objective(weight, d, p, x, views, doubt):
    on = weight.sum(1) > 0
    data = ((weight @ x - p)[on] ** 2 / weight.sum(1)[on]).sum() / 2
    return data + 0.02 / views * (np.sqrt(((d @ x) ** 2).sum(1)).sum() + 1.5 * doubt @ x)


def least(weight, d, p, views, doubt):
    on, lam = weight.sum(1) > 0, 0.02 / views
    a, b, scale = weight[on], p[on], 1 / weight[on].sum(1)
    flat = d.reshape(-1, d.shape[2])
    x, u, tau, sigma = np.zeros(a.shape[1]), np.zeros(len(flat)), 1 / views, views / 2 / 12
    for _ in range(200000):
        new = np.maximum(0, x - tau * (a.T @ (scale * (a @ x - b)) + flat.T @ u + 1.5 * lam * doubt))
        u = (u + sigma * (flat @ (2 * new - x))).reshape(-1, 3)
        u *= (lam / np.maximum(lam, np.linalg.norm(u, axis=1)))[:, None]
        u, far, x = u.ravel(), np.abs(new - x).max(), new
        if far < 1e-13:
            break
    return x


with open("xray_hull_solution.txt", "w") as f:
    f.write("# by xray_hull_solution.py\n")
    for n, angles, keep, noise in ((6, (0, 90), 0.5, 0), (7, (0, 37, 121), 0.4, 0.3), (7, (10, 55, 100, 140, 170), 0.7, 0.1),
                                   (7, range(0, 91, 15), 0.6, 0.05), (8, range(0, 176, 7), 0.5, 0.05)):
        voxel = np.flatnonzero(rng.random(n**3) < keep)
        weight, d = operators(n, angles, voxel)
        truth = (np.abs(voxel // n % n - n / 2) + np.abs(voxel % n - n / 2) < 3).astype(float)
        p = weight @ truth + noise * rng.standard_normal(len(weight)) * (weight.sum(1) > 0)
        p = np.round(p, 3)
        views = len(angles)
        q = np.round(beliefs.random(len(voxel)), 3)
        doubts = np.zeros(len(voxel)), np.maximum(0, np.log(q + 0.01) / np.log(0.01))
        f.write(f"{n} {len(angles)} {len(voxel)}\n{' '.join(map(str, angles))}\n{' '.join(map(str, voxel))}\n")
        f.write(" ".join(f"{v:g}" for v in p) + "\n")
        for doubt in doubts:
            x = least(weight, d, p, views, doubt)
            reached = [float(objective(weight, d, p, v, views, doubt)) for v in (0 * x, truth, x)]
            print(n, angles, len(voxel), *reached)
            if doubt is doubts[1]:
                f.write(" ".join(f"{v:g}" for v in q) + "\n")
            f.write(" ".join(map(repr, reached)) + "\n")
            f.write(" ".join(f"{v:.6g}" for v in x) + "\n")
