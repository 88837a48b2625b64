"""The README's Python examples run, and give what the comments behind ``# ->`` say."""

import ast
import re
from pathlib import Path

import pytest

README = Path(__file__).parent.parent / "README.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def run(source):
    """Execute statement by statement; return how many results were stated."""
    names, stated = {}, 0
    for node in ast.parse(source).body:
        code = ast.get_source_segment(source, node)
        if not isinstance(node, ast.Expr):
            exec(code, names)
            continue
        value = eval(code, names)
        if value is None:  # of a method that does something
            continue
        comment = source.splitlines()[node.end_lineno - 1][node.end_col_offset :]
        assert "# ->" in comment, f"{code}: an expression whose value nobody sees"
        assert str(value) == comment.partition("# ->")[2].strip(), code
        stated += 1
    return stated


@pytest.mark.parametrize("source", BLOCKS, ids=range(len(BLOCKS)))
def test_example_runs(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(source) >= 1


def test_there_is_one_of_each_kind():
    text = "\n".join(BLOCKS)
    for call in ("filter_bank(", "conv1d(", "conv2d(", "correlate(", "convolve(", "plan_conv2d(", "channels_first"):
        assert call in text


def test_the_two_commands():
    text = README.read_text(encoding="utf-8")
    assert 'python -m pip install ".[demo]" && python -m numconv demo\n' in text
    assert 'python -m pip install ".[test]" && python -m pytest\n' in text
