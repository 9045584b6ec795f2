"""The pages, and parts of pages, that are written from the others at build time; git ignores them all."""

from answerbook.model import Book
from answerbook.pages.corrections import corrections_page
from answerbook.pages.glossary import glossary_page, terms_template
from answerbook.pages.ledger import ledger_files, read_claims
from answerbook.pages.lists import cheat_sheet, practice_page, questions_page
from answerbook.pages.parts import parts_files
from answerbook.pages.techniques import techniques_page
from answerbook.project import replace


def generated_files(book: Book) -> dict[str, str]:
    """The text of each generated file by its path from the project's root."""
    claims = read_claims(book)
    return {
        "docs/questions.md": questions_page(book),
        "docs/practice.md": practice_page(book),
        "docs/corrections.md": corrections_page(book),
        "docs/techniques.md": techniques_page(book, claims),
        "docs/glossary.md": glossary_page(book),
        "theme/partials/terms.html": terms_template(book),
        **{f"docs/cheat-sheets/{section}.md": cheat_sheet(book, section) for section in book.by_section},
        **ledger_files(book, claims),
        **parts_files(book, claims),
    }


def write(book: Book) -> None:
    """Write those files that changed, below the root that the book was read from, and delete those that
    nothing is written to any more."""
    files = generated_files(book)
    for name, text in files.items():
        replace(book.root / name, text.encode())
    for folder in ("docs/cheat-sheets", "docs/parts"):
        for path in (book.root / folder).glob("*.md"):
            if path.relative_to(book.root).as_posix() not in files:
                path.unlink()
