"""Configuration: from the environment, with errors that name the variable and exit code 2."""

from pathlib import Path

import pytest
from autoisp_runtime.config import ServiceConfig, load_config


class DemoConfig(ServiceConfig):
    service = "demo"


def test_defaults_live_in_the_state_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AUTOISP_STATE_DIR", str(tmp_path / "my state"))
    config = load_config(DemoConfig)
    assert config.effective_database_url == f"sqlite+aiosqlite:///{tmp_path}/my state/demo.db"
    assert config.effective_store_url == f"file://{tmp_path}/my%20state/artifacts"


def test_explicit_urls_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOISP_DATABASE_URL", "postgresql+asyncpg://u@h/d")
    monkeypatch.setenv("AUTOISP_STORE_URL", "s3://bucket/x")
    config = load_config(DemoConfig)
    assert config.effective_database_url == "postgresql+asyncpg://u@h/d"
    assert config.effective_store_url == "s3://bucket/x"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("AUTOISP_LISTEN", "50051"),
        ("AUTOISP_LISTEN", "localhost:99999"),
        ("AUTOISP_NATS_URL", "http://localhost"),
        ("AUTOISP_ACK_WAIT_SECONDS", "-1"),
        ("AUTOISP_ACK_WAIT_SECONDS", "soon"),
        ("AUTOISP_MAX_DELIVER", "0"),
        ("AUTOISP_LOG_FORMAT", "xml"),
    ],
)
def test_a_wrong_variable_is_named_and_ends_with_code_2(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SystemExit) as caught:
        load_config(DemoConfig)
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {variable}: ")
    assert value in error
