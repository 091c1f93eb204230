"""From logits on the network's grid to labels and doubt on the image's: what is carried between the two."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ..zoo.card import Card, OutputSpec
from .doubt import decide_labels, doubt_of
from .windows import Rows

__all__ = ["ScoreReader", "mean_of"]

_SMALLEST = 1e-30


def mean_of(rows: Sequence[Iterator[Rows]]) -> Iterator[Rows]:
    """Average the logits of several networks, each blended by itself."""
    for parts in zip(*rows, strict=True):
        total = parts[0].values
        for part in parts[1:]:
            total = total + part.values
        yield Rows(parts[0].start, total / len(parts))


class ScoreReader:
    """Turns rows of logits into what a card brings back, and that into labels and doubt.

    Parameters
    ----------
    card : Card
        ``output.bring_back`` says what goes from grid to grid: logits, probabilities, or labels with doubt.
    """

    def __init__(self, card: Card) -> None:
        self._output: OutputSpec = card.output
        self._halves = card.input.manner == "nnunet"

    def before(self, rows: Iterator[Rows]) -> Iterator[Rows]:
        """Rows of logits (C, rows, J, K) -> what is brought back; labels and doubt are two channels."""
        if self._output.bring_back == "logits":
            yield from rows
            return
        for part in rows:
            yield Rows(part.start, self._carried(part.values))

    def after(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Labels (int32) and doubt (float32), each (rows, J, K), of what was brought back."""
        if self._output.bring_back == "labels":
            return values[0].to(torch.int32), values[1].clone()
        if self._halves:
            values = values.half().float()  # nnU-Net keeps its logits so
        logits = values if self._output.bring_back == "logits" else self._logits(values)
        return decide_labels(logits, self._output), doubt_of(logits, self._output)

    def _carried(self, logits: Tensor) -> Tensor:
        if self._output.bring_back == "labels":
            labels = decide_labels(logits, self._output)
            return torch.stack([labels.float(), doubt_of(logits, self._output)])
        return logits.softmax(0) if self._output.activation == "softmax" else logits.sigmoid()

    def _logits(self, probabilities: Tensor) -> Tensor:
        """Logits that have these probabilities."""
        if self._output.activation == "softmax":
            return probabilities.clamp_min(_SMALLEST).log()
        return probabilities.logit(eps=1e-7)
