"""Write the documentation pages of the built-in model cards: ``models.md`` and ``models/<name>.md``.

Run before building the site: ``python docs/_generate_cards.py``. The pages are made from the cards and
are not kept in the repository.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from napari_effseg.zoo.page import card_page, cards_table
from napari_effseg.zoo.registry import built_in_cards

INTRODUCTION = """# Models

Each model is described by a card: what it is for, what it learned from, where it may be applied, and how
accurate it was measured to be. The same facts are shown by `effseg models`.

"""


def main(folder: Path) -> None:
    """Write the pages into `folder`, replacing older ones."""
    cards = built_in_cards()
    pages = folder / "models"
    shutil.rmtree(pages, ignore_errors=True)
    pages.mkdir(parents=True)
    (folder / "models.md").write_text(INTRODUCTION + cards_table(cards) + "\n", encoding="utf-8")
    for card in cards:
        (pages / f"{card.name}.md").write_text(card_page(card), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
