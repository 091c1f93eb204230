"""From a card's weights to those that finetuning begins with: what is kept, made anew, and frozen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from ... import nets
from ...nets.parts import parts
from ...zoo import build_network
from ...zoo.card import Card

__all__ = ["FREEZES", "Freeze", "freeze", "start_network"]

Freeze = Literal["none", "encoder", "all-but-head"]
FREEZES: tuple[Freeze, ...] = ("none", "encoder", "all-but-head")


def start_network(base: nn.Module, draft: Card, kept: Mapping[int, int], seed: int) -> nn.Module:
    """Build the draft's network with the weights of another one's.

    Output channels of labels that both have are kept, with the background's; the others are initialised anew,
    and all of them if there is no label that both have. Everything before the output is kept.

    Parameters
    ----------
    base : torch.nn.Module
        Network with trained weights, whose constructor differs from the draft's in the classes alone.
    draft : Card
        With softmax: channel 0 is the background, channel n the label n.
    kept : mapping of int to int
        Label of the draft -> label of the base, where both have it.
    seed : int
        Of the new output channels.

    Returns
    -------
    torch.nn.Module
        On the CPU.
    """
    torch.manual_seed(seed)
    network = build_network(draft)
    channels = {0: 0, **kept} if kept else {}
    state, old = network.state_dict(), base.state_dict()
    for name, axis in class_axes(draft).items():
        new = state[name].movedim(axis, 0)  # a view: what is written to it is in the state
        for ours, theirs in channels.items():
            new[ours] = old[name].movedim(axis, 0)[theirs]
        old[name] = state[name]
    network.load_state_dict(old, strict=True)
    return network


def class_axes(card: Card) -> dict[str, int]:
    """Parameters whose shape depends on the number of classes, and the axis that does."""
    argument = parts(card.network).classes
    shapes = [_shapes(card, argument, len(card.labels) + extra) for extra in (1, 2)]
    axes = {}
    for name, shape in shapes[0].items():
        differing = [axis for axis, (a, b) in enumerate(zip(shape, shapes[1][name], strict=True)) if a != b]
        if differing:
            axes[name] = differing[0]
    return axes


def freeze(network: nn.Module, name: str, what: Freeze) -> int:
    """Freeze a part of a network: its parameters lose ``requires_grad``.

    Parameters
    ----------
    network : torch.nn.Module
    name : str
        Its name in `nets`.
    what : {"none", "encoder", "all-but-head"}

    Returns
    -------
    int
        Number of values that are left to learn.
    """
    known = parts(name)
    for parameter_name, parameter in network.named_parameters():
        in_encoder, in_head = parameter_name.startswith(known.encoder), parameter_name.startswith(known.head)
        parameter.requires_grad = {"none": True, "encoder": not in_encoder, "all-but-head": in_head}[what]
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def _shapes(card: Card, argument: str, classes: int) -> dict[str, torch.Size]:
    with torch.device("meta"):  # shapes alone, no memory
        network = nets.create(card.network, **{**card.constructor, argument: classes})
    state: dict[str, Tensor] = network.state_dict()
    return {name: value.shape for name, value in state.items()}
