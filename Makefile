# ffiwheel kit 0.1.0 8578c3f54dd68fbf: `ffiwheel update` replaces this file; use settings
# The project's verbs: `make` lists them. What a verb is given (TARGETS="…", JOBS=2) is a variable,
# on the command line or in the environment. `ffiwheel VERB --help` says more.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

# The Python that .venv is created with, 3.10 or later.
override PYTHON := $(or $(PYTHON),python3)
BIN := $(if $(filter Windows_NT,$(OS)),.venv/Scripts,.venv/bin)
FFIWHEEL = $(BIN)/ffiwheel

# What is this repository's own: verbs, and other values for the variables above.
-include ci/local.mk

.PHONY: help
help: ## List the verbs
	@awk 'BEGIN {FS = ":.*## "} /^##@ / {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Use

wheels: ## Build, repair, audit and run wheels, into dist/ (TARGETS="…", default: host; JOBS=n; BACKEND=zig|cargo|docker|cross|cibuildwheel; LOCAL_SETTINGS=1)
smoke: ## Run the wheels in dist/, as far as this machine can (TARGETS="…", default: all; JOBS=n)
audit: ## Check dist/ against the rules (FILES="…": other files, of any project; RELEASE=1: as a release; EXPLAIN=CODE: explain a rule)
targets: ## Print the table of targets
doctor: ## Report what would build TARGETS here, and what is missing
sdist: ## Pack the source distribution into dist/ (VENDOR=1: with every crate that it needs)
image: ## Build the image NAME of docker/images.toml, for BACKEND=docker and cross
cross: ## Install cross into .venv, for BACKEND=cross
matrix: ## Print the CI jobs for TARGETS as JSON; in GitHub Actions, also write them to GITHUB_OUTPUT
reproduce: ## Build TARGETS and the sdist in a second clone, and compare the bytes

##@ Develop

dev: ## Build the library and install the package into .venv, editable
lib: ## Build the library exactly as for a wheel, into the package's lib folder
header: ## Generate the C header, _ffi.py and _ffi.pyi from the Rust source
test: ## Run the tests on every Python of this machine
lint: ## Check format, lints, and that generated files and the kit are up to date
fmt: ## Format Rust and Python

##@ Release

bump: ## Set the version in every file that contains it (VERSION=1.2.3)
check-tag: ## List what prevents a release (TAG=v1.2.3; REPOSITORY=pypi: also check that index)
rehearse: ## Upload dist/ to an index on this machine, and install from it on every Python (JOBS=n)
gather: ## Audit dist/ as a release, and write SHA256SUMS, notes and SBOMs to build/release
publish: ## Upload dist/, which must be a release (REPOSITORY=testpypi, pypi or a URL; DRY_RUN=1)
verify-release: ## Build a released VERSION again from its tag, and compare the bytes (REPOSITORY=pypi; TARGETS)

##@ Maintain

update: ## Replace the kit's files by those of the ffiwheel in .venv
clean: ## Remove build results; keep .venv and the emulators' files
distclean: ## Also remove .venv, and the programs that `make smoke` unpacked

VERBS := wheels smoke audit targets doctor sdist image cross matrix reproduce dev lib header test \
  lint fmt bump check-tag rehearse gather publish verify-release update clean distclean

.PHONY: $(VERBS)
$(VERBS): .venv/installed
	@$(FFIWHEEL) $@

.PHONY: venv
venv: .venv/installed ## Install the tools of ci/requirements.txt into .venv

# The program does the same where it finds no .venv.
.venv/installed: ci/requirements.txt
	@"$(PYTHON)" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 10))' || \
	  { echo 'error: $(PYTHON) is not Python 3.10 or later with the module venv: name another one, PYTHON=…' >&2; exit 1; }
	@[ ! -e .venv ] || [ -e .venv/installed ] || \
	  { echo 'error: .venv is an environment that ffiwheel has not made: move it away, or remove it' >&2; exit 1; }
	rm -rf .venv # If that is a link to another project's, only the link goes.
	mkdir .venv && touch -t 197001020000 .venv/installed
	"$(PYTHON)" -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes $(if $(FFIWHEEL_FIND_LINKS),--find-links "$(FFIWHEEL_FIND_LINKS)") -r ci/requirements.txt
	cp ci/requirements.txt $@
