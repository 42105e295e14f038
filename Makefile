# make demo     a monitor and two nodes on this machine, a killed primary, and what became of the rows
# make test     every test; edits nothing
# make install  the extensions and pg_autoctl, where pg_config says (PG_CONFIG=..., DESTDIR=...)
# make build    compiles everything
# make fix      formats the sources, and prints docs/states.md from the tables
# Each installs by itself what it needs and the machine lacks, and says so.
SHELL := /bin/bash
export PG_CONFIG DESTDIR

.PHONY: demo test build install deps fix
.NOTPARALLEL:

demo: install
	@target=$${CARGO_TARGET_DIR:-target}; exec $$target/release/demo $(DEMO_ARGS)

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
