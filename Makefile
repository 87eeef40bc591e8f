# Veil. `make help` explains every target; each makes or refreshes .venv by itself (needs Python 3.11).

RUN := .venv/bin/python
# A .venv that was copied, or whose Python has gone, is stale too.
BROKEN := $(shell $(RUN) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' >/dev/null 2>&1 || echo broken)
# What a user gives reaches the commands through the environment: names with spaces or quotes stay whole.
# Only the command line counts: a MODEL or ROOT that happens to be in the shell's environment does not.
GIVEN := DATA OUT DATASET ROOT MODEL PEERS
$(foreach name,$(GIVEN) ARGS EXTRA,$(if $(filter command,$(origin $(name))),,$(eval $(name) :=)))
$(foreach name,$(GIVEN),$(eval override $(name) := $$(value $(name))))
export $(GIVEN) PYTHON

.DEFAULT_GOAL := help
.PHONY: help env train prepare evaluate compare anonymize verify release ui test slow lint format bench lock clean broken

help: ## explain every target (the default)
	@echo 'usage: make TARGET [NAME=value ...]'
	@echo
	@awk -F ': .*## ' '/^[a-z-]+:.*## / { sub(/:.*/, "", $$1); printf "  %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo 'Names'
	@echo '  DATA=folder      pictures to anonymize; never written to'
	@echo '  OUT=folder       where to; default: DATA-anonymized beside DATA'
	@echo '  DATASET=name     labelled set, or several: facemask,ilc2021; see conf/dataset (default: sample)'
	@echo '  ROOT=folder      where the labelled set lies, or a folder of each; without it, it is made or downloaded'
	@echo '  MODEL=...        train: efficientdet_d0 to d3; release: efficientdet_d0, d2;'
	@echo '                   evaluate, compare, bench, anonymize, verify: a SavedModel'
	@echo '  PEERS=folder     with compare: where weights of YuNet and UltraFace lie'
	@echo '  EXTRA=gpu        with env: NVIDIA libraries as well (Linux)'
	@echo '  ARGS="..."       anything that `$(RUN) train.py --help` or `anonymize.py --help` lists, such as'
	@echo '                   ARGS="redact=pixelate score_threshold=0.3", or options of pytest for test'
	@echo
	@echo 'make itself exits with 2 whatever failed; its last line says `Error N`, N being the exit code of the'
	@echo 'command: 1 internal error, 2 wrong input, 3 something was left out. Scripts that need N call'
	@echo '`$(RUN) anonymize.py data=folder` themselves.'

env: .venv/.stamp ## make or refresh .venv alone; EXTRA=gpu adds the NVIDIA libraries
	@$(if $(EXTRA),scripts/make_env '$(EXTRA)',:)

.venv/.stamp: requirements.lock requirements-gpu.lock $(BROKEN)
	@scripts/make_env

broken:

train: .venv/.stamp ## prepare, train, export, calibrate, evaluate: [DATASET=] [ROOT=] [MODEL=] [ARGS=]
	@$(RUN) train.py $${DATASET:+"dataset=$$DATASET"} $${ROOT:+"dataset.root=$$ROOT"} $${MODEL:+"model=$$MODEL"} $(ARGS)

prepare: .venv/.stamp ## only make the data set version, with its report: [DATASET=] [ROOT=] [ARGS=]
	@$(RUN) train.py 'stages=[prepare]' $${DATASET:+"dataset=$$DATASET"} $${ROOT:+"dataset.root=$$ROOT"} $(ARGS)

evaluate: .venv/.stamp ## measure a model on a labelled set: [MODEL=] [DATASET=] [ROOT=] [ARGS=]
	@$(RUN) evaluate.py $${MODEL:+"evaluation.model=$$MODEL"} $${DATASET:+"dataset=$$DATASET"} \
		$${ROOT:+"dataset.root=$$ROOT"} $(ARGS)

compare: .venv/.stamp ## measure Veil and other tools on the same pictures: [MODEL=] [DATASET=] [ROOT=] [PEERS=] [ARGS=]
	@$(RUN) -m benchmarks.compare $${MODEL:+"contenders.veil.model=$$MODEL"} $${DATASET:+"dataset=$$DATASET"} \
		$${ROOT:+"dataset.root=$$ROOT"} $${PEERS:+"peers=$$PEERS"} $(ARGS)

anonymize: .venv/.stamp ## redact the faces in a folder of pictures: DATA= [OUT=] [MODEL=] [ARGS=]
	@$(RUN) anonymize.py "data=$$DATA" $${OUT:+"out=$$OUT"} $${MODEL:+"detector.model=$$MODEL"} $(ARGS)

verify: .venv/.stamp ## look for faces in an anonymized folder once more: OUT= [MODEL=] [ARGS=]
	@$(RUN) anonymize.py verify "$$OUT" $${MODEL:+"detector.model=$$MODEL"} $(ARGS)

release: .venv/.stamp ## recipe to models/, gated, registered: train, calibrate, measure: [MODEL=] [ROOT=] [ARGS=]
	@$(RUN) release.py $${MODEL:+"release=$$MODEL"} $${ROOT:+"root=$$ROOT"} $(ARGS)

ui: .venv/.stamp ## open MLflow on the runs that training wrote (Ctrl-C ends it): [ARGS=]
	@$(RUN) -m pipeline.tracking ui $(ARGS)

test: .venv/.stamp ## run the tests: [ARGS="-k boxes"]
	@$(RUN) -m pytest -n $$($(RUN) scripts/workers.py) --dist loadfile --no-loadscope-reorder \
		--max-worker-restart=2 --durations=12 $(ARGS)

slow: .venv/.stamp ## run the slow tests: fuzzing, crashes, real photographs (tens of minutes): [ARGS=]
	@$(RUN) -m pytest -m slow -o faulthandler_timeout=0 $(ARGS)

bench: .venv/.stamp ## measure speed and memory beside deface, 0.45 to 45 megapixels: [MODEL=] [ARGS=]
	@$(RUN) -m benchmarks.speed $${MODEL:+"detector=$$MODEL"} $(ARGS)

lint: .venv/.stamp ## ruff and mypy
	@failed=0; for check in 'ruff check .' 'ruff format --check .' mypy; do \
		$(RUN) -m $$check || failed=1; done; exit $$failed

format: .venv/.stamp ## put the code into ruff's format
	@$(RUN) -m ruff check --fix . ; $(RUN) -m ruff format .

lock: ## resolve pyproject.toml into requirements.lock again (needs uv and a network): [ARGS=--upgrade]
	@scripts/lock $(ARGS)

clean: ## remove .venv and caches; runs, versions and models stay
	rm -rf .venv .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Refused before .venv is made: a newcomer should not wait minutes to learn that a name is missing.
ifneq ($(filter anonymize,$(MAKECMDGOALS)),)
ifeq ($(DATA),)
$(error DATA: no value given; allowed: a folder of pictures. usage: make anonymize DATA=photos [OUT=folder] [ARGS=...])
endif
endif
ifneq ($(filter verify,$(MAKECMDGOALS)),)
ifeq ($(OUT),)
$(error OUT: no value given; allowed: an anonymized folder. usage: make verify OUT=photos-anonymized)
endif
endif
