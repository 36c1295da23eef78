#!/usr/bin/python3
"""Reads the .vtp that `willis centerline` writes with VTK and compares it with the .swc of the same lines.
Usage: check_tree_file.py LINES.vtp LINES.swc (Debian: python3-vtk9)"""
import sys
import numpy as np
import vtk
from vtk.util.numpy_support import vtk_to_numpy

reader = vtk.vtkXMLPolyDataReader()
reader.SetFileName(sys.argv[1])
reader.Update()
data = reader.GetOutput()
swc = np.loadtxt(sys.argv[2], ndmin=2)
points = vtk_to_numpy(data.GetPoints().GetData())
radius = vtk_to_numpy(data.GetPointData().GetArray("radius_mm"))
assert data.GetPointData().GetScalars().GetName() == "radius_mm"
assert np.allclose(points, swc[:, 2:5], atol=1e-5) and np.allclose(radius, swc[:, 5], atol=1e-6)
pieces = set()
ids = vtk.vtkIdList()
lines = data.GetLines()
lines.InitTraversal()
while lines.GetNextCell(ids):
    line = [ids.GetId(i) for i in range(ids.GetNumberOfIds())]
    for a, b in zip(line, line[1:]):
        assert (a, b) not in pieces
        pieces.add((a, b))
parents = {(int(row[6]) - 1, i) for i, row in enumerate(swc) if row[6] > 0}
lone = data.GetVerts().GetNumberOfCells()
assert pieces == parents
print(f"{len(points)} points, {data.GetNumberOfLines()} lines, {len(pieces)} pieces and {lone} lone points: the same")
