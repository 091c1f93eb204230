"""A process that measures one network once: the job as JSON on stdin, the numbers as JSON on stdout.

``python -m napari_effseg.evaluation.bench_process``; `comparison` starts it. What a process has held at most
can then be blamed on this one network.
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys
from dataclasses import asdict
from typing import Any

import psutil
import torch
from torch import Tensor

from ..engine.device import DeviceInfo, peak_memory_bytes, resolve_device
from ..nets.inference import inference_form
from ._cost import one_pass, one_step, timed, warmed
from .subjects import Subject

__all__ = ["main"]


def main() -> None:
    """Read the job, measure, write the numbers."""
    job = json.load(sys.stdin)
    subject = Subject(**{**job["subject"], "input_shape": tuple(job["subject"]["input_shape"])})
    torch.set_num_threads(job["threads"])
    sys.stdout.write(json.dumps(_measure(subject, job["device"], job["training"])))


def _measure(subject: Subject, device: str, training: bool) -> dict[str, Any]:
    info = resolve_device(device)
    target = torch.device(info.name)
    subject.load_package()  # the package's own memory is not the network's, nor the optimiser's code
    if training:
        torch.optim.Adam([torch.zeros(1, requires_grad=True)])
    before = 0 if target.type == "cuda" else psutil.Process().memory_info().rss
    example = torch.randn(subject.input_shape, generator=torch.Generator().manual_seed(0)).to(target)
    found = _measure_pass(subject, info, example, before)
    _give_back_memory()
    return {"step": _measure_step(subject, info, example, before) if training else None, **found}


def _measure_pass(subject: Subject, info: DeviceInfo, example: Tensor, before: int) -> dict[str, Any]:
    """Measure the form that segments, in turn with the plain one where that is another."""
    built = subject.build().to(example.device)
    first = warmed(one_pass(inference_form(built.eval()), example))
    peak = peak_memory_bytes(info) - before
    plain = subject.build().to(example.device)
    others = [warmed(one_pass(plain, example))] if _layers(plain) != _layers(built) else []
    found, *eager = timed([first, *others], example.device)
    return {
        **asdict(found),
        "peak_memory_bytes": peak,
        "eager_seconds": eager[0].seconds if eager else None,
    }


def _measure_step(subject: Subject, info: DeviceInfo, example: Tensor, before: int) -> dict[str, Any]:
    """Measure a step, which needs more memory than the pass that was measured before it."""
    (found,) = timed([warmed(one_step(subject.build().to(example.device), example))], example.device)
    return {**asdict(found), "peak_memory_bytes": peak_memory_bytes(info) - before}


def _give_back_memory() -> None:
    """Let the system have what the pass has freed, so that the step's high-water mark is its own."""
    gc.collect()
    if sys.platform == "linux" and hasattr(ctypes.CDLL(None), "malloc_trim"):  # glibc has it
        ctypes.CDLL(None).malloc_trim(0)


def _layers(network: torch.nn.Module) -> list[type]:
    return [type(module) for module in network.modules()]


if __name__ == "__main__":
    main()
