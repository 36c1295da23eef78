#!/usr/bin/python3
"""Writes tests/io/angiograms/laid_*.dcm: one made-up picture (12 x 8, nothing symmetric, seen from 30/25, with a
rectangular shutter), turned clockwise by k quarters (numpy's rot90) and mirrored (m), which Patient Orientation says
(patient) or Field of View Rotation and Flip (field). The letters and the shutter are read off coordinates that are
turned along with the picture. No patient."""
import os
import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

COLUMNS, ROWS = 12, 8
out = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "io", "angiograms")
r, c = np.meshgrid(np.arange(ROWS), np.arange(COLUMNS), indexing="ij")
picture = (10 + 3 * c + 17 * r + (c * r) % 5).astype("u1")
shown = (c >= 2) & (c <= 9) & (r >= 1) & (r <= 7)


def lay(a, k, mirrored):
    a = np.rot90(a, -k)
    return np.ascontiguousarray(a[:, ::-1] if mirrored else a)


def towards(left, feet, axis):
    """The direction in which one of the coordinates grows along an axis of the picture."""
    for grows, letters in ((left, "LR"), (feet, "FH")):
        step = np.diff(grows, axis=axis).mean()
        if step:
            return letters[0 if step > 0 else 1]


for k in range(4):
    for mirrored in (False, True):
        for word in ("patient", "field"):
            meta = FileMetaDataset()
            meta.TransferSyntaxUID = ExplicitVRLittleEndian
            meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.12.1"
            meta.MediaStorageSOPInstanceUID = "2.25.1"
            d = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
            d.SOPClassUID, d.SOPInstanceUID, d.Modality = meta.MediaStorageSOPClassUID, "2.25.1", "XA"
            d.PositionerPrimaryAngle, d.PositionerSecondaryAngle = "30", "25"
            d.DistanceSourceToDetector, d.DistanceSourceToPatient = "1000", "700"
            d.ImagerPixelSpacing = ["0.4", "0.3"] if k % 2 == 0 else ["0.3", "0.4"]
            if word == "patient":
                left, feet = lay(c, k, mirrored), lay(r, k, mirrored)
                d.PatientOrientation = [towards(left, feet, 1), towards(left, feet, 0)]
            else:
                d.FieldOfViewOrigin = [0.0, 0.0]
                d.FieldOfViewRotation = 90.0 * k
                d.FieldOfViewHorizontalFlip = "YES" if mirrored else "NO"
            rows, columns = np.nonzero(lay(shown, k, mirrored))
            d.ShutterShape = "RECTANGULAR"
            d.ShutterLeftVerticalEdge, d.ShutterRightVerticalEdge = int(columns.min()) + 1, int(columns.max()) + 1
            d.ShutterUpperHorizontalEdge, d.ShutterLowerHorizontalEdge = int(rows.min()) + 1, int(rows.max()) + 1
            laid = lay(picture, k, mirrored)
            d.SamplesPerPixel, d.PhotometricInterpretation = 1, "MONOCHROME2"
            d.Rows, d.Columns = laid.shape
            d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelRepresentation = 8, 8, 7, 0
            d.PixelIntensityRelationship = "LIN"
            d.PixelData = laid.tobytes()
            d["PixelData"].VR = "OB"
            d.is_little_endian, d.is_implicit_VR = True, False
            d.save_as(os.path.join(out, f"laid_{word}_{k}{'m' if mirrored else ''}.dcm"), write_like_original=False)
