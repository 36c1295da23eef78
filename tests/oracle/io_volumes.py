#!/usr/bin/python3
"""Writes tests/oracle/io_volumes/: small volumes written by nibabel and pydicom, and what these two say
of them in io_volumes.txt: name, sizes, the 3 x 4 matrix from voxel to LPS mm, every value (x fastest).
Read by tests/io/test_io_volumes.c."""
import gzip
import os

import nibabel
import numpy
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

here = os.path.dirname(os.path.abspath(__file__))
folder = os.path.join(here, "io_volumes")
os.makedirs(folder, exist_ok=True)
random = numpy.random.default_rng(20231)
RAS_TO_LPS = numpy.diag([-1.0, -1, 1, 1])
lines = []


def tell(name, values, to_lps):
    numbers = [*values.shape, *to_lps[:3].ravel(), *values.ravel(order="F")]
    lines.append(name + " " + " ".join(repr(float(number)) for number in numbers))


def turned(spacing, origin, angles, flip=1):
    a, b, c = angles
    x = numpy.array([[1, 0, 0], [0, numpy.cos(a), -numpy.sin(a)], [0, numpy.sin(a), numpy.cos(a)]])
    y = numpy.array([[numpy.cos(b), 0, numpy.sin(b)], [0, 1, 0], [-numpy.sin(b), 0, numpy.cos(b)]])
    z = numpy.array([[numpy.cos(c), -numpy.sin(c), 0], [numpy.sin(c), numpy.cos(c), 0], [0, 0, 1]])
    matrix = numpy.eye(4)
    matrix[:3, :3] = x @ y @ z @ numpy.diag([flip * spacing[0], spacing[1], spacing[2]])
    matrix[:3, 3] = origin
    return matrix


def nifti(name, form, affine, dtype, slope=None, which="s", big=False):
    values = random.integers(0, 100, size=(5, 4, 3)).astype(dtype)
    header = form.header_class(endianness=">" if big else "<")
    header.set_data_dtype(numpy.dtype(dtype).newbyteorder(">" if big else "<"))
    image = form(values, affine, header)
    image.set_sform(affine, code=1 if which == "s" else 0)
    image.set_qform(affine, code=1 if which == "q" else 0)
    image.header.set_xyzt_units("mm")
    if slope:
        image.header.set_slope_inter(*slope)
    packed = image.to_bytes()
    path = os.path.join(folder, name)
    with open(path, "wb") as out:
        out.write(gzip.compress(packed, mtime=0) if name.endswith(".gz") else packed)
    back = nibabel.load(path)
    tell(name, numpy.asarray(back.dataobj, dtype=float), RAS_TO_LPS @ back.affine)


def dicom(name, syntax, slope, signed):
    """A series whose files are named against their order."""
    os.makedirs(os.path.join(folder, name), exist_ok=True)
    rows, columns, slices = 4, 5, 3
    to_lps = turned((0.5, 1.25, 3), (-70.5, 12.25, 333.125), (0.3, -0.2, 0.7))
    across, down = to_lps[:3, 0] / 0.5, to_lps[:3, 1] / 1.25
    for k in range(slices):
        data = FileDataset(None, Dataset(), file_meta=FileMetaDataset(), preamble=bytes(128))
        data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian if syntax == RLELossless else syntax
        data.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
        data.file_meta.MediaStorageSOPInstanceUID = f"2.25.7{k}"
        data.file_meta.ImplementationClassUID = "2.25.7"
        data.is_little_endian = syntax != ExplicitVRBigEndian
        data.is_implicit_VR = syntax == ImplicitVRLittleEndian
        data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID
        data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID
        data.SeriesInstanceUID = "2.25.7"
        data.InstanceNumber = 99 - k
        data.Rows, data.Columns = rows, columns
        data.PixelSpacing = [1.25, 0.5]  # between rows, between columns
        position = to_lps @ [0, 0, k, 1]
        data.ImagePositionPatient = [f"{value:.10f}" for value in position[:3]]
        data.ImageOrientationPatient = [f"{value:.10f}" for value in [*across, *down]]
        data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
        data.BitsAllocated, data.BitsStored, data.HighBit = 16, 12, 11
        data.PixelRepresentation = int(signed)
        data.RescaleSlope, data.RescaleIntercept = slope, -1024
        low = -2048 if signed else 0
        pixels = random.integers(low, low + 4096, size=(rows, columns)).astype("int16" if signed else "uint16")
        data.PixelData = pixels.astype(pixels.dtype.newbyteorder("<" if data.is_little_endian else ">")).tobytes()
        if syntax == RLELossless:
            data.compress(RLELossless)
        data.save_as(os.path.join(folder, name, f"{slices - k}.dcm"), write_like_original=False)

    values = numpy.zeros((columns, rows, slices))
    matrix = numpy.eye(4)
    for k in range(slices):
        data = pydicom.dcmread(os.path.join(folder, name, f"{slices - k}.dcm"))
        values[:, :, k] = data.pixel_array.T * float(data.RescaleSlope) + float(data.RescaleIntercept)
        place = numpy.array(data.ImagePositionPatient, dtype=float)
        if k == 0:
            first = place
    matrix[:3, 0] = numpy.array(data.ImageOrientationPatient[:3], dtype=float) * float(data.PixelSpacing[1])
    matrix[:3, 1] = numpy.array(data.ImageOrientationPatient[3:], dtype=float) * float(data.PixelSpacing[0])
    matrix[:3, 2] = (place - first) / (slices - 1)
    matrix[:3, 3] = first
    tell(name, values, matrix)


straight = turned((1, 2, 3), (-4, 5, 6), (0, 0, 0))
oblique = turned((0.5, 1.25, 3), (-70.5, 12.25, 333.125), (0.3, -0.2, 0.7))
mirrored = turned((0.5, 1.25, 3), (70.5, -12.25, 3), (2.3, 1.2, -0.7), flip=-1)
one, two = nibabel.Nifti1Image, nibabel.Nifti2Image
nifti("straight_uint8.nii", one, straight, "uint8")
nifti("oblique_int16_scaled.nii.gz", one, oblique, "int16", slope=(0.5, -20))
nifti("mirrored_float32_qform.nii.gz", one, mirrored, "float32", which="q")
nifti("oblique_uint16_big.nii.gz", one, oblique, "uint16", big=True)
nifti("oblique_float64_second.nii.gz", two, oblique, "float64")
nifti("mirrored_int32_second_big_qform.nii.gz", two, mirrored, "int32", which="q", big=True)
dicom("explicit", ExplicitVRLittleEndian, 1, signed=False)
dicom("implicit_signed", ImplicitVRLittleEndian, 2, signed=True)
dicom("big_endian", ExplicitVRBigEndian, 0.5, signed=False)
dicom("rle", RLELossless, 1, signed=True)

with open(os.path.join(here, "io_volumes.txt"), "w") as out:
    out.write("# Written by io_volumes.py with nibabel %s and pydicom %s.\n"
              % (nibabel.__version__, pydicom.__version__))
    out.write("\n".join(lines) + "\n")
