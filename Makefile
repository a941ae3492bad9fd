# Two commands on a machine with Python 3.11: `make reproduce` and `make test`. The others are for development.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
RUN = .venv/bin/python
OUT = runs/resnet_digits

.PHONY: reproduce test test-fast lint clean

reproduce: .venv/installed
	$(RUN) -m reproductions.resnet_digits --out $(OUT) --resume
	$(RUN) reproductions/use_saved_model.py $(OUT)/saved_model $(OUT)/test_images/*.png

test: .venv/installed
	$(RUN) -m pytest -n 2

test-fast: .venv/installed
	$(RUN) -m pytest -n 2 -m "not slow"

lint: .venv/installed
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

# Only when the last line is reached does the file stand, so an interrupted installation is done again.
.venv/installed: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info[:2] == (3, 11) else "Python 3.11 is needed; make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv .venv
	$(RUN) -m pip install --disable-pip-version-check -q -r requirements.txt
	touch .venv/installed

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
