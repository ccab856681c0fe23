# This repository's own: the tool is run from its source, and there are verbs that test it.

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
FFIWHEEL = ASKED_CARGO="$(CARGO)" ASKED_TOOLCHAIN="$$RUSTUP_TOOLCHAIN" $(CARGO) run --quiet --locked --manifest-path "$(CURDIR)/rust/ffiwheel/Cargo.toml" --
TOOL_PYTHON := scripts docs rust/ffiwheel/helpers rust/ffiwheel/tests

# What cargo needs to compile the tool is named together with what .venv needs.
.venv/installed: | tools
.PHONY: tools
tools:
	@[ -f .venv/installed ] || sh scripts/check-tools.sh "$(PYTHON)"

##@ This repository

# Apart from .venv, which authors have too: they need no generator.
DOCS := build/docs/venv
DOCS_BIN := $(subst .venv,$(DOCS),$(BIN))
$(DOCS)/installed: docs/requirements.txt
	rm -rf $(DOCS)
	"$(PYTHON)" -m venv $(DOCS)
	$(DOCS_BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r docs/requirements.txt
	cp docs/requirements.txt $@

.PHONY: docs
docs: $(DOCS)/installed ## Build the guide into build/docs/site, and check its links
	$(DOCS_BIN)/sphinx-build --quiet --fail-on-warning --nitpicky --fresh-env --doctree-dir build/docs/doctrees docs build/docs/site

.PHONY: tool
tool: .venv/installed ## Build the tool's own sdist and wheels, into build/tool/dist (TARGETS="…")
	$(BIN)/python scripts/tool_project.py build/tool
	cd build/tool && $(FFIWHEEL) sdist && $(FFIWHEEL) wheels

# One version for both, and one tag.
check-tag: check-tool
.PHONY: check-tool
check-tool:
	@version=$$(sed -n '/^version = /{p;q}' rust/Cargo.toml); \
	  grep -qxF "$$version" rust/ffiwheel/Cargo.toml || \
	  { echo 'error: rust/ffiwheel/Cargo.toml has another version than rust/Cargo.toml: run `make bump VERSION=…`' >&2; exit 1; }

# Both distributions have one version and one tag. The tool's is uploaded first: what the other one
# says in its documentation is then true.
.PHONY: release-tool
release-tool: tool ## Run, gather and rehearse what `make tool` has built
	cd build/tool && $(FFIWHEEL) smoke && $(FFIWHEEL) gather && $(FFIWHEEL) rehearse

.PHONY: test-tool
test-tool: .venv/installed ## Run the tests of the tool
	$(FFIWHEEL) sdist
	$(FFIWHEEL) wheels host
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile -m "not slow and not long and not docker" rust/ffiwheel/tests

.PHONY: test-slow
test-slow: .venv/installed ## Run the tests that take minutes: other platforms, emulators
	$(FFIWHEEL) sdist
	$(FFIWHEEL) wheels host
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile -m "slow and not long"

.PHONY: test-long
test-long: .venv/installed ## Run the tests that take a minute and more each, and the slow ones on every Python
	$(FFIWHEEL) sdist
	$(FFIWHEEL) wheels host
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile -m long

.PHONY: test-docker
test-docker: .venv/installed ## Run the tests of images, cross and cibuildwheel; starts dockerd if none is running
	$(FFIWHEEL) wheels host
	$(BIN)/python -m pytest -m "docker and not long"

.PHONY: test-adopt
test-adopt: .venv/installed ## Run the tests of an author's first steps, and write the table in docs/comparison.md (needs PyPI, crates.io)
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile $(wildcard $(patsubst %,rust/ffiwheel/tests/test_%.py,adopt guide html5ever migration program))
	$(BIN)/python scripts/adoption.py

.PHONY: test-commands
test-commands: .venv/installed ## Build libraries in several languages for several platforms, and write the table in docs/commands.md (needs Go)
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal --junitxml build/languages.xml rust/ffiwheel/tests/test_languages.py
	$(BIN)/python scripts/languages.py build/languages.xml

.PHONY: benchmark
benchmark: .venv/installed ## Compare speed and size with cargo-zigbuild and maturin
	$(BIN)/python scripts/benchmark.py

lint: lint-tool
.PHONY: lint-tool
lint-tool: .venv/installed
	$(CARGO) fmt --version && $(CARGO) clippy --version || rustup component add rustfmt clippy
	$(CARGO) fmt --check --manifest-path rust/ffiwheel/Cargo.toml
	$(CARGO) clippy --quiet --locked --all-targets --manifest-path rust/ffiwheel/Cargo.toml -- -D warnings
	$(BIN)/ruff format --check python $(TOOL_PYTHON)
	$(BIN)/ruff check python $(TOOL_PYTHON)
	$(BIN)/mypy
	$(FFIWHEEL) targets --check
	$(FFIWHEEL) rules --check

fmt: fmt-tool
.PHONY: fmt-tool
fmt-tool: .venv/installed
	$(CARGO) fmt --manifest-path rust/ffiwheel/Cargo.toml
	$(BIN)/ruff format python $(TOOL_PYTHON)
	$(BIN)/ruff check --fix-only python $(TOOL_PYTHON)

.PHONY: rules
rules: .venv/installed ## Generate docs/rules.md, the table of targets in README.md, and ci/platforms.toml from auditwheel's and delvewheel's data
	$(FFIWHEEL) rules --write
	$(FFIWHEEL) targets --write

.PHONY: kit
kit: .venv/installed ## Write the first line of the kit's files anew, after a change to one
	$(FFIWHEEL) kit

.PHONY: checksums
checksums: ## Compare dist/ with build/release/SHA256SUMS (SUMS=…: the SHA-256 of that file; FOLDER=build/tool: those of the tool)
	sh scripts/checksums.sh $${SUMS+"$$SUMS"}

.PHONY: github-release
github-release: ## Publish what `make gather` wrote as a GitHub release (TAG=v1.2.3; needs gh)
	sh scripts/github-release.sh "$$TAG"

.PHONY: requirements
requirements: .venv/installed ## Resolve each requirements.in again, with hashes
	for folder in ci docs rust/ffiwheel/tests; do \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.10 --upgrade --generate-hashes \
	    --no-emit-index-url --no-emit-find-links --custom-compile-command "make requirements" \
	    $$folder/requirements.in --output-file $$folder/requirements.txt || exit 1; \
	done

.PHONY: new
new: $(if $(NAME),tool) ## Make a project for another library (NAME=…, DEST=…), with the tool as it is here
	FFIWHEEL_FIND_LINKS="$(CURDIR)/build/tool/dist" $(FFIWHEEL) new
