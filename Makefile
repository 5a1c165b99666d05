# make demo          the main job on a small system, without root, in a minute
# make demo-debian   the same on a real Debian of about 1 GB (root)
# make check         every test and linter; with root also the tests that need it
# make bench         speed, beside git and ostree (root); PAIR=DIR BENCH=--quick
# make fleet         thousands of nodes and every trouble against the reboot lock
# make install       DESTDIR=/path/to/image for the Python of that image
# make clean

PYTHON ?= python3
DESTDIR ?=
# What goes beside the base: tar.zst for publishing, faster inflating, pages, the lock.
EXTRAS ?= publish,fast,site,lock,bus
VENV := .venv
STAMP := $(VENV)/.installed
TESTS := $(VENV)/.tests
BIN := $(CURDIR)/$(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
LIB := $(DESTDIR)/usr/lib/osupdate
UNITS := $(wildcard systemd/*.service systemd/*.timer)

ifeq ($(shell id -u),0)
MARKERS := not vm and not bench
else
MARKERS := not root and not vm and not bench
endif

.PHONY: all demo demo-debian check bench fleet install clean packages

all: $(STAMP)

$(STAMP): pyproject.toml Makefile
	$(PYTHON) -m venv $(VENV)
	$(PIP) install -e '.[$(EXTRAS)]'
	touch $@

$(TESTS): $(STAMP)
	$(PIP) install -e '.[$(EXTRAS),test]'
	touch $@

packages:
	tests/install-packages.sh

demo: $(STAMP)
	PATH="$(BIN):$$PATH" fixtures/demo.sh

demo-debian: packages $(STAMP)
	PATH="$(BIN):$$PATH" fixtures/demo-debian.sh

check: packages $(TESTS)
	$(BIN)/python -m pytest -m '$(MARKERS)' $(PYTEST)

bench: $(TESTS)
	tests/install-packages.sh bench
	PYTHONPATH=tests $(BIN)/python -m bench $(if $(PAIR),--pair '$(PAIR)') $(BENCH)
	PYTHONPATH=tests $(BIN)/python -m bench.lock

fleet: $(TESTS)
	PYTHONPATH=tests $(BIN)/python -m fleet $(FLEET)

# The last lines hold that everything is below DESTDIR: they run the installed command
# and import what it loads late, both isolated from this machine's own packages.
install: $(STAMP)
	rm -rf '$(LIB)/lib'
	install -d '$(LIB)/lib' '$(LIB)/config.d' '$(DESTDIR)/usr/bin'
	$(PIP) install --no-compile --target '$(LIB)/lib' '.[$(EXTRAS)]'
	rm -rf '$(LIB)/lib/bin' build
	$(BIN)/python -m compileall -q --invalidation-mode unchecked-hash \
		-s '$(DESTDIR)' '$(LIB)/lib'
	install -m 0755 install/osupdate '$(DESTDIR)/usr/bin/osupdate'
	install -m 0644 install/00-defaults.toml '$(LIB)/config.d/00-defaults.toml'
	install -D -m 0644 docs/man/osupdate.8 '$(DESTDIR)/usr/share/man/man8/osupdate.8'
	install -D -m 0644 docs/completion/osupdate.bash \
		'$(DESTDIR)/usr/share/bash-completion/completions/osupdate'
	$(if $(UNITS),install -D -m 0644 -t '$(DESTDIR)/usr/lib/systemd/system' $(UNITS))
	'$(DESTDIR)/usr/bin/osupdate' --version
	'$(DESTDIR)/usr/bin/osupdate' help exit-codes > /dev/null
	$(PYTHON) -I -c 'import sys; sys.path.insert(1, "$(LIB)/lib"); \
		import pygit2, zstandard, jinja2, markdown_it, dbus_next, updater.agent, updater.fetcher, \
		updater.cli.lock_verbs'

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
