"""docs/guides/delivery-files.md says what is so."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from autoisp_client import Client
from autoisp_core.release import MANIFEST_FORMAT, MANIFEST_NAME, file_name
from autoisp_core.release.command import main
from autoisp_core.release.envelope import MANIFEST_TYPE
from autoisp_registry.config import RegistryConfig
from released import manifest, write_release

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "delivery-files.md").read_text("utf-8")


def test_each_format_has_its_file_name() -> None:
    table = GUIDE.partition("## Getting files")[0]
    names = dict(
        pair
        for formats, files in re.findall(r"^\| (`[^|]*`) \| (`[^|]*`) \|", table, flags=re.MULTILINE)
        for pair in zip(re.findall(r"`(.*?)`", formats), re.findall(r"`(.*?)`", files), strict=True)
    )
    assert names.pop(MANIFEST_FORMAT) == MANIFEST_NAME
    assert len(names) == 4
    assert names == {format: file_name(format) for format in names}


def test_the_settings_and_methods_are_there() -> None:
    for variable in set(re.findall(r"AUTOISP_(\w+)", GUIDE)):
        assert variable.lower() in RegistryConfig.model_fields
    for method in set(re.findall(r"client\.(\w+)\(", GUIDE)):
        assert hasattr(Client, method)
    assert RegistryConfig().default_signing_key.name in GUIDE


def test_the_manifest_is_as_shown() -> None:
    (shown,) = re.findall(r"^```json\n(.*?)^```", GUIDE, flags=re.DOTALL | re.MULTILINE)
    example, real = json.loads(shown), json.loads(manifest().to_json())
    assert MANIFEST_TYPE in GUIDE
    assert set(example) == set(real)
    assert set(example["files"][0]) == set(real["files"][0])
    assert set(example["lineage"]) == set(real["lineage"])


def test_the_verifier_speaks_as_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = write_release(tmp_path / "release")
    assert main([str(tmp_path / "release"), "--key", str(key)]) == 0
    (shown,) = re.findall(r"^```\n(ok .*?)^```", GUIDE, flags=re.DOTALL | re.MULTILINE)

    def shape(text: str) -> str:
        return re.sub(r"models/[a-z]+|\b\d+ bytes|\b[0-9a-f]{16}\b", "…", text)

    assert shape(shown) == shape(capsys.readouterr().out)
