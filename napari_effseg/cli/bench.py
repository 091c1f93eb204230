"""`effseg bench`: what the models cost, ours and others', in one run on one machine."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ._console import Console, speaks, table
from ._interrupt import Interrupt
from ._options import FILE, as_json, device_option
from ._outputs import StagedFiles, check_output

if TYPE_CHECKING:
    from ..evaluation import BenchReport, BenchRow, ScanRow

__all__ = ["bench"]

_UNKNOWN = "-"
_WHAT = ("name", "input")
_NOTE = """GFLOPs: 2 a multiply-add; scans: those of selective scans. eager: seconds of the plain form, if the
network has another. Joules and CO2e are estimates: 10 W for each busy core of a CPU, 475 g a kWh."""


@click.command(epilog="Example: effseg bench hippocampus-lightm-unet --peers --json bench.json")
@click.argument("models", nargs=-1)
@click.option(
    "--peers",
    is_flag=True,
    help="Measure others' networks, the papers' sizes and training steps, too (extra [train]; ten minutes).",
)
@click.option("--slow", is_flag=True, help="With --peers: SAM ViT-B's encoder and Swin UNETR's step, too.")
@click.option("--scan/--no-scan", default=True, show_default=True, help="Measure the selective scan, too.")
@click.option("--json", "json_file", type=FILE, metavar="FILE", help="Write every number (docs/json.md).")
@click.option("--picture", type=FILE, metavar="FILE.png", help="Draw Dice against time, memory as area.")
@device_option
@click.pass_obj
@speaks
def bench(
    interrupt: Interrupt,
    models: tuple[str, ...],
    peers: bool,
    slow: bool,
    scan: bool,
    json_file: Path | None,
    picture: Path | None,
    device: str,
    console: Console,
) -> None:
    """Measure one pass over one window of MODELS (default: all cards).

    Parameters, operations (2 a multiply-add; scans apart), median seconds of the form that segments and of
    the plain one ("eager"), peak memory above torch itself, and estimates of energy and CO2; with --peers
    also of training steps. Keep the machine quiet meanwhile.
    """
    if slow and not peers:
        raise click.UsageError("--slow adds to what --peers measures; give both")
    files = [file for file in (json_file, picture) if file is not None]
    for file in files:
        check_output(file)
    with StagedFiles(files, interrupt) as staged:
        from .. import evaluation
        from ..zoo.registry import find_card, read_registry

        cards = [find_card(model) for model in models] or list(read_registry().cards.values())
        scores = evaluation.dice_scores(cards) if picture is not None else {}
        with interrupt.between_steps(), console.progress() as progress:
            report = evaluation.bench(cards, device, peers, slow, progress, interrupt.cancel)
            scans = evaluation.bench_scan(progress=progress, cancel=interrupt.cancel) if scan else ()
        if json_file is not None:
            document = {
                "device": asdict(report.device),
                "networks": [asdict(row) for row in report.rows],
                "left_out": report.left_out,
                "scans": [asdict(row) for row in scans],
            }
            staged.place_for(json_file).write_text(as_json(document), encoding="utf-8")
        if picture is not None:
            evaluation.draw_dice_against_time(report, scores, staged.place_for(picture))
        staged.commit()
    _say(report, scans, console)


def _say(report: BenchReport, scans: tuple[ScanRow, ...], console: Console) -> None:
    info = report.device
    console.result(f"on {info.name} ({info.description}), batch of one\n{_passes(report.rows)}")
    if any(row.training for row in report.rows):
        console.result(f"\none training step with Adam\n{_steps(report.rows)}")
    console.result(f"\n{_NOTE}")
    for sentence in report.left_out:
        console.warn(sentence)
    if scans:
        console.result(f"\nselective scan on the CPU, float32\n{_scans(scans)}")


def _passes(rows: tuple[BenchRow, ...]) -> str:
    head = (*_WHAT, "params M", "GFLOPs", "scans", "seconds", "eager", "a second", "MB", "~J", "~mg CO2e")
    body = [
        (
            row.name,
            _input(row),
            f"{row.parameters / 1e6:.2f}",
            f"{row.operations / 1e9:.2f}",
            f"{row.scan_operations / 1e9:.2f}",
            f"{row.seconds:.3f}",
            _number(row.eager_seconds, ".3f"),
            f"{1 / row.seconds:.2f}",
            f"{row.peak_memory_bytes / 1e6:.0f}",
            _number(row.energy_joules, ".1f"),
            _number(row.co2_grams, ".2f", 1000),
        )
        for row in rows
    ]
    return table([head, *body], right=range(2, len(head)))


def _steps(rows: tuple[BenchRow, ...]) -> str:
    head = (*_WHAT, "seconds", "MB", "~J", "~mg CO2e")
    body = [
        (
            row.name,
            _input(row),
            f"{row.training.seconds:.3f}",
            f"{row.training.peak_memory_bytes / 1e6:.0f}",
            _number(row.training.energy_joules, ".1f"),
            _number(row.training.co2_grams, ".2f", 1000),
        )
        for row in rows
        if row.training is not None
    ]
    return table([head, *body], right=range(2, len(head)))


def _input(row: BenchRow) -> str:
    return "x".join(map(str, row.input_shape[1:]))


def _number(value: float | None, form: str, times: float = 1.0) -> str:
    return _UNKNOWN if value is None else format(times * value, form)


def _scans(rows: tuple[ScanRow, ...]) -> str:
    head = ("path", "direction", "ms", "updates a second", "times reference", "relative error", "extra MB")
    body = [
        (
            row.path,
            row.direction,
            f"{1000 * row.seconds:.1f}",
            f"{row.updates_per_second:.2e}",
            f"{row.times_reference:.1f}",
            f"{row.relative_error:.1e}",
            f"{row.extra_memory_bytes / 1e6:.1f}",
        )
        for row in rows
    ]
    return table([head, *body], right=range(2, len(head)))
