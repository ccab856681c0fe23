# The project's commands. `make` lists them.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

# The Python that .venv is created with, 3.10 or later.
override PYTHON := $(or $(PYTHON),python3)
# What `make wheels` builds: triples, tags, short names and groups; how many at a time; and the
# backend.
TARGETS ?= host
JOBS ?=
BACKEND ?=
# What `make audit` checks, or the code of a rule that it explains instead.
FILES ?=
RELEASE ?=
EXPLAIN ?=
# Whether `make wheels` and `make lib` use this machine's settings for cargo (RUSTFLAGS,
# CARGO_HOME), and not only the repository's.
LOCAL_SETTINGS ?=
# Which image `make image` builds.
NAME ?=
# Whether `make sdist` packs the crates that the crate depends on.
VENDOR ?=
# What is released, and where: a version, its tag, an index; and the SHA-256 of SHA256SUMS. The
# shell reads them from the environment, so that no tag is run as a command.
VERSION ?=
TAG ?=
REPOSITORY ?=
SUMS ?=
# Whether `make publish` only reports what it would upload.
DRY_RUN ?=

BIN := $(if $(filter Windows_NT,$(OS)),.venv/Scripts,.venv/bin)
# An empty variable counts as unset. Cargo would take it for a name.
override CARGO := $(or $(CARGO),cargo)
ifeq ($(RUSTC),)
unexport RUSTC
endif
ifeq ($(CARGO_BUILD_TARGET),)
unexport CARGO_BUILD_TARGET
endif
# cargo and rustup set variables for the programs that they run. These hold what the user asked
# for, if anything, so that a rust-toolchain.toml in rust/ works as it does for cargo there.
FFIWHEEL := ASKED_CARGO="$(CARGO)" ASKED_TOOLCHAIN="$$RUSTUP_TOOLCHAIN" $(CARGO) run --quiet --locked --manifest-path rust/ffiwheel/Cargo.toml --
BACKEND_OPTION = $(if $(BACKEND),--backend $(BACKEND))
RUST_MANIFESTS := rust/Cargo.toml rust/ffiwheel/Cargo.toml
PYTHON_FILES := python scripts rust/ffiwheel/helpers rust/ffiwheel/tests

##@ Use

.PHONY: help
help: ## List the commands
	@awk 'BEGIN {FS = ":.*## "} /^##@ / {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: wheels
wheels: venv ## Build, repair, audit and run wheels, into dist/ (TARGETS="…", default: host; JOBS=n; BACKEND=zig|cargo|docker|cross|cibuildwheel; LOCAL_SETTINGS=1)
	$(FFIWHEEL) wheels $(if $(JOBS),--jobs $(JOBS)) $(BACKEND_OPTION) $(TARGETS)

.PHONY: smoke
smoke: venv ## Run the wheels in dist/, as far as this machine can (TARGETS="…", default: all)
	$(FFIWHEEL) smoke $(if $(JOBS),--jobs $(JOBS)) $(if $(filter-out file,$(origin TARGETS)),$(TARGETS))

.PHONY: audit
audit: venv ## Check dist/ against the rules (FILES="…": other files, of any project; RELEASE=1: as a release; EXPLAIN=CODE: explain a rule)
	$(FFIWHEEL) audit $(if $(EXPLAIN),--explain $(EXPLAIN)) $(if $(RELEASE),--release) $(FILES)

.PHONY: targets
targets: venv ## Print the table of targets
	$(FFIWHEEL) targets

.PHONY: doctor
doctor: venv ## Report what would build TARGETS here, and what is missing
	$(FFIWHEEL) doctor $(BACKEND_OPTION) $(TARGETS)

.PHONY: sdist
sdist: venv ## Pack the source distribution into dist/ (VENDOR=1: with every crate that it needs)
	$(FFIWHEEL) sdist $(if $(VENDOR),--vendor)

.PHONY: image
image: venv ## Build the image NAME of docker/images.toml, for BACKEND=docker and cross
	$(FFIWHEEL) image $(NAME)

.PHONY: cross
cross: venv ## Install cross into .venv, for BACKEND=cross
	$(CARGO) install --quiet --locked --version 0.2.5 --root .venv cross

.PHONY: matrix
matrix: venv ## Print the CI jobs for TARGETS as JSON; in GitHub Actions, also write them to GITHUB_OUTPUT
	$(FFIWHEEL) matrix $(BACKEND_OPTION) $(TARGETS)

.PHONY: reproduce
reproduce: sdist wheels ## Build TARGETS and the sdist in a second clone, and compare the bytes
	$(FFIWHEEL) reproduce $(BACKEND_OPTION) $(TARGETS)

##@ Develop

.PHONY: dev
dev: venv ## Build the library and install the package into .venv, editable
	$(BIN)/python -m pip install --quiet --no-build-isolation --no-deps --editable python

.PHONY: lib
lib: venv ## Build the library exactly as for a wheel, into python/hello_pyrust/lib
	$(FFIWHEEL) lib $(BACKEND_OPTION) host

.PHONY: header
header: venv ## Generate the C header, _ffi.py and _ffi.pyi from the Rust source
	$(FFIWHEEL) header

.PHONY: rules
rules: venv ## Generate docs/rules.md, the table of targets in README.md, and ci/platforms.toml from auditwheel's and delvewheel's data
	$(FFIWHEEL) rules --write
	$(FFIWHEEL) targets --write

.PHONY: test
test: venv ## Run the tests on every Python of this machine
	$(FFIWHEEL) sdist
	$(FFIWHEEL) wheels host
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile -m "not slow and not docker"

.PHONY: test-slow
test-slow: venv ## Run the tests that take minutes: other platforms, emulators
	$(FFIWHEEL) sdist
	$(FFIWHEEL) wheels host
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile -m slow

.PHONY: test-docker
test-docker: venv ## Run the tests of images, cross and cibuildwheel; starts dockerd if none is running
	$(FFIWHEEL) wheels host
	$(BIN)/python -m pytest -m docker

.PHONY: benchmark
benchmark: venv ## Compare speed and size with cargo-zigbuild and maturin
	$(BIN)/python scripts/benchmark.py

.PHONY: lint
lint: venv ## Check format, lints, types, and that generated files are up to date
	$(CARGO) fmt --version && $(CARGO) clippy --version || rustup component add rustfmt clippy
	$(foreach manifest,$(RUST_MANIFESTS),$(CARGO) fmt --check --manifest-path $(manifest) &&) true
	$(foreach manifest,$(RUST_MANIFESTS),$(CARGO) clippy --quiet --locked --all-targets --manifest-path $(manifest) -- -D warnings &&) true
	$(BIN)/ruff format --check $(PYTHON_FILES)
	$(BIN)/ruff check $(PYTHON_FILES)
	$(BIN)/mypy
	$(BIN)/zizmor --quiet --offline --pedantic --no-progress .github
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*
	$(BIN)/check-jsonschema --builtin-schema vendor.github-actions .github/actions/*/action.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	for file in LICENSE*; do cmp "$$file" "python/$$file" || exit; done
	$(FFIWHEEL) header --check
	$(FFIWHEEL) targets --check
	$(FFIWHEEL) rules --check

.PHONY: fmt
fmt: venv ## Format Rust and Python
	$(foreach manifest,$(RUST_MANIFESTS),$(CARGO) fmt --manifest-path $(manifest) &&) true
	$(BIN)/ruff format $(PYTHON_FILES)
	$(BIN)/ruff check --fix-only $(PYTHON_FILES)

##@ Release (RELEASING.md)

.PHONY: bump
bump: venv ## Set the version in every file that contains it (VERSION=1.2.3)
	$(FFIWHEEL) bump -- "$$VERSION"

.PHONY: check-tag
check-tag: venv ## List what prevents a release (TAG=v1.2.3; REPOSITORY=pypi: also check that index)
	$(FFIWHEEL) check-tag $(if $(REPOSITORY),--index "$$REPOSITORY") -- "$$TAG"

.PHONY: rehearse
rehearse: venv ## Upload dist/ to an index on this machine, and install from it on every Python
	$(FFIWHEEL) rehearse $(if $(JOBS),--jobs $(JOBS))

.PHONY: gather
gather: venv ## Audit dist/ as a release, and write SHA256SUMS, notes and SBOMs to build/release
	$(FFIWHEEL) gather

.PHONY: checksums
checksums: ## Compare dist/ with build/release/SHA256SUMS (SUMS=…: the SHA-256 of that file)
	sh scripts/checksums.sh $${SUMS+"$$SUMS"}

.PHONY: publish
publish: venv ## Upload dist/, which must be a release (REPOSITORY=testpypi, pypi or a URL; DRY_RUN=1)
	$(FFIWHEEL) audit --release
	$(FFIWHEEL) publish $(if $(DRY_RUN),--dry-run) "$$REPOSITORY"

.PHONY: github-release
github-release: ## Publish what `make gather` wrote as a GitHub release (TAG=v1.2.3; needs gh)
	sh scripts/github-release.sh "$$TAG"

.PHONY: verify-release
verify-release: venv ## Build a released VERSION again from its tag, and compare the bytes (REPOSITORY=pypi; TARGETS)
	$(FFIWHEEL) verify-release --repository "$${REPOSITORY:-pypi}" -- "$$VERSION" $(TARGETS)

##@ Maintain

.PHONY: venv
venv: .venv/installed ## Install the tools of ci/requirements.txt into .venv

.venv/installed: ci/requirements.txt scripts/check-tools.sh
	sh scripts/check-tools.sh "$(PYTHON)"
	rm -rf .venv # If that is a link to another project's, only the link goes.
	"$(PYTHON)" -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r ci/requirements.txt
	touch $@

.PHONY: requirements
requirements: venv ## Resolve ci/requirements.in again, with hashes
	$(BIN)/uv pip compile --quiet --universal --python-version 3.10 --upgrade --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --custom-compile-command "make requirements" \
	  ci/requirements.in --output-file ci/requirements.txt

.PHONY: clean
clean: ## Remove build results; keep .venv and the emulators' files
	rm -rf build dist rust/target rust/ffiwheel/target python/build python/dist python/*.egg-info
	find python/hello_pyrust/lib ! -type d ! -name README.md -delete

.PHONY: distclean
distclean: clean ## Also remove .venv, and the programs that `make smoke` unpacked
	rm -rf .roots .venv
