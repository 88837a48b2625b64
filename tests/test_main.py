"""The command line, in process: files in, files out, and one line for every mistake."""

import subprocess
import sys
import wave

import numpy as np
import pytest
from PIL import Image

import numconv
from numconv import banks
from numconv.__main__ import main


@pytest.fixture
def photo(tmp_path):
    """A small colour picture with a bright upright line: path and pixels."""
    pixels = np.random.default_rng(7).integers(0, 60, (24, 20, 3), dtype=np.uint8)
    pixels[:, 9:11] += np.uint8(190)
    path = tmp_path / "photo.png"
    Image.fromarray(pixels).save(path)
    return path, pixels


def write_wav(path, channels, width, raw, rate=8000):
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(channels)
        sound.setsampwidth(width)
        sound.setframerate(rate)
        sound.writeframes(bytes(raw))
    return path


def run(*arguments):
    return main([str(argument) for argument in arguments])


def filtered(tmp_path, source, bank, *options):
    """Maps that the filter command writes."""
    output = tmp_path / "maps.npy"
    assert run("filter", source, "--bank", bank, "-o", output, *options) == 0
    return np.load(output)


# ---- demo


TUTORIAL = """\
[array([[[0.]],
       [[1.]],
       [[0.]]], dtype=float32), array([0.], dtype=float32)]
[[[0.]
  [0.]
  [1.]
  [1.]
  [0.]
  [0.]]]
[0.0, 0.0, 1.0, 1.0, 0.0, 0.0]
"""


def test_demo_prints_examples_and_table_and_draws(photo, tmp_path, capsys, monkeypatch):
    from numconv._cli import measure, page

    monkeypatch.setattr(page, "DPI", 50)
    monkeypatch.setattr(measure, "SCIPY_BUDGET", 0.05)
    monkeypatch.setattr(measure, "fma_peak", lambda scalar, threads: 1e11 * threads)
    monkeypatch.setattr(measure, "SHORTEST", 1e-4)
    signal = tmp_path / "signal.npy"
    np.save(signal, np.sin(np.arange(400) / 9))
    assert run("demo", photo[0], "--signal", signal, "-o", tmp_path / "gallery") == 0
    printed = capsys.readouterr().out
    assert TUTORIAL in printed
    assert printed.count("[0.0, 0.0, 3.0, 3.0, 0.0, 0.0]\n") == 6
    for words in ("24x20x3 ", "24x20x32 ", "3x3x32x16 ", "400x32 ", "GFLOP/s", "vs SciPy", "thread", "photo.png"):
        assert words in printed
    with Image.open(tmp_path / "gallery" / "feature_maps.png") as gallery:
        assert gallery.size[0] == 600 and gallery.size[1] > 750


def test_demo_brings_its_own_photograph_and_signal():
    from numconv._cli import sources

    picture, sound = sources.photograph(None), sources.recording(None)
    assert picture.pixels.shape == (512, 512, 3) and picture.pixels.dtype == np.float32
    assert picture.pixels.min() >= 0 and picture.pixels.max() <= 1
    assert sound.samples.shape == (12000,) and -70 < sound.samples.min() < sound.samples.max() < 10


def test_demo_makes_large_photographs_smaller(tmp_path):
    from numconv._cli import sources

    path = tmp_path / "large.png"
    Image.fromarray(np.full((1030, 2600), 255, dtype=np.uint8)).save(path)
    pixels = sources.photograph(path).pixels
    assert pixels.shape == (343, 866, 3)
    np.testing.assert_allclose(pixels, 1)


def test_second_layer_finds_the_corner_it_names():
    from numconv._cli.recipes import second_layer

    w, bias, names = second_layer()
    quadrant = np.zeros((40, 40, 3), dtype=np.float32)
    quadrant[20:, 20:] = 1  # bright on the lower right
    options = {"padding": "same", "pad_mode": "symmetric", "activation": "relu"}
    corners = numconv.conv2d(numconv.conv2d(quadrant, banks.colour(), **options), w, bias, **options)
    strongest = corners.max(axis=(0, 1))[4:8]
    assert names[4 + strongest.argmax()] == "corner ↘"
    y, x = np.unravel_index(corners[..., 4].argmax(), (40, 40))
    assert abs(y - 20) <= 2 and abs(x - 20) <= 2


def test_a_layer_that_differs_from_scipy_is_reported(photo):
    from dataclasses import replace

    from numconv._cli import layers, measure, sources

    layer = layers.first(sources.photograph(photo[0]))
    with pytest.raises(RuntimeError, match="differs from SciPy"):
        measure.measure(replace(layer, maps=layer.maps + np.float32(0.01)))


def test_table_without_scipy_and_tqdm(photo, monkeypatch):
    from numconv._cli import layers, measure, scipy_twin, sources, table

    monkeypatch.setattr(scipy_twin, "fastest", lambda layer: None)
    monkeypatch.setattr(measure, "SHORTEST", 1e-4)
    monkeypatch.setitem(sys.modules, "tqdm", None)
    lines = table.table([measure.measure(layers.first(sources.photograph(photo[0])))]).splitlines()
    assert lines[2].endswith(" -") and "SciPy is not installed" in lines[-1]
    assert max(map(len, lines)) <= table.WIDTH


# ---- filter


def test_colour_image_through_lines_as_brightness(photo, tmp_path):
    maps = filtered(tmp_path, photo[0], "lines")
    grey = photo[1] @ np.array(banks.LUMA, dtype=np.float32)
    np.testing.assert_array_equal(maps, numconv.filter_bank(grey, banks.lines()))
    assert maps.shape == (8, 24, 20) and maps.dtype == np.float32
    assert maps[:, 12, 9].argmax() == 4  # the upright line


def test_colour_image_channel_by_channel(photo, tmp_path):
    maps = filtered(tmp_path, photo[0], "sobel", "--colour", "channels")
    assert maps.shape == (3, 2, 24, 20)
    np.testing.assert_array_equal(maps[1], numconv.filter_bank(photo[1][..., 1], banks.sobel()))


def test_colour_bank_sums_over_channels(photo, tmp_path):
    maps = filtered(tmp_path, photo[0], "colour")
    expected = numconv.conv2d(photo[1], banks.colour(), padding="same_lower", pad_mode="symmetric")
    np.testing.assert_array_equal(maps, np.moveaxis(expected, -1, 0))


def test_options_reach_the_convolution(photo, tmp_path):
    options = ("--padding", "2,1", "--pad-mode", "edge", "--stride", "2", "--dtype", "float64")
    maps = filtered(tmp_path, photo[0], "sobel", *options)
    grey = photo[1] @ np.array(banks.LUMA, dtype=np.float32)
    expected = numconv.filter_bank(grey, banks.sobel(), padding=(2, 1), pad_mode="edge", stride=2, dtype="float64")
    assert maps.dtype == np.float64
    np.testing.assert_array_equal(maps, expected)
    assert filtered(tmp_path, photo[0], "sobel", "--padding", "valid").shape == (2, 22, 18)


def test_array_axes_and_bank_from_file(tmp_path):
    x = np.random.default_rng(3).standard_normal((6, 7, 5), dtype=np.float32)
    bank = np.arange(27, dtype=np.float32).reshape(3, 3, 3)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "bank.npy", bank)
    maps = filtered(tmp_path, tmp_path / "x.npy", tmp_path / "bank.npy", "--axes", "0,1")
    np.testing.assert_array_equal(maps, numconv.filter_bank(x, bank, axes=(0, 1)))
    np.save(tmp_path / "kernel.npy", np.array([1, 0, -1], dtype=np.float32))
    assert filtered(tmp_path, tmp_path / "x.npy", tmp_path / "kernel.npy", "--axes", "1").shape == (6, 5, 1, 7)


def test_blocks_of_filters_join(tmp_path):
    x = np.random.default_rng(4).standard_normal((3, 30), dtype=np.float32)
    bank = np.random.default_rng(5).standard_normal((19, 4), dtype=np.float32)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "bank.npy", bank)
    maps = filtered(tmp_path, tmp_path / "x.npy", tmp_path / "bank.npy")
    np.testing.assert_array_equal(maps, numconv.filter_bank(x, bank))


def test_npz_holds_maps_and_filters_and_png_a_sheet(photo, tmp_path, capsys):
    assert run("filter", photo[0], "--bank", "gabor", "-o", tmp_path / "maps.npz") == 0
    assert "maps of shape (8, 24, 20)" in capsys.readouterr().out
    with np.load(tmp_path / "maps.npz") as found:
        np.testing.assert_array_equal(found["filters"], banks.gabor())
        maps = found["maps"]
    assert run("filter", photo[0], "--bank", "gabor", "-o", tmp_path / "maps.png") == 0
    with Image.open(tmp_path / "maps.png") as picture:
        sheet = np.asarray(picture).astype(int)
    assert sheet.shape == (3 * (24 + 6) + 6, 3 * (20 + 6) + 6, 3)
    tile, red_over_blue = maps[0], (sheet[..., 0] - sheet[..., 2])[6:30, 6:26]
    assert np.corrcoef(tile.ravel(), red_over_blue.ravel())[0, 1] > 0.9


WAVES = {
    1: ([0x00, 0x80, 0xFF, 0x81], [-1, 0, 127 / 128, 1 / 128]),
    2: ([0x00, 0x80, 0x00, 0x00, 0xFF, 0x7F, 0x01, 0x00], [-1, 0, 1 - 2**-15, 2**-15]),
    3: ([0, 0, 0x80, 0, 0, 0, 0xFF, 0xFF, 0x7F, 1, 0, 0], [-1, 0, 1 - 2**-23, 2**-23]),
    4: ([0, 0, 0, 0x80, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0x7F, 1, 0, 0, 0], [-1, 0, 1 - 2**-31, 2**-31]),
}


@pytest.mark.parametrize("width", WAVES)
def test_wav_of_every_width_is_read_exactly(width, tmp_path):
    from numconv._cli.files import read_wav

    raw, values = WAVES[width]
    mono, rate = read_wav(write_wav(tmp_path / "mono.wav", 1, width, raw, rate=44100))
    assert rate == 44100 and mono.dtype == (np.float64 if width == 4 else np.float32)
    np.testing.assert_array_equal(mono, [values])
    stereo, _ = read_wav(write_wav(tmp_path / "stereo.wav", 2, width, raw))
    np.testing.assert_array_equal(stereo, [values[0::2], values[1::2]])


def test_sound_through_wavelets(tmp_path):
    samples = np.random.default_rng(1).integers(-3000, 3000, (100, 2), dtype="<i2")
    path = write_wav(tmp_path / "sound.wav", 2, 2, samples.tobytes())
    maps = filtered(tmp_path, path, "ricker")
    np.testing.assert_array_equal(maps, numconv.filter_bank(samples.T.astype(np.float32) / 2**15, banks.ricker()))
    assert run("filter", path, "--bank", "slope", "-o", tmp_path / "curves.png") == 0
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.size[0] == 1800


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "RGBA", "CMYK", "I;16", "F"])
def test_every_kind_of_picture(mode, photo, tmp_path):
    path = tmp_path / ("picture.tif" if mode in ("CMYK", "F") else "picture.png")
    if mode == "I;16":
        Image.fromarray(photo[1][..., 0].astype(np.uint16) * 257).save(path)
    else:
        Image.fromarray(photo[1]).convert(mode).save(path)
    assert filtered(tmp_path, path, "sobel").shape == (2, 24, 20)


def test_pictures_are_turned_upright(photo, tmp_path):
    from numconv._cli.files import read_image

    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright
    Image.fromarray(photo[1]).save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "turned.png"), np.rot90(photo[1], -1))


# ---- info, help, mistakes


def test_info_prints_the_configuration(capsys):
    assert run("info") == 0
    printed = capsys.readouterr().out
    numconv.show_config()
    assert printed == capsys.readouterr().out and printed


def test_info_needs_no_extras():
    code = (
        "import sys; from numconv.__main__ import main; main(['info']); "
        "print(sorted({'matplotlib', 'PIL', 'skimage', 'tqdm', 'scipy'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert ran.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("command", [["--help"], ["demo", "--help"], ["filter", "--help"], ["info", "--help"]])
def test_help(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main(command)
    assert stop.value.code == 0 and "usage: python -m numconv" in capsys.readouterr().out


MISTAKES = {
    "no command": ([], "COMMAND"),
    "unknown command": (["fliter"], "fliter"),
    "no bank": (["filter", "{photo}", "-o", "{tmp}/a.npy"], "--bank"),
    "missing photograph": (["demo", "{tmp}/nothing.jpg"], "nothing.jpg: no such file or directory"),
    "missing signal": (["demo", "{photo}", "--signal", "{tmp}/no.wav"], "no.wav: no such file or directory"),
    "signal of two axes": (["demo", "{photo}", "--signal", "{tmp}/plane.npy"], "expected a real (samples,)"),
    "gallery nowhere": (["demo", "{photo}", "-o", "{tmp}/no/maps.png"], "no directory"),
    "gallery of unknown kind": (["demo", "{photo}", "-o", "{tmp}/maps.txt"], "must end in .png"),
    "missing input": (["filter", "{tmp}/no.png", "--bank", "lines", "-o", "{tmp}/a.npy"], "no such file or directory"),
    "unknown bank": (["filter", "{photo}", "--bank", "gabro", "-o", "{tmp}/a.npy"], "did you mean gabor?"),
    "missing bank": (["filter", "{photo}", "--bank", "{tmp}/no.npy", "-o", "{tmp}/a.npy"], "no.npy: no such file"),
    "bank of five axes": (["filter", "{photo}", "--bank", "{tmp}/deep.npy", "-o", "{tmp}/a.npy"], "(KH, KW, C, F)"),
    "bank of text": (["filter", "{photo}", "--bank", "{tmp}/words.npy", "-o", "{tmp}/a.npy"], "array of numbers"),
    "broken picture": (["filter", "{tmp}/broken.png", "--bank", "lines", "-o", "{tmp}/a.npy"], "cannot"),
    "broken sound": (["filter", "{tmp}/broken.wav", "--bank", "ricker", "-o", "{tmp}/a.npy"], "cannot read"),
    "broken array": (["filter", "{tmp}/broken.npy", "--bank", "lines", "-o", "{tmp}/a.npy"], "cannot read"),
    "pickled array": (["filter", "{tmp}/objects.npy", "--bank", "lines", "-o", "{tmp}/a.npy"], "cannot read"),
    "image, 1-D bank": (["filter", "{photo}", "--bank", "ricker", "-o", "{tmp}/a.npy"], "two-dimensional"),
    "sound, 2-D bank": (["filter", "{tmp}/sound.wav", "--bank", "lines", "-o", "{tmp}/a.npy"], "one-dimensional"),
    "colour array": (["filter", "{tmp}/colour.npy", "--bank", "lines", "-o", "{tmp}/a.npy"], "axes=(0, 1)"),
    "too few axes": (["filter", "{tmp}/line.npy", "--bank", "lines", "-o", "{tmp}/a.npy"], "filter_bank"),
    "too few channels": (["filter", "{tmp}/plane.npy", "--bank", "colour", "-o", "{tmp}/a.npy"], "(11, 11, 3,"),
    "unknown padding": (["filter", "{photo}", "--bank", "lines", "--padding", "big", "-o", "{tmp}/a.npy"], "big"),
    "strange stride": (["filter", "{photo}", "--bank", "lines", "--stride", "two", "-o", "{tmp}/a.npy"], "two"),
    "unknown type": (["filter", "{photo}", "--bank", "lines", "--dtype", "floaty", "-o", "{tmp}/a.npy"], "floaty"),
    "unknown output": (["filter", "{photo}", "--bank", "lines", "-o", "{tmp}/a.tiff"], "must end in"),
    "output nowhere": (["filter", "{photo}", "--bank", "lines", "-o", "{tmp}/no/a.npy"], "no directory"),
    "output a directory": (["filter", "{photo}", "--bank", "lines", "-o", "{tmp}/folder.npy"], "is a directory"),
    "device that is full": (["filter", "{photo}", "--bank", "lines", "-o", "{tmp}/full.npy"], "no space left"),
}


@pytest.fixture
def strange_files(tmp_path, photo):
    for name in ("broken.png", "broken.wav", "broken.npy"):
        (tmp_path / name).write_bytes(b"RIFFnothing of the kind")
    np.save(tmp_path / "deep.npy", np.zeros((1, 1, 1, 1, 1)))
    np.save(tmp_path / "words.npy", np.array(["a", "b"]))
    np.save(tmp_path / "objects.npy", np.array([{}, None]), allow_pickle=True)
    np.save(tmp_path / "colour.npy", np.zeros((30, 30, 3)))
    np.save(tmp_path / "line.npy", np.zeros(9))
    np.save(tmp_path / "plane.npy", np.zeros((30, 30)))
    write_wav(tmp_path / "sound.wav", 1, 2, bytes(200))
    (tmp_path / "folder.npy").mkdir()
    if sys.platform == "linux":
        (tmp_path / "full.npy").symlink_to("/dev/full")
    return {"photo": photo[0], "tmp": tmp_path}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_gives_status_2_and_one_line(mistake, strange_files, capsys):
    if mistake == "device that is full" and sys.platform != "linux":
        pytest.skip("/dev/full is Linux's")
    arguments, words = MISTAKES[mistake]
    assert main([argument.format(**strange_files) for argument in arguments]) == 2
    captured = capsys.readouterr()
    error = captured.err.rpartition("\r")[2]  # of the bar that comes after a second, where kernels have to be compiled
    assert captured.out == "" and error.startswith("numconv: ")
    assert error.count("\n") == 1 and error.endswith("\n")
    assert words in error


@pytest.mark.parametrize(
    ("module", "package", "command"),
    [
        ("matplotlib", "matplotlib", ["demo"]),
        ("PIL", "pillow", ["demo"]),
        ("PIL.Image", "pillow", ["filter", "{photo}", "--bank", "lines", "-o", "{tmp}/a.npy"]),
    ],
)
def test_a_missing_extra_is_named(module, package, command, strange_files, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    assert main([argument.format(**strange_files) for argument in command]) == 2
    error = capsys.readouterr().err
    assert f'needs {package}: python -m pip install "numconv[demo]"' in error and error.count("\n") == 1


def test_interrupt_is_one_line(strange_files, capsys, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(numconv, "filter_bank", interrupted)
    photo, tmp = strange_files["photo"], strange_files["tmp"]
    assert run("filter", photo, "--bank", "lines", "-o", tmp / "a.npy") == 130
    assert capsys.readouterr().err == "numconv: interrupted\n"
