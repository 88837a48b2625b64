"""The table of the README, from what was found: ours, and how many times as long each peer took."""

from typing import Any

from .workloads import EVERY, Workload

HEAD = (
    "| on the GPU | precision | ms | layout | TFLOP/s | of copying | error | torch | torch, other | CuPy | aim |",
    "|---|---|---|---|---|---|---|---|---|---|---|",
)
TORCH = {"ieee": "ieee", "3xtf32": "ieee", "tf32": "tf32", "bf16": "bf16"}
"""What PyTorch is asked for beside a precision of ours."""
LARGEST = {"ieee": 3e-5, "3xtf32": 3e-4, "tf32": 1e-2, "bf16": 5e-2}
"""Errors beyond which a result is wrong, whatever it took; float16 as bf16."""


def lines(found: dict[str, Any]) -> list[str]:
    """Of Markdown; ratios above 1 are in our favour. A row for each precision, in the faster layout."""
    copy = found.get("copy bandwidth")
    rows = []
    for workload in EVERY:
        row = found.get(workload.name)
        if isinstance(row, dict):
            rows += [_line(workload, precision, row, copy) for precision in workload.precisions]
    return [*HEAD, *filter(None, rows)]


def _line(workload: Workload, precision: str, row: dict[str, Any], copy: Any) -> str:
    name, mine = _fastest(row, f"numconv {precision} ")
    if mine is None:
        reasons = [value for key, value in row.items() if key.startswith(f"numconv {precision} ")]
        return f"| {workload.name} | {precision} | {str(reasons[0])[:80] if reasons else ''} |" + " |" * 8
    largest = LARGEST["bf16" if workload.dtype == "float16" else precision]
    if not mine["error"] < largest:
        return f"| {workload.name} | {precision} | wrong: error {mine['error']:.0e} |" + " |" * 8
    share = f"{mine['gbytes'] * 1e9 / copy:.0%}" if isinstance(copy, float) else ""
    same, other = TORCH[precision], "tf32" if TORCH[precision] == "ieee" else "ieee"
    cells = [
        workload.name, precision, f"{mine['ms']:.3f}", "last" if "last" in name else "first", f"{mine['tflops']:.1f}",
        share, f"{mine['error']:.0e}", _ratio(row, f"torch {same} ", mine), _ratio(row, f"torch {other} ", mine),
        _ratio(row, "cupy ", mine), workload.targets.get(precision, ""),
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _fastest(row: dict[str, Any], prefix: str) -> tuple[str, dict[str, Any] | None]:
    found = {key: value for key, value in row.items() if key.startswith(prefix) and isinstance(value, dict)}
    best = min(found, key=lambda key: found[key]["ms"], default="")
    return best, found.get(best)


def _ratio(row: dict[str, Any], prefix: str, mine: dict[str, Any]) -> str:
    """With the precision's name where it is another, and the error where it is ten times ours."""
    _, best = _fastest(row, prefix)
    if best is None:
        return ""
    name = prefix.split()[1] if prefix.startswith("torch") else ""
    told = f" ({name}" + (f", error {best['error']:.0e}" if best["error"] > 10 * mine["error"] else "") + ")"
    return f"{best['ms'] / mine['ms']:.2f}x" + (told if name else "")
