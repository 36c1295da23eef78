#!/usr/bin/python3
"""Writes fuzz/corpus: small good files of every format, from which mutations start. Needs nothing but
Python; compressed frames are taken out of tests/io/angiograms. Broken files and those of other
software are seeds too: fuzz/corpus.c takes them from tests/."""
import gzip
import json
import os
import struct
import zlib

here = os.path.dirname(os.path.abspath(__file__))
angiograms = os.path.join(here, "..", "tests", "io", "angiograms")


def write(name, data):
    path = os.path.join(here, "corpus", name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as out:
        out.write(data if isinstance(data, bytes) else data.encode())


# ---- DICOM slices ----

LONG = ("OB", "OW", "SQ", "UN", "UT")
EXPLICIT, IMPLICIT, BIG = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"


def element(group, number, kind, value, syntax=EXPLICIT, length=None):
    order = ">" if syntax == BIG else "<"
    value = value.encode() if isinstance(value, str) else value
    value += (b"\0" if kind in ("UI", "OB") else b" ") * (len(value) % 2)
    length = len(value) if length is None else length
    head = struct.pack(order + "2H", group, number)
    if syntax == IMPLICIT:
        return head + struct.pack("<I", length) + value
    if kind in LONG:
        return head + kind.encode() + struct.pack(order + "xxI", length) + value
    return head + kind.encode() + struct.pack(order + "H", length) + value


def slice_file(syntax, pixels, rows=2, columns=2, bits=8, stored=None, plain=None, compressed=False, more=b""):
    """`plain`: how elements are written, when the transfer syntax is one of compressed pixels."""
    way = plain or syntax
    short = lambda n: struct.pack(">H" if way == BIG else "<H", n)
    data = bytes(128) + b"DICM" + element(2, 2, "UI", "1.2.840.10008.5.1.4.1.1.4") + element(2, 0x10, "UI", syntax)
    body = b"".join(
        element(group, number, kind, value, way)
        for group, number, kind, value in (
            (0x18, 0x50, "DS", "3"), (0x20, 0x0E, "UI", "1.2"), (0x20, 0x32, "DS", "0\\0\\3"),
            (0x20, 0x37, "DS", "1\\0\\0\\0\\1\\0"), (0x28, 2, "US", short(1)), (0x28, 8, "IS", "1"),
            (0x28, 0x10, "US", short(rows)), (0x28, 0x11, "US", short(columns)), (0x28, 0x30, "DS", "1\\1"),
            (0x28, 0x100, "US", short(bits)), (0x28, 0x101, "US", short(stored or bits)),
            (0x28, 0x102, "US", short((stored or bits) - 1)), (0x28, 0x103, "US", short(0)),
            (0x28, 0x1052, "DS", "-1024"), (0x28, 0x1053, "DS", "2"))) + more
    length = 0xFFFFFFFF if compressed else None
    kind = "OB" if compressed else "OW"
    return data, body + element(0x7FE0, 0x10, kind, pixels, way, length)


def compressed_pixels(path):
    """The fragments of the pixels of an explicit little-endian file, and its sizes."""
    data = open(path, "rb").read()
    at = data.index(struct.pack("<2H", 0x7FE0, 0x10) + b"OB")
    value = lambda number: struct.unpack_from("<H", data, data.index(struct.pack("<2H2s", 0x28, number, b"US")) + 8)[0]
    syntax = data[data.index(struct.pack("<2H2s", 2, 0x10, b"UI")) + 8:].split(b"\0")[0].split(b"\2")[0]
    return syntax.decode(), data[at + 12:], value(0x10), value(0x11), value(0x100), value(0x101)


grey = bytes(range(8))
ITEM = struct.pack("<2HI", 0xFFFE, 0xE000, 0xFFFFFFFF)
sequence = element(0x40, 0x275, "SQ", ITEM + element(0x40, 7, "LO", "x") + struct.pack("<2HI", 0xFFFE, 0xE00D, 0)
                   + struct.pack("<2HI", 0xFFFE, 0xE0DD, 0), length=0xFFFFFFFF)
closed = element(0x40, 0x275, "SQ", struct.pack("<2HI", 0xFFFE, 0xE000, 10) + element(0x40, 7, "LO", "xy"))
write("dicom/explicit.dcm", b"".join(slice_file(EXPLICIT, grey, bits=16, stored=12, more=sequence)))
write("dicom/closed.dcm", b"".join(slice_file(EXPLICIT, grey, bits=16, more=closed)))
write("dicom/long.dcm", b"".join(slice_file(EXPLICIT, grey + grey, bits=32)))
write("dicom/implicit.dcm", b"".join(slice_file(IMPLICIT, grey[:4])))
write("dicom/big.dcm", b"".join(slice_file(BIG, grey, bits=16)))
head, body = slice_file("1.2.840.10008.1.2.1.99", grey[:4], plain=EXPLICIT)
packer = zlib.compressobj(9, zlib.DEFLATED, -15)
write("dicom/deflated.dcm", head + packer.compress(body) + packer.flush())
for name in sorted(os.listdir(angiograms)):
    if name.startswith(("jpeg", "rle")):
        syntax, pixels, rows, columns, bits, stored = compressed_pixels(os.path.join(angiograms, name))
        write(f"dicom/{name}", b"".join(slice_file(syntax, pixels, rows, columns, bits, stored, EXPLICIT, True)))

# ---- volumes ----

NRRD = "NRRD0004\n# seed\ntype: %s\ndimension: 3\nspace: left-posterior-superior\nsizes: 2 2 2\n" \
       "space directions: (1,0,0) (0,1,0) (0,0,2)\nendian: little\nencoding: %s\nspace origin: (0,0,0)\n%s\n"
write("nrrd/raw.nrrd", (NRRD % ("short", "raw", "")).encode() + bytes(range(16)))
write("nrrd/text.nrrd", NRRD % ("float", "ascii", "") + "1 2 3 4\n5 6 7.5 -8e3\n")
write("nrrd/gzip.nrrd", (NRRD % ("uchar", "gzip", "")).encode() + gzip.compress(bytes(range(8)), mtime=0))
write("nrrd/skips.nrrd", (NRRD % ("double", "raw", "line skip: 1\nbyte skip: -1\n")).encode() + b"skipped\n" + bytes(64))
write("nrrd/spacings.nrrd", "NRRD0001\ntype: uint8\ndimension: 4\nsizes: 2 2 1 1\nspacings: 1 0.5 2 nan\n"
      "key:=value\nencoding: raw\n\nabcd")


def nifti(voxels, kind, bits, scaling=(1, 0), units=2):
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, 3, 2, 2, 1, 1, 1, 1)
    struct.pack_into("<2h", header, 70, kind, bits)
    struct.pack_into("<4f", header, 76, 1, 1, 2, 4)
    struct.pack_into("<3f", header, 108, 352, *scaling)
    header[123] = units
    struct.pack_into("<2h", header, 252, 1, 1)
    struct.pack_into("<12f", header, 280, 1, 0, 0, 5, 0, 2, 0, 6, 0, 0, 4, 7)
    header[344:348] = b"n+1\0"
    return bytes(header) + voxels


write("nifti/u8.nii", nifti(bytes(range(12)), 2, 8))
write("nifti/i16.nii", nifti(bytes(24), 4, 16, (0.5, -3), 1))
write("nifti/f32.nii.gz", gzip.compress(nifti(struct.pack("<12f", *range(12)), 16, 32), mtime=0))
write("gzip/text.gz", gzip.compress(b"v 0 0 0\n" * 40, mtime=0))
write("gzip/members.gz", gzip.compress(b"one ", mtime=0) + gzip.compress(b"two ", mtime=0) + b"behind")
write("gzip/stored.gz", gzip.compress(bytes(range(256)), 0, mtime=0))
write("gzip/zeros.gz", gzip.compress(bytes(50000), mtime=0))

# ---- shapes ----

corners = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1.5)]
faces = [(0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3)]
text = lambda values: " ".join(str(v) for v in values)
write("obj/plain.obj", "# seed\n" + "".join(f"v {text(c)}\n" for c in corners)
      + "".join(f"f {text(i + 1 for i in f)}\n" for f in faces))
write("obj/full.obj", "mtllib a.mtl\no head\n" + "".join(f"v {text(c)} 1\nvn 0 0 1\nvt 0 0\n" for c in corners)
      + "f 1/1/1 3/2/2 2//3 4/1\nf -1 -2 -3\r\ns off\n")
write("stl/text.stl", "solid seed\n" + "".join(
    "facet normal 0 0 1\nouter loop\n" + "".join(f"vertex {text(corners[i])}\n" for i in f) + "endloop\nendfacet\n"
    for f in faces) + "endsolid seed\n")
write("stl/binary.stl", bytes(80) + struct.pack("<I", 4) + b"".join(
    struct.pack("<12fH", 0, 0, 1, *(x for i in f for x in corners[i]), 0) for f in faces))
PLY = "ply\nformat %s 1.0\ncomment seed\nelement vertex 4\nproperty %s x\nproperty %s y\nproperty %s z\n" \
      "element face 4\nproperty list %s %s vertex_indices\nend_header\n"
write("ply/text.ply", PLY % ("ascii", "float", "float", "float", "uchar", "int")
      + "".join(f"{text(c)}\n" for c in corners) + "".join(f"3 {text(f)}\n" for f in faces))
write("ply/little.ply", (PLY % ("binary_little_endian", "float", "float", "float", "uchar", "uint")).encode()
      + b"".join(struct.pack("<3f", *c) for c in corners) + b"".join(struct.pack("<B3I", 3, *f) for f in faces))
write("ply/big.ply", (PLY % ("binary_big_endian", "double", "float", "short", "int", "ushort")).encode()
      + b"".join(struct.pack(">dfh", *c[:2], int(c[2])) for c in corners)
      + b"".join(struct.pack(">i3H", 3, *f) for f in faces))
write("swc/tree.swc", "# seed\n1 1 0 0 0 2 -1\n2 3 1 0 0 1.5 1\n3 3 2 0 0.5 1 2\n4 3 2 1 0 0 2\n5 3 3 1 0 1 9\n6 2 1\n")
write("swc/backwards.swc", "\ufeff3 1 2.5e0 0 0 1 2 note\r\n2 1 1 0 0 1 1\r\n1 1 0 0 0 1 -1")

# ---- models ----

write("calibration/rows.txt", "max 2 1.31 0.412; max 5 1.12 0.43; sum 2 1.4 0.39")
write("calibration/one.txt", "sum 1000 0.01 1")

# ---- geometry ----

view = dict(kind="parallel", primary_angle_deg=0, secondary_angle_deg=0, column_spacing_mm=1, row_spacing_mm=1)
cone = dict(view, kind="cone", source_to_detector_mm=1000, source_to_isocenter_mm=700, principal_column=1,
            principal_row=0.5, in_plane_angle_deg=3, source_offset_mm=[0, 1], values="max")
stack = dict(comment="seed", frame="LPS", mode="max", columns=3, rows=2, isocenter_mm=[0, 0, 0], views=[view, cone])
grid = dict(size=[4, 4, 4], spacing=[1, 1, 1], origin=[0, 0, 0], direction=[1, 0, 0, 0, 1, 0, 0, 0, 1])
write("stack/views.json", json.dumps(stack, indent=1))
write("stack/grid.json", json.dumps(dict(stack, grid=grid, views=[view, view])))
write("geometry/views.json", json.dumps(stack))
write("geometry/matrix.txt", "# one view\n-1000 0 500 700\n0 -1000 500 700\n0 0 1 700\n")
write("geometry/matrices.txt", "[[1000, 0, 1, 0], [0, 1000, 1, 0], [0, 0, 1, 700]]\n" * 3)
RTK = "<?xml version=\"1.0\"?>\n<!DOCTYPE RTKGEOMETRY>\n<RTKThreeDCircularGeometry version=\"3\">\n" \
      "<SourceToIsocenterDistance>700</SourceToIsocenterDistance>\n" \
      "<SourceToDetectorDistance>1000</SourceToDetectorDistance>\n%s</RTKThreeDCircularGeometry>\n"
write("geometry/rtk.xml", RTK % "".join(
    f"<Projection>\n<GantryAngle>{a}</GantryAngle>\n<InPlaneAngle>1</InPlaneAngle>\n</Projection>\n" for a in (0, 45)))
write("geometry/offsets.xml", RTK % (
    "<Projection><GantryAngle>90</GantryAngle><SourceOffsetX>1</SourceOffsetX><ProjectionOffsetY>2</ProjectionOffsetY>"
    "<OutOfPlaneAngle>5</OutOfPlaneAngle></Projection>"))

# ---- weights ----


def safetensors(tensors, metadata=None):
    header, data = {}, b""
    if metadata is not None:
        header["__metadata__"] = metadata
    for name, kind, shape, values in tensors:
        header[name] = dict(dtype=kind, shape=shape, data_offsets=[len(data), len(data) + len(values)])
        data += values
    words = json.dumps(header, separators=(",", ":")).encode()
    words += b" " * (-len(words) % 8)
    return struct.pack("<Q", len(words)) + words + data


write("safetensors/small.safetensors", safetensors(
    [("count", "I64", [], struct.pack("<q", 7)), ("w", "F32", [2, 3], struct.pack("<6f", *range(6))),
     ("half", "F16", [4], bytes.fromhex("003c00c0007c0001")), ("none", "F32", [0, 9], b"")], dict(network="dae", views="10")))
# The first tensors of the network, so that reading gets as far as the first one that is missing.
write("safetensors/begun.safetensors", safetensors(
    [("enc1.conv.weight", "F16", [32, 1, 3, 3, 3], struct.pack("<e", 0.25) * 864),
     ("enc1.conv.bias", "F32", [32], bytes(128)), ("enc1.bn.weight", "F32", [32], bytes(128))], {}))


def checkpoint(sections):
    head = b"WILLISCK" + struct.pack("<2I", 1, len(sections))
    size = 24 + 32 * len(sections) + 8 + sum(len(data) for _, data in sections)
    head += struct.pack("<Q", size)
    for tag, data in sections:
        head += tag.encode().ljust(16, b"\0") + struct.pack("<Q2I", len(data), zlib.crc32(data), 0)
    return head + struct.pack("<2I", zlib.crc32(head), 0) + b"".join(data for _, data in sections)


write("checkpoint/sections.ckpt", checkpoint(
    [("configuration", bytes(range(32))), ("data", bytes(32)), ("counters", bytes(64)), ("order", bytes(16)),
     ("epochs", b""), ("trainer", bytes(200))]))
write("checkpoint/empty.ckpt", checkpoint([]))
write("log/epochs.csv", "epoch,step,loss,learning_rate,validation_iou,validation_best_iou,validation_best_threshold,"
      "seconds\n1,44,0.0123,0.001,,,,12.5\n2,88,0.0101,0.001,0.31,0.35,0.42,25\n")
