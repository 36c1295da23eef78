"""Area and volume of a small grey volume's isosurface by scikit-image -> surface_area.txt"""
import pathlib
import numpy as np
from scipy import ndimage
from skimage.measure import marching_cubes, mesh_surface_area


def hexadecimal(data):
    text = data.hex()
    return "\n".join(text[i:i + 100] for i in range(0, len(text), 100))


def main():
    random = np.random.default_rng(3)
    size, spacing = (20, 18, 16), (0.6, 0.5, 0.9)
    field = ndimage.gaussian_filter(random.normal(size=size[::-1]), 2)
    field = (field - field.min()) / (field.max() - field.min())
    field[[0, -1]] = field[:, [0, -1]] = field[:, :, [0, -1]] = 0  # closed inside the volume
    byte = np.round(255 * field).astype(np.uint8)
    out = ["# sizes x y z, spacing mm x y z, values (bytes/255), then level, area mm2, volume mm3, vertices"]
    out += [*(str(n) for n in size), *(str(s) for s in spacing), hexadecimal(byte.tobytes())]
    for level in (0.4501, 0.5501, 0.6501):
        vertex, face, _, _ = marching_cubes((byte / 255).astype(np.float32), level, spacing=spacing[::-1])
        a, b, c = (vertex[face[:, i]].astype(float) for i in range(3))
        volume = abs((a * np.cross(b, c)).sum() / 6)
        out += [str(level), repr(float(mesh_surface_area(vertex, face))), repr(float(volume)),
                str(len(vertex))]
    pathlib.Path(__file__).with_suffix(".txt").write_text("\n".join(out) + "\n")


main()
