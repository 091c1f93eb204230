"""Print how far the Triton kernels are from the reference, as JSON; run by Triton's interpreter.

The interpreter is chosen when Triton is imported, which works once in a process: so this is one of its own.
"""

from __future__ import annotations

import json
import os
import sys

import torch

from napari_effseg.nets import _scan_triton, selective_scan

from .test_selective_scan import gradients, make_arguments

CASES = ((1, 1, 1, 1, 0), (2, 2, 17, 3, 0), (1, 4, 9, 2, 2))
"""Batch, channels, length, states, groups."""


def errors(batch: int, channels: int, length: int, states: int, groups: int) -> dict[str, float]:
    """Return the largest difference of each output and gradient, relative to its largest value."""
    single = {n: x.float() for n, x in make_arguments(batch, channels, length, states, groups).items()}
    wide = {name: x.double() for name, x in single.items()}
    found, expected = (_outputs(path, values) for path, values in (("triton", single), ("reference", wide)))
    return {
        name: float((found[name].double() - truth).abs().max() / truth.abs().max().clamp_min(1e-3))
        for name, truth in expected.items()
    }


def _outputs(path: str, values: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    os.environ["EFFSEG_SCAN"] = path
    y, last_state = selective_scan(**values, delta_softplus=True, return_last_state=True)
    return gradients(values) | {"y": y.detach(), "last state": last_state.detach()}


if __name__ == "__main__":
    _scan_triton.LARGEST_TILE = 8  # several tiles, even of a short sequence
    sys.stdout.write(json.dumps([errors(*case) for case in CASES]))
