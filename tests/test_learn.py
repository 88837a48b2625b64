"""``python -m numconv learn``: what is printed, drawn and learned, on few digits and a small network."""

import gzip
from importlib.util import find_spec

import numpy as np
import pytest
from PIL import Image

from numconv.__main__ import main
from numconv._cli import detector, digits, page
from numconv.layers import Conv2D, Dense, Dropout, Flatten, MaxPooling2D, Sequential


@pytest.fixture
def few(tmp_path, monkeypatch):
    """A file like scikit-learn's, of upright and level strokes; a network and lessons of no size."""
    rng = np.random.default_rng(0)
    rows = np.zeros((120, 65))
    pictures = rows[:, :64].reshape(-1, 8, 8)
    rows[:, 64] = rng.choice([0, 3], 120)
    pictures[rows[:, 64] == 0, :, 3] = 16
    pictures[rows[:, 64] == 3, 4] = 16
    path = tmp_path / "digits.csv.gz"
    with gzip.open(path, "wt") as file:
        np.savetxt(file, rows, "%d", ",")
    monkeypatch.setattr(digits, "inside", lambda *parts, purpose: path)
    monkeypatch.setattr(digits, "TESTED", 40)
    monkeypatch.setattr(digits, "LESSONS", ((7, 0.02), (1, 0.001)))
    monkeypatch.setattr(page, "DPI", 50)
    small = [
        Conv2D(2, 3, padding="same", activation="relu", input_shape=(8, 8, 1)),
        Conv2D(3, 3, padding="same", activation="relu"), MaxPooling2D(), Conv2D(4, 3, padding="same"),
        Flatten(), Dropout(0.1), Dense(10, activation="softmax"),
    ]  # fmt: skip
    monkeypatch.setattr(digits, "network", lambda seed: Sequential(small, seed=seed))
    return path


def test_the_hidden_detector_is_found():
    found = detector.approach(5)
    assert found.error(0) > 0.3 and found.error(4) < 0.1 and found.error(detector.EPOCHS) < 1e-4
    assert all(np.diff(found.losses) < 0)
    lines = detector.table(found).splitlines()
    assert len(lines) == 5 and max(map(len, lines)) <= 120
    assert [line.split()[-3:] for line in lines[1:4]] == [["0.00", "1.00", "0.00"]] * 3
    assert "hidden" in lines[0] and f"off by {found.error(8):.1g}" in lines[4]


def test_learn_prints_and_draws(few, tmp_path, capsys):
    assert main(["learn", "-o", str(tmp_path / "page.png"), "--seed", "3"]) == 0
    printed = capsys.readouterr().out
    for words in (
        "the answers of a hidden one",
        "80 handwritten digits",
        "epoch  8  loss",
        "others 100.0%",
        "page.png",
    ):
        assert words in printed
    with Image.open(tmp_path / "page.png") as drawn:
        assert drawn.size[0] == 600 and drawn.size[1] > 700
        ink = np.asarray(drawn.convert("L"))
    assert (ink < 90).mean() > 0.01


MISTAKES = {
    "other format": (["-o", "page.txt"], "must end in .png"),
    "nowhere": (["-o", "no/page.png"], "there is no directory no"),
    "no seed": (["--seed", "-1"], "'-1' is not a number from 0 up"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_gives_status_2_and_one_line(mistake, capsys):
    arguments, words = MISTAKES[mistake]
    assert main(["learn", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and words in captured.err and captured.err.count("\n") == 1


def test_digits_that_are_none(few, tmp_path, monkeypatch, capsys):
    for content, words in ((b"1,2\n", b"expected (1797, 65)"), (b"a,b\n", b"cannot read")):
        few.write_bytes(gzip.compress(content))
        assert main(["learn", "-o", str(tmp_path / "page.png")]) == 2
        assert words.decode() in capsys.readouterr().err


def test_without_scikit_learn(monkeypatch, tmp_path, capsys):
    from numconv._cli import errors, sources

    def missing(module):
        raise ImportError(module)

    monkeypatch.setattr(sources.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(errors.importlib, "import_module", missing)
    with pytest.raises(errors.CommandError, match=r"learning to read digits needs scikit-learn: .*numconv\[demo\]"):
        digits.digits(0)


@pytest.mark.skipif(find_spec("sklearn") is None, reason="scikit-learn is not installed")
def test_digits_are_read(monkeypatch):
    """In half the epochs of the command, which comes to 98 % and more."""
    monkeypatch.setattr(digits, "LESSONS", ((8, 2e-3), (4, 3e-4)))
    data = digits.digits(0)
    assert data.x.shape == (1437, 8, 8, 1) and data.test_y.shape == (360,) and data.x.max() == 1
    assert digits.train(data, 0).accuracy >= 0.98
