"""Networks, ours and others', measured in one run on one machine, each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from .._extras import require
from ..engine.device import DeviceInfo, resolve_device
from ..errors import Cancelled, EffsegError
from ..types import CancelCheck, Progress
from ..zoo import Card
from ._cost import count_operations, count_parameters
from .subjects import Subject, card_subject, paper_subjects, peers_of

__all__ = ["BenchReport", "BenchRow", "TrainingStep", "bench", "measure"]

_POLL_SECONDS = 0.2
_GRAMS_A_KWH = 475.0
"""CO2 equivalent of a kWh: a world average, an assumption."""


@dataclass(frozen=True)
class TrainingStep:
    """One step of training: forward, backward, Adam; batch of one.

    Attributes
    ----------
    seconds, fastest_seconds : float
        Median and least of the timed steps.
    peak_memory_bytes : int
        As for `BenchRow`; gradients and the optimiser's memory are in it.
    energy_joules, co2_grams : float or None
        Estimates: see `BenchRow`, and 475 g of CO2 equivalent a kWh.
    """

    seconds: float
    fastest_seconds: float
    peak_memory_bytes: int
    energy_joules: float | None
    co2_grams: float | None


@dataclass(frozen=True)
class BenchRow:
    """One network on one input, batch of one, in the form that the engine runs: see `nets.inference`.

    Attributes
    ----------
    name : str
        Card, or network and configuration.
    network : str
        As for `Subject`.
    peer : bool
        Whether it is not one that this package is made of.
    input_shape : tuple of int
        (1, C, *S).
    parameters : int
    operations : int
        Convolutions and matrix products of a pass, 2 a multiply-add.
    scan_operations : int
        Selective scans: 9 a state update, and 1 a value for each of D and z.
    seconds, fastest_seconds : float
        Median and least of the timed passes.
    peak_memory_bytes : int
        Most that the process held, less what it held with torch loaded and no network; on CUDA most that
        tensors held. Weights and input are in it.
    eager_seconds : float or None
        Median of the network's plain form in the same process; None where it has no other.
    energy_joules : float or None
        An estimate of one pass: on a CPU its busy core-seconds at 10 W each; on CUDA the power that the
        driver reports, None where it reports none.
    co2_grams : float or None
        An estimate: 475 g of CO2 equivalent a kWh.
    training : TrainingStep or None
        None where it was not asked for, and for a part of a network.
    """

    name: str
    network: str
    peer: bool
    input_shape: tuple[int, ...]
    parameters: int
    operations: int
    scan_operations: int
    seconds: float
    fastest_seconds: float
    eager_seconds: float | None
    peak_memory_bytes: int
    energy_joules: float | None
    co2_grams: float | None
    training: TrainingStep | None


@dataclass(frozen=True)
class BenchReport:
    """All that was measured in one run.

    Attributes
    ----------
    device : DeviceInfo
    rows : tuple of BenchRow
    left_out : tuple of str
        Sentences: which peers could not be measured, and why.
    """

    device: DeviceInfo
    rows: tuple[BenchRow, ...]
    left_out: tuple[str, ...]


def bench(
    cards: Sequence[Card],
    device: str = "auto",
    with_peers: bool = False,
    slow: bool = False,
    progress: Progress | None = None,
    cancel: CancelCheck | None = None,
) -> BenchReport:
    """Measure a pass over one window of each card; with peers, the papers' networks and training steps, too.

    Weights do not matter for the cost, so fresh ones are used and no file is needed.

    Parameters
    ----------
    cards : sequence of Card
    device : str
        As for `segment`.
    with_peers : bool
        Whether to measure nnU-Net's network on the same windows, and networks of others and ours at the
        papers' sizes, with the training steps that papers claim something of (needs MONAI; takes minutes).
    slow : bool
        Whether to measure, with the peers, also those that take minutes each.
    progress, cancel : callable, optional

    Raises
    ------
    DeviceError, CardError, MissingExtra, Cancelled
    EffsegError
        If a card's network could not be measured, such as for want of memory.
    """
    info = resolve_device(device)
    subjects = own = [card_subject(card) for card in cards]
    if with_peers:
        require("monai.networks.nets", "train", "the comparison with peers")
        subjects = own + [peer for card in cards for peer in peers_of(card)] + list(paper_subjects(slow))
    unique = list({(entry.name, entry.input_shape): entry for entry in subjects}.values())
    rows, left_out = [], []
    for done, entry in enumerate(unique):
        if progress is not None:
            size = " x ".join(map(str, entry.input_shape[2:]))
            progress(done / len(unique), f"{entry.name}, {size}")
        try:
            rows.append(measure(entry, info.name, entry.steps, cancel))
        except EffsegError as err:
            if entry in own or isinstance(err, Cancelled):
                raise
            left_out.append(str(err))
    return BenchReport(info, tuple(rows), tuple(left_out))


def measure(subject: Subject, device: str, training: bool, cancel: CancelCheck | None = None) -> BenchRow:
    """Measure one network.

    Parameters
    ----------
    subject : Subject
    device : str
        "cpu", "cuda:0", ...
    training : bool
        Whether to measure a training step, too.
    cancel : callable, optional
        Asked all the time; the measurement is then ended at once.

    Raises
    ------
    Cancelled
        If `cancel` said so.
    EffsegError
        If the measuring process ended without numbers.
    """
    found = _in_process(subject, device, training, cancel)
    taken = found.pop("step")
    step = TrainingStep(**taken, co2_grams=_co2_grams(taken["energy_joules"])) if taken else None
    built, shape = subject.build(), subject.input_shape
    operations = count_operations(built, shape)
    return BenchRow(
        subject.name,
        subject.network,
        subject.is_peer,
        shape,
        count_parameters(built),
        operations.products,
        operations.scans,
        co2_grams=_co2_grams(found["energy_joules"]),
        training=step,
        **found,
    )


def _co2_grams(joules: float | None) -> float | None:
    return None if joules is None else joules / 3.6e6 * _GRAMS_A_KWH


def _in_process(subject: Subject, device: str, training: bool, cancel: CancelCheck | None) -> dict[str, Any]:
    """Measure in a process of its own, so that its high-water mark of memory is this network's."""
    job = {
        "subject": asdict(subject),
        "device": device,
        "training": training,
        "threads": torch.get_num_threads(),
    }
    command = [sys.executable, "-m", f"{__package__}.bench_process"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        given: str | None = json.dumps(job)
        while True:
            try:
                output, said = process.communicate(given, timeout=_POLL_SECONDS)
                break
            except subprocess.TimeoutExpired:
                given = None
                if cancel is not None and cancel():
                    process.kill()
                    raise Cancelled("stopped while measuring") from None
    if process.returncode != 0:
        why = said.strip().splitlines()[-1] if said.strip() else f"it ended with {process.returncode}"
        raise EffsegError(f"{subject.name} could not be measured: {why}")
    found: dict[str, Any] = json.loads(output.splitlines()[-1])
    return found
