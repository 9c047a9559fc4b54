# SPDX-License-Identifier: Apache-2.0
# One line per recipe; anything longer is a script. `make` alone lists the targets.
.DEFAULT_GOAL := help
.PHONY: help packages kernels build demo test attacks fuzz lint doc bench bench-rules install ci

PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
RELEASE = $(or $(CARGO_TARGET_DIR),target)/$(shell rustc --print host-tuple)/release

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

packages: ## install what builds and tests need (Debian, as root)
	@scripts/install-packages

kernels: packages ## unpack the kernels that tests boot (Debian's, below /var/cache)
	@scripts/install-kernels

build: ## build the release binaries
	cargo build --release --locked -p supervisor -p shim

demo: packages build ## watch and guard a container for real, in under a minute
	@PATH="$(abspath $(RELEASE)):$$PATH" scripts/demo

test: packages kernels ## run every test, end-to-end ones included
	@scripts/test

attacks: packages ## run every attack of docs/attacks.md, those that need luck included
	cargo build --workspace --bins --locked --profile ci
	cargo test -p integration --test attacks --locked --profile ci -- --include-ignored --nocapture --test-threads 1

lint: packages ## check format, clippy's lints and documentation
	@scripts/lint

bench: packages build ## compare native, a bare loop and Lanner; writes target/bench.json
	@LANNER_BIN_DIR="$(abspath $(RELEASE))" cargo run --quiet --locked --profile ci -p integration --bin bench

bench-rules: packages ## what rules cost: time, memory, and instructions counted by valgrind
	@scripts/bench-rules

fuzz: packages ## feed the rule loader, conditions and outputs with nonsense; SECONDS=600 for longer runs
	@SECONDS_EACH="$(or $(SECONDS),30)" scripts/fuzz

install: build ## install the binaries below PREFIX and the rules below SYSCONFDIR
	scripts/install "$(RELEASE)" "$(DESTDIR)$(PREFIX)/bin" "$(DESTDIR)$(SYSCONFDIR)/lanner"

ci: lint test ## what continuous integration runs
