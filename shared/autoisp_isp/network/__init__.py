"""From a spec to a trainable network that obeys the model contract."""

from autoisp_isp.network.module import PixelNetwork, build

__all__ = ["PixelNetwork", "build"]
