"""``python -m numconv``: `demo`, `learn`, `filter` a file, `bench`, `info`, and the `cache` of compiled kernels."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from ._cli.errors import CommandError

_FILTER_HELP = """\
INPUT is an image (whatever Pillow reads), sound (.wav, PCM of 8 to 32 bits) or an array (.npy).
Images keep the numbers of the file (0 to 255 as a rule); sound is scaled to [-1, 1).

  lines sobel gabor            two-dimensional: images
  average bump slope ricker    one-dimensional: sound
  colour                       32 filters of 3 channels: colour images
  FILE.npy                     (F, K), (F, KH, KW), or Keras's (KH, KW, C, F), which sums over the channels;
                               save a single two-dimensional kernel as (1, KH, KW)

Colour images go through a two-dimensional bank as brightness (0.299 R + 0.587 G + 0.114 B), or, with
--colour channels, channel by channel. Arrays are filtered along their last axes, or along --axes.

The maps have the shape (F, H, W) or (F, samples), behind the axes that were not filtered.
OUTPUT: .npy holds the maps, .npz "maps" and "filters", .png a sheet of all maps, red above 0 and blue below.
"""


class _Parser(argparse.ArgumentParser):
    """Reports a mistake in one line."""

    def error(self, message: str) -> NoReturn:
        raise CommandError(f"{message} (see {self.prog} --help)")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 2 where the user can mend what went wrong, said in one line on stderr."""
    try:
        arguments = _parser().parse_args(argv)
        return arguments.run(arguments)
    except CommandError as error:
        print(f"numconv: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("numconv: interrupted", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m numconv", description="Convolution for NumPy arrays, compiled with Numba.")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=_Parser)
    _add_demo(commands)
    _add_learn(commands)
    _add_filter(commands)
    _add_bench(commands)
    _add_cache(commands)
    info = commands.add_parser("info", help="versions, processor, threads", description="Print numconv.show_config().")
    info.set_defaults(run=_info)
    return parser


def _add_demo(commands: argparse._SubParsersAction) -> None:
    demo = commands.add_parser(
        "demo",
        help="worked examples, a photograph through 48 filters, a signal, and how fast",
        description="Print two worked examples; run a photograph through two layers of filters made by hand and a "
        "signal through a third; print times; draw filters and maps on one page.",
    )
    demo.add_argument("image", nargs="?", type=Path, metavar="IMAGE", help="photograph (default: one of scikit-image)")
    demo.add_argument("--signal", type=Path, metavar="FILE", help=".wav or .npy (default: a recording of Matplotlib)")
    demo.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("feature_maps.png"),
        metavar="OUTPUT",
        help="the gallery: .png, .jpg or .pdf, or a directory (default: feature_maps.png)",
    )
    demo.set_defaults(run=_demo)


def _add_learn(commands: argparse._SubParsersAction) -> None:
    learn = commands.add_parser(
        "learn",
        help="filters that are learned: a hidden detector, handwritten digits",
        description="Find a hidden detector of lines from examples; train a small network on the digits that come "
        "with scikit-learn, to 98 % and more of those it has not seen; draw the filters, the learning curves and a "
        "digit on its way through the network on one page.",
    )
    learn.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("learned.png"),
        metavar="OUTPUT",
        help="the page: .png, .jpg or .pdf (default: learned.png)",
    )
    learn.add_argument("--seed", type=_seed, default=0, metavar="N", help="of all that is random (default: 0)")
    learn.set_defaults(run=_learn)


def _add_filter(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "filter",
        help="an image, sound or array through a bank of filters",
        description="Run a file through a bank of filters.",
        epilog=_FILTER_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("input", type=Path, metavar="INPUT")
    parser.add_argument("--bank", required=True, metavar="BANK", help="a name from the list below, or FILE.npy")
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="OUTPUT", help=".png, .npy or .npz")
    parser.add_argument("--padding", type=_padding, default="same_lower", help="a name, or samples: 2 or 2,3")
    parser.add_argument("--pad-mode", default="symmetric", help="constant, edge, reflect, symmetric (default), wrap")
    parser.add_argument("--stride", type=_integers, default=1, help="1 (default), or one number for each axis: 2,1")
    parser.add_argument("--dtype", help="type of the maps, such as float64 or int16")
    parser.add_argument("--axes", type=_integers, help="axes of a .npy array to filter, such as 0,1")
    parser.add_argument("--colour", choices=("luma", "channels"), default="luma", help="see below")
    parser.set_defaults(run=_filter)


def _add_bench(commands: argparse._SubParsersAction) -> None:
    bench = commands.add_parser(
        "bench",
        help="how fast, beside the hardware and whatever other libraries are installed",
        description="Time suites of convolutions: layers of networks, filters on images and signals, overhead, "
        "threads. All that takes part runs in turn: numconv, PyTorch, ONNX Runtime, OpenCV and SciPy where they are "
        "installed, a loop of multiply-adds, and a copy.",
    )
    suites = "layers, float64, transposed, gradients, depthwise, images, separable, banks, signals, reductions, long, "
    suites += "large, complex, integers, training, overhead, threads"
    bench.add_argument("suites", nargs="*", metavar="SUITE", help=f"{suites} (default: all of them, some minutes)")
    bench.add_argument("--quick", action="store_true", help="3 rounds rather than 15: a first impression")
    bench.add_argument("--threads", type=_count, metavar="N", help="for all libraries (default: numconv's)")
    bench.add_argument("--only", default="", metavar="NAME", help="workloads whose name holds this, such as vgg16")
    bench.add_argument("--markdown", action="store_true", help="print the tables as Markdown")
    bench.add_argument("--json", type=Path, metavar="FILE", help="write all figures to FILE.json")
    bench.add_argument(
        "--gate",
        type=Path,
        metavar="FILE",
        help="measure a dozen workloads of the gate's own in CPU time of one thread; exit 1 if one is slower than FILE",
    )
    bench.add_argument(
        "--planner",
        type=Path,
        metavar="FILE",
        help="time all methods on hundreds of problems, and say how often auto takes the fastest; FILE.json keeps all",
    )
    bench.add_argument("--seconds", type=_count, default=1024, metavar="S", help="of the planner's times, then stop")
    bench.add_argument("--save", action="store_true", help="write FILE.json for the gate")
    bench.set_defaults(run=_bench)


def _add_cache(commands: argparse._SubParsersAction) -> None:
    cache = commands.add_parser(
        "cache",
        help="compiled kernels on disk: info, warm, clear",
        description="Compiled kernels are kept on disk, for all processes of a user: in NUMCONV_CACHE_DIR, else where "
        "the system keeps caches. NUMCONV_CACHE=0 keeps none.",
    )
    actions = cache.add_subparsers(metavar="ACTION", required=True, parser_class=_Parser)
    actions.add_parser("info", help="where, how many, how large").set_defaults(run=_cache, action="info")
    actions.add_parser("clear", help="remove all of them").set_defaults(run=_cache, action="clear")
    warm = actions.add_parser("warm", help="compile ahead what usual problems need, as numconv.warm_up")
    warm.add_argument(
        "--dtypes", nargs="+", default=["float32", "float64"], metavar="DTYPE", help="default: both floats"
    )
    warm.add_argument("--ndims", nargs="+", type=int, default=[1, 2, 3], metavar="N", help="default: 1 2 3")
    warm.set_defaults(run=_cache, action="warm")


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1024:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 1024")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 up")
    return int(text)


def _integers(text: str) -> int | tuple[int, ...]:
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not an integer or a list such as 2,1") from None
    return numbers if len(numbers) > 1 else numbers[0]


def _padding(text: str) -> str | int | tuple[int, ...]:
    return _integers(text) if text[:1].isdigit() else text


def _demo(arguments: argparse.Namespace) -> int:
    from ._cli import demo

    return demo.run(arguments.image, arguments.signal, arguments.output)


def _learn(arguments: argparse.Namespace) -> int:
    from ._cli import learn

    return learn.run(arguments.output, arguments.seed)


def _filter(arguments: argparse.Namespace) -> int:
    from ._cli.filtering import Job, run

    options = {name: getattr(arguments, name) for name in ("padding", "pad_mode", "stride", "dtype")}
    axes = (arguments.axes,) if isinstance(arguments.axes, int) else arguments.axes
    luma = arguments.colour == "luma"
    return run(Job(arguments.input, arguments.bank, arguments.output, axes, luma, options))


def _bench(arguments: argparse.Namespace) -> int:
    from ._bench import passive_threads

    passive_threads()
    if arguments.save and arguments.gate is None:
        raise CommandError("--save needs --gate FILE, the file to write")
    if arguments.gate is not None:
        from ._bench import gate

        return gate.save(arguments.gate) if arguments.save else gate.check(arguments.gate)
    from . import get_num_threads
    from ._bench.command import run
    from ._bench.settings import Settings

    settings = Settings(arguments.threads or get_num_threads(), only=arguments.only)
    if arguments.quick:
        settings = settings.quick()
    if arguments.planner is not None:
        from ._bench import planner

        return planner.run(arguments.planner, settings, arguments.seconds, arguments.markdown)
    return run(arguments.suites, settings, arguments.markdown, arguments.json)


def _cache(arguments: argparse.Namespace) -> int:
    from ._cli import kernels

    if arguments.action == "warm":
        return kernels.warm(arguments.dtypes, arguments.ndims)
    return kernels.info() if arguments.action == "info" else kernels.clear()


def _info(arguments: argparse.Namespace) -> int:
    import numconv

    numconv.show_config()
    return 0


if __name__ == "__main__":
    sys.exit(main())
