"""docs/guides/dynamic.md says what is so: its Python runs and its space can be searched."""

import json
import re
from pathlib import Path

from autoisp_cli.tune.space_file import read_space
from autoisp_isp.contract import check_contract

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "dynamic.md").read_text("utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, flags=re.DOTALL | re.MULTILINE)


def test_the_python_of_the_guide_runs(capsys):
    made = {}
    scripts = blocks("python")
    assert len(scripts) == 3
    exec(compile("\n".join(scripts), "dynamic.md", "exec"), made)
    printed = capsys.readouterr().out
    assert printed.startswith("True\n")
    assert "model.1.third - layer '1.third' can't become dynamic: it is a ConvTranspose2d" in printed
    assert check_contract(made["stateful"]).recurrent
    assert not check_contract(made["static"]).recurrent


def test_the_space_of_the_guide_names_the_type(tmp_path):
    (text,) = blocks("json")
    path = tmp_path / "space.json"
    path.write_text(text)
    assert 10 in read_space(path).types
    assert json.loads(text)["types"][1] == "DYNAMIC"
