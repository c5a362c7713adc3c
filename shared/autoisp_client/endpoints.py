"""Where the services listen."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from autoisp_core.errors import InvalidArgumentError

FILE_NAME = "endpoints.json"
"""The file that ``autoisp up`` writes into its state folder."""

_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/,=\[\]]+):([0-9]{1,5})")
_FIX = (
    "write HOST:PORT of a gateway that serves all services, "
    "ingest=HOST:PORT,search=HOST:PORT,evaluation=HOST:PORT,registry=HOST:PORT (and live=HOST:PORT, "
    "where live evaluation has an address of its own), "
    f"or the path of the {FILE_NAME} that 'autoisp up' writes"
)


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The address (``HOST:PORT``) of each service; all may be the same.

    Attributes:
        live: of live evaluation, which compute processes serve; by default where evaluation is.

    >>> Endpoints.parse("127.0.0.1:8080").search
    '127.0.0.1:8080'
    >>> Endpoints.parse("ingest=a:1,search=b:2,evaluation=c:3,registry=d:4").registry
    'd:4'
    >>> Endpoints.parse("ingest=a:1,search=b:2,evaluation=c:3,registry=d:4,live=e:5").live
    'e:5'
    """

    ingest: str
    search: str
    evaluation: str
    registry: str
    live: str = ""

    def __post_init__(self) -> None:
        if not self.live:
            object.__setattr__(self, "live", self.evaluation)
        for service, address in asdict(self).items():
            match = _ADDRESS.fullmatch(address)
            if match is None or not 0 < int(match[2]) < 65536:
                raise InvalidArgumentError(
                    "server", f"the {service} address {address!r} is not HOST:PORT; {_FIX}"
                )

    @classmethod
    def parse(cls, text: str) -> Endpoints:
        """Reads what ``--server`` takes: one address, named ones, or the path of an endpoints file.

        Raises:
            InvalidArgumentError: ``text`` is none of the three, or names a service twice or not at all.
        """
        if text.endswith(".json") or Path(text).is_file():
            return cls.load(Path(text))
        if "=" not in text:
            return cls(*[text] * len(_SERVICES))
        addresses: dict[str, str] = {}
        for part in text.split(","):
            service, _, address = (piece.strip() for piece in part.partition("="))
            if service not in (*_SERVICES, _LIVE) or service in addresses:
                raise InvalidArgumentError("server", f"{part!r} is a second or no service; {_FIX}")
            addresses[service] = address
        missing = [service for service in _SERVICES if service not in addresses]
        if missing:
            raise InvalidArgumentError("server", f"{text!r} has no address of {', '.join(missing)}; {_FIX}")
        return cls(**addresses)

    @classmethod
    def load(cls, path: Path) -> Endpoints:
        """Reads an endpoints file.

        Raises:
            InvalidArgumentError: the file is missing or is not one that :meth:`to_json` made.
        """
        try:
            data = json.loads(path.read_text("utf-8"))
            live = {_LIVE: str(data[_LIVE])} if _LIVE in data else {}  # earlier releases wrote none
            return cls(**{service: str(data[service]) for service in _SERVICES}, **live)
        except OSError as error:
            raise InvalidArgumentError("server", f"can't read {path}: {error.strerror}; {_FIX}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidArgumentError("server", f"{path} is no endpoints file; {_FIX}") from error

    def to_json(self) -> str:
        """The text of an endpoints file."""
        return json.dumps(asdict(self), indent=2) + "\n"


_LIVE = "live"
_SERVICES = tuple(field.name for field in fields(Endpoints) if field.name != _LIVE)
