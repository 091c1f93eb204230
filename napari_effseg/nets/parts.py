"""Which parameters of a network are its encoder and its head: what finetuning may freeze."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import UnknownModel

__all__ = ["Parts", "parts"]


@dataclass(frozen=True)
class Parts:
    """Parts of a network, by the beginnings of its parameters' names.

    Attributes
    ----------
    classes : str
        Constructor argument that tells the number of output channels.
    encoder : tuple of str
        What turns an image into features: everything before the first upsampling.
    head : tuple of str
        What turns the last features into logits; holds all parameters whose shape depends on the classes.
    """

    classes: str
    encoder: tuple[str, ...]
    head: tuple[str, ...]


_PARTS = {
    "lightm-unet": Parts("out_channels", ("convInit.", "down_layers."), ("conv_final.",)),
    "segresmamba": Parts("out_chans", ("vit.",), ("out.",)),
    "slim-unetr": Parts("out_channels", ("Encoder.",), ("Decoder.SegHead.",)),
    "unet": Parts("out_channels", ("down.",), ("head.",)),
}


def parts(network: str) -> Parts:
    """Return the parts of a network.

    Raises
    ------
    UnknownModel
        If nobody has named the parts of this network.
    """
    if network not in _PARTS:
        raise UnknownModel(
            f"the parts of the network {network} are not named, so that it cannot be finetuned; "
            f"these can: {', '.join(_PARTS)}"
        )
    return _PARTS[network]
