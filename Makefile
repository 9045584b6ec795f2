# make serve   read the site (installs no torch)        make test   run every check
# make site    build everything into site/              make record run changed snippets
# make book    the pages, the Anki deck, the PDF and the EPUB
PYTHON ?= python3
PORT ?= 8000
export NO_MKDOCS_2_WARNING = 1 # no advertisement in every build
BIN := .venv/bin
RUN := $(BIN)/python

.PHONY: serve site book test record replicate elsewhere index clean
.DELETE_ON_ERROR:

serve: .venv/reading
	$(RUN) tests/check_sources.py
	@echo "The CNN Answer Book is at http://127.0.0.1:$(PORT)/ (Ctrl+C stops it)"
	$(BIN)/mkdocs serve --strict --dev-addr 127.0.0.1:$(PORT)

site: .venv/reading
	$(RUN) tests/check_sources.py
	$(MAKE) book
	$(RUN) tests/check_site.py

# The pages, and from them site/cnn-answer-book.apkg, .pdf, .epub and two archives
book: .venv/reading
	BOOK=true $(BIN)/mkdocs build --strict
	$(RUN) theme/trim_search_index.py site
	$(RUN) book/anki_deck.py
	$(RUN) book/make_book.py

test: .venv/testing
	tests/install_tools.sh
	$(BIN)/pytest tests

# All changed snippets, or some: make record ONLY="object-detection backpropagation/gradcheck"
record: .venv/testing
	$(RUN) tests/record.py $(ONLY)

# Ten fresh sets of seeds for each claim that changed, or for some: make replicate ONLY="ensembles"
replicate: .venv/testing
	$(RUN) tests/replicate.py $(ONLY)

# Other arithmetic, other versions: the outputs stay within their tolerance
elsewhere: .venv/testing
ifdef TORCH
	$(PYTHON) -m venv .venv-$(TORCH)
	sed 's/^torch==.*/torch==$(TORCH)/; s#^-r docs#-r ../docs#' requirements.txt > .venv-$(TORCH)/requirements.txt
	.venv-$(TORCH)/bin/pip install --quiet --disable-pip-version-check -r .venv-$(TORCH)/requirements.txt
	.venv-$(TORCH)/bin/pytest tests/test_snippets.py
else
	SNIPPET_THREADS=2 ATEN_CPU_CAPABILITY=default $(BIN)/pytest tests/test_snippets.py
endif

index: .venv/reading
	$(RUN) tests/generated_pages.py --write

clean:
	rm -rf .venv site

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "needs Python 3.11 or newer: make PYTHON=...")'
	$(PYTHON) -m venv .venv

.venv/reading: docs/requirements.txt | .venv/bin/python
	$(RUN) -m pip install --quiet --disable-pip-version-check -r docs/requirements.txt
	touch $@

.venv/testing: requirements.txt docs/requirements.txt | .venv/bin/python
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@ .venv/reading
