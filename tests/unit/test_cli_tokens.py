"""``autoisp tokens`` and the options that say who calls."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from autoisp_cli.__main__ import main
from autoisp_cli.access import local_tls
from autoisp_cli.commands.tokens import _append
from autoisp_client.access import Access, Tls
from autoisp_runtime.security import Scope
from autoisp_runtime.security.tokens import TokenFile, new_token, parse


def test_a_token_and_its_entry_are_shown_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tokens", "new", "--name", "ci", "--scope", "write"]) == 0
    secret, _, entry = capsys.readouterr().out.partition("\n\n")
    (token,) = parse(entry)
    assert (token.name, token.scope, token.expires) == ("ci", Scope.WRITE, None)
    assert secret.startswith("autoisp_")
    assert secret not in entry


def test_entries_are_added_to_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "tokens.toml"
    secrets = []
    for name in ("ann", "bob"):
        words = ["tokens", "new", "--name", name, "--scope", "read", "--days", "2"]
        words += ["--project", "acme", "--append", str(path)]
        assert main(words) == 0
        secrets.append(capsys.readouterr().out.strip())
    found = [TokenFile(path).find(secret) for secret in secrets]
    assert [token.name for token in found if token] == ["ann", "bob"]
    assert {token.project for token in found if token} == {"acme"}
    assert found[0]
    assert found[0].expires
    assert 1.9 < (found[0].expires - datetime.now(UTC)).total_seconds() / 86_400 <= 2
    assert list(tmp_path.iterdir()) == [path]


def test_a_linked_file_stays_linked_with_its_mode(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "etc").mkdir()
    real, link = tmp_path / "etc" / "tokens.toml", tmp_path / "tokens.toml"
    real.touch(0o600)
    link.symlink_to(real)
    assert main(["tokens", "new", "--name", "ann", "--scope", "read", "--append", str(link)]) == 0
    assert link.readlink() == real
    assert real.stat().st_mode & 0o777 == 0o600
    assert TokenFile(real).find(capsys.readouterr().out.strip())
    assert list((tmp_path / "etc").iterdir()) == [real]


def test_tokens_that_are_made_at_once_are_all_there(tmp_path: Path) -> None:
    path = tmp_path / "tokens.toml"
    made = [new_token(f"t{number}", Scope.READ)[1] for number in range(20)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda token: _append(path, token), made))
    assert {token.name for token in parse(path.read_text())} == {token.name for token in made}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--name", "\n", "--scope", "read"], "names nobody"),
        (["--name", "a", "--scope", "root"], "--scope"),
        (["--name", "a"], "--scope"),
        (["--name", "a", "--scope", "read", "--project", "a-b"], "no hyphen"),
        (["--name", "a", "--scope", "read", "--days", "0"], "--days"),
        (["--name", "a", "--scope", "read", "--days", "nan"], "--days"),
        (["--name", "a", "--scope", "read", "--append", "/nowhere/tokens.toml"], "--append"),
    ],
)
def test_wrong_words_are_named(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tokens", "new", *words]) == 2
    assert says in capsys.readouterr().err


def test_a_file_that_would_be_wrong_stays_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "tokens.toml"
    words = ["tokens", "new", "--name", "ann", "--scope", "read", "--append", str(path)]
    assert main(words) == 0
    before = path.read_text()
    assert main(words) == 2
    assert "two tokens have the name 'ann'" in capsys.readouterr().err
    assert path.read_text() == before


def test_options_go_before_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AUTOISP_CA", "AUTOISP_CLIENT_CERT", "AUTOISP_CLIENT_KEY", "AUTOISP_TOKEN_FILE"):
        monkeypatch.setenv(name, "/elsewhere")  # and is what it was after the test
    monkeypatch.setenv("AUTOISP_TOKEN", "autoisp_other")
    (tmp_path / "token").write_text("autoisp_mine\n")
    options = ["--ca", "a.pem", "--cert", "b.pem", "--key", "c.pem", "--token-file", str(tmp_path / "token")]
    assert main([*options, "tokens", "new", "--name", "x", "--scope", "read"]) == 0
    expected = Access(Tls(Path("a.pem"), Path("b.pem"), Path("c.pem")), "autoisp_mine")
    assert Access.chosen(None, None) == expected


def test_local_services_speak_tls_only_if_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOISP_CA", "/somewhere/else.pem")
    assert Access.chosen(local_tls(), None).tls is None
    monkeypatch.setenv("AUTOISP_TLS_CERT", "cert.pem")
    assert Access.chosen(local_tls(), None).tls == Tls(Path("/somewhere/else.pem"))


def test_the_machines_own_authorities() -> None:
    assert Access.chosen(True, "", {}) == Access(Tls())
    assert Access.chosen(None, None, {"AUTOISP_CA": "system"}) == Access(Tls())
    assert Access.chosen(None, None, {}) == Access()
