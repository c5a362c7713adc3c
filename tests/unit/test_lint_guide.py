"""docs/guides/lint.md says what is so: its tables are the code's, its TOML and Python run."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from autoisp_core.lint import Rule, Severity, accelerator_named, parse_accelerator, shipped_names
from autoisp_core.lint.accelerator_toml import KEYS
from autoisp_core.spec import Spec
from autoisp_isp.export import export_onnx
from autoisp_isp.lint import lint
from autoisp_isp.network import build

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "lint.md").read_text("utf-8")
_MEBIBYTE = 1 << 20


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, flags=re.DOTALL | re.MULTILINE)


def rows(first):
    return [
        [cell.strip() for cell in row.strip("|").split("|")]
        for row in re.findall(rf"^\| {first}.*\|$", GUIDE, flags=re.MULTILINE)
    ]


def test_the_rules_of_the_table_are_the_codes_in_its_order():
    assert [row[0].strip("`") for row in rows(r"`[A-Z_]+` \|")] == [rule.value for rule in Rule]


@pytest.mark.parametrize("name", shipped_names())
def test_the_profiles_of_the_table_are_those_that_are_shipped(name):
    profile = accelerator_named(name)
    ((_, operators, precisions, channels, rank, opset, weights),) = rows(f"`{name}` ")
    assert int(operators) == len(profile.operators)
    assert tuple(precisions.split(", ")) == profile.precisions
    assert (int(channels), int(rank)) == (profile.channel_multiple, profile.max_rank)
    assert opset == ("any" if profile.max_opset is None else str(profile.max_opset))
    kept = profile.on_chip_weight_bytes
    assert weights == ("any" if kept is None else f"{kept / _MEBIBYTE:g} MiB")


def test_every_key_is_explained():
    for key in KEYS:
        assert re.search(rf"^\| .*`{key}`.* \|", GUIDE, flags=re.MULTILINE), key


def test_the_profile_of_the_guide_refuses_what_it_says():
    (text,) = blocks("toml")
    plain = Spec(Spec.code((1, 1, 3, 0, 0), (2, 7, 0, 0, 0)), width=16, frames=1)
    for spec in (plain, replace(plain, recurrent=1, frames=3), replace(plain, packing=4, residual=1)):
        (verdict,) = lint(export_onnx(build(spec)), [parse_accelerator(text)])
        first = verdict.findings[0]
        assert (first.rule, first.severity) == (Rule.UNSUPPORTED_OPERATOR, Severity.ERROR)
        assert "DCR" in "".join(finding.fix for finding in verdict.findings)


def test_the_python_of_the_guide_runs(capsys):
    (script,) = blocks("python")
    exec(compile(script, "lint.md", "exec"), {})
    printed = capsys.readouterr().out
    assert "phone-npu-4 False" in printed
    assert "my-phone True" in printed
    assert "use width 16 instead of 14" in printed
