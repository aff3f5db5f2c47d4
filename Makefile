# make demo   set everything up and find the people of data/people.png, with faces and hands
# make test   set everything up, lint, run all tests
# make check  lint, and a minute of the quickest tests: before a commit
# make faults damage every kind of file 5,000 times, end every work 90 times, with failing machines and servers (half an hour)
# make models download OpenPose's weights and convert them
# Other Python: make demo PYTHON=python3.13. Other place: make demo VENV=/tmp/venv.

PYTHON ?= python3
VENV ?= .venv
RUN = $(VENV)/bin/python
# Of `make check`: a second or two each.
QUICK = tests/house/test_entity.py tests/house/test_help.py tests/house/test_imports.py \
        tests/keypoints/test_candidates.py tests/keypoints/test_draw.py tests/keypoints/test_image.py tests/keypoints/test_labels.py \
        tests/keypoints/test_peaks.py tests/keypoints/test_person.py tests/keypoints/test_whole.py \
        tests/models/test_choose.py tests/models/test_layers.py \
        tests/streams/test_chosen.py tests/streams/test_formats.py tests/streams/test_frames.py tests/streams/test_outputs.py \
        tests/streams/test_results.py
PIP = PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt \
      $(RUN) -m pip --disable-pip-version-check install --quiet

.DELETE_ON_ERROR:
.PHONY: help demo models test check faults lint benchmark venv clean

help:
	@sed -n '/^$$/q;s/^# //p' Makefile

demo: $(VENV)/runtime.stamp
	$(RUN) demo.py --img data/people.png --out result.png

models: $(VENV)/runtime.stamp
	PYTHON=$(RUN) ./getModels.sh

# In two processes, file by file: much of the time is waiting for servers, kills and processes that start.
test: lint
	$(RUN) -m pytest -n 2 --dist loadfile

check: lint
	$(RUN) -m pytest $(QUICK)

faults: $(VENV)/dev.stamp
	@status=0; \
	$(RUN) tests/faults/run.py --seed 1 --cases 5000 --minutes 10 || status=1; \
	$(RUN) tests/faults/kills.py --seed 1 --kills 90 --minutes 10 || status=1; \
	$(RUN) tests/faults/machine.py --seed 1 --minutes 5 || status=1; \
	$(RUN) tests/faults/servers.py --seed 1 --minutes 5 || status=1; \
	$(RUN) tests/faults/visitors.py --seed 1 --minutes 5 || status=1; \
	exit $$status

lint: $(VENV)/dev.stamp
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

benchmark: $(VENV)/runtime.stamp
	$(RUN) benchmark.py

venv: $(VENV)/runtime.stamp

# The stamps are made last, so a set-up that was interrupted starts again.
$(VENV)/runtime.stamp: requirements.txt constraints.txt
	@case "$(VENV)" in *" "*) echo "make: VENV=$(VENV) holds a space, which make cannot handle; choose another folder" >&2; exit 2;; esac
	@command -v "$(PYTHON)" >/dev/null || { echo "make: $(PYTHON) is missing: install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3" >&2; exit 2; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: $$("$(PYTHON)" --version 2>&1) is too old: Python 3.11 or newer is needed; name one: make PYTHON=/path/to/python3" >&2; exit 2; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { echo "make: $(PYTHON) has no venv module: install it (Debian, Ubuntu: apt install python3-venv)" >&2; exit 2; }
	@echo "Setting up $(VENV) (two to five minutes, once)"
	@"$(PYTHON)" -m venv --clear "$(VENV)"
	@$(PIP) -r requirements.txt
	@touch $@

$(VENV)/dev.stamp: $(VENV)/runtime.stamp requirements-dev.txt
	@$(PIP) -r requirements-dev.txt
	@touch $@

clean:
	rm -rf "$(VENV)"
