#!/usr/bin/python3
"""Writes tests/cli/runs/*.dcm by pydicom and DCMTK's dcmcrle: one picture each of three bent vessels, seen
at 0/0 (front) and 90/0 (side, and side_other of another patient and study), dark on a bright, noisy
ground; and dull, which shows none. No patient: the names are made up."""
import os, subprocess, tempfile
import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

N, SPACING, FAR, NEAR = 160, 1.0, 1200.0, 750.0
out = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cli", "runs")
t = np.linspace(-1, 1, 400)
curves = [np.stack([9 * np.sin(2 * t), 6 * t, 22 * t]), np.stack([20 * t, -8 + 6 * t * t, 8 * t]),
          np.stack([-4 + 10 * t, 18 * t, 10 * np.cos(2 * t)])]
radii = [2.2, 1.8, 1.5]
rng = np.random.default_rng(7)


def picture(alpha_deg, seen):
    a = np.radians(alpha_deg)
    d, u = np.array([np.sin(a), -np.cos(a), 0]), np.array([np.cos(a), np.sin(a), 0])
    rows, columns = np.mgrid[0:N, 0:N]
    dark = np.zeros((N, N))
    for points, radius in zip(curves, radii):
        depth = np.zeros((N, N))
        for x in points.T:
            m = FAR / (d @ x + NEAR)
            c, r = (N - 1) / 2 + m * (u @ x) / SPACING, (N - 1) / 2 - m * x[2] / SPACING
            off = ((columns - c) ** 2 + (rows - r) ** 2) * (SPACING / m) ** 2
            depth = np.maximum(depth, 2 * np.sqrt(np.maximum(radius**2 - off, 0)))
        dark += depth
    return np.clip(np.round(190 - seen * 22 * dark + rng.normal(0, 1.5, (N, N))), 0, 255).astype("u1")


def save(name, alpha_deg, who, seen=1):
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.12.1", "2.25.1"
    ds = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    ds.SOPClassUID, ds.SOPInstanceUID, ds.Modality = meta.MediaStorageSOPClassUID, "2.25.1", "XA"
    ds.PatientID, ds.StudyInstanceUID, ds.SeriesInstanceUID = who, "2.25.2" if who == "one" else "2.25.4", "2.25.3"
    ds.PositionerPrimaryAngle, ds.PositionerSecondaryAngle = str(alpha_deg), "0"
    ds.DistanceSourceToDetector, ds.DistanceSourceToPatient = str(FAR), str(NEAR)
    ds.ImagerPixelSpacing = [str(SPACING)] * 2
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.NumberOfFrames, ds.Rows, ds.Columns = 1, N, N
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    ds.PixelData = picture(alpha_deg, seen).tobytes()
    ds["PixelData"].VR = "OB"
    ds.is_little_endian, ds.is_implicit_VR = True, False
    with tempfile.TemporaryDirectory() as folder:
        raw = os.path.join(folder, "raw")
        ds.save_as(raw)
        subprocess.run(["dcmcrle", raw, os.path.join(out, name + ".dcm")], check=True)


os.makedirs(out, exist_ok=True)
save("front", 0, "one")
save("side", 90, "one")
save("side_other", 90, "two")
save("dull", 90, "one", seen=0)
