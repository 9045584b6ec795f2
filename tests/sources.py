"""The book that is tested, read once, with its generated pages written."""

from answerbook import pages
from answerbook.model import read_book
from answerbook.pages.ledger import read_claims

BOOK = read_book()
QUESTIONS = BOOK.answered
CLAIMS = read_claims(BOOK)
pages.write(BOOK)
