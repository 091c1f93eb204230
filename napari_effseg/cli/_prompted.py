"""What `effseg prompt` does once its options are read: the session, its answers, and their files."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import Cancelled, ExportWarning, PromptError
from ._case import CaseInput
from ._console import table
from ._interrupt import Interrupt
from ._memory import memory_in_words
from ._options import as_json
from ._outputs import StagedFiles
from ._prompts import Given
from ._results import Outputs

if TYPE_CHECKING:
    from ..engine.session.local import LocalSession
    from ..types import Progress
    from ..volume import LabelMap, Volume
    from ..zoo import Card

__all__ = ["Work", "check_reference_of", "open_work", "volumes_of", "write_work"]


@dataclass
class Work:
    """An open session, and what it was opened for.

    Attributes
    ----------
    case : CaseInput
    volume : Volume
    card : Card
    device : str
        As asked for.
    session : LocalSession
    axis : int
        Across the plane of prompts that have none of their own.
    started : float
        Seconds of a clock.
    """

    case: CaseInput
    volume: Volume
    card: Card
    device: str
    session: LocalSession
    axis: int
    started: float = field(default_factory=time.perf_counter)

    def add(self, given: Sequence[Given], progress: Progress, interrupt: Interrupt) -> None:
        """Give the prompts, in order; one that does not fit is named."""
        for number, one in enumerate(given):
            progress(number / (len(given) + 1), one.said)
            with _naming(one.said), memory_in_words():
                for prompt in one.prompts(self.volume, self.axis):
                    if interrupt.cancel():
                        raise Cancelled("stopped between two prompts")
                    self.session.add(prompt, shown=self.axis)

    def propagate(self, progress: Progress, interrupt: Interrupt) -> None:
        """Carry the object on, along the axis across the plane of the first prompt.

        Raises
        ------
        PromptError
            If there is one slice along that axis, or nothing to carry on.
        """
        from ..prompt_voxels import plane_of

        first = next(iter(self.session.prompts.values()), None)
        axis = (
            self.axis if first is None else plane_of(first, self.volume.shape, self.volume.spacing, self.axis)
        )
        if self.volume.shape[axis] == 1:
            raise PromptError(f"--propagate needs several slices along axis {'IJK'[axis]}; the image has one")
        with _naming("--propagate"), memory_in_words():
            self.session.propagate(axis, progress=progress, cancel=interrupt.cancel)

    def labels(self, label: int | None, name: str, finish: bool, session_file: Path | None) -> LabelMap:
        """Return the finished objects and the one at hand, and save the session.

        Parameters
        ----------
        label : int or None
            Number of the object at hand; None for the next that is free.
        name : str
        finish : bool
            Whether the session keeps the object as finished; else it stays at hand there.
        session_file : Path or None
            Where to save it.

        Raises
        ------
        PromptError
            If there is no voxel in any object.
        """
        from .. import __version__
        from ..volume import Algorithm

        session = self.session
        if session_file is not None and not finish:
            session.save(session_file)
        if session.prompts or session.mask.any() or not session.objects:
            session.commit(label, name)
        if session_file is not None and finish:
            session.save(session_file)
        made_by = f"{__version__}, weights {self.card.weights.sha256[:12]}"
        return replace(session.labels, made_by=Algorithm(self.card.name, made_by, "semiautomatic"))


def open_work(case: CaseInput, model: str, device: str, axis: int | None, session_file: Path | None) -> Work:
    """Load the image and open a session on it, or the one that was saved.

    Raises
    ------
    ImageReadError, VolumeError
        As `load` says.
    PromptError, UnknownModel, CardError, WeightsError, DeviceError
        As `open_session` and `resume` say.
    """
    from .. import io, sessions
    from ..io.effseg import read_session
    from ..prompt_voxels import plane_of
    from ..prompts import Point

    volume = io.load(case.reference, frame=case.frame, series=case.series, level=case.level)
    across = plane_of(Point((0, 0, 0)), volume.shape, volume.spacing, axis)
    with memory_in_words():
        if session_file is None or not session_file.exists():
            card = sessions.promptable_card(model)
            return Work(case, volume, card, device, sessions.open_session(volume, card, device), across)
        state = read_session(session_file)
        card = sessions.promptable_card(state.model if model == "auto" else model)
        return Work(case, volume, card, device, sessions.restore(state, volume, card, device), across)


def check_reference_of(work: Work, output: Path) -> None:
    """Refuse, before any computing, an output that the image cannot give a header for."""
    from ..io import check_reference

    case = work.case
    check_reference(output, work.volume.grid, case.reference, case.series, case.frame)


def write_work(
    work: Work, labels: LabelMap, given: Sequence[Given], wanted: Outputs, staged: StagedFiles
) -> tuple[str, ...]:
    """Write every output under its hidden name; returns what had to be completed for the label map."""
    from ..io import save
    from ..overlay import overlay_picture

    case = work.case
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ExportWarning)
        save(
            labels,
            staged.place_for(wanted.labels),
            reference=case.reference,
            series=case.series,
            frame=case.frame,
            level=case.level,
        )
    said = tuple(str(one.message) for one in caught if issubclass(one.category, ExportWarning))
    if wanted.report is not None:
        document = _report(work, labels, given, wanted, said)
        staged.place_for(wanted.report).write_text(as_json(document), encoding="utf-8")
    if wanted.overlay is not None:
        overlay_picture(work.volume, labels).save(staged.place_for(wanted.overlay))
    return said


def volumes_of(labels: LabelMap) -> str:
    """Lay out the volume of each object."""
    rows = [("label", "object", "mL")]
    rows += [
        (str(label), labels.names.get(label, ""), f"{ml:.2f}") for label, ml in labels.volumes_ml().items()
    ]
    return table(rows, right=[0, 2])


def _report(
    work: Work, labels: LabelMap, given: Sequence[Given], wanted: Outputs, said: tuple[str, ...]
) -> dict[str, Any]:
    from ..engine.device import resolve_device

    return {
        "inputs": [str(path) for path in work.case.files],
        "output": str(wanted.labels),
        "model": work.card.name,
        "weights_sha256": work.card.weights.sha256,
        "device": resolve_device(work.device).name,
        "prompts": [one.said for one in given],
        "seconds": round(time.perf_counter() - work.started, 3),
        "labels": [
            {"label": label, "name": labels.names.get(label, ""), "volume_ml": millilitres}
            for label, millilitres in labels.volumes_ml().items()
        ],
        "warnings": [*work.volume.warnings, *said],
    }


@contextmanager
def _naming(said: str) -> Iterator[None]:
    """Begin what is wrong with a prompt with the prompt itself."""
    try:
        yield
    except PromptError as err:
        raise PromptError(f"{said}: {err}") from err
