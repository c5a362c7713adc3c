"""Token files, limits, and when a service refuses to listen: without a server."""

from __future__ import annotations

import asyncio
import os
import time
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from autoisp_core.errors import InvalidArgumentError, ResourceExhaustedError
from autoisp_runtime.security import Scope, SecurityConfig, caller, config, refuse_open_listen, scopes, tokens
from autoisp_runtime.security.denials import Denial, DenialLog
from autoisp_runtime.security.limits import RateLimit, StreamLimit
from autoisp_runtime.security.tokens import TokenFile, digest_of, new_token, parse

DIGEST = "0" * 64
GOOD = f'[[token]]\nname = "ci"\nsha256 = "{DIGEST}"\nscope = "write"\n'


@pytest.mark.parametrize("module", [caller, config, scopes], ids=lambda module: module.__name__)
def test_the_examples_of_the_docstrings_run(module: object) -> None:
    import doctest

    results = doctest.testmod(module)  # type: ignore[arg-type]
    assert results.attempted > 0
    assert results.failed == 0


class Log:
    """Keeps what is said."""

    def __init__(self, said: list[str]) -> None:
        self.info = self.warning = self.error = lambda event, **_: said.append(event)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_token_survives_its_file(tmp_path: Path) -> None:
    until = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
    secret, token = new_token('Zoë "the" \\ builder', Scope.WRITE, until, "acme")
    assert secret not in token.to_toml()
    assert parse(token.to_toml()) == (token,)
    (tmp_path / "tokens.toml").write_text(token.to_toml(), "utf-8")
    file = TokenFile(tmp_path / "tokens.toml")
    assert file.find(secret) == token
    assert file.find(secret + "x") is None
    assert file.find(token.sha256) is None  # who reads the file can't call
    assert (token.expired(until - timedelta(seconds=1)), token.expired(until)) == (False, True)


def test_secrets_are_long_and_never_the_same() -> None:
    made = {new_token("a", Scope.READ)[0] for _ in range(100)}
    assert len(made) == 100
    assert all(secret.startswith("autoisp_") and len(secret) >= 50 for secret in made)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nonsense", "Expected"),
        ('[[tokens]]\nname = "a"\n', "nothing else"),
        ("token = 3\n", "nothing else"),
        (GOOD + "expire = 2030-01-01T00:00:00Z\n", "nothing else"),
        (GOOD.replace('name = "ci"\n', ""), "must have name"),
        (GOOD.replace("ci", "\\n"), "can't be shown"),
        (GOOD.replace(DIGEST, "autoisp_secret"), "not the token itself"),
        (GOOD.replace(DIGEST, "F" * 64), "small hexadecimal"),
        (GOOD.replace("write", "root"), "none of read, write, admin"),
        (GOOD + "expires = 2030-01-01\n", "with its zone"),
        (GOOD + "expires = 2030-01-01T00:00:00\n", "with its zone"),
        (GOOD + "expires = 5\n", "with its zone"),
        (GOOD + 'project = "acme-lab"\n', "no hyphen"),
        (GOOD + 'project = ""\n', "no hyphen"),
        (GOOD + "project = 7\n", "no hyphen"),
        (GOOD + GOOD, "two tokens have the name 'ci'"),
        (GOOD + GOOD.replace("ci", "cd"), "two tokens have the sha256"),
    ],
)
def test_a_wrong_file_says_what_is_wrong(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "tokens.toml"
    path.write_text(text)
    with pytest.raises(InvalidArgumentError, match=r"tokens\.toml") as caught:
        TokenFile(path)
    assert caught.value.field == "tokens_file"
    assert says in caught.value.message


def test_a_missing_file_is_an_error_at_the_start_only(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError):
        TokenFile(tmp_path / "none.toml")
    path, clock = tmp_path / "tokens.toml", Clock()
    secret, token = new_token("a", Scope.READ)
    path.write_text(token.to_toml())
    file = TokenFile(path, clock)
    path.unlink()
    clock.now += 1
    assert file.find(secret) == token
    new, other = new_token("b", Scope.READ)
    path.write_text(other.to_toml())
    assert file.find(new) is None  # not looked at again yet
    clock.now += 1
    assert (file.find(new), file.find(secret)) == (other, None)


def test_a_file_that_is_replaced_by_a_link_is_read_again(tmp_path: Path) -> None:
    """As Kubernetes updates a mounted secret."""
    secrets = []
    for day in ("monday", "tuesday"):
        secret, token = new_token(day, Scope.READ)
        secrets.append(secret)
        (tmp_path / day).mkdir()
        (tmp_path / day / "tokens.toml").write_text(token.to_toml())
    os.symlink("monday", tmp_path / "data")
    os.symlink("data/tokens.toml", tmp_path / "tokens.toml")
    clock = Clock()
    file = TokenFile(tmp_path / "tokens.toml", clock)
    assert file.find(secrets[0])
    os.symlink("tuesday", tmp_path / "next")
    os.replace(tmp_path / "next", tmp_path / "data")
    clock.now += 1
    assert file.find(secrets[0]) is None
    assert file.find(secrets[1])


def test_a_part_of_an_entry_is_no_token_that_may_more(tmp_path: Path) -> None:
    """Whoever writes the file in place may be read in the middle."""
    token = new_token("ci", Scope.READ, datetime(2030, 1, 2, tzinfo=UTC), "acme")[1]
    text = token.to_toml()
    for length in range(len(text)):
        try:
            found = parse(text[:length])
        except ValueError:
            continue
        assert found in ((), (token,)), text[:length]


def test_a_file_that_stays_wrong_is_told_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, clock, said = tmp_path / "tokens.toml", Clock(), []
    secret, token = new_token("a", Scope.READ)
    path.write_text(token.to_toml())
    path.chmod(0o600)
    file = TokenFile(path, clock)
    monkeypatch.setattr(tokens, "_log", Log(said))
    states = ("token = " + "[" * 5000, "# " + "x" * (1 << 20), "nonsense")
    for text in states:
        path.write_text(text)
        for _ in range(3):
            clock.now += 1
            assert file.find(secret) == token
    path.unlink()
    path.mkdir()  # can be looked at, and not read
    for _ in range(3):
        clock.now += 1
        assert file.find(secret) == token
    assert said == ["tokens stay as they were"] * 4
    path.rmdir()
    path.write_text(token.to_toml())
    path.chmod(0o666)
    clock.now += 1
    assert file.find(secret) == token
    assert said[4:] == ["others may write the file of tokens; take it from them", "tokens were read again"]


def test_many_tokens_are_read_at_once() -> None:
    entries = "".join(new_token(f"t{number}", Scope.READ)[1].to_toml() for number in range(5000))
    started = time.monotonic()
    assert len(parse(entries)) == 5000
    assert time.monotonic() - started < 10  # comparing each with all took minutes


def test_an_entry_is_plain_toml() -> None:
    secret, token = new_token("ci", Scope.READ)
    entry = {"name": "ci", "sha256": digest_of(secret), "scope": "read"}
    assert tomllib.loads(token.to_toml()) == {"token": [entry]}


def test_the_rate_fills_up_again_as_time_goes() -> None:
    clock = Clock()
    limit = RateLimit(2.0, 3, clock)
    for _ in range(3):
        limit.take("a")
    with pytest.raises(ResourceExhaustedError) as caught:
        limit.take("a")
    assert float(caught.value.metadata["retry_after_seconds"]) == 0.5
    limit.take("b")
    clock.now += 0.5
    limit.take("a")
    with pytest.raises(ResourceExhaustedError):
        limit.take("a")
    clock.now += 1000
    for _ in range(3):  # but never beyond the burst
        limit.take("a")
    with pytest.raises(ResourceExhaustedError):
        limit.take("a")


def test_made_up_callers_fill_no_memory() -> None:
    limit = RateLimit(1.0, 1, Clock())
    for number in range(10_100):
        limit.take(str(number))
    assert len(limit._buckets) == 10_000


def test_streams_are_counted_for_each_caller() -> None:
    limit = StreamLimit(1)
    with limit.held("a"):
        with pytest.raises(ResourceExhaustedError), limit.held("a"):
            pass
        with limit.held("b"):
            pass
    with limit.held("a"):
        pass
    assert not limit._open


async def test_a_flood_of_denials_is_a_few_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[str, int]] = []
    monkeypatch.setattr(DenialLog, "_say", lambda self, denial, count: said.append((denial.reason, count)))
    log = DenialLog(window_s=0.05)
    for number in range(5000):
        log.add(Denial("", f"10.0.{number // 250}.{number % 250}", f"/made.up/{number}", "NO_TOKEN"))
    await asyncio.sleep(0.2)
    assert len(said) == 101
    assert said[-1] == ("OTHERS", 4900)
    assert log.total == sum(count for _, count in said) == 5000
    log.add(Denial("ci", "10.0.0.1", "/made.up/0", "NO_TOKEN"))  # and a new window begins
    assert said[-1] == ("NO_TOKEN", 1)
    await asyncio.sleep(0.1)


@pytest.mark.parametrize("listen", ["0.0.0.0:50051", "[::]:50051", "10.0.0.1:0", "somewhere:50051"])
def test_an_open_address_takes_authentication(listen: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        refuse_open_listen(SecurityConfig(), listen)
    assert caught.value.field == "listen"
    for way in (
        "AUTOISP_TOKENS_FILE",
        "AUTOISP_TLS_CLIENT_CA",
        "AUTOISP_INSECURE",
        "--insecure",
        "127.0.0.1",
    ):
        assert way in caught.value.message
    with pytest.raises(InvalidArgumentError):  # a certificate of the server alone keeps nobody out
        refuse_open_listen(SecurityConfig(tls_cert=Path("a"), tls_key=Path("b")), listen)
    for settings in ({"tokens_file": "t"}, {"tls_client_ca": "c"}, {"insecure": True}):
        refuse_open_listen(SecurityConfig(**settings), listen)


def test_on_loopback_everything_is_off() -> None:
    for listen in ("127.0.0.1:0", "127.8.9.1:5", "[::1]:0", "localhost:50051"):
        refuse_open_listen(SecurityConfig(), listen)


def test_an_empty_variable_is_an_unset_one(monkeypatch: pytest.MonkeyPatch) -> None:
    from autoisp_runtime.config import ServiceConfig

    monkeypatch.setenv("AUTOISP_TOKENS_FILE", "")
    assert ServiceConfig().tokens_file is None
