"""What a connection that ended while TLS began means to the user."""

from __future__ import annotations

from autoisp_core.errors import AutoISPError, UnauthenticatedError, UnavailableError

_FAILED, _CLOSED = ("handshake failed", "security handshaker"), "failed to connect to all addresses"
_CUT = ("Socket closed", "Connection reset", "Broken pipe")
"""Words for one thing: which it is depends on who was faster."""
_CAUSES = (
    (
        "security handshaker",
        "a file of yours can't be used: --ca and --cert take PEM certificates, --key the one of --cert",
    ),
    ("certificate has expired", "the server's certificate has expired; have it renewed"),
    ("not yet valid", "the server's certificate is not valid yet; check both clocks"),
    (
        "WRONG_VERSION_NUMBER",
        "the server does not speak TLS; unset AUTOISP_CA, AUTOISP_CLIENT_CERT and AUTOISP_CLIENT_KEY, or "
        "give the address where it does",
    ),
    (
        "CERTIFICATE_VERIFY_FAILED",
        "the server's certificate is not of an authority that AUTOISP_CA (--ca) trusts; give the right one",
    ),
    ("not match", "the server's certificate is of another host name; use the name that it is for"),
    ("", "both sides could not agree; look at the server's log"),
)


def refused_handshake(details: str, service: str, address: str) -> AutoISPError | None:
    """The error of a call that failed for TLS, from gRPC's words for it; None if it was something else."""
    known = {"address": address, "service": service}
    if any(sign in details.lower() for sign in _FAILED) or "not match" in details:
        why = next(fix for sign, fix in _CAUSES if sign in details)
        return UnauthenticatedError(
            f"no TLS with {address} (the {service} service): {why}", reason="TLS_FAILED", metadata=known
        )
    if _CLOSED in details and any(sign in details for sign in _CUT):
        # TLS 1.3 tells a client that its certificate is refused only after its own side is done.
        return UnavailableError(
            f"{address} (the {service} service) closed the connection at once; it refuses your certificate "
            "(expired, of another authority, or none given: --cert, --key), or it speaks TLS (--ca)",
            reason="TLS_REFUSED",
            metadata={"field": "server", **known},
        )
    return None
