"""Names as people type them: ``night``, ``night@champion``, ``p-series/stable``."""

from __future__ import annotations

from autoisp_client import Client
from autoisp_core.errors import InvalidArgumentError

LATEST = "latest"


def model_name(text: str) -> str:
    """The model's full name.

    >>> model_name("night"), model_name("models/night")
    ('models/night', 'models/night')

    Raises:
        InvalidArgumentError: it names a version, or nothing.
    """
    model, version = split_name(text)
    if version:
        raise InvalidArgumentError("MODEL", f"MODEL {text}: name a model, without its version")
    return model


def version_name(text: str, version: str | None = None, *, default: str = LATEST) -> str:
    """The version's full name: of ``MODEL@VERSION``, of ``MODEL`` and ``VERSION``, or the ``default`` one.

    >>> version_name("night@champion"), version_name("night", "3"), version_name("models/night")
    ('models/night/versions/champion', 'models/night/versions/3', 'models/night/versions/latest')

    Raises:
        InvalidArgumentError: two versions are given, or none and there is no default.
    """
    model, within = split_name(text)
    if within and version and within != version:
        raise InvalidArgumentError(
            "VERSION", f"{text} names version {within}, and {version} is given too; leave one out"
        )
    chosen = within or version or default
    if not chosen:
        raise InvalidArgumentError("VERSION", f"{text}: say which version, as in {model_id(model)}@3")
    return f"{model}/versions/{chosen}"


def split_name(text: str) -> tuple[str, str]:
    """``models/night`` and the version, which is empty if none is named.

    >>> split_name("models/night/versions/3"), split_name("night@3"), split_name("night")
    (('models/night', '3'), ('models/night', '3'), ('models/night', ''))
    """
    given = text
    if "@" in text:
        text, _, version = text.partition("@")
    elif text.startswith("models/") and text.count("/") == 3 and "/versions/" in text:
        text, _, version = text.partition("/versions/")
    else:
        version = ""
    model = model_id(text)
    if not model or "/" in model or ("@" in given and not version):
        raise InvalidArgumentError("MODEL", f"MODEL {given!r}: write MODEL, MODEL@VERSION or its full name")
    return f"models/{model}", version


def model_id(name: str) -> str:
    """The name without its collection."""
    return name.removeprefix("models/")


def numbered(client: Client, name: str) -> str:
    """The version's name by number, whatever alias was typed."""
    if name.rsplit("/", 1)[-1].isdigit():
        return name
    return client.get_model_version(name).name


def number_of(version_name: str) -> int:
    """The number in ``models/{m}/versions/{n}``."""
    return int(version_name.rsplit("/", 1)[-1])


def short_version(name: str) -> str:
    """``models/night/versions/3`` as ``night@3``."""
    model, version = split_name(name)
    return f"{model_id(model)}@{version}"


def channel_name(text: str) -> str:
    """The channel's full name.

    >>> channel_name("p-series/stable"), channel_name("products/p/channels/beta")
    ('products/p-series/channels/stable', 'products/p/channels/beta')

    Raises:
        InvalidArgumentError: it is neither.
    """
    parts = text.split("/")
    if len(parts) == 2 and all(parts):
        return f"products/{parts[0]}/channels/{parts[1]}"
    if len(parts) == 4 and parts[0] == "products" and parts[2] == "channels":
        return text
    raise InvalidArgumentError("CHANNEL", f"CHANNEL {text!r}: write PRODUCT/CHANNEL, such as p-series/stable")


def short_channel(name: str) -> str:
    """``products/p-series/channels/stable`` as ``p-series/stable``."""
    parts = name.split("/")
    return f"{parts[1]}/{parts[3]}" if len(parts) == 4 else name


def resource_name(text: str) -> str:
    """A model, a version or a channel, whichever it names; empty: all.

    >>> resource_name("night"), resource_name("night@3"), resource_name("p/stable")
    ('models/night', 'models/night/versions/3', 'products/p/channels/stable')
    """
    if not text:
        return ""
    if "/" in text and not text.startswith("models/"):
        return channel_name(text)
    model, version = split_name(text)
    return f"{model}/versions/{version}" if version else model


def short_resource(name: str) -> str:
    """A resource as people type it."""
    if name.startswith("products/"):
        return short_channel(name)
    return short_version(name) if "/versions/" in name else model_id(name)
