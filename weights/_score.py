"""Score finished runs on test splits, for the tables that compare networks and recipes.

    python weights/_score.py RUN_FOLDER DATASET_FOLDER [DATASET_FOLDER ...]

The run folder is one that ``effseg train`` made. ``weights/scores/<run>.json`` gets what the run took,
its best validation Dice and its scores on each test split; ``python docs/_make_tables.py`` makes the
tables of it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari_effseg.evaluation import Evaluation, EvaluationOptions, evaluate
from napari_effseg.zoo import read_card

SCORES = Path(__file__).resolve().parent / "scores"


def score(run: Path, datasets: Sequence[Path]) -> Path:
    """Write the scores of a run's best weights."""
    card = read_card(next(path for path in run.glob("*.toml") if path.name != "config.toml"))
    history = json.loads((run / "history.json").read_text(encoding="utf-8"))
    best = max(history, key=lambda point: point["mean_dice"])
    document = {
        "run": run.name,
        "network": card.network,
        "parameters": card.weights.parameters,
        "steps": history[-1]["step"],
        "core_minutes": round(history[-1].get("core_seconds", 0.0) / 60, 1) or None,
        "best_step": best["step"],
        "validation_dice": round(best["mean_dice"], 4),
        "tests": [_test(evaluate(card, data, EvaluationOptions(split="test"))) for data in datasets],
    }
    SCORES.mkdir(exist_ok=True)
    path = SCORES / f"{run.name}.json"
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
    written = score(Path(sys.argv[1]), [Path(argument) for argument in sys.argv[2:]])
    sys.stdout.write(written.read_text(encoding="utf-8"))
