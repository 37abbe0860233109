# Every target sets up what is missing by itself: a virtual environment in .venv, from requirements.lock, with hashes.
.PHONY: help demo test up bench fuzz lint fix lock clean
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
READY := .venv/.ready

help: ## Show the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Lapsewatch needs Python 3.11 or newer; name one with PYTHON=..."; exit 2; }
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --require-hashes --no-deps -r <(sed -n '/^uv==/,/^[a-z]/{/^uv==/p;/--hash/p}' requirements.lock)
	.venv/bin/uv pip sync --quiet --python .venv/bin/python --require-hashes requirements.lock
	.venv/bin/uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY) ## Play the whole story, from feeds to a partner's TAXII client (DATA=folder: on real data; KEEP=folder: keep its home)
	.venv/bin/lapsewatch demo $(if $(DATA),--data $(DATA)) $(if $(KEEP),--keep $(KEEP))

up: $(READY) ## Start everything and keep it running until Ctrl-C
	.venv/bin/lapsewatch up

test: $(READY) ## Lint, types, import contract, spelling, tests
	.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy && .venv/bin/lint-imports && .venv/bin/codespell
	.venv/bin/pytest -n 3 --dist loadgroup

bench: $(READY) ## Run a benchmark: make bench NAME=ingest (without NAME: list them)
	@.venv/bin/python -m lab.bench $(or $(NAME),--list)

fuzz: $(READY) ## Feed readers what nobody means (NAME=certificate, FOR=60 seconds; without NAME: all)
	.venv/bin/python -m lab.fuzz $(or $(NAME),all) $(or $(FOR),60)

fix: $(READY) ## Format, and mend what ruff can mend
	.venv/bin/ruff check --fix . ; .venv/bin/ruff format .

lock: $(READY) ## Resolve requirements.lock again
	.venv/bin/uv pip compile --quiet pyproject.toml --extra dev --extra archive --extra ranking --extra bench --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header -o requirements.lock

clean: ## Remove the environment and caches
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info
