#!/usr/bin/python3
"""Where points fall on the detectors of C-arms, in float64 by numpy and by matrices, not by the axes
that Willis uses: the arm turns the vector isocenter -> detector of (0,0), which is -y, first about x by
the secondary angle, then about z by the primary one; the detector turns about that vector. Writes
xray_cone.txt: a line a view, then eight points of an asymmetric phantom with their columns and rows."""
import numpy as np


def turn(axis, deg):
    c, s = np.cos(np.radians(deg)), np.sin(np.radians(deg))
    i, j = (axis + 1) % 3, (axis + 2) % 3
    m = np.eye(3)
    m[i, i], m[i, j], m[j, i], m[j, j] = c, -s, s, c
    return m


rng = np.random.default_rng(4)
points = np.vstack([np.diag([31.0, 17.0, 53.0]), rng.uniform(-60, 60, (5, 3))])
views = [(30, 25, 0, 0, 0), (0, 0, 0, 0, 0), (90, 0, 0, 0, 0), (0, 90, 0, 0, 0), (-26.5, -32.7, 0, 0, 0),
         (135, -40, 12.5, 0, 0), (-170, 20, -95, 3.5, -7.25), (179.5, 60, 180, -1, 2)]
with open("xray_cone.txt", "w") as f:
    f.write("# by xray_cone.py: primary secondary in_plane offset_u offset_v detector isocenter "
            "column_spacing row_spacing c0 r0, then x y z column row, 8 times\n")
    for i, (a, b, g, ou, ov) in enumerate(views):
        arm = turn(2, a) @ turn(0, -b)
        d = arm @ [0, -1, 0]
        u, v = arm @ turn(1, -g) @ [1, 0, 0], arm @ turn(1, -g) @ [0, 0, 1]
        far, near, cs, rs, c0, r0 = 1000 + 37 * i, 700 + 11 * i, 0.3 + 0.02 * i, 0.4 - 0.01 * i, 255.5 + i, 383.5 - i
        source = -near * d + ou * u + ov * v
        # 3x4: intrinsics times (world -> camera)
        inner = np.array([[far / cs, 0, c0], [0, far / rs, r0], [0, 0, 1]])
        rotation = np.vstack([u, -v, d])
        matrix = inner @ np.hstack([rotation, -rotation @ source[:, None]])
        f.write(" ".join(repr(float(x)) for x in (a, b, g, ou, ov, far, near, cs, rs, c0, r0)) + "\n")
        for p in points:
            w = matrix @ np.append(p, 1)
            f.write(" ".join(repr(float(x)) for x in (*p, w[0] / w[2], w[1] / w[2])) + "\n")
