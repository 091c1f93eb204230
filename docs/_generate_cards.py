"""Write the documentation pages of the built-in model cards: ``models.md`` and ``models/<name>.md``.

Run before building the site: ``python docs/_generate_cards.py``. The pages are made from the cards and
are not kept in the repository.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from PIL import Image

from napari_effseg.zoo.page import card_page, cards_table
from napari_effseg.zoo.registry import built_in_cards

INTRODUCTION = """# Models

Each model is described by a card: what it is for, what it learned from, where it may be applied, and how
accurate it was measured to be. Each page shows a real case. The same facts are shown by `effseg models`,
which also finds a model by organ and modality, and says what it takes on your machine.

"""


IMAGES = Path(__file__).parent / "images"
CAPTION = "Description"
"""Where a picture carries its caption; `_make_pictures.py` writes it there."""


def picture_of(name: str) -> tuple[str, str]:
    """Path of a card's picture, from its page, and its caption; two empty texts where there is none."""
    path = IMAGES / f"model_{name}.png"
    if not path.is_file():
        return "", ""
    with Image.open(path) as picture:
        return f"../images/{path.name}", str(picture.info[CAPTION])


def main(folder: Path) -> None:
    """Write the pages into `folder`, replacing older ones."""
    cards = built_in_cards()
    pages = folder / "models"
    shutil.rmtree(pages, ignore_errors=True)
    pages.mkdir(parents=True)
    (folder / "models.md").write_text(INTRODUCTION + cards_table(cards) + "\n", encoding="utf-8")
    for card in cards:
        (pages / f"{card.name}.md").write_text(card_page(card, *picture_of(card.name)), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
