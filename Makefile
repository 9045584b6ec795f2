# make serve   read the site (installs no torch)        make test   run every check
# make site    build everything into site/              make record run changed snippets
# make book    the pages, the Anki deck, the PDF and the EPUB
PYTHON ?= python3
PORT ?= 8000
export NO_MKDOCS_2_WARNING = 1 # no advertisement in every build
BIN := .venv/bin
RUN := $(BIN)/python
PIP_INSTALL := pip install --quiet --disable-pip-version-check
LOCKED := --no-deps --require-hashes -r

.PHONY: serve site book test record replicate elsewhere index lock successors scale lighthouse clean
.DELETE_ON_ERROR:

serve: .venv/reading
	$(RUN) tests/check_sources.py
	@echo "The CNN Answer Book is at http://127.0.0.1:$(PORT)/ (Ctrl+C stops it)"
	$(BIN)/mkdocs serve --strict --dev-addr 127.0.0.1:$(PORT)

site: .venv/reading
	$(RUN) tests/check_sources.py
	$(MAKE) book
	$(RUN) tests/check_site.py

# The pages, and from them site/cnn-answer-book.apkg, .pdf, .epub, two archives and the picture for links
book: .venv/reading
	BOOK=true $(BIN)/mkdocs build --strict
	$(RUN) theme/trim_search_index.py site
	$(RUN) theme/finish_pages.py site
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

# As other processors round, or on another version of torch: the outputs stay within their tolerance
elsewhere: .venv/testing
ifdef TORCH
	$(PYTHON) -m venv .venv-$(TORCH)
	.venv-$(TORCH)/bin/python -m $(PIP_INSTALL) $(LOCKED) requirements.lock
	.venv-$(TORCH)/bin/python -m $(PIP_INSTALL) torch==$(TORCH)
	.venv-$(TORCH)/bin/pytest tests/test_snippets.py
else
	$(RUN) tests/elsewhere.py $(ONLY)
endif

index: .venv/reading
	$(RUN) tests/generated_pages.py --write

# Google's Lighthouse on the home page and on heavy pages: needs Node.js, and a quiet machine for the times
lighthouse: .venv/testing site
	$(RUN) tests/lighthouse.py

# The same pages by MkDocs' successors; of Zensical, the newest that has its templates in its own package
successors: .venv/reading
	$(PYTHON) -m venv .venv-properdocs
	.venv-properdocs/bin/python -m $(PIP_INSTALL) $(LOCKED) docs/requirements.lock
	.venv-properdocs/bin/python -m $(PIP_INSTALL) properdocs==1.6.7
	$(PYTHON) -m venv .venv-zensical
	.venv-zensical/bin/python -m $(PIP_INSTALL) zensical==0.0.73
	$(RUN) tests/successors.py

# Does our own share of a build stay small with a thousand pages?
scale: .venv/reading
	$(RUN) tests/scale.py

# After a change of requirements.txt or docs/requirements.txt; for the newest of all else, delete the locks first
lock:
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m $(PIP_INSTALL) uv==0.13.9
	.venv-lock/bin/python tests/lock.py --write

clean:
	rm -rf .venv .venv-* site

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11, 5) and "needs Python 3.11.5 or newer: make PYTHON=...")'
	$(PYTHON) -m venv .venv

.venv/reading: docs/requirements.txt docs/requirements.lock | .venv/bin/python
	$(RUN) tests/lock.py
	$(RUN) -m $(PIP_INSTALL) $(LOCKED) docs/requirements.lock
	touch $@

.venv/testing: requirements.txt requirements.lock docs/requirements.txt docs/requirements.lock | .venv/bin/python
	$(RUN) tests/lock.py
	$(RUN) -m $(PIP_INSTALL) $(LOCKED) requirements.lock
	$(RUN) -m $(PIP_INSTALL) "$$(grep -E '^torch(==|$$)' requirements.txt)" # in no lock: tests/lock.py says why
	touch $@ .venv/reading
