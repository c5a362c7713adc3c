"""The few lines that run the found network, made for its own inputs."""

from __future__ import annotations

from collections.abc import Sequence

from autoisp_cli.report.outcome import Outcome

_KNOWN = {
    "gains": ("np.array([[2.0, 1.0, 1.7]], np.float32)", "white balance: R, G, B"),
    "ccm": ("np.eye(3, dtype=np.float32)[None]", "camera to linear sRGB, rows sum to 1"),
    "noise": ("np.array([[0.01, 0.0005]], np.float32)", "shot and read variance"),
}
_HEIGHT, _WIDTH = 136, 240


def snippet(outcome: Outcome) -> str:
    """Python that loads ``model.onnx`` beside it and runs one frame; it runs as it stands."""
    feeds = [_feed(name, shape) for name, shape in outcome.inputs.items()]
    return "\n".join(
        [
            "import numpy as np",
            "import onnxruntime as ort",
            "",
            'session = ort.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])',
            "feeds = {",
            *(f"    {line}" for line in feeds),
            "}",
            'srgb = session.run(["srgb"], feeds)[0]  # (1, 3, 2h, 2w), 0 to 1',
            "print(srgb.shape, srgb.min(), srgb.max())",
            "",
        ]
    )


def _feed(name: str, shape: Sequence[int | str]) -> str:
    if name in _KNOWN:
        value, comment = _KNOWN[name]
        return f'"{name}": {value},  # {comment}'
    # The batch is free (a name or None) and becomes 1; so do height and width, the last two axes.
    sizes = [size if isinstance(size, int) and size > 0 else 1 for size in shape]
    if len(sizes) >= 4:
        sizes[-2:] = [_HEIGHT, _WIDTH]
    written = ", ".join(str(size) for size in sizes)
    comment = "packed RGGB, black 0, white 1" if name == "raw" else "state: zeros at the first frame"
    if name == "raw" and len(sizes) == 5:
        comment += f"; {sizes[1]} frames, oldest first"
    fill = "np.full" if name == "raw" else "np.zeros"
    value = "0.2, " if name == "raw" else ""
    return f'"{name}": {fill}(({written}), {value}np.float32),  # {comment}'
