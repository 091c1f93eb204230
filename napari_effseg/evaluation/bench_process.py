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
    subject.load_package()  # the package's own memory is not the network's
    before = 0 if target.type == "cuda" else psutil.Process().memory_info().rss
    built = subject.build().to(target)
    example = torch.randn(subject.input_shape, generator=torch.Generator().manual_seed(0)).to(target)
    run = (one_step if training else one_pass)(built, example)
    run()  # caches are warm then, kernels compiled
    found = {**asdict(timed(run, target)), "peak_memory_bytes": peak_memory_bytes(info) - before}
    if not training:
        operations = count_operations(built, example)
        found |= {
            "parameters": count_parameters(built),
            "operations": operations.products,
            "scan_operations": operations.scans,
        }
    return found


if __name__ == "__main__":
    main()
