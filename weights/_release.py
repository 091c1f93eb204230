"""Ship a finished run: measure it on the test split, and put weights and card where the package finds them.

    python weights/_release.py RUN_FOLDER DATASET_FOLDER

The run folder is one that ``effseg train`` made. Weights are stored in half precision when that costs less
than 0.0005 of the mean Dice on the validation split; the temperature of doubt is fitted on it; the card
gets the accuracy of the very file that ships, the command that measures it again, and time and memory on this
machine's CPU.
"""

from __future__ import annotations

import dataclasses
import multiprocessing
import shutil
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch
from safetensors.torch import load_file

from napari_effseg import UnknownModel, load, segment
from napari_effseg.engine import fit_temperature
from napari_effseg.evaluation import Evaluation, EvaluationOptions, evaluate
from napari_effseg.io.dataset import read_dataset
from napari_effseg.training.data import load_cases
from napari_effseg.training.validate import whole_volume_logits
from napari_effseg.zoo import Card, find_card, read_card, write_card
from napari_effseg.zoo.card import Accuracy, Performance
from napari_effseg.zoo.weights import build_network, describe_weights, load_network, save_weights

ROOT = Path(__file__).resolve().parents[1]
NEGLIGIBLE_DICE = 0.0005
METRICS = {"dice": "dice", "hd95_mm": "hausdorff95_mm", "nsd": "surface_dice"}


def release(run: Path, dataset: Path) -> None:
    """Write ``weights/<name>.safetensors`` and ``napari_effseg/zoo/cards/<name>.toml``."""
    card = _as_it_ships(read_card(next(path for path in run.glob("*.toml") if path.name != "config.toml")))
    with tempfile.TemporaryDirectory() as temporary:
        full = _stored(card, run, Path(temporary) / "full", torch.float32)
        half = _stored(card, run, Path(temporary) / "half", torch.float16)
        validated = [_dice(stored, dataset) for stored in (full, half)]
        chosen = half if validated[0] - validated[1] < NEGLIGIBLE_DICE else full
        output = dataclasses.replace(chosen.output, doubt_temperature=_temperature(chosen, dataset))
        chosen = dataclasses.replace(chosen, output=output)
        tested = evaluate(chosen, dataset, EvaluationOptions(split="test"))
        shipped = dataclasses.replace(
            chosen,
            accuracy=_accuracy(chosen, tested, dataset),
            performance=(_in_new_process(chosen, dataset),),
        )
        shutil.copyfile(chosen.path.parent / chosen.weights.file, ROOT / "weights" / chosen.weights.file)
        write_card(shipped, ROOT / "napari_effseg" / "zoo" / "cards" / f"{card.name}.toml")
    sys.stdout.write(
        f"validation Dice {validated[0]:.4f} in float32, {validated[1]:.4f} in float16; "
        f"test Dice {tested.over_cases('dice').mean:.4f}; temperature {output.doubt_temperature}\n"
    )


def _as_it_ships(card: Card) -> Card:
    """Keep what no training decides: what is said of the model, and how its structure is found."""
    try:
        shipped = find_card(card.name)
    except UnknownModel:
        return card
    kept = ("title", "summary", "intended_use", "limits", "field_of_view", "locate")
    return dataclasses.replace(card, **{name: getattr(shipped, name) for name in kept})


def _dice(card: Card, dataset: Path) -> float:
    return evaluate(card, dataset, EvaluationOptions(split="validation")).over_cases("dice").mean


def _temperature(card: Card, dataset: Path) -> float:
    """Temperature at which the probabilities fit the validation split best, over all voxels."""
    network, device = load_network(card), torch.device("cpu")
    logits, truth = [], []
    for case in load_cases(read_dataset(dataset).split("validation"), card, None, None):
        with torch.inference_mode():
            logits.append(whole_volume_logits(network, case.image, card, device).flatten(1))
        truth.append(case.target.flatten())
    return round(fit_temperature(torch.cat(logits, dim=1), torch.cat(truth), card.output), 2)


def _stored(card: Card, run: Path, folder: Path, dtype: torch.dtype) -> Card:
    """Store the run's weights in a precision, with a card beside them."""
    folder.mkdir()
    path = folder / card.weights.file
    metadata = {"network": card.network, "constructor": card.constructor}
    save_weights(load_file(run / card.weights.file), path, metadata, dtype=dtype)
    weights = describe_weights(path, licence=card.weights.licence, parameters=_parameters(card))
    training = dataclasses.replace(card.training, config=f"weights/configs/{card.name}.toml")
    written = write_card(
        dataclasses.replace(card, weights=weights, training=training), folder / f"{card.name}.toml"
    )
    return read_card(written)


def _parameters(card: Card) -> int:
    return sum(value.numel() for value in build_network(card).parameters())


def _accuracy(card: Card, found: Evaluation, dataset: Path) -> tuple[Accuracy, ...]:
    command = f"effseg evaluate {card.name} {dataset.name} --split test"
    labels: list[tuple[str, int | None]] = [("mean", None), *((name, n) for n, name in found.labels.items())]
    rows = []
    for metric, attribute in METRICS.items():
        for name, label in labels:
            spread = found.over_cases(attribute, label)
            rows.append(
                Accuracy(
                    dataset=found.dataset,
                    split="test",
                    cases=len(found.cases),
                    metric=metric,
                    label=name,
                    mean=round(spread.mean, 4),
                    std=round(spread.std, 4),
                    command=command,
                )
            )
    return tuple(rows)


def _in_new_process(card: Card, dataset: Path) -> Performance:
    """Measure where nothing else has been held, which a process's high-water mark would remember."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_performance, card, dataset).result()


def _performance(card: Card, dataset: Path) -> Performance:
    """Time one case warm and take the median; the peak is that of the process, torch included."""
    volume = load(read_dataset(dataset).split("test")[0].images[0])
    reports = [segment(volume, card, device="cpu").report for _ in range(5)]
    seconds = sorted(report.seconds for report in reports)[len(reports) // 2]
    return Performance(
        device=f"CPU, {torch.get_num_threads()} threads",
        case=f"{' x '.join(map(str, volume.shape))} voxels at 1 mm, whole",
        seconds=round(seconds, 2),
        peak_memory_mb=round(max(report.peak_memory_bytes for report in reports) / 1e6),
    )


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    release(Path(sys.argv[1]), Path(sys.argv[2]))
