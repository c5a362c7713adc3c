"""The whole system as real processes, and what may befall it."""

import os

# Children are started while gRPC's threads run; its handlers of forks may crash them before they begin.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
