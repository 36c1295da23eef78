"""willis project, backproject and hull against SciPy at larger sizes, files by nibabel.

Usage: check_xray.py build/willis [SIZE…]    (default 48 65 96)
Prints one line a check, the largest difference as a fraction of the range; exits 1 above 1e-5."""
import json
import pathlib
import subprocess
import sys
import tempfile
import nibabel
import numpy as np
from scipy.ndimage import map_coordinates, rotate

LIMIT = 1e-5
failed = False


def check(name, found, expected, scale=None):
    global failed
    scale = np.ptp(expected) if scale is None else scale
    error = abs(found - expected).max() / scale
    failed |= not error <= LIMIT
    print(f"{name:58s} {error:.1e} {'' if error <= LIMIT else 'FAILED'}")


def willis(*arguments):
    subprocess.run([sys.argv[1], *map(str, arguments), "-q", "--force"], check=True,
                   stdout=subprocess.DEVNULL)


def load_lps(path):
    """Voxels [x, y, z] along LPS and the world position (LPS mm) of the centre."""
    image = nibabel.load(path)
    flipped = nibabel.as_closest_canonical(image)  # RAS
    data = np.asarray(flipped.dataobj, dtype=np.float64)[::-1, ::-1]
    centre = flipped.affine @ [*((np.array(data.shape) - 1) / 2), 1]
    return data, centre[:3] * [-1, -1, 1], flipped.header.get_zooms()[0]


def save(path, data, spacing, centre):
    """Data [x, y, z] along LPS about a centre in LPS mm, stored RAS+."""
    ras = data[::-1, ::-1]
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = centre * [-1, -1, 1] - spacing * (np.array(ras.shape) - 1) / 2
    nibabel.save(nibabel.Nifti1Image(ras.astype(np.float32), affine), path)


def load_stack(path):
    """Images [view, x', z], z upwards, and their text."""
    pixels = np.asarray(nibabel.load(path).dataobj, dtype=np.float64)  # columns, rows, views
    text = json.loads(pathlib.Path(str(path).replace(".nii.gz", ".json")).read_text())
    return pixels.transpose(2, 0, 1)[:, :, ::-1], text


def turned(volume, angle, outside=0.0):
    return rotate(volume, angle, axes=(0, 1), reshape=False, order=1, mode="constant",
                  cval=outside)


def check_projection(folder, volume, spacing, options, mode):
    willis("project", folder / "v.nii.gz", "-o", folder / "p.nii.gz", "--mode", mode, *options)
    images, text = load_stack(folder / "p.nii.gz")
    outside = volume.min() if mode == "max" else 0
    for image, view in zip(images, text["views"]):
        angle = view["primary_angle_deg"]
        whole = turned(volume, -angle, outside)
        expected = whole.max(axis=1) if mode == "max" else whole.sum(axis=1) * spacing
        check(f"project {len(volume)} {mode} {angle:.2f}", image, expected,
              np.ptp(volume) if mode == "max" else None)
    return images, text


def check_back(folder, images, text):
    size = images.shape[1]
    willis("backproject", folder / "p.nii.gz", "-o", folder / "b.nii.gz", "--no-normalize")
    found, centre, spacing = load_lps(folder / "b.nii.gz")
    angles = [view["primary_angle_deg"] for view in text["views"]]
    expected = sum(turned(np.repeat(i[:, None, :], size, axis=1), a)
                   for i, a in zip(images, angles))
    check(f"backproject {size}, {len(angles)} views", found, expected)
    check("  centre and spacing, mm", np.append(centre, spacing),
          np.append(text["isocenter_mm"], text["grid"]["spacing"][0]), 1.0)
    willis("backproject", folder / "p.nii.gz", "-o", folder / "b.nii.gz")
    found = load_lps(folder / "b.nii.gz")[0]
    check("  normalised", found, (expected - expected.min()) / np.ptp(expected))

    willis("hull", folder / "p.nii.gz", "-o", folder / "h.nii.gz")
    votes = [np.where(turned(np.ones((size,) * 3), a) > 0.5,
                      turned(np.repeat(i[:, None, :], size, axis=1), a), np.inf)
             for i, a in zip(images, angles)]
    expected = np.minimum.reduce(votes)
    check("  hull", load_lps(folder / "h.nii.gz")[0], np.where(np.isinf(expected), 0, expected))


def check_foreign(folder, random):
    """A stack from elsewhere: no grid, other pixels than voxels, an isocentre off the centre."""
    columns, rows, size, spacing = 70, 54, 40, 1.3
    angles, pixel = [0.0, 37.0, 90.0, 151.0], (0.9, 1.1)
    isocenter, principal = [5.0, -8.0, 400.0], (33.2, 27.9)
    pixels = random.random((columns, rows, len(angles))).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(pixels, np.eye(4)), folder / "f.nii.gz")
    view = dict(kind="parallel", secondary_angle_deg=0, column_spacing_mm=pixel[0],
                row_spacing_mm=pixel[1], principal_column=principal[0], principal_row=principal[1])
    text = dict(frame="LPS", mode="max", isocenter_mm=isocenter,
                views=[dict(view, primary_angle_deg=a, values="max") for a in angles])
    (folder / "f.json").write_text(json.dumps(text))
    willis("backproject", folder / "f.nii.gz", "-o", folder / "b.nii.gz", "--size", size,
           "--spacing", spacing, "--no-normalize")
    found, centre, _ = load_lps(folder / "b.nii.gz")
    check("foreign stack: centre, mm", centre, np.array(isocenter), 1.0)
    axis = (np.arange(size) - (size - 1) / 2) * spacing
    x, y, z = np.meshgrid(axis, axis, axis, indexing="ij")
    expected = np.zeros_like(x)
    for i, angle in enumerate(np.radians(angles)):
        u = x * np.cos(angle) + y * np.sin(angle)
        depth = -x * np.sin(angle) + y * np.cos(angle)
        column, row = principal[0] + u / pixel[0], principal[1] - z / pixel[1]
        value = map_coordinates(pixels[:, :, i].astype(float), [column, row], order=1,
                                mode="constant")
        expected += np.where(abs(depth) <= axis[-1] + 1e-9, value, 0)
    check("foreign stack: backproject", found, expected)


def main():
    random = np.random.default_rng(7)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for size in map(int, sys.argv[2:] or (48, 65, 96)):
            volume = random.normal(100, 40, (size,) * 3).astype(np.float32).astype(np.float64)
            save(folder / "v.nii.gz", volume, 0.75, np.array([12.0, -30.0, 90.0]))
            check_projection(folder, volume, 0.75, ["--angles", "0,23.4,45,90,-17,203"], "sum")
            images, text = check_projection(folder, volume, 0.75, ["--views", 5], "max")
            check_back(folder, images, text)
        check_foreign(folder, random)
    sys.exit(failed)


main()
