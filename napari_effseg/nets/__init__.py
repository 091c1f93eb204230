"""Networks: tensors in, tensors out, pure torch but for the fast scan kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from ..errors import UnknownModel, nearest_names
from .click_unet import ClickUNet, ClickUNetConfig
from .hrmedseg import HRMedSeg, HRMedSegConfig
from .lightm_unet import LightMUNet, LightMUNetConfig
from .mamba import Mamba
from .nnunet import NNUNet, NNUNetConfig
from .sam import SAM, SAMConfig
from .segmamba import SegMamba, SegMambaConfig
from .segresmamba import SegResMamba, SegResMambaConfig
from .selective_scan import selective_scan
from .slim_unetr import SlimUNETR, SlimUNETRConfig
from .solid_unet import SolidUNet, SolidUNetConfig
from .u_mamba import UMamba, UMambaConfig
from .unet import UNet, UNetConfig

__all__ = [
    "SAM",
    "ClickUNet",
    "ClickUNetConfig",
    "HRMedSeg",
    "HRMedSegConfig",
    "LightMUNet",
    "LightMUNetConfig",
    "Mamba",
    "NNUNet",
    "NNUNetConfig",
    "SAMConfig",
    "SegMamba",
    "SegMambaConfig",
    "SegResMamba",
    "SegResMambaConfig",
    "SlimUNETR",
    "SlimUNETRConfig",
    "SolidUNet",
    "SolidUNetConfig",
    "UMamba",
    "UMambaConfig",
    "UNet",
    "UNetConfig",
    "create",
    "names",
    "selective_scan",
]


def _click_unet(**constructor: Any) -> nn.Module:
    return ClickUNet(ClickUNetConfig(**constructor))


def _hrmedseg(**constructor: Any) -> nn.Module:
    return HRMedSeg(HRMedSegConfig(**constructor))


def _lightm_unet(**constructor: Any) -> nn.Module:
    return LightMUNet(LightMUNetConfig(**constructor))


def _nnunet(**constructor: Any) -> nn.Module:
    return NNUNet(NNUNetConfig(**constructor))


def _sam(**constructor: Any) -> nn.Module:
    return SAM(SAMConfig(**constructor))


def _segmamba(**constructor: Any) -> nn.Module:
    return SegMamba(SegMambaConfig(**constructor))


def _segresmamba(**constructor: Any) -> nn.Module:
    return SegResMamba(SegResMambaConfig(**constructor))


def _slim_unetr(**constructor: Any) -> nn.Module:
    return SlimUNETR(SlimUNETRConfig(**constructor))


def _u_mamba(**constructor: Any) -> nn.Module:
    return UMamba(UMambaConfig(**constructor))


def _solid_unet(**constructor: Any) -> nn.Module:
    return SolidUNet(SolidUNetConfig(**constructor))


def _unet(**constructor: Any) -> nn.Module:
    return UNet(UNetConfig(**constructor))


_BUILDERS: dict[str, Callable[..., nn.Module]] = {
    "click-unet": _click_unet,
    "hrmedseg": _hrmedseg,
    "hrmedsegsam": _hrmedseg,
    "lightm-unet": _lightm_unet,
    "nnunet": _nnunet,
    "sam": _sam,
    "segmamba": _segmamba,
    "segresmamba": _segresmamba,
    "slim-unetr": _slim_unetr,
    "u-mamba": _u_mamba,
    "solid-unet": _solid_unet,
    "unet": _unet,
}


def names() -> tuple[str, ...]:
    """Return the names that `create` knows, sorted."""
    return tuple(sorted(_BUILDERS))


def create(name: str, **constructor: Any) -> nn.Module:
    """Build a network with freshly initialised weights.

    Parameters
    ----------
    name : str
        One of `names()`, such as ``"lightm-unet"``.
    **constructor
        The network's own arguments; without any, the released class defaults. Lists are taken for tuples.

    Returns
    -------
    torch.nn.Module
        In training mode, on the CPU, with the authors' parameter names and shapes.

    Raises
    ------
    UnknownModel
        If no network has this name.
    TypeError, ValueError
        If an argument is unknown to the network, or outside its range.

    Examples
    --------
    >>> net = create("lightm-unet", spatial_dims=2, init_filters=8, blocks_down=[1, 1], blocks_up=[1])
    >>> sum(p.numel() for p in net.parameters())
    12017
    """
    if name not in _BUILDERS:
        raise UnknownModel(
            f"no network is called {name!r}.{nearest_names(name, _BUILDERS)} Known: {', '.join(names())}"
        )
    return _BUILDERS[name](**constructor)
