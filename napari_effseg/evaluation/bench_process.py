"""A process that measures one network once: the job as JSON on stdin, the numbers as JSON on stdout.

``python -m napari_effseg.evaluation.bench_process``; `comparison` starts it. What a process has held at most
can then be blamed on this one network.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any

import psutil
import torch

from ..engine.device import peak_memory_bytes, resolve_device
from ..nets.inference import inference_form
from ._cost import count_operations, count_parameters, one_pass, one_step, timed
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
    torch.optim.Adam([torch.zeros(1, requires_grad=True)])
    before = 0 if target.type == "cuda" else psutil.Process().memory_info().rss
    built = subject.build().to(target)
    example = torch.randn(subject.input_shape, generator=torch.Generator().manual_seed(0)).to(target)
    if training:
        step = asdict(timed(one_step(built, example), target))
        return {**step, "peak_memory_bytes": peak_memory_bytes(info) - before}
    found = asdict(timed(one_pass(inference_form(built.eval()), example), target))
    found["peak_memory_bytes"] = peak_memory_bytes(info) - before
    return found | _of_the_plain_form(subject, _layers(built), example)


def _of_the_plain_form(subject: Subject, layers: list[type], example: torch.Tensor) -> dict[str, Any]:
    """Count parameters and operations, and time the plain form if it has other layers than those measured."""
    plain = subject.build().to(example.device)
    operations = count_operations(plain, example)
    other = _layers(plain) != layers
    return {
        "eager_seconds": timed(one_pass(plain, example), example.device).seconds if other else None,
        "parameters": count_parameters(plain),
        "operations": operations.products,
        "scan_operations": operations.scans,
    }


def _layers(network: torch.nn.Module) -> list[type]:
    return [type(module) for module in network.modules()]


if __name__ == "__main__":
    main()
