#!/usr/bin/python3
"""Geometry files for tests/io/test_geometry_file.c: RTK's XML and 3x4 matrices, and where points fall
by them, in float64 by numpy. RTK's matrix as its documentation composes it; IEC 61217 is x left, y head,
z front for a patient on the back. Writes io_geometry.xml, io_geometry_matrices.txt and io_geometry.txt
(views, then for each: x y z in LPS, column, row, four times; both files hold the same views)."""
import numpy as np

COLUMNS, ROWS, SPACING = 320, 240, 0.8


def turn(axis, deg):
    c, s = np.cos(np.radians(deg)), np.sin(np.radians(deg))
    i, j = (axis + 1) % 3, (axis + 2) % 3
    m = np.eye(4)
    m[i, i], m[i, j], m[j, i], m[j, j] = c, -s, s, c
    return m


def move(x, y, n):
    m = np.eye(n)
    m[0, n - 1], m[1, n - 1] = x, y
    return m


rng = np.random.default_rng(7)
views = [(0, 0, 0, 0, 0, 0, 0), (90, 0, 0, 0, 0, 0, 0), (37.5, 12, 0, 0, 0, 0, 0), (200, -20, 15, 3, -4, 10, -6),
         (310, 5, -170, -2, 1, -8, 12)]
xml = ['<?xml version="1.0"?>', "<!DOCTYPE RTKGEOMETRY>", '<RTKThreeDCircularGeometry version="3">',
       "<SourceToIsocenterDistance>1000</SourceToIsocenterDistance>",
       "<SourceToDetectorDistance>1536</SourceToDetectorDistance>"]
text, numbers = ["# four columns, three rows a view"], [f"{len(views)}"]
for gantry, out, inside, sx, sy, px, py in views:
    magnify = np.array([[-1536, 0, 0, 0], [0, -1536, 0, 0], [0, 0, 1, -1000.0]])
    rtk = move(sx - px, sy - py, 3) @ magnify @ np.block([[np.eye(3), np.array([[-sx], [-sy], [0]])], [0, 0, 0, 1]]) \
        @ turn(2, -inside) @ turn(0, -out) @ turn(1, -gantry)
    xml += ["<Projection>"] + [f"<{n}>{v}</{n}>" for n, v in zip(
        ("GantryAngle", "OutOfPlaneAngle", "InPlaneAngle", "SourceOffsetX", "SourceOffsetY", "ProjectionOffsetX",
         "ProjectionOffsetY"), (gantry, out, inside, sx, sy, px, py))]
    xml += ["<Matrix>"] + [" ".join(f"{v:.12g}" for v in row) for row in rtk] + ["</Matrix>", "</Projection>"]
    iec = np.array([[1, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1.0]])
    pixels = np.array([[1 / SPACING, 0, (COLUMNS - 1) / 2], [0, 1 / SPACING, (ROWS - 1) / 2], [0, 0, 1]]) @ rtk @ iec
    text += [" ".join(repr(float(v)) for v in row) for row in -3 * pixels]
    for p in rng.uniform(-50, 50, (4, 3)):
        w = pixels @ np.append(p, 1)
        numbers.append(" ".join(repr(float(v)) for v in (*p, w[0] / w[2], w[1] / w[2])))
open("io_geometry.xml", "w").write("\n".join(xml + ["</RTKThreeDCircularGeometry>"]) + "\n")
open("io_geometry_matrices.txt", "w").write("\n".join(text) + "\n")
open("io_geometry.txt", "w").write("\n".join(numbers) + "\n")
