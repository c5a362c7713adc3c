"""Malformed requests for every method there is, made from the descriptors."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import grpc
from autoisp.evaluation.v1 import evaluation_pb2
from autoisp.ingest.v1 import ingest_pb2, sensor_profiles_pb2
from autoisp.operations.v1 import operations_pb2
from autoisp.registry.v1 import registry_pb2, rollouts_pb2
from autoisp.search.v1 import search_pb2
from autoisp_client import Endpoints
from autoisp_client.access import Access
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

_EVERYWHERE = (operations_pb2, health_pb2, reflection_pb2)
FILES = {
    "ingest": (ingest_pb2, sensor_profiles_pb2),
    "search": (search_pb2,),
    "evaluation": (evaluation_pb2,),
    "registry": (registry_pb2, rollouts_pb2, *_EVERYWHERE),
    "live": _EVERYWHERE,
}
"""Who serves what. Live evaluation has an address of its own; what all serve is asked of one with a database
and of one without."""

_UNARY_S, _STREAM_S, _WATCH_S = 30.0, 60.0, 1.0
_TAKEN = 3
"""Messages of a stream that are read before it is cancelled."""

_STRINGS = (
    *(
        "",
        " ",
        "-",
        "a",
        "latest",
        "champion",
        "fuzz",
        "NaN",
        "1e999",
        "-1",
        "0",
        "\0",
        "\n",
        "é" * 40,
        "🎞",
        "٣",
    ),
    *(
        "..",
        "../../etc/passwd",
        "/etc/passwd",
        "file:///etc/passwd",
        "file:///",
        "s3://",
        "s3://a/../b",
        "http://[",
    ),
    *("models/", "models/a/versions/", "models/../versions/1", "models/a/versions/99999999999999999999"),
    *("clips/-", "datasets/A B", "searches/a/trials/\u202e", "evaluations/" + "e" * 300, "products/%2e%2e"),
    *("products/../channels/x", "//", "models//versions/1", "autoisp.v1.cmd.>", "*", ">", "a.b", "$JS.API.>"),
    *(
        "'; DROP TABLE models; --",
        "%s%n%x",
        "{{7*7}}",
        "${HOME}",
        "<script>",
        "\u2028",
        "\ufeff",
        "\x7f\x1b[2J",
    ),
    *(
        "{",
        "[]",
        "null",
        '{"blocks": []}',
        '{"blocks": [{"kind": 1e400}]}',
        "[" * 3000,
        "(" * 3000,
        "NOT " * 2000,
    ),
    *('name = "a" AND (', "psnr > nan", 'tags:"a" OR -x', "a = = b", "create_time < 10000-13-40", 'a="\\'),
    *("[[metrics]]\nmin = nan", "a = 1\na = 2", "[gate]\n", "psnr = { min = 1e400 }", "x = " + "[" * 2000),
    *(
        "builtin:classical",
        "builtin:none",
        "os:system",
        "package.module:function",
        "0" * 64,
        "f" * 64,
        "F" * 64,
    ),
    *(
        "RGGB",
        "float32",
        "onnx",
        "onnx-int8",
        "manifest",
        "psnr",
        "ssim",
        "latency",
        "tpe",
        "random",
        "evolution",
    ),
    *("x" * 70, "x" * 5000, "x" * 100_000),
)
_INTS = (0, 1, 2, 3, 7, 16, 100, 1000, 2**31 - 1, 2**31, 2**32, 2**53 + 1, 2**63 - 1)
_FLOATS = (0.0, -0.0, 0.5, 1.0, 30.0, 1e-320, 1e308, math.nan, math.inf, -math.inf, -1.0)
_RANGES = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}


_TAME = {
    "order_by": ("", "create_time desc", "name", "psnr"),
    "filter": (
        "",
        'name = "models/fuzz"',
        "psnr > 30",
        "tags:a",
        "create_time > 2024-01-01",
        "NOT psnr < 1 OR x = 2",
    ),
    "display_name": ("", "A name"),
    "version": ("1", "latest", "models/fuzz/versions/1"),
    "alias": ("champion", "candidate"),
    "format": ("", "onnx", "onnx-int8"),
    "metric": ("psnr", "ssim"),
    "label": ("model", "prototype"),
    "builtin": ("classical",),
    "strategy": ("", "evolution", "random"),
    "objective": ("psnr", "macs_per_pixel"),
    "comment": ("why not",),
    "device_profile": ("", "phone-npu-20"),
    "app_version": ("", "1.2.3"),
    "cfa": ("RGGB",),
    "media_type": ("application/onnx",),
    "gate": ("", "[psnr]\nmin = 20\n"),
    "toml": ('name = "s"\n',),
    "tag": ("a", "b"),
    "path": ("description", "tags", "*"),
}


@dataclass(frozen=True)
class Rpc:
    """One method and where it is served."""

    path: str
    method: MethodDescriptor
    address: str


def rpcs(endpoints: Endpoints) -> list[Rpc]:
    """Every method of every service."""
    found = []
    for name, modules in FILES.items():
        for module in modules:
            for service in module.DESCRIPTOR.services_by_name.values():
                where = endpoints.live if service.name.startswith("Live") else getattr(endpoints, name)
                found += [Rpc(f"/{service.full_name}/{m.name}", m, where) for m in service.methods]
    return found


@dataclass
class Generator:
    """Makes requests; what servers answer with makes later ones reach further.

    Attributes:
        names: of what there is, besides nonsense.
    """

    random: Random
    names: list[str] = field(default_factory=list)
    parts: dict[str, list[Message]] = field(default_factory=dict)
    tame: bool = False
    """Whether this request is to be nearly right, so that it gets past the first check."""

    def bodies(self, rpc: Rpc) -> list[bytes]:
        """What is sent in one call."""
        count = self.random.choice((0, 1, 1, 2, 2, 3, 5)) if rpc.method.client_streaming else 1
        return [self._body(rpc.method.input_type) for _ in range(count)]

    def learn(self, answer: Message) -> None:
        """Remember the name of what came back."""
        for part in (answer, *_submessages(answer)):
            name = getattr(part, "name", "")
            if isinstance(name, str) and name and name not in self.names and len(self.names) < 500:
                self.names.append(name)
            kept = self.parts.setdefault(part.DESCRIPTOR.full_name, [])
            if len(kept) < 20:
                kept.append(part)

    def _body(self, kind: Descriptor) -> bytes:
        draw = self.random
        self.tame = draw.random() < 0.6
        if draw.random() < 0.06:
            return draw.randbytes(draw.choice((0, 1, 7, 60, 4000)))
        body = self.message(kind).SerializeToString()
        if draw.random() < (0.05 if self.tame else 0.15) and body:
            damaged = bytearray(body)
            for _ in range(draw.randint(1, 4)):
                damaged[draw.randrange(len(damaged))] = draw.randrange(256)
            body = bytes(damaged[: draw.randint(1, len(damaged))])
        return body

    def message(self, kind: Descriptor, depth: int = 0) -> Any:
        """Some fields set, some wrong; of a oneof the last one that is set counts, as on the wire."""
        made = message_factory.GetMessageClass(kind)()
        known = self.parts.get(kind.full_name)
        if self.tame and depth and known and self.random.random() < 0.7:
            made.CopyFrom(self.random.choice(known))
            if self.random.random() < 0.5:
                self._fill(made, self.random.choice(kind.fields), depth)
            return made
        density = self.random.choice((0.5, 0.8, 1.0) if self.tame and not depth else (0.1, 0.5, 0.9))
        for each in kind.fields:
            if self.random.random() < density and depth < 6:
                self._fill(made, each, depth)
        return made

    def _fill(self, made: Any, each: FieldDescriptor, depth: int) -> None:
        many = each.is_repeated
        if many and each.message_type is not None and each.message_type.GetOptions().map_entry:
            self._fill_map(getattr(made, each.name), each.message_type, depth)
            return
        if each.message_type is not None:
            if not many:
                getattr(made, each.name).CopyFrom(self.message(each.message_type, depth + 1))
                return
            for _ in range(self.random.choice((0, 1, 1, 2, 3))):
                getattr(made, each.name).append(self.message(each.message_type, depth + 1))
        elif many:
            count = self.random.choice((0, 1, 1, 2, 3, 3, 40))
            getattr(made, each.name).extend(self._value(each) for _ in range(count))
        else:
            setattr(made, each.name, self._value(each))

    def _fill_map(self, made: Any, entry: Descriptor, depth: int) -> None:
        value = entry.fields_by_name["value"]
        for _ in range(self.random.choice((0, 1, 2, 3, 70))):
            key = self._value(entry.fields_by_name["key"])
            if value.message_type is not None:
                made[key].CopyFrom(self.message(value.message_type, depth + 1))
            else:
                made[key] = self._value(value)

    def _value(self, each: FieldDescriptor) -> Any:
        draw, kind = self.random, each.cpp_type
        if self.tame and draw.random() < 0.85:
            return self._tame_value(each)
        if kind in _RANGES:
            low, high = _RANGES[kind]
            drawn = draw.choice(_INTS) * draw.choice((1, 1, 1, -1))
            return min(max(drawn, low), high) if draw.random() < 0.9 else draw.randint(low, high)
        if kind in (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT):
            return draw.choice(_FLOATS)
        if kind == FieldDescriptor.CPPTYPE_BOOL:
            return draw.random() < 0.5
        if kind == FieldDescriptor.CPPTYPE_ENUM:
            return draw.choice((0, 1, 2, 3, 4, 99, -1, 2**31 - 1))
        if each.type == FieldDescriptor.TYPE_BYTES:
            return draw.randbytes(draw.choice((0, 1, 10, 1000, 100_000)))
        return self._string(each.name)

    def _tame_value(self, each: FieldDescriptor) -> Any:
        draw, kind = self.random, each.cpp_type
        if kind in _RANGES:
            return draw.choice((0, 0, 1, 2, 5, 50))
        if kind in (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT):
            return draw.choice((0.0, 0.1, 0.5, 1.0, 30.0, 100.0))
        if kind == FieldDescriptor.CPPTYPE_BOOL:
            return draw.random() < 0.5
        if kind == FieldDescriptor.CPPTYPE_ENUM:
            return draw.choice([value.number for value in each.enum_type.values])
        if each.type == FieldDescriptor.TYPE_BYTES:
            return draw.randbytes(draw.choice((1, 64, 4096)))
        word = each.name.removesuffix("s")
        if word in ("page_token", "filter", "order_by", "etag", "request_id", "gate", "uri"):
            return draw.choice(_TAME.get(word, ("",)))
        if word.endswith("_id"):
            return draw.choice(("fuzz", "made", f"made-{draw.randrange(50)}", ""))
        if word in _TAME:
            return draw.choice(_TAME[word])
        wanted = word if word not in ("name", "parent") else each.containing_type.name.lower()
        fitting = [name for name in self.names if _collection(name) in wanted]
        return draw.choice(fitting or self.names or [""])

    def _string(self, field_name: str) -> str:
        draw = self.random
        if field_name == "page_token" and draw.random() < 0.7:
            return base64.urlsafe_b64encode(draw.randbytes(draw.choice((1, 9, 60)))).decode()
        drawn = draw.random()
        if drawn < 0.5 and self.names:
            name = draw.choice(self.names)
            return (
                name
                if draw.random() < 0.8
                else name + draw.choice(("/", "/trials/1", "/versions/1", "x", "/.."))
            )
        if drawn < 0.95:
            return draw.choice(_STRINGS)
        return "".join(
            chr(draw.choice((draw.randrange(1, 128), draw.randrange(1, 0xD7FF)))) for _ in range(12)
        )


class Caller:
    """Sends bodies as they are.

    Args:
        token: shown with every call.
    """

    def __init__(self, token: str = "") -> None:
        self._access = Access(token=token)
        self._channels: dict[str, grpc.Channel] = {}

    def call(self, rpc: Rpc, bodies: Sequence[bytes]) -> tuple[grpc.StatusCode, str, list[Message]]:
        """The status, what it says, and the answers that came before."""
        answers: list[Message] = []
        try:
            for answer in self._answers(rpc, bodies):
                answers.append(answer)
                if len(answers) == _TAKEN:
                    break
        except grpc.RpcError as error:
            return error.code(), error.details() or "", answers
        return grpc.StatusCode.OK, "", answers

    def _answers(self, rpc: Rpc, bodies: Sequence[bytes]) -> Iterator[Message]:
        method = rpc.method
        kind = f"{_kind(method.client_streaming)}_{_kind(method.server_streaming)}"
        answer_type: Any = message_factory.GetMessageClass(method.output_type)
        call = getattr(self._channel(rpc.address), kind)(
            rpc.path, request_serializer=bytes, response_deserializer=answer_type.FromString
        )
        sent = iter(bodies) if method.client_streaming else bodies[0]
        if not method.server_streaming:
            yield call(sent, timeout=_STREAM_S if method.client_streaming else _UNARY_S)
            return
        answers = call(sent, timeout=_STREAM_S if method.client_streaming else _WATCH_S)
        try:
            yield from answers
        finally:
            answers.cancel()

    def _channel(self, address: str) -> grpc.Channel:
        if address not in self._channels:
            self._channels[address] = self._access.channel(address)
        return self._channels[address]

    def close(self) -> None:
        """Close every channel."""
        for channel in self._channels.values():
            channel.close()


def _collection(name: str) -> str:
    """``model`` of ``models/m``, ``trial`` of ``searches/s/trials/1``: as types of messages name it."""
    collection = name.split("/")[-2] if "/" in name else "-"
    return {"searches": "search"}.get(collection, collection.removesuffix("s")).lower()


def _kind(streaming: bool) -> str:
    return "stream" if streaming else "unary"


def _submessages(message: Message) -> Iterator[Any]:
    for each, value in message.ListFields():
        if each.message_type is not None and not each.message_type.GetOptions().map_entry:
            yield from value if each.is_repeated else (value,)
