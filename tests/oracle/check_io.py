#!/usr/bin/python3
"""Axes and millimetres between Willis, nibabel and pydicom: check_io.py path/to/willis [DICOM-folder…]

Random volumes go from nibabel and pydicom to Willis and from Willis to nibabel; stacks are written
by hand as doc/projections.md says. Prints what was compared; any difference ends it with code 1."""
import gzip
import json
import os
import subprocess
import sys
import tempfile

import nibabel
import numpy
import pydicom

willis = os.path.abspath(sys.argv[1])
random = numpy.random.default_rng(7)
TO_LPS = numpy.diag([-1.0, -1, 1, 1])


def run(*arguments):
    done = subprocess.run([willis, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"willis {' '.join(map(str, arguments))}: {done.stderr}")
    return done.stdout


def info(path):
    return json.loads(run("info", path, "--json"))


def matrix_of(grid):
    """Voxel to LPS mm."""
    matrix = numpy.eye(4)
    direction = numpy.array(grid["direction"]).reshape(3, 3)
    matrix[:3, :3] = direction * numpy.array(grid.get("spacing_mm", grid.get("spacing")))
    matrix[:3, 3] = grid.get("origin_mm", grid.get("origin"))
    return matrix


def same(what, a, b, tolerance=1e-4):
    error = float(numpy.abs(numpy.asarray(a, float) - numpy.asarray(b, float)).max())
    if not error <= tolerance:
        sys.exit(f"{what}: differ by {error}, at most {tolerance}\n{a}\n{b}")


def read_nrrd(path):
    """Values [x,y,z] and voxel to LPS mm, of what Willis writes."""
    header, data = open(path, "rb").read().split(b"\n\n", 1)
    field = dict(line.split(": ", 1) for line in header.decode().split("\n") if ": " in line and line[0] != "#")
    assert field["space"] == "left-posterior-superior" and field["encoding"] == "gzip"
    kind = {"float": "<f4", "uint8": "u1", "int16": "<i2"}[field["type"]]
    values = numpy.frombuffer(gzip.decompress(data), kind)
    vectors = [[float(n) for n in v.strip("()").split(",")] for v in field["space directions"].split()]
    matrix = numpy.eye(4)
    matrix[:3, :3] = numpy.array(vectors).T
    matrix[:3, 3] = [float(n) for n in field["space origin"].strip("()").split(",")]
    return values.reshape([int(n) for n in field["sizes"].split()], order="F"), matrix


def random_affine():
    """Any rotation, sometimes mirrored, spacings 0.3 to 3 mm."""
    q, _ = numpy.linalg.qr(random.normal(size=(3, 3)))
    affine = numpy.eye(4)
    affine[:3, :3] = q * random.uniform(0.3, 3, size=3)
    affine[:3, 3] = random.uniform(-200, 200, size=3)
    return affine


def check_from_nibabel():
    for form in (nibabel.Nifti1Image, nibabel.Nifti2Image):
        for dtype in ("uint8", "int16", "uint16", "int32", "float32", "float64"):
            affine, size = random_affine(), random.integers(1, 20, size=3)
            values = random.integers(0, 200, size=size).astype(dtype)
            path = f"{form.__name__}-{dtype}.nii.gz"
            nibabel.save(form(values, affine), path)
            told = info(path)
            same(path, told["size"], size, 0)
            same(path, matrix_of(told), TO_LPS @ affine)
            same(path, told["range"], [values.min(), values.max()], 0)
    print("12 volumes by nibabel: sizes, millimetres, ranges")


def check_to_nibabel():
    run("phantom", "--seed", 5, "-o", "head.swc")
    for size in (16, 33):
        values = []
        for name in ("head.nii", "head.nii.gz", "head.nrrd"):
            run("voxelize", "head.swc", "--size", size, "-o", name, "--force")
            if name.endswith("nrrd"):
                voxels, to_lps = read_nrrd(name)
            else:
                image = nibabel.load(name)
                voxels, to_lps = numpy.asarray(image.dataobj), TO_LPS @ image.affine
                same(name, image.get_qform(), image.get_sform())
                assert image.header.get_xyzt_units()[0] == "mm"
            same(name, matrix_of(info(name)), to_lps)
            values.append(voxels)
        same("voxels", values[0], values[1], 0)
        same("voxels", values[0], values[2], 0)
    # The tree is where its voxels are.
    nodes = numpy.loadtxt("head.swc")
    index = numpy.linalg.inv(to_lps) @ numpy.vstack([nodes[:, 2:5].T, numpy.ones(len(nodes))])
    i, j, k = numpy.rint(index[:3]).astype(int)
    share = float((values[2][i, j, k] > 0).mean())
    assert share > 0.99, share
    print(f"6 volumes by Willis: nibabel and NRRD agree; {100 * share:.1f} % of the nodes lie in vessel")


def check_pydicom(folder):
    slices = []
    for name in os.listdir(folder):
        try:
            data = pydicom.dcmread(os.path.join(folder, name))
        except pydicom.errors.InvalidDicomError:
            continue
        across, down = (numpy.array(data.ImageOrientationPatient[i : i + 3], float) for i in (0, 3))
        place = numpy.array(data.ImagePositionPatient, float)
        slices.append((place @ numpy.cross(across, down), place, data))
    slices.sort(key=lambda entry: entry[0])
    first, last = slices[0], slices[-1]
    data, count = first[2], len(slices)
    told = info(folder)
    same(folder, told["size"], [data.Columns, data.Rows, count], 0)
    matrix = matrix_of(told)
    for k, entry in ((0, first), (count - 1, last)):
        same(folder, (matrix @ [0, 0, k, 1])[:3], entry[1], 0.1)
        for i, j in ((data.Columns - 1, 0), (0, data.Rows - 1)):
            step = numpy.array(data.ImageOrientationPatient[:3], float) * float(data.PixelSpacing[1]) * i
            step += numpy.array(data.ImageOrientationPatient[3:], float) * float(data.PixelSpacing[0]) * j
            same(folder, (matrix @ [i, j, k, 1])[:3], entry[1] + step, 0.1)
    values = [e[2].pixel_array * float(e[2].get("RescaleSlope", 1)) + float(e[2].get("RescaleIntercept", 0)) for e in slices]
    same(folder, told["range"], [numpy.min(values), numpy.max(values)], 0)
    print(f"{folder}: {count} slices as pydicom sees them")


def check_stacks():
    run("project", "head.nii.gz", "--views", 5, "-o", "views.nii.gz")
    image, text = nibabel.load("views.nii.gz"), json.load(open("views.json"))
    told = info("views.nii.gz")
    assert image.shape == (told["columns"], told["rows"], told["view_count"]) == (33, 33, 5)
    same("views", [v["primary_angle_deg"] for v in text["views"]], [v["primary_angle_deg"] for v in told["views"]])
    same("grid", matrix_of(text["grid"]), matrix_of(info("head.nii.gz")))
    pixels = numpy.asarray(image.dataobj)
    # At 0° the rays run along y, columns along x, and row 0 is at the head.
    volume = numpy.asarray(nibabel.load("head.nii.gz").dataobj)
    to_lps = numpy.diag(TO_LPS @ nibabel.load("head.nii.gz").affine)
    assert (to_lps[:3] > 0).all()
    same("view at 0°", pixels[:, :, 0], volume.max(axis=1)[:, ::-1], 1e-3)
    # The example of doc/projections.md, by other software.
    view = {"kind": "parallel", "secondary_angle_deg": 0, "column_spacing_mm": 1.2, "row_spacing_mm": 1.2}
    with open("own.json", "w") as out:
        json.dump({"frame": "LPS", "mode": "max", "isocenter_mm": [0, 0, 0],
                   "views": [dict(view, primary_angle_deg=angle) for angle in (0, 90)]}, out)
    nibabel.save(nibabel.Nifti1Image(random.random((20, 20, 2)).astype("float32"), None), "own.nii.gz")
    assert info("own.nii.gz")["view_count"] == 2
    run("backproject", "own.nii.gz", "-o", "own-volume.nii.gz")
    print("stacks both ways")


def check_meshes():
    run("segment", "head.nii.gz", "-o", "mask.nii.gz")
    points = {}
    for name in ("head.stl", "head.ply", "head.obj"):
        run("mesh", "mask.nii.gz", "-o", name)
        data = open(name, "rb").read()
        if name.endswith("stl"):
            records = numpy.frombuffer(data[84:], dtype=[("n", "<f4", 3), ("v", "<f4", (3, 3)), ("a", "<u2")])
            points[name] = records["v"].reshape(-1, 3)
        elif name.endswith("ply"):
            head, rest = data.split(b"end_header\n", 1)
            count = int(head.split(b"element vertex ")[1].split()[0])
            points[name] = numpy.frombuffer(rest[: 12 * count], "<f4").reshape(-1, 3)
        else:
            points[name] = numpy.array([line.split()[1:] for line in data.decode().split("\n") if line[:2] == "v "], float)
    image = nibabel.load("mask.nii.gz")
    to_lps = TO_LPS @ image.affine
    inside = numpy.argwhere(numpy.asarray(image.dataobj) > 0)
    low = (to_lps @ [*inside.min(axis=0), 1])[:3]
    high = (to_lps @ [*inside.max(axis=0), 1])[:3]
    step = numpy.abs(numpy.diag(to_lps)[:3])
    for name, found in points.items():
        same(name, found.min(axis=0), low - 0.5 * step, float(0.51 * step.max()))
        same(name, found.max(axis=0), high + 0.5 * step, float(0.51 * step.max()))
        same(name, found.min(axis=0), points["head.stl"].min(axis=0), 1e-4)
    print("3 surfaces lie around their mask, in LPS mm")


if __name__ == "__main__":
    folders = [os.path.abspath(folder) for folder in sys.argv[2:]]
    own = os.path.join(os.path.dirname(os.path.abspath(__file__)), "io_volumes")
    folders += [os.path.join(own, name) for name in sorted(os.listdir(own)) if os.path.isdir(os.path.join(own, name))]
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)
        check_from_nibabel()
        check_to_nibabel()
        for folder in folders:
            check_pydicom(folder)
        check_stacks()
        check_meshes()
