# Two commands on a machine with Python 3.11: `make reproduce` and `make test`. The others are for development.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
RUN = .venv/bin/python
OUT = runs/resnet_digits

.PHONY: reproduce test test-fast soak bench bench-full bench-memory report docs notebooks lint clean

reproduce: .venv/installed
	$(RUN) -m reproductions.resnet_digits --out $(OUT) --resume
	$(RUN) reproductions/use_saved_model.py $(OUT)/saved_model $(OUT)/test_images/*.png

# In two parts: TensorFlow's kernels keep the memory of every network that ran in a process.
test: .venv/installed
	$(RUN) -m pytest -n 2 --ignore=tests/reproductions
	$(RUN) -m pytest -n 2 tests/reproductions

test-fast: .venv/installed
	$(RUN) -m pytest -n 2 -m "not slow"

# A training killed at KILLS random moments ends as if undisturbed; the count goes to tests/soak.json.
KILLS = 100

soak: .venv/installed
	$(RUN) -m tests.soak --kills $(KILLS)

lint: .venv/installed
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

# Speed beside torchvision and Keras's own networks: half an hour, or hours. PEERS: another Python that has torch.
PEERS = .venv-bench/bin/python
WITH_PEERS = .venv/installed $(if $(filter .venv-bench/%,$(PEERS)),.venv-bench/installed)

bench: $(WITH_PEERS)
	$(RUN) -m benchmarks.input --peers $(PEERS)
	$(RUN) -m benchmarks.boxes --peers $(PEERS)
	$(RUN) -m benchmarks --peers $(PEERS)

# Memory and time of training steps against batch size and depth; what is there already is not measured again.
bench-memory: .venv/installed
	$(RUN) -m benchmarks.memory

# RESULTS.md and its pictures, from the committed records.
report: .venv/installed
	$(RUN) -m reproductions.report

# The site, into build/site; a broken link fails. Networks once built for it are kept in build/networks.
docs: .venv/installed .venv-docs/installed
	$(RUN) -m docs.generate
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/python -m mkdocs build --strict --quiet --config-file build/mkdocs.yml
	@echo "to read it: python3 -m http.server --directory build/site"

# The notebooks as .ipynb files; outputs of earlier ones are kept. Jupyter comes into .venv, which the tests do without.
notebooks: .venv/notebooks
	$(RUN) -m jupytext --quiet --to ipynb --update notebooks/[1-9]_*.py
	@echo 'to open them: .venv/bin/jupyter lab notebooks'

bench-full: $(WITH_PEERS)
	$(RUN) -m benchmarks.input --peers $(PEERS)
	$(RUN) -m benchmarks --peers $(PEERS) --full

.venv-bench/installed: benchmarks/requirements.txt
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --disable-pip-version-check -q -r benchmarks/requirements.txt
	touch .venv-bench/installed

.venv-docs/installed: docs/requirements.txt
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/python -m pip install --disable-pip-version-check -q -r docs/requirements.txt
	touch .venv-docs/installed

.venv/notebooks: .venv/installed notebooks/requirements.txt
	$(RUN) -m pip install --disable-pip-version-check -q -r requirements.txt -r notebooks/requirements.txt
	touch .venv/notebooks

# The library itself is installed as it lies here. Only when the last line is reached does the file stand, so an interrupted installation is done again.
.venv/installed: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info[:2] == (3, 11) else "Python 3.11 is needed; make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv .venv
	@echo "installing TensorFlow, Keras and what else requirements.txt names into .venv: a few minutes without a word"
	$(RUN) -m pip install --disable-pip-version-check -q -r requirements.txt
	$(RUN) -m pip install --disable-pip-version-check -q --no-deps --no-build-isolation --editable .
	touch .venv/installed

clean:
	rm -rf .venv .venv-bench .venv-docs build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
