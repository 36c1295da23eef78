#!/usr/bin/python3
"""Writes tests/io/angiograms/*.dcm: one small made-up run of three frames in every transfer syntax, by
pydicom, DCMTK's tools and GDCM. Value of frame f, row r, column c: (700 f + 37 r + 3 c c) mod 4096 in 12
bits, 40 f + 4 r + 3 c in 8 bits, 16 times that in 12 bits where a syntax loses something. No patient."""
import os, subprocess, tempfile
import gdcm, numpy as np, pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

ROWS, COLUMNS, FRAMES = 14, 20, 3
out = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "io", "angiograms")
f, r, c = np.meshgrid(np.arange(FRAMES), np.arange(ROWS), np.arange(COLUMNS), indexing="ij")
deep = ((700 * f + 37 * r + 3 * c * c) % 4096).astype("<u2")
flat = (40 * f + 4 * r + 3 * c).astype("u1")


def base(pixels, bits, allocated, **more):
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.12.1"
    meta.MediaStorageSOPInstanceUID = "2.25.1"
    d = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    d.SOPClassUID, d.SOPInstanceUID, d.Modality = meta.MediaStorageSOPClassUID, "2.25.1", "XA"
    d.StudyInstanceUID, d.SeriesInstanceUID = "2.25.2", "2.25.3"
    d.PositionerPrimaryAngle, d.PositionerSecondaryAngle = "30", "25"
    d.DistanceSourceToDetector, d.DistanceSourceToPatient = "1000", "700"
    d.ImagerPixelSpacing = ["0.4", "0.3"]
    d.SamplesPerPixel, d.PhotometricInterpretation = 1, "MONOCHROME2"
    d.NumberOfFrames, d.Rows, d.Columns = FRAMES, ROWS, COLUMNS
    d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelRepresentation = allocated, bits, bits - 1, 0
    d.PixelIntensityRelationship = "LIN"
    d.PixelData = pixels.tobytes()
    d["PixelData"].VR = "OW"
    d.is_little_endian, d.is_implicit_VR = True, False
    for name, value in more.items():
        setattr(d, name, value)
    return d


def tool(*command):
    subprocess.run(command, check=True)


with tempfile.TemporaryDirectory() as t:
    raw, raw8 = os.path.join(t, "raw"), os.path.join(t, "raw8")
    base(deep, 12, 16).save_as(raw)
    base(flat, 8, 8).save_as(raw8)
    smooth = os.path.join(t, "smooth")
    base(flat.astype("<u2") * 16, 12, 16).save_as(smooth)
    to = lambda name: os.path.join(out, name + ".dcm")
    tool("dcmconv", "+te", raw, to("explicit"))
    tool("dcmconv", "+ti", raw, to("implicit"))
    tool("dcmconv", "+tb", raw, to("big_endian"))
    tool("dcmconv", "+tb", raw8, to("big_endian_8"))
    tool("dcmconv", "+td", raw, to("deflated"))
    tool("dcmcrle", raw, to("rle"))
    tool("dcmcjpeg", "+un", "+eb", "+q", "95", raw8, to("jpeg_baseline"))
    tool("dcmcjpeg", "+un", "+ee", "+q", "95", smooth, to("jpeg_extended"))
    tool("dcmcjpeg", "+un", "+el", raw, to("jpeg_lossless"))
    tool("dcmcjpeg", "+un", "+e1", raw, to("jpeg_lossless_sv1"))
    tool("dcmcjpls", "+un", raw, to("jpeg_ls"))
    tool("dcmcjpls", "+un", "+fs", "1", raw, to("jpeg_ls_fragments"))
    reader = gdcm.ImageReader()
    reader.SetFileName(raw)
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEG2000Lossless))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    writer.SetFileName(to("jpeg_2000"))
    assert writer.Write()
