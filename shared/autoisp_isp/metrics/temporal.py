"""What changes from one frame to the next although the scene doesn't."""

import cv2
import numpy as np

from autoisp_isp.metrics.frame import Frame
from autoisp_isp.metrics.motion import flow_error
from autoisp_isp.metrics.picture import CODES, Plane

_STILL = 1.0 / CODES
"""Mean change of the truth's luma within a window."""
_WINDOW = 7
_LEAST = 0.01
"""Share of the pixels below which a region says nothing."""


def flicker(frame: Frame) -> float | None:
    """Root mean square, in codes, of the change since the frame before that the truth does not have.

    Over static regions: pixels around which the truth's luma changed by no more than 1 code on average (7×7).
    Noise of deviation σ, drawn anew for each frame, gives √2 σ; noise that stays gives 0. None for a first
    frame, and where less than 1 % stands still.
    """
    if frame.true_past is None or frame.past is None:
        return None
    change = cv2.absdiff(frame.truth.luma, frame.true_past.luma)
    still = cv2.blur(change, (_WINDOW, _WINDOW)) <= _STILL
    count = int(np.count_nonzero(still))
    if count < _LEAST * still.size:
        return None
    # (P − P') − (T − T') without four arrays of three channels.
    excess = frame.picture.pixels - frame.past.picture.pixels
    excess -= frame.truth.pixels
    excess += frame.true_past.pixels
    return _deviation(excess, still.astype(np.uint8), count)


def warping_error(frame: Frame) -> float | None:
    """Root mean square, in codes, of the change since the frame before along the motion.

    E_warp of Lai et al. 2018 ("Learning blind video temporal consistency"), as its root: the frame before is
    brought along the flow of the truth (of the pictures, without one), and compared where that can be
    followed. A truth has a warping error of its own, from light, reflections and interpolation: compare with
    it, or two subjects on the same frames. None for a first frame and at a cut.
    """
    motion = frame.motion
    if motion is None or frame.past is None or motion.cut:
        return None
    change = frame.picture.pixels - motion.bring(frame.past.picture.pixels)
    return _deviation(change, motion.followed.astype(np.uint8), int(np.count_nonzero(motion.followed)))


def brightness_flicker(frame: Frame) -> float | None:
    """Change of the mean luma since the frame before along the motion, in codes: the whole picture pumps.

    Where the motion can be followed; less the truth's own change, if both frames have one. None for a first
    frame and at a cut.
    """
    motion = frame.motion
    if motion is None or frame.past is None or motion.cut:
        return None
    followed = motion.followed.astype(np.uint8)

    def change(now: Plane, past: Plane) -> float:
        return cv2.mean(now - motion.bring(past), followed)[0]

    pumped = change(frame.picture.luma, frame.past.picture.luma)
    if frame.true_past is not None:
        pumped -= change(frame.truth.luma, frame.true_past.luma)
    return abs(pumped) * CODES


def tof(frame: Frame) -> float | None:
    """tOF, in pixels: how far the picture's motion differs from the truth's (Chu et al. 2020, TecoGAN).

    Mean endpoint error between the optical flows of both, here DIS flow rather than Farnebäck's. Noise and
    wobbling texture move where the truth doesn't. None for a first frame and at a cut.
    """
    motion = frame.motion
    if motion is None or frame.true_past is None or motion.cut:
        return None
    return flow_error(frame.picture_flow, motion.flow)


def _deviation(change: Plane, where: Plane, count: int) -> float:
    """Root mean square over the channels of the chosen pixels, in codes."""
    square = cv2.norm(change, cv2.NORM_L2SQR, where) / (count * change.shape[2])
    return float(np.sqrt(square)) * CODES
