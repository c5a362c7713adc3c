"""What a device computes and moves in the time of a frame, and what its compiler reads."""

from __future__ import annotations

from collections.abc import Iterator

from autoisp_core.lint.accelerator import Accelerator
from autoisp_core.lint.finding import Rule, Severity
from autoisp_core.lint.hit import Hit
from autoisp_core.lint.reading import Reading
from autoisp_core.spec.device import VIDEO_4K30_MEGAPIXELS, Bound, roofline

_GIGABYTE = 1e9


def over_budget(reading: Reading, device: Accelerator) -> Iterator[Hit]:
    """A graph that does not keep up with 3840 × 2160 at 30 frames a second, by the roofline."""
    cost, rates = reading.graph.cost, device.rates
    if cost is None or rates is None:
        return
    least = roofline(cost, rates)
    if least.fits_4k30:
        return
    rate = f"at most {least.frames_per_second_4k:.1f} frames of 3840 × 2160 a second"
    if least.bound is Bound.ARITHMETIC:
        affordable = rates.macs_per_second / VIDEO_4K30_MEGAPIXELS / 1e6
        yield Hit(
            Rule.ARITHMETIC_OVER_BUDGET,
            Severity.WARNING,
            f"{cost.macs_per_pixel:,.0f} MAC per pixel: {rate}",
            f"30 a second allow {affordable:,.0f} MAC per pixel: use a smaller width, or a larger packing",
        )
        return
    gigabytes = least.traffic * VIDEO_4K30_MEGAPIXELS * rates.bytes_per_second / _GIGABYTE
    state = cost.state_bytes_per_pixel * rates.bytes_per_value / 4 * VIDEO_4K30_MEGAPIXELS * 1e6 / _GIGABYTE
    carried = f", {state:.1f} GB of them recurrent state" if state else ""
    yield Hit(
        Rule.TRAFFIC_OVER_BUDGET,
        Severity.WARNING,
        f"feature maps of {gigabytes:.1f} GB a second at 4K30{carried}, in values of "
        f"{rates.bytes_per_value * 8} bits, and the camera's share of the memory "
        f"is {rates.bytes_per_second / _GIGABYTE:.1f} GB: {rate}, unless the compiler keeps maps on the chip",
        "use a larger packing, a smaller width or fewer layers: maps count, not arithmetic",
    )


def opset_too_new(reading: Reading, device: Accelerator) -> Iterator[Hit]:
    """An opset that the device's compiler does not read."""
    if device.max_opset is not None and reading.graph.opset > device.max_opset:
        yield Hit(
            Rule.OPSET_TOO_NEW,
            device.unsupported,
            f"the file has opset {reading.graph.opset}, the device's compiler reads up to {device.max_opset}",
            f"convert it: onnx.version_converter.convert_version(model, {device.max_opset})",
        )
