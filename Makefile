# Python ≥ 3.11 and make are all that a machine must have; `make setup` brings the rest.
PYTHON ?= $(or $(shell for python in python3 python3.13 python3.12 python3.11 python3.14; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done), \
	$(error Python 3.11 or newer is needed. Debian and Ubuntu: sudo apt install python3 python3-venv. \
	Or name one: make $(MAKECMDGOALS) PYTHON=/path/to/python3))
RUN := .venv/bin/python

.DEFAULT_GOAL := help
.PHONY: help setup pictures replay demo story up down doctor rotate-keys test chaos fuzz coverage check format lock openapi package rehearse rehearse-vercel bench bench-full

help: ## Show these lines
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what the project needs into .venv and node_modules (the other targets do it by themselves)
	@$(PYTHON) local/setup.py $(if $(filter file,$(origin PYTHON)),,--this-python)

demo: setup ## Start everything, play the story, and stay up until Ctrl-C
	@$(RUN) -m local.story --stay

story: setup ## Play the story from connecting a number to a status shown, and stop; fails if a step did not hold
	@$(RUN) -m local.story

up: setup ## Start the local stack in the background; its addresses and keys are then in .local/env
	@$(RUN) -m local up

down: setup ## Stop what `make up` started
	@$(RUN) -m local down

doctor: setup ## Examine a deployment: what the environment names, or the local stack that is up
	@$(RUN) -m local.doctor

rotate-keys: setup ## Re-encrypt everything with the first key of ENCRYPTION_KEYS (ARGS=--dry-run shows how much)
	@$(RUN) -m local.rotate_keys $(ARGS)

replay: setup ## Store what was delivered once more (ARGS=--help tells what can be chosen)
	@$(RUN) -m local.replay $(ARGS)

test: setup ## Run every test (one file: make test ARGS=tests/unit/test_crypto.py)
	@$(RUN) -m pytest $(ARGS)

pictures: setup ## Take the pictures of the dashboard anew, in two minutes (docs/pictures.md)
	@PICTURES=docs/pictures $(RUN) -m pytest tests/web/test_pictures.py

chaos: setup ## Play ten minutes of life while everything breaks, and compare the ledgers (ARGS=--help)
	@$(RUN) -m tests.chaos $(ARGS)

fuzz: setup ## Run all fuzzers at length, seeds printed (ARGS=--help)
	@$(RUN) -m tests.fuzz $(ARGS)

coverage: setup ## Run every test and tell which lines and branches none of them takes, in the services too
	@$(RUN) -m pytest --cov --cov-report=term $(ARGS)

check: setup ## Lint, check formats, types, layers and spelling
	@$(RUN) -m ruff check
	@$(RUN) -m ruff format --check
	@$(RUN) -m mypy
	@.venv/bin/lint-imports
	@$(RUN) -m codespell_lib
	@$(RUN) -m local.web check

format: setup ## Bring the code into the project's format
	@$(RUN) -m ruff check --fix
	@$(RUN) -m ruff format
	@$(RUN) -m local.web format

lock: setup ## Renew requirements.lock and package-lock.json after a change of pyproject.toml or package.json
	@$(RUN) -m local.lock

package: setup ## Build each function's zip for AWS Lambda into dist/ (ARGS="webhook --arch arm64" builds one)
	@$(RUN) -m deploy.build $(ARGS)

rehearse: setup ## Deploy what `make package` built into an AWS that moto plays on this machine, and read it back
	@$(RUN) -m deploy.rehearse $(ARGS)

rehearse-vercel: setup ## Build for Vercel with its own command line, and run what it made under its own runtime
	@$(RUN) -m deploy.vercel

openapi: setup ## Write docs/openapi.json anew after a change of what a function takes or answers
	@$(RUN) -m local.openapi
	@$(RUN) -m local.catalogue

bench: setup ## Measure, in some minutes, and write docs/benchmarks.md anew (ARGS="growth sending" measures these alone)
	@$(RUN) -m bench $(ARGS)

bench-full: setup ## Measure with more and for longer: up to forty minutes
	@$(RUN) -m bench --full $(ARGS)
