"""The end of the exported graph: from the head's cells to the picture."""

from __future__ import annotations

from autoisp_core.spec import Spec, has_coarse

from autoisp_isp.export_graph import GraphWriter, Stabiliser
from autoisp_isp.network.demosaic import COLOUR_PLANES, colour_kernel
from autoisp_isp.network.picture import TAPS

_BAYER_PLANES = 4


def picture(graph: GraphWriter, spec: Spec, stabiliser: Stabiliser, cells: str, z: str) -> str:
    """sRGB (N, 3, 2h, 2w).

    Args:
        graph: where the nodes go.
        spec: of the network.
        stabiliser: what it made ``z`` with.
        cells: the head's output.
        z: the stabilised planes of the window, perhaps padded to even feature sizes.
    """
    if not (spec.residual or spec.head):
        return _cropped(graph, spec, _spread(graph, spec, _developed(graph, stabiliser, cells)))
    spread = _cropped(graph, spec, _spread(graph, spec, cells))
    base = _demosaic(graph, spec, z)
    stabilised = _filtered(graph, base, spread) if spec.head else spread
    if spec.residual:
        stabilised = graph.node("Add", [stabilised, base])
    return _developed(graph, stabiliser, stabilised)


def _developed(graph: GraphWriter, stabiliser: Stabiliser, colours: str) -> str:
    """Stabilised values to sRGB, whatever lies behind the colours: (N, 3 · n, H, W)."""
    shape = graph.node("Shape", [colours])
    flat = graph.node("Reshape", [colours, graph.integers(0, 3, -1)])
    return graph.node("Reshape", [stabiliser.develop(flat, "ccm"), shape])


def _spread(graph: GraphWriter, spec: Spec, cells: str) -> str:
    return graph.node("DepthToSpace", [cells], blocksize=spec.packing, mode="CRD")


def _cropped(graph: GraphWriter, spec: Spec, spread: str) -> str:
    """Without what padding added."""
    if spec.packing == 2 and not has_coarse(spec.block):
        return spread
    size = graph.node("Mul", [graph.node("Shape", ["raw"], start=-2), graph.integers(2)])
    return graph.node("Slice", [spread, graph.integers(0, 0), size, graph.integers(2, 3)])


def _demosaic(graph: GraphWriter, spec: Spec, z: str) -> str:
    """The twin of :class:`~autoisp_isp.network.demosaic.Demosaic`, of the newest frame."""
    size, newest = graph.node("Shape", ["raw"], start=-2), _BAYER_PLANES * (spec.frames - 1)
    colours = []
    for colour, (first, last) in enumerate(COLOUR_PLANES):
        ends = graph.node("Concat", [graph.integers(newest + last), size], axis=0)
        planes = graph.node("Slice", [z, graph.integers(newest + first, 0, 0), ends, graph.integers(1, 2, 3)])
        kernel = graph.tensor(f"demosaic.kernel{colour}", colour_kernel(colour).numpy())
        colours.append(graph.node("Conv", [_bordered(graph, planes), kernel], kernel_shape=[3, 3]))
    stacked = graph.node("Concat", colours, axis=1)
    return graph.node("DepthToSpace", [stacked], blocksize=2, mode="CRD")


def _filtered(graph: GraphWriter, base: str, kernels: str) -> str:
    """The twin of :func:`~autoisp_isp.network.picture.filtered`."""
    padded, axes = _bordered(graph, base), graph.integers(2, 3)
    size = graph.node("Shape", [base], start=-2)
    total = ""
    for tap, kernel in enumerate(
        graph.nodes("Split", [kernels], TAPS * TAPS, axis=1, num_outputs=TAPS * TAPS)
    ):
        corner = graph.integers(*divmod(tap, TAPS))
        shifted = graph.node("Slice", [padded, corner, graph.node("Add", [size, corner]), axes])
        product = graph.node("Mul", [shifted, kernel])
        total = graph.node("Add", [total, product]) if total else product
    return total


def _bordered(graph: GraphWriter, x: str) -> str:
    """One more row and column on each side, equal to the outermost."""
    return graph.node("Pad", [x, graph.integers(0, 0, 1, 1, 0, 0, 1, 1)], mode="edge")
