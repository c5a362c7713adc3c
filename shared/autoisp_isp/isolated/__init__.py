"""Networks in processes of their own: a graph that crashes, hangs or eats memory takes nobody with it.

The child is `python -m autoisp_isp.isolated.child`; see docs/decisions/0033.
"""

from autoisp_isp.isolated.network import IsolatedNetwork, IsolatedStream
from autoisp_isp.isolated.process import OnWait

__all__ = ["IsolatedNetwork", "IsolatedStream", "OnWait"]
