"""Who may call what: TLS, bearer tokens with scopes, limits per caller, and a log of what was refused.

Everything is off until configured (:mod:`autoisp_runtime.security.config`), and a server without any of
it listens on loopback only.
"""

from autoisp_runtime.security.caller import Caller, current_caller
from autoisp_runtime.security.config import SecurityConfig, refuse_open_listen
from autoisp_runtime.security.scopes import Scope, scope_of
from autoisp_runtime.security.server import OPEN, Security, security_of

__all__ = [
    "OPEN",
    "Caller",
    "Scope",
    "Security",
    "SecurityConfig",
    "current_caller",
    "refuse_open_listen",
    "scope_of",
    "security_of",
]
