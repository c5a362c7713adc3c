"""What became of edges, of texture and of flat areas, against the truth."""

import cv2
import numpy as np
import numpy.typing as npt

from autoisp_isp.metrics.picture import CODES, Pixels, Plane

_EDGE = 8.0 / CODES
"""Gradient of an edge, per pixel."""
_TEXTURE = (2.0 / CODES, 20.0 / CODES)
"""Deviation of texture: below there is nothing, above are edges."""
_FLAT = 2.0 / CODES
"""Deviation of flat areas; the truth may have a little noise of its own."""
_LEAST = 0.001
"""Share of the pixels below which an area says nothing."""
_BLOCK = 32
"""Pixels on a side of the blocks whose mean isn't noise."""
_FINE, _AROUND, _WINDOW = 2.0, 4.0, 7


def edge_slope(picture: Plane, truth: Plane) -> float | None:
    """Contrast of the picture's edges relative to the truth's: 1 as sharp, less blurred, more oversharpened.

    Regression of the picture's luma gradient onto the truth's where that is an edge (Sobel, 8 codes or more
    per pixel). Noise, which knows nothing of the truth's edges, isn't sharpness. None without edges.
    """
    across, down = (cv2.Sobel(truth, cv2.CV_32F, *order, scale=0.125) for order in ((1, 0), (0, 1)))
    square = across * across + down * down
    edges = square >= _EDGE**2
    if np.count_nonzero(edges) < _LEAST * truth.size:
        return None
    product = across * cv2.Sobel(picture, cv2.CV_32F, 1, 0, scale=0.125)
    product += down * cv2.Sobel(picture, cv2.CV_32F, 0, 1, scale=0.125)
    return _sum(product, edges) / _sum(square, edges)


def texture_slope(picture: Plane, truth: Plane) -> float | None:
    """Contrast of the picture's fine texture relative to the truth's: 1 as much, less: smoothed away.

    Regression of the luma's details finer than a Gaussian of 2 pixels onto the truth's, where these deviate
    by 2 to 20 codes: texture without edges. By the product with the truth noise doesn't pass for texture, as
    in the intrinsic method for dead leaves (Kirk, Herzer, Artmann & Kunz 2014). None without texture.
    """
    details, true_details = _details(picture), _details(truth)
    square = true_details * true_details
    energy = cv2.GaussianBlur(square, (0, 0), _AROUND)
    areas = (energy >= _TEXTURE[0] ** 2) & (energy <= _TEXTURE[1] ** 2)
    if np.count_nonzero(areas) < _LEAST * truth.size:
        return None
    return _sum(details * true_details, areas) / _sum(square, areas)


def flat_noise(picture: Pixels, truth: Pixels, truth_luma: Plane) -> float | None:
    """Deviation of the error in flat areas, in codes, root mean square over channels; None without any.

    Flat is where the truth's luma deviates by less than 2 codes within 7×7 pixels. From the error each block
    of 32×32 pixels loses its mean there: a wrong tone isn't noise, blotches of denoising are.
    """
    height, width = (side // _BLOCK * _BLOCK for side in truth_luma.shape)
    if not height or not width:
        return None
    flat = _flat_areas(truth_luma)[:height, :width].astype(np.float32)
    error = picture[:height, :width] - truth[:height, :width]
    error *= flat[..., None]
    counts = _block_sums(flat[..., None])
    # A block loses one degree of freedom with its mean; one with a few flat pixels says nothing.
    full = counts[..., 0] >= _BLOCK
    counts = counts[full]
    if counts.sum() < _LEAST * truth_luma.size:
        return None
    sums, squares = _block_sums(error)[full], _block_sums(error * error)[full]
    variances = np.sum(squares - sums * sums / counts, axis=0) / np.sum(counts - 1)
    return float(np.sqrt(np.mean(np.maximum(variances, 0.0)))) * CODES


def _flat_areas(luma: Plane) -> npt.NDArray[np.bool_]:
    centred = luma - np.float32(0.5)
    mean = cv2.blur(centred, (_WINDOW, _WINDOW))
    return np.asarray(cv2.blur(centred * centred, (_WINDOW, _WINDOW)) - mean * mean <= _FLAT**2)


def _details(luma: Plane) -> Plane:
    return np.asarray(luma - cv2.GaussianBlur(luma, (0, 0), _FINE))


def _sum(values: Plane, where: npt.NDArray[np.bool_]) -> float:
    # Rather than indexed by the mask, which copies.
    return cv2.sumElems(cv2.multiply(values, where.astype(np.float32)))[0]


def _block_sums(pixels: Pixels) -> npt.NDArray[np.float64]:
    height, width, channels = pixels.shape
    blocks = pixels.reshape(height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK, channels)
    return np.asarray(blocks.sum(axis=(1, 3), dtype=np.float64))
