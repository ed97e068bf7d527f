# The front door of Order Sync. `make help` lists the commands.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help
.PHONY: help env run preview status test golden chaos mutants planted simulate bench lint clean lock

VENV := .venv
PYTHON := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed
COMMA := ,
PEERS := .venv-peers
PEERS_INSTALLED := $(PEERS)/.installed
LOCKED_FOR := for CPython 3.11, 3.12 and 3.13 on Linux (glibc) and macOS, x86-64 and arm64

help: ## List the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 24
	echo
	echo "Settings of run: ONCE=1, AIRFLOW_PORT (8080), SANDBOX_PORT (8900), SHOP_ORDERS (3000), SHOP_SEED (1)"

env: ## Write .env with fresh keys and passwords for docker-compose.yaml (it never overwrites one)
	@python3 deploy/env.py

run: $(INSTALLED) ## Run the demo: a sample shop, Airflow and a sandbox of the services (ONCE=1: run, check, stop)
	@exec $(PYTHON) -u -m demo $(if $(filter-out 0,$(ONCE)),--once)

preview: $(INSTALLED) ## Try a source without sending: rows, statuses, faults, requests (SOURCE=drop; FROM= TO= FILE= CONFIG= JSON=1 SHOW=1; or GUESS=file)
	@exec $(PYTHON) -m include.order_sync.preview $(SOURCE) $(if $(FROM),--from $(FROM)) $(if $(TO),--to $(TO)) \
	    $(if $(FILE),--file "$(FILE)") $(if $(CONFIG),--config "$(CONFIG)") $(if $(GUESS),--guess "$(GUESS)") \
	    $(if $(filter-out 0,$(JSON)),--json) $(if $(filter-out 0,$(SHOW)),--show)

status: $(INSTALLED) ## Show the state of each destination while `make run` is up: how far it has read, gaps, orders in doubt
	@exec $(PYTHON) -m demo --status

test: $(INSTALLED) ## Run every test; most tests wait, so three processes run them, beside the end-to-end tests
	@folder=$$(mktemp -d)
	trap 'kill $$! 2>/dev/null || true; rm -rf "$$folder"' EXIT
	# Each pytest has a folder of its own: a pytest that starts closes the folder that all share to other users, and
	# root's PostgreSQL servers run as the user nobody.
	$(PYTHON) -m pytest --basetemp "$$folder/end-to-end" tests/e2e > "$$folder/end-to-end.log" 2>&1 &
	$(PYTHON) -m pytest --basetemp "$$folder/others" -n 3 --dist loadfile --no-loadscope-reorder \
	    --ignore=tests/e2e --ignore=tests/distributed || others=$$?
	wait $$! || ends=$$?
	cat "$$folder/end-to-end.log"
	exit $$(( $${others:-0} || $${ends:-0} ))

.PHONY: test-distributed
test-distributed: $(INSTALLED) ## Run docker-compose.yaml's commands as Celery workers that are killed, stopped and cut off, in some 7 minutes
	@$(PYTHON) -m pytest tests/distributed

golden: $(INSTALLED) ## Write a provider's golden requests, which a person then reads (NAME=yespo)
	@$(PYTHON) -m tests.contract.golden $(NAME)

chaos: $(INSTALLED) ## Prove the promise under faults and kills, in some minutes (SEED=7: that seed, SHORT=1: one minute)
	@$(PYTHON) -m chaos $(if $(SEED),--seed $(SEED)) $(if $(filter-out 0,$(SHORT)),--short)

mutants: $(INSTALLED) ## Make small changes of the code, and list those that no fast test notices (ONLY=decisions,answers: those)
	@$(PYTHON) -m chaos.mutants $(subst $(COMMA), ,$(ONLY))

simulate: export AIRFLOW_HOME := $(CURDIR)/.local/simulation-airflow
simulate: export AIRFLOW__CORE__LOAD_EXAMPLES := False
simulate: export PYTHONPATH := plugins
simulate: $(INSTALLED) ## Prove the promise over weeks of simulated hours, in minutes (SEED=7: that seed, DAYS=30)
	@$(PYTHON) -m simulation $(if $(SEED),--seed $(SEED)) $(if $(DAYS),--days $(DAYS))

planted: $(INSTALLED) ## Plant each known kind of defect in a copy, and show what notices it (NAME='held order': those)
	@$(PYTHON) -m chaos.planted $(if $(NAME),"$(NAME)")

bench: $(INSTALLED) $(PEERS_INSTALLED) ## Measure every figure that has a bound, in some 40 minutes (ONLY=rees46,csv: those, RUNS=3, SHORT=1: few orders, ROUNDS=3 KEEP=1: keep them)
	@exec $(PYTHON) -m benchmarks

lint: $(INSTALLED) ## Check style, formatting and types
	@$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy

clean: ## Remove the virtual environments and the demo's state
	@if [ -x $(PYTHON) ] && [ -d .local ]; then $(PYTHON) -m demo --stop; fi
	rm -rf $(VENV) $(PEERS) .local

lock: $(INSTALLED) ## Resolve requirements*.in again into requirements*.txt
	@for name in requirements requirements-dev benchmarks/requirements-peers; do
	    $(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --upgrade --no-header \
	        --no-emit-index-url --no-emit-find-links $$name.in --output-file $$name.txt
	    sed -i.old "1i # Resolved from $$name.in by \`make lock\`, $(LOCKED_FOR)." $$name.txt
	    rm $$name.txt.old
	done

$(INSTALLED): requirements-dev.txt
	@for python in python3 python3.13 python3.12 python3.11 none; do
	    if $$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then break; fi
	done
	if [ $$python = none ]; then
	    echo "Order Sync needs Python 3.11, 3.12 or 3.13; PATH has none. Install it: apt install python3 python3-venv" >&2
	    exit 1
	fi
	echo "Installing the requirements into $(VENV) with $$($$python --version), once"
	rm -rf $(VENV)
	# Compile bytecode here, once: with PYTHONDONTWRITEBYTECODE set, each process would compile all of pandas again.
	if command -v uv >/dev/null; then
	    uv venv --quiet --python "$$(command -v $$python)" $(VENV)
	    uv pip install --quiet --compile-bytecode --python $(PYTHON) --requirement $<
	elif ! $$python -c 'import ensurepip' 2>/dev/null; then
	    echo "$$($$python --version) has no ensurepip, so it cannot make $(VENV): apt install python3-venv" >&2
	    exit 1
	else
	    $$python -m venv $(VENV)
	    pip="$(PYTHON) -m pip --quiet --disable-pip-version-check"
	    # uv takes seconds where pip takes a minute. If uv is missing or refuses the proxy, pip gives the same result.
	    $$pip install "$$(grep '^uv==' $<)" \
	        && $(VENV)/bin/uv pip install --quiet --compile-bytecode --python $(PYTHON) --requirement $< \
	        || { echo "Continuing with pip instead of uv"; $$pip install --requirement $<; }
	fi
	touch $@

$(PEERS_INSTALLED): benchmarks/requirements-peers.txt $(INSTALLED)
	@echo "Installing the peers of the benchmarks into $(PEERS), once"
	rm -rf $(PEERS)
	if ! { $(VENV)/bin/uv venv --quiet --python $(PYTHON) $(PEERS) \
	        && $(VENV)/bin/uv pip install --quiet --compile-bytecode --python $(PEERS)/bin/python --requirement $<; }; then
	    echo "Continuing with pip instead of uv"
	    rm -rf $(PEERS)
	    $(PYTHON) -m venv $(PEERS)
	    $(PEERS)/bin/python -m pip --quiet --disable-pip-version-check install --requirement $<
	fi
	touch $@
