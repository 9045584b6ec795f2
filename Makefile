# make serve   read the site (installs no torch)        make test    run every check
# make check   what is wrong after a change, quickly    make record  run changed snippets
# make site    build everything into site/               make study   certify changed studies
# ONLY names topics or snippets: make test ONLY=ensembles, make record ONLY="ocr backpropagation/gradcheck"
PYTHON ?= python3
PORT ?= 8000
ONLY ?=
export NO_MKDOCS_2_WARNING = 1 # no advertisement in every build
RUN := .venv/bin/python
BOOK := $(RUN) -m answerbook
PIP_INSTALL := pip install --quiet --disable-pip-version-check
LOCKED := --no-deps --require-hashes -r

.PHONY: serve site check test record replicate study elsewhere lock successors scale lighthouse clean
.DELETE_ON_ERROR:

serve: .venv/reading
	@echo "The CNN Answer Book is at http://127.0.0.1:$(PORT)/ (Ctrl+C stops it)"
	$(RUN) -m mkdocs serve --dev-addr 127.0.0.1:$(PORT)

site: .venv/reading
	$(BOOK) build

check: .venv/testing
	$(BOOK) check

test: .venv/testing
	tests/install_tools.sh
	$(BOOK) test $(ONLY)

record replicate study: .venv/testing
	$(BOOK) $@ $(ONLY)

# As other processors compute; with TORCH=2.15.0, on another version of torch instead
elsewhere: .venv/testing
ifdef TORCH
	$(PYTHON) -m venv .venv-$(TORCH)
	.venv-$(TORCH)/bin/python -m $(PIP_INSTALL) $(LOCKED) requirements.lock
	.venv-$(TORCH)/bin/python -m $(PIP_INSTALL) torch==$(TORCH)
	.venv-$(TORCH)/bin/python -m answerbook elsewhere --only "as it is" $(ONLY)
else
	$(BOOK) elsewhere $(ONLY)
endif

# Google's Lighthouse on the home page and on heavy pages: needs Node.js, and a quiet machine for the times
lighthouse: .venv/testing site
	$(BOOK) lighthouse

# The same pages by MkDocs' successors
successors: .venv/reading
	$(PYTHON) -m venv .venv-properdocs
	.venv-properdocs/bin/python -m $(PIP_INSTALL) $(LOCKED) docs/requirements.lock
	.venv-properdocs/bin/python -m $(PIP_INSTALL) properdocs==1.6.7
	$(PYTHON) -m venv .venv-zensical
	.venv-zensical/bin/python -m $(PIP_INSTALL) zensical==0.0.73
	$(BOOK) successors

# Does our own share of a build stay small with a thousand pages?
scale: .venv/reading
	$(BOOK) scale

# After a change of requirements.txt or docs/requirements.txt; for the newest of all else, delete the locks first
lock:
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m $(PIP_INSTALL) uv==0.13.9
	.venv-lock/bin/python -m answerbook lock --write

clean:
	rm -rf .venv .venv-* .cache site

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11, 5) and "needs Python 3.11.5 or newer: make PYTHON=...")'
	$(PYTHON) -m venv .venv

.venv/reading: docs/requirements.txt docs/requirements.lock | .venv/bin/python
	$(BOOK) lock
	$(RUN) -m $(PIP_INSTALL) $(LOCKED) docs/requirements.lock
	touch $@

.venv/testing: requirements.txt requirements.lock docs/requirements.txt docs/requirements.lock | .venv/bin/python
	$(BOOK) lock
	$(RUN) -m $(PIP_INSTALL) $(LOCKED) requirements.lock
	$(RUN) -m $(PIP_INSTALL) "$$(grep -E '^torch(==|$$)' requirements.txt)" # in no lock: answerbook/audits/lock.py says why
	touch $@ .venv/reading
