.PHONY: demo test check bench soak golden proto docs web lock clean

PYTHON ?= python3
bin := .venv/bin
# Processes start a third faster where Python keeps what it compiled, also where the environment says otherwise.
export PYTHONDONTWRITEBYTECODE :=

demo: .venv/ready ; $(bin)/sluice demo $(ARGS)
test: .venv/ready ; $(bin)/python -m pytest -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(ARGS)
check: .venv/ready ; $(bin)/ruff format --check . && $(bin)/ruff check . && $(bin)/mypy libs services gateway tests bench protos/generate.py && $(bin)/buf lint && $(bin)/lint-imports --no-logo --cache-dir .import_linter_cache && $(bin)/python -m pytest -q tests/repo
bench: .venv/ready ; $(bin)/python -m bench $(ARGS)
soak: .venv/ready ; $(bin)/python -m pytest -m hypothesis --hypothesis-profile=soak --timeout=3600 $(ARGS) && $(bin)/python -m pytest tests/soak --timeout=3600
golden: .venv/ready ; $(bin)/python -m pytest -m golden --write-golden $(ARGS)
proto: .venv/ready ; $(bin)/python protos/generate.py
docs: .venv/ready ; $(bin)/python -m tests.repo.settings_page --write && $(bin)/python -m tests.repo.mutations_table --write
web: ; cd gateway/web && npm ci --silent --no-audit --no-fund && WEB_OUT_DIR=node_modules/.built npm run --silent build && rm -rf ../sluice_gateway/static/app && mv node_modules/.built ../sluice_gateway/static/app
lock: .venv/ready ; $(bin)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate --no-header --all-extras pyproject.toml -o requirements.lock
clean: ; rm -rf .venv gateway/web/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist var

# Only a complete install leaves `ready` behind, so a broken one is repeated by the next make.
.venv/ready: pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Sluice needs Python 3.11 or newer; say which with: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(bin)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(bin)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
