"""`effseg bench`: what the models cost, ours and others', in one run on one machine."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ._console import Console, speaks, table
from ._interrupt import Interrupt
from ._options import FILE, as_json, device_option
from ._outputs import StagedFiles, check_output

if TYPE_CHECKING:
    from ..evaluation import BenchRow, ScanRow

__all__ = ["bench"]


@click.command(epilog="Example: effseg bench hippocampus-lightm-unet --peers --json bench.json")
@click.argument("models", nargs=-1)
@click.option("--peers", is_flag=True, help="Measure networks of others, too (needs the extra [train]).")
@click.option("--scan/--no-scan", default=True, show_default=True, help="Measure the selective scan, too.")
@click.option("--json", "json_file", type=FILE, metavar="FILE", help="Write every number (docs/json.md).")
@device_option
@click.pass_obj
@speaks
def bench(
    interrupt: Interrupt,
    models: tuple[str, ...],
    peers: bool,
    scan: bool,
    json_file: Path | None,
    device: str,
    console: Console,
) -> None:
    """Measure one pass over one window of MODELS (default: all cards).

    Parameters, operations (2 a multiply-add; scans apart), median and fastest seconds, peak memory beside
    weights and input, and an estimate of the energy.
    """
    if json_file is not None:
        check_output(json_file)
    with StagedFiles([json_file] if json_file else [], interrupt) as staged:
        from .. import evaluation
        from ..zoo.registry import find_card, read_registry

        cards = [find_card(model) for model in models] or list(read_registry().cards.values())
        with interrupt.between_steps(), console.progress() as progress:
            info, rows = evaluation.bench(cards, device, peers, progress, interrupt.cancel)
            scans = evaluation.bench_scan(progress=progress, cancel=interrupt.cancel) if scan else ()
        if json_file is not None:
            document = {
                "device": asdict(info),
                "networks": [_row_as_json(row) for row in rows],
                "scans": [asdict(row) for row in scans],
            }
            staged.place_for(json_file).write_text(as_json(document), encoding="utf-8")
        staged.commit()
    console.result(f"on {info.name} ({info.description}), one window, batch of one\n{_networks(rows)}")
    if scans:
        console.result(f"\nselective scan on the CPU, float32\n{_scans(scans)}")


def _row_as_json(row: BenchRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "network": row.network,
        "peer": row.peer,
        "input_shape": list(row.input_shape),
        **asdict(row.cost),
    }


def _networks(rows: tuple[BenchRow, ...]) -> str:
    head = (
        "name",
        "input",
        "parameters",
        "GFLOPs",
        "scan GFLOPs",
        "seconds",
        "fastest",
        "peak MB",
        "energy J",
    )
    body = [
        (
            row.name,
            "x".join(map(str, row.input_shape[1:])),
            f"{row.cost.parameters:,}",
            f"{row.cost.operations / 1e9:.2f}",
            f"{row.cost.scan_operations / 1e9:.2f}",
            f"{row.cost.seconds:.3f}",
            f"{row.cost.fastest_seconds:.3f}",
            f"{row.cost.peak_memory_bytes / 1e6:.0f}",
            "unknown" if row.cost.energy_joules is None else f"{row.cost.energy_joules:.1f}",
        )
        for row in rows
    ]
    return table([head, *body], right=range(2, len(head)))


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
