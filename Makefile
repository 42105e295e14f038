# make demo     a monitor and two nodes on this machine, a killed primary, and what became of the rows
# make chaos    random faults on a cluster under load, the same ones for the same SEED=..., for MINUTES=... or FAULTS=...
# make bench    how fast it is and what it costs; ONLY=... takes the measurements that begin so; writes bench.json
# make test     every test; edits nothing
# make install  the extensions and pg_autoctl, where pg_config says (PG_CONFIG=..., DESTDIR=...)
# make build    compiles everything
# make fix      formats the sources, and prints docs/states.md from the tables
# Each installs by itself what it needs and the machine lacks, and says so.
SHELL := /bin/bash
export PG_CONFIG DESTDIR

SEED ?= 1
MINUTES ?= 10

.PHONY: demo chaos bench test build install deps fix
.NOTPARALLEL:

demo: install
	@target=$${CARGO_TARGET_DIR:-target}; exec $$target/release/demo $(DEMO_ARGS)

chaos: install
	@target=$${CARGO_TARGET_DIR:-target}; exec $$target/release/chaos --seed $(SEED) $(if $(FAULTS),--faults $(FAULTS),--minutes $(MINUTES)) $(CHAOS_ARGS)

bench: install
	@target=$${CARGO_TARGET_DIR:-target}; exec $$target/release/bench $(if $(ONLY),--only $(ONLY)) $(BENCH_ARGS)

test: deps
	@.ci/test

install: build
	@.ci/install release

build: deps
	@.ci/build release

deps:
	@.ci/deps

fix:
	cargo fmt --all
	UPDATE_DOCS=1 cargo test -q -p fsm --test documents
