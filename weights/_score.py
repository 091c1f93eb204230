"""Score finished runs on test splits, for the tables that compare networks and recipes.

    python weights/_score.py RUN_FOLDER DATASET_FOLDER [DATASET_FOLDER ...]
    python weights/_score.py --shipped NAME RUN_FOLDER DATASET_FOLDER [DATASET_FOLDER ...]

The run folder is one that ``effseg train`` made. ``weights/scores/<run>.json`` gets what the run took,
its best validation Dice and its scores on each test split; ``python docs/_make_tables.py`` makes the
tables of it. With ``--shipped`` the weights of that name are measured, whose own run is gone: its steps
are those of its configuration, each as long as a step of the run given, a shorter one of the same network.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari_effseg.evaluation import Evaluation, EvaluationOptions, evaluate
from napari_effseg.training.config import read_config
from napari_effseg.zoo import Card, find_card, read_card

WEIGHTS = Path(__file__).resolve().parent
SCORES = WEIGHTS / "scores"


def score(run: Path, datasets: Sequence[Path]) -> Path:
    """Write the scores of a run's best weights."""
    card = read_card(next(path for path in run.glob("*.toml") if path.name != "config.toml"))
    history = _history(run)
    best = max(history, key=lambda point: point["mean_dice"])
    took = {
        "steps": history[-1]["step"],
        "core_minutes": round(history[-1].get("core_seconds", 0.0) / 60, 1) or None,
        "best_step": best["step"],
        "validation_dice": round(best["mean_dice"], 4),
    }
    return _write(run.name, card, took, datasets)


def score_shipped(name: str, shorter: Path, datasets: Sequence[Path]) -> Path:
    """Write the scores of weights that ship, and the time that their run would take here."""
    card = find_card(name)
    config = read_config(WEIGHTS / "configs" / f"{name}.toml")
    steps, last = config.run.steps, _history(shorter)[-1]
    options = EvaluationOptions(split="validation")
    validated = [evaluate(card, data, options).over_cases("dice").mean for data in datasets]
    took = {
        "steps": steps,
        "core_minutes": round(last["core_seconds"] / last["step"] * steps / 60, 1),
        "best_step": None,
        "validation_dice": round(sum(validated) / len(validated), 4),
    }
    return _write(name, card, took, datasets)


def _history(run: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((run / "history.json").read_text(encoding="utf-8"))
    return found


def _write(name: str, card: Card, took: dict[str, Any], datasets: Sequence[Path]) -> Path:
    document = {"run": name, "network": card.network, "parameters": card.weights.parameters, **took}
    document["tests"] = [_test(evaluate(card, data, EvaluationOptions(split="test"))) for data in datasets]
    SCORES.mkdir(exist_ok=True)
    path = SCORES / f"{name}.json"
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return path


def _test(found: Evaluation) -> dict[str, Any]:
    metrics = {"dice": "dice", "hd95": "hausdorff95_mm", "nsd": "surface_dice"}
    means = {name: round(found.over_cases(attribute).mean, 4) for name, attribute in metrics.items()}
    ap50 = None if found.ap50 is None else round(found.ap50.mean, 4)
    return {"dataset": found.dataset, "cases": len(found.cases), **means, "ap50": ap50}


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    if sys.argv[1] == "--shipped":
        written = score_shipped(sys.argv[2], Path(sys.argv[3]), [Path(each) for each in sys.argv[4:]])
    else:
        written = score(Path(sys.argv[1]), [Path(each) for each in sys.argv[2:]])
    sys.stdout.write(written.read_text(encoding="utf-8"))
