"""Synthetic footage: moving textured scenes, and the files they come in."""

from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt

Frames = npt.NDArray[np.uint8]


def moving_scene(
    frames: int = 12,
    height: int = 64,
    width: int = 96,
    *,
    seed: int = 0,
    speed: tuple[float, float] = (0.5, 1.5),
) -> Frames:
    """A textured background that pans, with a disc that crosses it: (frames, height, width, 3) uint8 sRGB.

    Args:
        frames: how many.
        height, width: of each; odd sizes are fine.
        seed: of texture and colours; the same seed gives the same footage.
        speed: of the background, pixels per frame down and right.
    """
    source = np.random.default_rng(seed)
    room = [int(abs(step) * frames) + 8 for step in speed]
    background = _texture(source, height + room[0], width + room[1])
    disc = _texture(source, height, width)
    disc_colour = source.uniform(60, 255, 3)
    rows, columns = np.mgrid[0:height, 0:width]
    footage = np.empty((frames, height, width, 3), np.uint8)
    for time in range(frames):
        down, right = speed[0] * time, speed[1] * time
        shift = np.array([[1, 0, -right - 4], [0, 1, -down - 4]], np.float32)
        picture = cv2.warpAffine(background, shift, (width, height), flags=cv2.INTER_LINEAR)
        centre = (height * (0.3 + 0.03 * time), width * (0.2 + 0.05 * time))
        radius = min(height, width) / 5
        inside = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < radius**2
        picture[inside] = (0.5 * disc + 0.5 * disc_colour)[inside]
        footage[time] = np.clip(picture, 0, 255)
    return footage


def write_video(path: Path, frames: Frames, fps: int = 25) -> Path:
    """Writes frames (T, H, W, 3) uint8 to a video file; the suffix (.mp4, .mkv) names the container."""
    height, width = frames.shape[1:3]
    with av.open(str(path), "w") as container:
        # 4:4:4 takes odd sizes, which 4:2:0 does not.
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv444p"
        stream.options = {"crf": "10", "preset": "ultrafast"}
        for frame in frames:
            for packet in stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


def write_png_folder(folder: Path, frames: Frames) -> Path:
    """Writes frames (T, H, W, 3) uint8 as 0000.png, 0001.png, … into a folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, frame in enumerate(frames):
        if not cv2.imwrite(str(folder / f"{index:04d}.png"), np.ascontiguousarray(frame[..., ::-1])):
            raise OSError(f"could not write a frame to {folder}")
    return folder


def _texture(source: np.random.Generator, height: int, width: int) -> npt.NDArray[np.float32]:
    """Coloured noise of several sizes, like foliage and walls: (height, width, 3) in 0 to 255."""
    picture = np.zeros((height, width, 3), np.float32)
    for cell, share in ((32, 0.45), (8, 0.3), (2, 0.25)):
        coarse = source.uniform(0, 255, (height // cell + 2, width // cell + 2, 3)).astype(np.float32)
        grown = cv2.resize(coarse, None, fx=cell, fy=cell, interpolation=cv2.INTER_CUBIC)
        picture += share * grown[:height, :width]
    return picture
