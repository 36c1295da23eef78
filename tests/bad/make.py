#!/usr/bin/python3
"""Writes the bad files of this folder and expected.txt, which says of each what reading it must
answer: name, status, a part of the message. Read by tests/io/test_bad_files.c. Every file is a good
one with one thing wrong."""
import gzip
import os
import struct

here = os.path.dirname(os.path.abspath(__file__))
expected = []


def write(name, data, status, part, beside=()):
    for other, content in ((name, data), *beside):
        os.makedirs(os.path.dirname(os.path.join(here, other)), exist_ok=True)
        with open(os.path.join(here, other), "wb") as out:
            out.write(content if isinstance(content, bytes) else content.encode())
    expected.append(f"{name} {status} {part}")


def nifti(changes=(), voxels=bytes(range(12)), size=(3, 2, 2), kind=2, bits=8):
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, *size, 1, 1, 1, 1)
    struct.pack_into("<2h", header, 70, kind, bits)
    struct.pack_into("<4f", header, 76, 1, 1, 2, 4)
    struct.pack_into("<f", header, 108, 352)
    header[123] = 2
    struct.pack_into("<h", header, 254, 1)
    struct.pack_into("<12f", header, 280, 1, 0, 0, 0, 0, 2, 0, 0, 0, 0, 4, 0)
    header[344:348] = b"n+1\0"
    for form, place, *values in changes:
        struct.pack_into(form, header, place, *values)
    return bytes(header) + voxels


def zipped(data):
    return gzip.compress(data, mtime=0)


write("empty.nii", b"", "FORMAT", "neither NIfTI, NRRD nor DICOM")
write("foreign.nii", "Dear colleague, please find attached\n", "FORMAT", "neither NIfTI, NRRD nor DICOM")
write("cut-header.nii", nifti()[:200], "FORMAT", "200 bytes, but a NIfTI header has 348")
write("cut-voxels.nii", nifti()[:-1], "FORMAT", "claims voxels from byte 352 to 364, but there are 363")
write("dim0-is-200.nii", nifti([("<h", 40, 200)]), "FORMAT", "dim[0] is 200")
write("negative-size.nii", nifti([("<h", 44, -2)]), "FORMAT", "dim[2] is -2")
write("claims-64-gb.nii", nifti([("<3h", 42, 4000, 4000, 4000)]), "FORMAT", "claims voxels")
write("four-dimensions.nii", nifti([("<h", 40, 4), ("<h", 48, 9)]), "UNSUPPORTED", "9 values along dimension 4")
write("zero-spacing.nii", nifti([("<f", 80, 0.0)]), "GEOMETRY", "pixdim[1] is 0")
write("negative-spacing.nii", nifti([("<f", 84, -2.0)]), "GEOMETRY", "pixdim[2] is -2")
write("nan-spacing.nii", nifti([("<f", 88, float("nan"))]), "GEOMETRY", "pixdim[3]")
write("sheared.nii", nifti([("<f", 284, 0.5)]), "GEOMETRY", "sform")
write("two-spacings.nii", nifti([("<f", 80, 1.5)]), "GEOMETRY", "by the sform, but 1.5 mm by pixdim")
write("nan-value.nii", nifti(voxels=struct.pack("<12f", *range(11), float("nan")), kind=16, bits=32), "NUMERIC", "(2,1,1)")
write("colours.nii", nifti([("<2h", 70, 128, 24)]), "UNSUPPORTED", "datatype 128")
write("pair.nii", nifti([("3s", 344, b"ni1")]), "UNSUPPORTED", "pair")
write("cut.nii.gz", zipped(nifti())[:60], "FORMAT", "compressed data")
write("bomb.nii.gz", zipped(nifti() + bytes(10**7)), "FORMAT", "beyond 364 bytes")

# What a header claims and what could not be there: refused before memory is taken for it.
GREAT = nifti([("<3h", 42, 4096, 4096, 1100)], bytes(25))
write("claims-18-gb.nii", GREAT, "FORMAT", "claims voxels from byte 352 to 18454937952")
write("claims-18-gb.nii.gz", zipped(GREAT), "FORMAT", "claims 18454937952 bytes, at most")
write("claims-7-gb.nii.gz", zipped(nifti([("<3h", 42, 4000, 4000, 450)])), "FORMAT", "claims voxels from byte 352 to 7200000352")

NRRD = """NRRD0004
type: uint8
dimension: 3
space: left-posterior-superior
sizes: 2 2 1
space directions: (1,0,0) (0,1,0) (0,0,1)
encoding: raw
space origin: (0,0,0)

abcd"""
write("cut.nrrd", NRRD[:-1], "FORMAT", "claims 4 bytes of voxels, but there are 3")
write("no-spacing.nrrd", NRRD.replace("space directions: (1,0,0) (0,1,0) (0,0,1)\n", ""), "GEOMETRY", "neither space directions nor spacings")
write("zero-spacing.nrrd", NRRD.replace("(0,1,0)", "(0,0,0)"), "GEOMETRY", "space directions")
write("claims-64-gb.nrrd", NRRD.replace("2 2 1", "4000 4000 4000"), "FORMAT", "claims 64000000000 bytes")
write("leaves-the-folder.nhdr", NRRD.replace("encoding", "data file: ../bad/cut.nrrd\nencoding"), "FORMAT", "the same folder")
PACKED = NRRD.replace("raw", "gzip")[:-4].encode() + zipped(bytes(10**7))
write("skips-8-gb.nrrd", PACKED.replace(b"encoding", b"byte skip: 8000000000\nencoding"), "UNSUPPORTED", "byte skip: 8000000000")
write("bomb-by-skip.nrrd", PACKED.replace(b"encoding", b"byte skip: -1\nencoding"), "FORMAT", "expand beyond 1048580 bytes")
write("bomb.nrrd", PACKED, "FORMAT", "expand beyond 4 bytes")
write("scanner-space.nrrd", NRRD.replace("left-posterior-superior", "scanner-xyz"), "UNSUPPORTED", "space")

write("cut-corner.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2\n", "FORMAT", "line 4: a face of 2 corners")
write("far-vertex.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 4\n", "FORMAT", "line 4: a face names vertex 4 of 3")
write("nan-vertex.obj", "v 0 0 0\nv 1 nan 0\nv 0 1 0\nf 1 2 3\n", "FORMAT", "line 2: coordinate y of vertex 2")
PLY = ("ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\n"
       "element face 1\nproperty list uchar int vertex_indices\nend_header\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n")
write("far-vertex.ply", PLY.replace("3 0 1 2", "3 0 1 7"), "FORMAT", "names vertex 7 of 0 to 2")
write("cut.ply", PLY[:-6], "FORMAT", "ends early")
write("two-billion.ply", PLY.replace("vertex 3", "vertex 2147483647"), "FORMAT", "ends early")
write("four-billion.stl", bytes(80) + struct.pack("<I", 0xFFFFFFFF) + bytes(50), "FORMAT", "4294967295 triangles named")
write("long-list.ply", PLY.replace("uchar", "uint").replace("3 0 1 2", "4294967295 0 1 2"), "FORMAT", "ends early")
write("bomb.obj.gz", zipped(b"v 0 0 0\n" * 3 * 10**6), "FORMAT", "expected at most 100 times as many")
write("cut.stl", bytes(80) + struct.pack("<I", 2) + bytes(50), "FORMAT", "2 triangles named, but the 50 bytes that follow hold 1")
write("no-end.stl", "solid x\nfacet normal 0 0 1\nouter loop\nvertex 0 0 0\nvertex 1 0 0\n", "FORMAT", "endsolid")

write("cycle.swc", "1 1 0 0 0 1 3\n2 1 1 0 0 1 1\n3 1 2 0 0 1 2\n", "FORMAT", "is its own ancestor")
write("twice.swc", "1 1 0 0 0 1 -1\n1 1 1 0 0 1 -1\n", "FORMAT", "node 1 is there already at line 1")
write("nan.swc", "1 1 0 0 nan 1 -1\n", "FORMAT", "line 1: coordinate z")
write("letter.swc", "Dear colleague,\nplease find attached\n", "FORMAT", "0 of 2 lines")


def element(group, number, kind, value):
    value = value if isinstance(value, bytes) else value.encode()
    value += b" " * (len(value) % 2)
    long = kind in ("OW", "SQ")
    return struct.pack("<2H2s", group, number, kind.encode()) + struct.pack("<xxI" if long else "<H", len(value)) + value


def dicom(k, **changes):
    say = dict(spacing="1\\1", position=f"0\\0\\{3 * k}", orientation="1\\0\\0\\0\\1\\0", series="1.2", rows=2, frames="1",
               columns=2, syntax="1.2.840.10008.1.2.1\0", kind=None, pixels=element(0x7FE0, 0x10, "OW", b"abcd"))
    say.update(changes)
    data = bytes(128) + b"DICM" + (element(2, 2, "UI", say["kind"]) if say["kind"] else b"") + element(2, 0x10, "UI", say["syntax"])
    data += element(8, 0x16, "UI", say["kind"]) if say["kind"] else b""
    for group, number, kind, value in (
        (0x18, 0x50, "DS", "3"), (0x20, 0x0E, "UI", say["series"]), (0x20, 0x32, "DS", say["position"]),
        (0x20, 0x37, "DS", say["orientation"]), (0x28, 2, "US", struct.pack("<H", 1)),
        (0x28, 4, "CS", "MONOCHROME2" if say["kind"] else None), (0x28, 8, "IS", say["frames"]),
        (0x28, 0x10, "US", struct.pack("<H", say["rows"])), (0x28, 0x11, "US", struct.pack("<H", say["columns"])),
        (0x28, 0x30, "DS", say["spacing"]), (0x28, 0x100, "US", struct.pack("<H", 8)),
        (0x28, 0x101, "US", struct.pack("<H", 8)), (0x28, 0x102, "US", struct.pack("<H", 7)),
    ):
        if value is not None:
            data += element(group, number, kind, value)
    return data + say["pixels"]


def series(name, slices, status, part):
    write(f"{name}/1.dcm", slices[0], status, part, [(f"{name}/{i + 1}.dcm", data) for i, data in enumerate(slices)])
    expected[-1] = f"{name} {status} {part}"


write("cut.dcm", dicom(0)[:-1], "FORMAT", "(7fe0,0010) claims 4 bytes, but 3 are left")
write("no-spacing.dcm", dicom(0, spacing=None), "GEOMETRY", "PixelSpacing (0028,0030) is missing")
write("zero-spacing.dcm", dicom(0, spacing="0\\1"), "GEOMETRY", "PixelSpacing")
write("run.dcm", dicom(0, frames="9"), "UNSUPPORTED", "NumberOfFrames (0028,0008) is 9")
write("few-pixels.dcm", dicom(0, rows=3), "FORMAT", "PixelData")
write("claims-64-mb.dcm", dicom(0, rows=4096, columns=4096), "FORMAT", "PixelData")
rle = struct.pack("<16I", 1, 64, *[0] * 14) + b"\x81\x00" * 7
rle = struct.pack("<2H2sxxI", 0x7FE0, 0x10, b"OB", 0xFFFFFFFF) + b"".join(
    struct.pack("<2HI", 0xFFFE, tag, len(value)) + value for tag, value in ((0xE000, b""), (0xE000, rle), (0xE0DD, b"")))
packed = dict(rows=4096, columns=4096, syntax="1.2.840.10008.1.2.5\0", pixels=rle)
write("packed-64-mb.dcm", dicom(0, **packed), "FORMAT", "the compressed frame has 78 bytes for 4096 columns and 4096 rows")
write("packed-run.dcm", dicom(0, **packed, kind="1.2.840.10008.5.1.4.1.1.12.1"), "FORMAT", "frame 1: the compressed frame has 78 bytes")
write("two-billion-pictures.dcm", dicom(0, frames="2147483647"), "UNSUPPORTED", "NumberOfFrames (0028,0008) is 2.14748e+09")
nested = bytes(128) + b"DICM" + element(2, 0x10, "UI", b"1.2.840.10008.1.2.1\0")
nested += (struct.pack("<2H2sxxI", 0x40, 0x275, b"SQ", 0xFFFFFFFF) + struct.pack("<2HI", 0xFFFE, 0xE000, 0xFFFFFFFF)) * 300
write("deep.dcm", nested, "FORMAT", "nested deeper than 16")
series("missing-slice", [dicom(k) for k in (0, 1, 3, 4)], "FORMAT", "slices are missing between 2.dcm and 3.dcm")
series("double-slice", [dicom(k) for k in (0, 1, 1, 2)], "FORMAT", "2.dcm and 3.dcm lie at the same place")
series("mixed-sizes", [dicom(0), dicom(1), dicom(2, rows=1)], "MISMATCH", "differ in size")
series("mixed-series", [dicom(0), dicom(1, series="1.3"), dicom(2)], "MISMATCH", "differ in series")
series("tilted", [dicom(k, position=f"{k}\\0\\{3 * k}") for k in range(3)], "UNSUPPORTED", "gantry tilt")

VIEW = '{"kind":"parallel","primary_angle_deg":0,"secondary_angle_deg":0,"column_spacing_mm":1,"row_spacing_mm":1}'
STACK = '{"frame":"LPS","mode":"max","isocenter_mm":[0,0,0],"views":[%s,%s]}' % (VIEW, VIEW)


def stack(name, text, status, part):
    write(f"{name}.nii.gz", zipped(nifti()), status, part, [(f"{name}.json", text)])


stack("no-angle", STACK.replace("primary_angle_deg", "angle", 1), "GEOMETRY", "views[0].primary_angle_deg is missing")
stack("other-frame", STACK.replace("LPS", "RAS"), "UNSUPPORTED", 'frame is "RAS"')
stack("one-view-short", STACK.replace(VIEW + ",", ""), "MISMATCH", "views has 1 entries, but the image has 2")
stack("zero-pixel", STACK.replace('row_spacing_mm":1', 'row_spacing_mm":0', 1), "GEOMETRY", "row spacing is 0")
stack("cone-without-source", STACK.replace("parallel", "cone"), "GEOMETRY", "source_to_detector_mm is missing")

stack("deep", '{"views":' + "[" * 3000, "FORMAT", "maximum parsing depth")
stack("endless", STACK.replace(VIEW + ",", (VIEW + ",") * 100), "MISMATCH", "views has 101 entries")

with open(os.path.join(here, "expected.txt"), "w") as out:
    out.write("# Written by make.py: name, status, a part of the message.\n" + "\n".join(expected) + "\n")
