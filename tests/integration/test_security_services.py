"""Services as processes: when they refuse to start, and whom the audit log names."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
from autoisp.registry.v1.registry_pb2 import ModelVersion
from autoisp_client import Client, Tls
from autoisp_core.errors import PermissionDeniedError, UnauthenticatedError
from autoisp_runtime.security import Scope
from autoisp_runtime.security.tokens import new_token
from autoisp_testing.certificates import Authority
from autoisp_testing.graphs import root_of
from autoisp_testing.nats import NatsServer
from autoisp_testing.processes import ServiceProcess


def started(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """``python -m autoisp_search`` to its end, where a setting is wrong."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("AUTOISP_")}
    environment = {f"AUTOISP_{key.upper()}": value for key, value in settings.items()}
    return subprocess.run(
        [sys.executable, "-m", "autoisp_search", *arguments],
        env={**clean, **environment, "AUTOISP_EXIT_WITH_PARENT": "true"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_an_open_address_without_authentication_is_refused(tmp_path: Path) -> None:
    ended = started(listen="0.0.0.0:0", state_dir=str(tmp_path))
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: AUTOISP_LISTEN: 0.0.0.0:0 is open to other machines")
    for fix in ("AUTOISP_TOKENS_FILE", "AUTOISP_TLS_CLIENT_CA", "AUTOISP_INSECURE=true", "--insecure"):
        assert fix in ended.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("settings", "variable"),
    [
        ({"tokens_file": "/nowhere.toml"}, "AUTOISP_TOKENS_FILE"),
        ({"tls_cert": "/nowhere.pem"}, "AUTOISP_TLS_KEY"),
        ({"tls_client_ca": "/nowhere.pem"}, "AUTOISP_TLS_CERT"),
        ({"nats_credentials": "/nowhere.creds"}, "AUTOISP_NATS_CREDENTIALS"),
        ({"rate_limit": "-1"}, "AUTOISP_RATE_LIMIT"),
        ({"stream_limit": "many"}, "AUTOISP_STREAM_LIMIT"),
    ],
)
def test_a_wrong_setting_is_named_before_anything_starts(
    tmp_path: Path, settings: dict[str, str], variable: str
) -> None:
    ended = started(listen="127.0.0.1:0", state_dir=str(tmp_path), **settings)
    assert ended.returncode == 2, ended.stderr
    assert ended.stderr.startswith(f"error: {variable}: ")
    assert not list(tmp_path.iterdir())


def test_told_so_it_listens_anywhere(tmp_path: Path, nats_server: NatsServer) -> None:
    settings = {"nats_url": nats_server.url, "listen": "0.0.0.0:0", "insecure": "true"}
    with (
        ServiceProcess("autoisp_search", tmp_path, **settings) as service,
        Client(service.address) as client,
    ):
        assert list(client.list_searches()) == []


def test_the_audit_log_names_whom_the_token_names(tmp_path: Path, nats_server: NatsServer) -> None:
    authority = Authority(tmp_path / "tls", "ours")
    server, person = authority.issue("registry"), authority.issue("laptop")
    made = {scope: new_token(f"{scope.word}-token", scope) for scope in Scope}
    (tmp_path / "tokens.toml").write_text("\n".join(token.to_toml() for _, token in made.values()))
    (tmp_path / "root.onnx").write_bytes(root_of(3.0))
    settings = {"nats_url": nats_server.url, "listen": "0.0.0.0:0", "tokens_file": tmp_path / "tokens.toml"}
    settings |= {"tls_cert": server.cert, "tls_key": server.key, "tls_client_ca": authority.ca}
    tls = Tls(authority.ca, person.cert, person.key)
    with ServiceProcess("autoisp_registry", tmp_path, **settings) as service:

        def client(scope: Scope | None) -> Client:
            token = made[scope][0] if scope else ""
            return Client(service.address, patience=0, tls=tls, token=token, actor="somebody else")

        with client(Scope.WRITE) as writer:
            onnx = writer.upload_artifact(tmp_path / "root.onnx")
            version = writer.register_model_version("models/m", ModelVersion(onnx=onnx))
            writer.download(tmp_path / "copy.onnx", model_version=version.name)
            with pytest.raises(PermissionDeniedError, match="takes the scope admin"):
                writer.delete_model("models/m")
        with client(Scope.ADMIN) as admin:
            admin.delete_model("models/m")
        with client(Scope.READ) as reader:
            entries = list(reader.list_audit_entries())
        late = authority.issue("late", valid_for=timedelta(seconds=-5))
        pem = (late.key.read_bytes(), late.cert.read_bytes())
        credentials = grpc.ssl_channel_credentials(authority.ca.read_bytes(), *pem)
        with grpc.secure_channel(service.address, credentials) as channel, pytest.raises(grpc.RpcError):
            channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=10)
        with client(None) as nobody, pytest.raises(UnauthenticatedError, match="AUTOISP_TOKEN"):
            nobody.get_model("models/m")
    told = {(entry.action, entry.actor) for entry in entries}
    assert ("version.register", "write-token") in told, told
    assert ("model.delete", "admin-token") in told
    assert '"event": "denied"' in service.log
    assert "certificate has expired" in service.log  # in gRPC's own words
