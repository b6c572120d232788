# Every target sets up what it needs: a fresh machine with Python 3.11 and make is enough.
PYTHON ?= python3
STUDY  ?= published
WORLD  ?= 1
RUN    := .venv/bin/python -m

.DEFAULT_GOAL := help
.PHONY: help install check test test-slurm test-ray test-browser study published recommend report microcosm stages paper bench sweep status dashboards sync share gpu clean

help:  ## list every target
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: Python 3.11 or newer is needed; name one with: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 2; }
	@echo "setting up .venv (once; about two minutes)"
	@$(PYTHON) -m venv .venv
	@.venv/bin/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

install: .venv/installed  ## make .venv with the pinned packages

check: install  ## lint, format and types
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

test: install  ## run the tests, a process a core
	$(RUN) pytest -n auto --maxprocesses 4 --dist loadfile

.venv/slurm .venv/ray .venv/browser: .venv/installed
	@.venv/bin/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$(@F)]'
	@touch $@

test-slurm: .venv/slurm  ## as root on Debian with slurm-wlm and munge: sweeps on a real Slurm of one node
	$(RUN) pytest --no-cov tests/on_slurm

test-ray: .venv/ray  ## sweeps on a real ray cluster of two nodes on this machine, where nobody can reach it
	unshare --map-root-user --net sh -c 'ip link set lo up && exec $(RUN) pytest --no-cov tests/on_ray'

test-browser: .venv/browser  ## the report in a real browser: needs Debian's chromium, or CHROMIUM=PATH
	$(RUN) pytest --no-cov tests/in_browser

study: published recommend report microcosm  ## the whole answer: tables, ranking, report; then the study on a small world

published: install  ## fit and validate predictors on the published figures
	$(RUN) rm_selection.regress study=$(STUDY)

recommend: install  ## rank candidate base models, 9B at most
	$(RUN) rm_selection.recommend study=$(STUDY) max_params_b=9

report: install  ## write the HTML report of the study
	$(RUN) rm_selection.report study=$(STUDY)

microcosm: SMALL = study=microcosm-$(WORLD)
microcosm: install  ## the study really trained on a small world, about ten minutes on two cores: WORLD=1
	$(RUN) rm_selection.microcosm microcosm.seed=$(WORLD)
	$(RUN) rm_selection.measure -m +experiment=microcosm_features microcosm.seed=$(WORLD)
	$(RUN) rm_selection.train -m +experiment=microcosm microcosm.seed=$(WORLD)
	$(RUN) rm_selection.regress $(SMALL)
	$(RUN) rm_selection.recommend $(SMALL)
	$(RUN) rm_selection.report $(SMALL)
	.venv/bin/python experiments/microcosm/figures.py outputs/microcosm-$(WORLD)

stages: SMALL = study=microcosm-stages-$(WORLD)
stages: EVEN = $(patsubst conf/base/%.yaml,%,$(wildcard conf/base/micro-*-even-*.yaml))
stages: install  ## six small bases through sft, dpo and rlvr under one recipe, a reward model of each: WORLD=1
	$(RUN) rm_selection.microcosm microcosm.seed=$(WORLD) 'microcosm.bases=[$(shell echo $(EVEN) | tr ' ' ,)]'
	$(RUN) rm_selection.posttrain -m +experiment=microcosm_posttrain microcosm.seed=$(WORLD)
	$(RUN) rm_selection.train -m +experiment=microcosm_stages microcosm.seed=$(WORLD)
	$(RUN) rm_selection.regress $(SMALL)
	$(RUN) rm_selection.recommend $(SMALL)
	$(RUN) rm_selection.report $(SMALL)

# Settings of both commands in ARGS, as the launcher; of one alone in MEASURE and TRAIN. Quotes have no place in them.
paper: STUDY = paper
paper: OWN = study=$(STUDY) $(if $(BASES),base=$(BASES)) $(ARGS)
paper: FEATURES = -m +experiment=paper_features $(OWN) $(MEASURE)
paper: MODELS = -m +experiment=paper $(OWN) $(TRAIN)
ifdef BASES
paper: SWEEPS = "measure $(FEATURES)","train $(MODELS)"
else
paper: TULU = base=tulu3-8b stage=pretrained,sft,dpo,rlvr
paper: SWEEPS = "measure $(FEATURES)","measure $(FEATURES) $(TULU)","train $(MODELS)","train $(MODELS) $(TULU)"
endif
paper: PLAN = 'sweeps=[$(SWEEPS)]' $(if $(DEVICE),device=$(DEVICE)) $(if $(JOBS),jobs=$(JOBS))
paper: install  ## the study itself, resumable: 40 bases, both objectives; DRY_RUN=1 tells what it takes, DEVICE=h100 JOBS=8
	$(RUN) rm_selection.plan $(PLAN)
ifndef DRY_RUN
	-$(RUN) rm_selection.measure $(FEATURES)
	$(if $(BASES),,-$(RUN) rm_selection.measure $(FEATURES) $(TULU))
	-$(RUN) rm_selection.train $(MODELS)
	$(if $(BASES),,-$(RUN) rm_selection.train $(MODELS) $(TULU))
	$(RUN) rm_selection.regress study=$(STUDY)
	$(RUN) rm_selection.recommend study=$(STUDY)
	$(RUN) rm_selection.report study=$(STUDY)
	$(RUN) rm_selection.plan $(PLAN) finished=true
endif

bench: install  ## print the figures this project promises, and the times they take
	.venv/bin/python experiments/published/bench.py
	.venv/bin/python experiments/throughput/run.py cpu

sweep: STUDY = sweep
sweep: install  ## train and score a reward model from each base: BASES=llama3,qwen2, settings in ARGS, STUDY=sweep
	@test -n "$(BASES)" || { echo "error: BASES is empty; name bases of conf/base: make sweep BASES=llama3,qwen2"; exit 2; }
	$(RUN) rm_selection.train -m base='$(BASES)' study=$(STUDY) $(ARGS)

status: STUDY = sweep
status: install  ## where a sweep stands: STUDY=sweep, ARGS=follow=true keeps it on screen
	$(RUN) rm_selection.status study=$(STUDY) $(ARGS)

share: STUDY = sweep
share: install  ## write a study's results as a folder for others: STUDY=sweep, ARGS=to=FOLDER
	$(RUN) rm_selection.share study=$(STUDY) $(ARGS)

dashboards: STUDY = sweep
dashboards: install  ## a W&B workspace and report of a study, without a key as files: STUDY=sweep
	$(RUN) rm_selection.dashboards study=$(STUDY) $(ARGS)

sync: STUDY = sweep
sync: KEPT = $(wildcard outputs/$(STUDY)/*/*/wandb/offline-run-*)
sync: install  ## send W&B the runs of a study that were kept offline: STUDY=sweep
	@test -n "$(KEPT)" || { echo "error: outputs/$(STUDY) keeps no offline run; name a study that does: make sync STUDY=NAME"; exit 2; }
	.venv/bin/wandb sync $(KEPT)

gpu: export CUDA_VISIBLE_DEVICES ?= 0
gpu: install  ## on a machine with CUDA: its tests, and 1B and 7B shapes beside stock TRL
	$(RUN) pytest --no-cov tests/gpu
	.venv/bin/python experiments/throughput/run.py cuda

clean:  ## remove what was made: .venv, caches and outputs
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage build dist
	find outputs -mindepth 1 -not -name README.md -delete
