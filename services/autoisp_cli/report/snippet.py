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
    """Python that loads ``model.onnx`` beside it and runs it; it runs as it stands."""
    feeds = [_feed(name, shape) for name, shape in outcome.inputs.items()]
    recurrent = any(name.startswith("state") for name in outcome.inputs)
    return "\n".join(
        [
            "import numpy as np",
            "import onnxruntime as ort",
            "",
            'session = ort.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])',
            "feeds = {",
            *(f"    {line}" for line in feeds),
            "}",
            *(_STREAM if recurrent else _SINGLE),
            "print(srgb.shape, srgb.min(), srgb.max())",
            "",
        ]
    )


_SINGLE = ['srgb = session.run(["srgb"], feeds)[0]  # (1, 3, 2h, 2w), 0 to 1']
_STREAM = [
    "names = [output.name for output in session.get_outputs()]",
    'for frame in range(3):  # set feeds["raw"] to each frame in its turn',
    "    results = dict(zip(names, session.run(None, feeds)))",
    '    srgb = results["srgb"]  # (1, 3, 2h, 2w), 0 to 1',
    '    feeds |= {name.removesuffix("_out"): results[name] for name in names if name.endswith("_out")}',
]


def _feed(name: str, shape: Sequence[int | str]) -> str:
    if name in _KNOWN:
        value, comment = _KNOWN[name]
        return f'"{name}": {value},  # {comment}'
    sizes = ", ".join(str(_size(size)) for size in shape)
    if name != "raw":
        return f'"{name}": np.zeros(({sizes}), np.float32),  # state: zeros at the start and after a cut'
    comment = "packed RGGB, black 0, white 1"
    if len(shape) == 5:
        comment += f"; {_size(shape[1])} frames, oldest first"
    return f'"{name}": np.full(({sizes}), 0.2, np.float32),  # {comment}'


def _size(size: int | str) -> int:
    """An axis in the example: those named after height and width follow it, as ``h/2`` does; others are 1."""
    if isinstance(size, int):
        return size
    side, _, divisor = str(size).partition("/")
    whole = {"h": _HEIGHT, "w": _WIDTH}.get(side, 1)
    return -(-whole // int(divisor or 1))
