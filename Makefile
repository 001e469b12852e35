# Two commands for a newcomer: `make run` and `make test`. `make help` lists the rest.
# Everything is kept in .venv, frontend/node_modules and DATA_DIR (./data_storage); nothing needs root.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/.stamps
PAGE := frontend/dist/index.html
WORKERS ?= 1
# how many files of tests run at the same time; `make test TEST_PROCESSES=0` runs them one by one
TEST_PROCESSES ?= auto

export PYTHONUNBUFFERED := 1

.DEFAULT_GOAL := help
.PHONY: help run test check bench docs frontend migrate doctor clean types

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: doctor $(STAMPS)/product $(PAGE) ## set up what is missing, then start VAP with one worker (WORKERS=n for more)
	@$(BIN)/python -m scripts.run --workers $(WORKERS)

test: doctor $(STAMPS)/tools $(PAGE) ## run the tests with what this machine offers
	$(BIN)/python -m pytest --numprocesses $(TEST_PROCESSES) --maxprocesses 4 \
		--dist loadfile --no-loadscope-reorder $(ARGS)

check: doctor $(STAMPS)/tools frontend/node_modules/.stamp ## format, lint, types, import contracts, generated files
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m docs.generate --check
	cd frontend && npm run --silent check

bench: doctor $(STAMPS)/tools ## measure; tables with ratios go to standard output (takes a while)
	$(BIN)/python -m bench $(ARGS)

docs: $(STAMPS)/tools ## write .env.example, docs/configuration.md and other generated pages
	$(BIN)/python -m docs.generate

types: docs frontend/node_modules/.stamp ## write the page's types from the API's description
	cd frontend && npm run --silent types

frontend: $(PAGE) ## build the page

migrate: $(STAMPS)/product ## bring the database to this version's schema
	$(BIN)/python run.py migrate

doctor:
	@PYTHON=$(PYTHON) sh scripts/doctor.sh

clean: ## remove what `make` built; recordings and the database stay
	rm -rf $(VENV) frontend/node_modules frontend/dist

$(STAMPS)/venv:
	@echo "Creating $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@mkdir -p $(STAMPS) && touch $@

# torch first and apart: what it downloads depends on the build that is chosen.
$(STAMPS)/torch: $(STAMPS)/venv
	@sh scripts/install_torch.sh $(BIN)/pip
	@touch $@

$(STAMPS)/product: $(STAMPS)/torch requirements.txt requirements-models.txt constraints.txt
	@echo "Installing the Python packages (requirements.txt) ..."
	@$(BIN)/pip install --quiet --constraint constraints.txt --requirement requirements.txt
	@$(BIN)/pip install --quiet --no-deps --requirement requirements-models.txt
	@touch $@

$(STAMPS)/tools: $(STAMPS)/product requirements-dev.txt requirements-whisper.txt
	@echo "Installing the tools for checks and tests (requirements-dev.txt) ..."
	@$(BIN)/pip install --quiet --constraint constraints.txt --requirement requirements-dev.txt
	@touch $@

frontend/node_modules/.stamp: frontend/package.json frontend/package-lock.json
	@echo "Installing the page's packages (frontend/package-lock.json) ..."
	@cd frontend && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

$(PAGE): frontend/node_modules/.stamp $(shell find frontend/src frontend/index.html frontend/vite.config.ts -type f 2>/dev/null)
	@echo "Building the page ..."
	@cd frontend && npm run --silent build
	@touch $@
