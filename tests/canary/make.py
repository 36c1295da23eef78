#!/usr/bin/python3
"""Writes the files of this folder: small good ones of every kind that say who the patient is, in every
place where such files say it. Three words stand for a person: a name, a date and an identifier. None
of them may come out of any command again (tests/cli/canary.sh)."""
import json
import os
import struct

here = os.path.dirname(os.path.abspath(__file__))
NAME, DATE, UID = "CANARY", "18870314", "1.2.99887766554433"


def write(name, data):
    path = os.path.join(here, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as out:
        out.write(data if isinstance(data, bytes) else data.encode())


# ---- DICOM ----


def element(group, number, kind, value):
    value = value.encode() if isinstance(value, str) else value
    value += (b"\0" if kind in ("UI", "OB") else b" ") * (len(value) % 2)
    if kind in ("OB", "OW", "SQ", "UN", "UT"):
        return struct.pack("<2H2sxxI", group, number, kind.encode(), len(value)) + value
    return struct.pack("<2H2sH", group, number, kind.encode(), len(value)) + value


def short(n):
    return struct.pack("<H", n)


PERSON = [
    (0x08, 0x12, "DA", DATE), (0x08, 0x18, "UI", UID + ".1"), (0x08, 0x20, "DA", DATE), (0x08, 0x21, "DA", DATE),
    (0x08, 0x22, "DA", DATE), (0x08, 0x2A, "DT", DATE + "101010"), (0x08, 0x30, "TM", "101010"),
    (0x08, 0x50, "SH", NAME), (0x08, 0x70, "LO", NAME), (0x08, 0x80, "LO", NAME), (0x08, 0x81, "ST", NAME),
    (0x08, 0x90, "PN", NAME), (0x08, 0x1010, "SH", NAME), (0x08, 0x1030, "LO", NAME), (0x08, 0x103E, "LO", NAME),
    (0x08, 0x1040, "LO", NAME), (0x08, 0x1050, "PN", NAME), (0x08, 0x1070, "PN", NAME), (0x08, 0x1090, "LO", NAME),
    (0x08, 0x2111, "ST", NAME), (0x09, 0x10, "LO", NAME), (0x09, 0x1001, "LO", NAME), (0x09, 0x1002, "UN", NAME),
    *((0x10, number, kind, value) for number, kind, value in (
        (0x10, "PN", NAME), (0x20, "LO", NAME), (0x21, "LO", NAME), (0x30, "DA", DATE), (0x32, "TM", "101010"),
        (0x40, "CS", "O"), (0x1000, "LO", NAME), (0x1001, "PN", NAME), (0x1010, "AS", "099Y"), (0x1040, "LO", NAME),
        (0x1060, "PN", NAME), (0x2154, "SH", NAME), (0x2160, "SH", NAME), (0x2180, "SH", NAME),
        (0x21B0, "LT", NAME), (0x21F0, "LO", NAME), (0x4000, "LT", NAME))),
    (0x18, 0x1000, "LO", NAME), (0x18, 0x1020, "LO", NAME), (0x18, 0x1030, "LO", NAME),
    (0x20, 0x0D, "UI", UID + ".2"), (0x20, 0x0E, "UI", UID + ".3"), (0x20, 0x10, "SH", NAME),
    (0x20, 0x52, "UI", UID + ".4"), (0x20, 0x4000, "LT", NAME), (0x32, 0x1060, "LO", NAME),
    (0x40, 0x244, "DA", DATE), (0x40, 0x254, "LO", NAME), (0x40, 0x275, "SQ", struct.pack("<2HI", 0xFFFE, 0xE000, 14)
                                                            + element(0x40, 7, "LO", NAME)),
    (0x400, 0x500, "UN", NAME),
]


def dicom(sop, elements, pixels):
    head = element(2, 2, "UI", sop) + element(2, 3, "UI", UID) + element(2, 0x10, "UI", "1.2.840.10008.1.2.1")
    head += element(2, 0x16, "AE", NAME)
    body = sorted(PERSON + elements + [(8, 0x16, "UI", sop), (0x7FE0, 0x10, "OW", pixels)], key=lambda e: e[:2])
    tail = element(0xFFFC, 0xFFFC, "OB", NAME)
    return NAME.encode().ljust(128, b"\0") + b"DICM" + head + b"".join(element(*e) for e in body) + tail


def picture(rows, columns, bits, frames=1):
    return [(0x28, 2, "US", short(1)), (0x28, 4, "CS", "MONOCHROME2"), (0x28, 8, "IS", str(frames)),
            (0x28, 0x10, "US", short(rows)), (0x28, 0x11, "US", short(columns)), (0x28, 0x100, "US", short(bits)),
            (0x28, 0x101, "US", short(bits)), (0x28, 0x102, "US", short(bits - 1)), (0x28, 0x103, "US", short(0))]


def run(primary):
    frames = bytes(200 - 100 * (6 < x < 12 and 4 < y < 10) * f for f in range(2) for y in range(16) for x in range(20))
    return dicom("1.2.840.10008.5.1.4.1.1.12.1", picture(16, 20, 8, 2) + [
        (0x18, 0x1110, "DS", "1000"), (0x18, 0x1111, "DS", "700"), (0x18, 0x1164, "DS", "0.5\\0.5"),
        (0x18, 0x1500, "CS", "STATIC"), (0x18, 0x1510, "DS", str(primary)), (0x18, 0x1511, "DS", "0"),
        (0x28, 0x1040, "CS", "LIN"), (0x28, 0x1041, "SS", short(1))], frames)


def plane(k):
    values = b"".join(short(1000 if (x - 8) ** 2 + (y - 8) ** 2 + (k - 8) ** 2 < 20 else 10)
                      for y in range(16) for x in range(16))
    return dicom("1.2.840.10008.5.1.4.1.1.4", picture(16, 16, 16) + [
        (0x18, 0x50, "DS", "1"), (0x20, 0x32, "DS", f"0\\0\\{k}"), (0x20, 0x37, "DS", "1\\0\\0\\0\\1\\0"),
        (0x28, 0x30, "DS", "1\\1")], values)


write("run-0.dcm", run(0))
write("run-90.dcm", run(90))
for k in range(16):
    write(f"slices/{k}.dcm", plane(k))

# ---- the others: remarks ----

header = bytearray(352)
struct.pack_into("<i", header, 0, 348)
header[4:22] = (NAME * 3).encode()   # data_type, db_name
struct.pack_into("<8h", header, 40, 3, 8, 8, 8, 1, 1, 1, 1)
struct.pack_into("<2h", header, 70, 2, 8)
struct.pack_into("<4f", header, 76, 1, 1, 1, 1)
struct.pack_into("<f", header, 108, 384)
header[123] = 2
header[148:156], header[228:236] = f"{DATE}".encode(), f"{DATE}".encode()
header[328:334] = NAME.encode()
struct.pack_into("<2h", header, 252, 0, 1)
struct.pack_into("<12f", header, 280, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0)
header[344:352] = b"n+1\0\1\0\0\0"
ball = bytes(200 * ((x - 4) ** 2 + (y - 4) ** 2 + (z - 4) ** 2 < 6) for z in range(8) for y in range(8) for x in range(8))
write("volume.nii", bytes(header) + struct.pack("<2i", 32, 4) + f"{NAME} {DATE}".encode().ljust(24, b"\0") + ball)
write("volume.nrrd", f"NRRD0004\n# {NAME}\ncontent: {NAME}\ntype: uint8\ndimension: 3\nspace: left-posterior-superior\n"
      f"sizes: 8 8 8\nspace directions: (1,0,0) (0,1,0) (0,0,1)\nmeasurement frame: {NAME}\nencoding: raw\n"
      f"patient:={NAME} {DATE}\nspace origin: (0,0,0)\n\n".encode() + ball)
corners = ["0 0 0", "9 0 0", "0 9 0", "0 0 9"]
faces = [(0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3)]
write("shape.obj", f"# {NAME} {DATE}\nmtllib {NAME}.mtl\no {NAME}\ng {NAME}\n" + "".join(f"v {c}\n" for c in corners)
      + f"usemtl {NAME}\n" + "".join("f " + " ".join(str(i + 1) for i in f) + "\n" for f in faces))
write("shape.stl", f"solid {NAME} {DATE}\n" + "".join(
    "facet normal 0 0 1\nouter loop\n" + "".join(f"vertex {corners[i]}\n" for i in f) + "endloop\nendfacet\n"
    for f in faces) + f"endsolid {NAME}\n")
write("shape.ply", f"ply\nformat ascii 1.0\ncomment {NAME}\nobj_info {DATE}\nelement vertex 4\nproperty float x\n"
      "property float y\nproperty float z\nelement face 4\nproperty list uchar int vertex_indices\nend_header\n"
      + "".join(f"{c}\n" for c in corners) + "".join("3 " + " ".join(str(i) for i in f) + "\n" for f in faces))
write("tree.swc", f"# {NAME} {DATE}\n1 1 0 0 0 1 -1\n2 1 9 0 0 1 1\n3 1 9 9 0 1 2 {NAME}\n")

# ---- a stack ----

view = dict(kind="parallel", secondary_angle_deg=0, column_spacing_mm=1, row_spacing_mm=1, patient=NAME)
write("stack.json", json.dumps(dict(frame="LPS", mode="sum", isocenter_mm=[0, 0, 0], comment=NAME, patient=NAME,
                                    date=DATE, series=UID,
                                    views=[dict(view, primary_angle_deg=11.25 * i) for i in range(8)])))
write("stack.nii", bytes(header) + struct.pack("<2i", 32, 4) + f"{NAME} {DATE}".encode().ljust(24, b"\0") + ball)
