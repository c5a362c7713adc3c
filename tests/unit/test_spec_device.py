"""Rooflines, recomputed by hand."""

import pytest
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.spec import Cost, Spec, cost
from autoisp_core.spec.device import (
    DEVICES,
    VIDEO_4K30_MEGAPIXELS,
    Bound,
    DeviceProfile,
    device_named,
    roofline,
)

DEVICE = DeviceProfile("test", macs_per_second=1e12, bytes_per_second=1e10, bytes_per_value=2)


def test_arithmetic_bound() -> None:
    bound = roofline(Cost(2000, 0, 8.0), DEVICE)
    assert bound.arithmetic == pytest.approx(2000 * 1e6 / 1e12)
    assert bound.traffic == pytest.approx(1e6 * 2 * 2 * 2 / 1e10)  # two values of two bytes, written and read
    assert bound.seconds_per_megapixel == bound.arithmetic
    assert bound.bound == Bound.ARITHMETIC


def test_traffic_bound_and_the_state() -> None:
    without, with_state = (roofline(Cost(100, 0, 400.0, state), DEVICE) for state in (0.0, 16.0))
    assert without.bound == Bound.TRAFFIC
    assert without.seconds_per_megapixel == pytest.approx(1e6 * 100 * 2 * 2 / 1e10)
    assert with_state.traffic - without.traffic == pytest.approx(1e6 * 4 * 2 / 1e10)


@pytest.mark.parametrize(("tops", "affordable"), [(4, 2411), (10, 6028), (20, 12056)])
def test_phones_afford_so_many_mac_per_pixel_of_4k30(tops: int, affordable: float) -> None:
    device = device_named(f"phone-npu-{tops}")
    assert device.macs_per_second / (VIDEO_4K30_MEGAPIXELS * 1e6) == pytest.approx(affordable, abs=1.0)
    assert roofline(Cost(affordable - 1, 0, 0.0), device).fits_4k30
    assert not roofline(Cost(affordable + 1, 0, 0.0), device).fits_4k30


def test_one_full_resolution_map_of_16_channels_takes_16_gigabytes_a_second() -> None:
    device = DeviceProfile("memory", macs_per_second=1e15, bytes_per_second=15.93e9)
    bound = roofline(Cost(0, 0, 4 * 16.0), device)
    assert bound.seconds_per_megapixel * VIDEO_4K30_MEGAPIXELS == pytest.approx(1, abs=0.001)


def test_elementwise_steps_are_fused() -> None:
    assert roofline(Cost(0, 0, 400.0, 0.0, 100.0), DEVICE) == roofline(Cost(0, 0, 300.0), DEVICE)


def test_traffic_decides_which_phone_a_network_fits() -> None:
    spec = Spec(Spec.code((1, 1, 3, 0, 0), (2, 1, 3, 1, 0), (3, 7, 0, 0, 0)), 16, packing=2)
    # Written: three frames 3, stem and two convolutions 3 · 4, head 3, colour matrix 3, spreading 3.
    assert cost(spec).bytes_per_pixel - cost(spec).fusible_bytes_per_pixel == 4 * (3 + 12 + 3 + 3 + 3)
    fits = {name: roofline(cost(spec), device).fits_4k30 for name, device in DEVICES.items()}
    assert fits == {"phone-npu-4": False, "phone-npu-10": True, "phone-npu-20": True}
    assert {roofline(cost(spec), device).bound for device in DEVICES.values()} == {Bound.TRAFFIC}


def test_an_unknown_device_is_refused_with_those_there_are() -> None:
    with pytest.raises(InvalidArgumentError, match="'toaster'; use phone-npu-4, ") as caught:
        device_named("toaster")
    assert caught.value.field == "device"
