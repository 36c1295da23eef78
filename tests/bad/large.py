#!/usr/bin/python3
"""Writes files that are broken in the large into a folder: too many elements, too deep, too much inside
little. Too big to keep; tools/check-corpus --refused takes them. Usage: large.py FOLDER"""
import gzip
import os
import struct
import sys
import zlib

folder = sys.argv[1]
os.makedirs(folder, exist_ok=True)


def write(name, data):
    with open(os.path.join(folder, name), "wb") as out:
        out.write(data)


def element(group, number, kind, value):
    value += b"\0" * (len(value) % 2)
    return struct.pack("<2H2sH", group, number, kind.encode(), len(value)) + value


HEAD = bytes(128) + b"DICM" + element(2, 0x10, "UI", b"1.2.840.10008.1.2.1")
empty = lambda i: struct.pack("<2H2sH", 0x11 + 2 * (i >> 16), i & 0xFFFF, b"LO", 0)
item = struct.pack("<2HI", 0xFFFE, 0xE000, 0)
sequence = lambda n: struct.pack("<2H2sxxI", 0x40, 0x275, b"SQ", n)
MANY = 1000000
write("many-elements.dcm", HEAD + b"".join(map(empty, range(MANY))))
write("falling-elements.dcm", HEAD + b"".join(map(empty, range(MANY, 0, -1))))
write("one-element.dcm", HEAD + empty(0) * MANY)
write("many-items.dcm", HEAD + sequence(8 * MANY) + item * MANY)
write("more-elements.dcm", HEAD + empty(0) * 2 * MANY)
write("deep.dcm", HEAD + (sequence(0xFFFFFFFF) + struct.pack("<2HI", 0xFFFE, 0xE000, 0xFFFFFFFF)) * MANY)
packer = zlib.compressobj(9, zlib.DEFLATED, -15)
deflated = bytes(128) + b"DICM" + element(2, 2, "UI", b"1.2.840.10008.5.1.4.1.1.12.1") \
    + element(2, 0x10, "UI", b"1.2.840.10008.1.2.1.99")
write("bomb.dcm", deflated + packer.compress(bytes(1 << 29)) + packer.flush())

bomb = gzip.compress(bytes(1 << 28), 9, mtime=0) * 4
NRRD = "NRRD0004\ntype: uchar\ndimension: 3\nspace: LPS\nsizes: 2 2 2\nspace directions: (1,0,0) (0,1,0) (0,0,1)\n" \
       "encoding: gzip\n%s\n"
write("bomb.nrrd", (NRRD % "").encode() + bomb)
write("bomb-by-skip.nrrd", (NRRD % "byte skip: -1\n").encode() + bomb)
write("bomb.obj.gz", gzip.compress(b"\n" * (1 << 28), 9, mtime=0) * 4)
write("bomb.stl.gz", bomb)
write("bomb.nii.gz", bomb)

header = lambda text: struct.pack("<Q", len(text)) + text
write("arrays.safetensors", header(b'{"__metadata__":{},"a":[' + b"[]," * 30000000 + b"0]}"))
write("arrays-4-mb.safetensors", header(b'{"__metadata__":{},"a":[' + b"[]," * 1390000 + b"0]}"))
write("deep.safetensors", header(b'{"a":' + b"[" * 4000000))
RTK = b"<RTKThreeDCircularGeometry><SourceToIsocenterDistance>700</SourceToIsocenterDistance>" \
      b"<SourceToDetectorDistance>1000</SourceToDetectorDistance><GantryAngle>1</GantryAngle>"
write("deep.xml", RTK + b"<a>" * 2600000)
write("attributes.xml", RTK + b"<a " + b"".join(b"a%d='' " % i for i in range(600000)) + b"/>")
write("projections.xml", RTK + b"<Projection/>" * 600000 + b"</RTKThreeDCircularGeometry>")
write("one-line.swc", b"1 " * 20000000)
write("one-word.obj", b"v" * 50000000)
write("many-slashes.obj", b"v 0 0 0\nf " + b"1/1 " * 4000000)
