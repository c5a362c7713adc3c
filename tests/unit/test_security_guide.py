"""The guide to security says what there is."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from autoisp_cli.__main__ import main
from autoisp_client import access
from autoisp_runtime.config import ServiceConfig
from autoisp_runtime.jetstream import permissions
from autoisp_runtime.security import SecurityConfig
from autoisp_runtime.security.scopes import _BY_VERB
from autoisp_runtime.security.tokens import parse

GUIDE = (Path(__file__).parents[2] / "docs/guides/security.md").read_text("utf-8")
CLIENT = {access.CA, access.CLIENT_CERT, access.CLIENT_KEY, access.TOKEN, access.TOKEN_FILE}


def test_every_variable_exists() -> None:
    served = {f"AUTOISP_{field.upper()}" for field in ServiceConfig.model_fields}
    named = set(re.findall(r"AUTOISP_[A-Z_]+", GUIDE))
    assert named <= served | CLIENT
    own = {f"AUTOISP_{field.upper()}" for field in SecurityConfig.model_fields}
    assert own | CLIENT <= named


def test_the_example_of_a_tokens_file_is_one() -> None:
    text = re.search(r"```toml\n(.*?)```", GUIDE, re.S)
    assert text
    assert tomllib.loads(text[1])
    (token,) = parse(text[1])
    assert (token.name, token.project) == ("ci", "acme")


def test_every_verb_is_named() -> None:
    released = {"Start", "Pause", "Resume", "Complete", "Abort"}  # "all that decides what devices get"
    verbs = {verb for verbs in _BY_VERB.values() for verb in verbs}
    assert {verb for verb in verbs if f"`{verb}" not in GUIDE} == released


def test_the_commands_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    commands = re.search(r"```sh\n(.*?)```", GUIDE, re.S)
    assert commands
    lines = commands[1].splitlines()
    for line in lines:
        if line.startswith("autoisp tokens"):
            words = line.partition(" > ")[0].split()[1:]
            assert main(words) == 0, capsys.readouterr().err
    assert len(parse((tmp_path / "tokens.toml").read_text())) == 2
    assert any(line.startswith("python -m autoisp_runtime.jetstream.permissions nats-keys") for line in lines)
    assert permissions.main(["nats-keys"]) == 0
    assert (tmp_path / "nats-keys" / "registry.nk").exists()
