"""The examples of ``docs/extending.md`` run as they stand, in a process of their own."""

import re
import subprocess
import sys

from support.files import ROOT

PAGE = (ROOT / "docs" / "extending.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_the_examples_run(tmp_path):
    script = tmp_path / "extending.py"
    script.write_text("\n\n".join(BLOCKS))
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"layer0 +2 +reset", done.stdout)


def test_a_cell_is_one_short_file():
    cell = next(block for block in BLOCKS if "class SoftResetCell" in block)
    assert len(cell.splitlines()) < 80
    assert cell.count(".add(") == 1


def test_every_registry_that_the_page_names_is_there():
    for name in re.findall(r"`((?:export|pynn_models|snn_ssm)[\w.]+\.[A-Z_]+)`", PAGE):
        module, _, attribute = name.rpartition(".")
        found = __import__(module, fromlist=[attribute])
        assert len(getattr(found, attribute)) > 1, name
