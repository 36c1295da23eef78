"""A branch of a vessel tree, as an injection into one artery fills it."""
import numpy as np


def write_branch(path, to, thicker=1.0):
    """The largest branch of a .swc with at most a third of its nodes, around 0, its radii so many times as large."""
    rows = [line.split() for line in open(path) if line[0] != "#"]
    parent = {int(r[0]): int(r[6]) for r in rows}
    below = {i: 1 for i in parent}
    order, seen = [], set()
    for i in parent:
        way = []
        while i != -1 and i not in seen:
            seen.add(i)
            way.append(i)
            i = parent[i]
        order = way + order
    for i in order:
        if parent[i] != -1:
            below[parent[i]] += below[i]
    root = max((i for i in below if below[i] <= len(below) / 3), key=lambda i: below[i])
    inside = {root}
    for i in reversed(order):
        if parent[i] in inside:
            inside.add(i)
    place = np.array([[float(x) for x in r[2:5]] for r in rows if int(r[0]) in inside])
    middle = (place.min(0) + place.max(0)) / 2
    with open(to, "w") as file:
        for r in rows:
            if int(r[0]) in inside:
                x = np.array([float(v) for v in r[2:5]]) - middle
                file.write(f"{r[0]} 2 {x[0]:.4f} {x[1]:.4f} {x[2]:.4f} {thicker * float(r[5]):.4f} "
                           f"{-1 if int(r[0]) == root else r[6]}\n")
