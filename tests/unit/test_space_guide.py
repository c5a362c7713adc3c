"""docs/guides/space.md says what is so: its Python runs, its JSON is read, its tables are the code's."""

import re
from pathlib import Path

import pytest
from autoisp_cli.tune.space_file import read_space
from autoisp_core.spec import LayerType, SearchSpace
from autoisp_core.spec.layers import KERNELS
from autoisp_core.spec.model import Spec

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "space.md").read_text("utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, flags=re.DOTALL | re.MULTILINE)


def test_the_python_of_the_guide_runs(capsys):
    scripts = blocks("python")
    assert len(scripts) == 3
    exec(compile("\n".join(scripts), "space.md", "exec"), {})
    printed = capsys.readouterr().out
    assert "spec.block[1].kernel - " in printed
    assert "phone-npu-4: " in printed
    assert printed.rstrip().endswith("True")


def test_the_space_of_the_guide_is_one(tmp_path):
    (text,) = blocks("json")
    path = tmp_path / "space.json"
    path.write_text(text)
    given = {field.name for field, _ in read_space(path).ListFields()}
    assert given == set(SearchSpace.__dataclass_fields__)


@pytest.mark.parametrize("kind", LayerType, ids=lambda kind: kind.name)
def test_the_table_of_types_is_the_codes(kind):
    (row,) = re.findall(rf"^\| {int(kind)} \| `(\w+)` \| ([^|]*) \|", GUIDE, flags=re.MULTILINE)
    kernels = ", ".join(map(str, KERNELS.get(kind, ()))) or "–"
    assert row == (kind.name, kernels)


def test_every_number_around_the_block_is_explained():
    for name in Spec.__dataclass_fields__:
        assert f"`{name}`" in GUIDE or name == "block"
