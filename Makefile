# Decision Gate Host. "make help" lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help

MODULE  := github.com/decision-gate-host/decision-gate-host
PLUGINS := store-sqlite store-postgres runpack-fs auth-oidc
MODULES := sdk host host/interop $(addprefix plugins/,$(PLUGINS)) plugins/store-sqlite/linkedhost examples/embedded examples/evidence-calendar examples/quickstart bench

BUF_VERSION                := v1.75.0
PROTOC_GEN_GO_VERSION      := v1.36.12
PROTOC_GEN_GO_GRPC_VERSION := v1.6.2
STATICCHECK_VERSION        := v0.8.2

VERSION ?= 0.1.0-dev

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  %-16s %s\n", $$1, $$2}'

.PHONY: build
build: ## Build decision-gate and every plugin into bin/
	@mkdir -p bin
	CGO_ENABLED=0 go build -trimpath -ldflags '-X main.version=$(VERSION)' -o bin/decision-gate ./host/cmd/decision-gate
	@for p in $(PLUGINS); do \
	  echo "CGO_ENABLED=0 go build -o bin/$$p ./plugins/$$p"; \
	  CGO_ENABLED=0 go build -trimpath -ldflags '-X main.version=$(VERSION)' -o bin/$$p ./plugins/$$p || exit 1; done
	@chmod go-w bin bin/* # whatever the umask: the host refuses programs that others may change

.PHONY: demo
demo: build ## Gate this repository's own change, from start to checked record (KEEP=1 keeps the files)
	@go build -o bin/quickstart ./examples/quickstart
	@bin/quickstart $(if $(KEEP),-keep)

# go mod tidy does not see go.work, so the in-repo modules are put in its way for the time it runs.
.PHONY: tidy
tidy: ## Bring every go.mod and go.sum up to date
	@for m in $(MODULES); do ( cd $$m && root=$$(git rev-parse --show-toplevel) && \
	  go mod edit -replace "$(MODULE)/sdk=$$root/sdk" -replace "$(MODULE)/host=$$root/host" -replace "$(MODULE)/plugins/store-sqlite=$$root/plugins/store-sqlite" && \
	  { GOWORK=off go mod tidy; ok=$$?; go mod edit -dropreplace $(MODULE)/sdk -dropreplace $(MODULE)/host -dropreplace $(MODULE)/plugins/store-sqlite; exit $$ok; } ) || exit 1; done

.bin/buf:
	GOBIN="$$PWD/.bin" go install github.com/bufbuild/buf/cmd/buf@$(BUF_VERSION)
.bin/protoc-gen-go:
	GOBIN="$$PWD/.bin" go install google.golang.org/protobuf/cmd/protoc-gen-go@$(PROTOC_GEN_GO_VERSION)
.bin/protoc-gen-go-grpc:
	GOBIN="$$PWD/.bin" go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@$(PROTOC_GEN_GO_GRPC_VERSION)
.bin/staticcheck:
	GOBIN="$$PWD/.bin" go install honnef.co/go/tools/cmd/staticcheck@$(STATICCHECK_VERSION)

# What plugins in other languages make their messages of.
PROTOCOL            := sdk/python/decision_gate_plugin/protocol.binpb
PROTOCOL_TYPESCRIPT := sdk/typescript/src/protocol.binpb

.PHONY: generate
generate: .bin/buf .bin/protoc-gen-go .bin/protoc-gen-go-grpc ## Regenerate code from the protocol buffers, docs/configuration.md, and the pages that the host serves
	.bin/buf lint
	.bin/buf generate
	.bin/buf build sdk/proto --exclude-source-info -o $(PROTOCOL)
	cp $(PROTOCOL) $(PROTOCOL_TYPESCRIPT)
	go generate ./host/config/reference ./host/internal/guide

.PHONY: check-generated
check-generated: ## Regenerate in a copy and fail when that changes anything
	@rm -rf tmp/generated && mkdir -p tmp/generated && cp -r buf.yaml buf.gen.yaml sdk tmp/generated/
	@mkdir -p tmp/generated/.bin
	@$(MAKE) --no-print-directory .bin/buf .bin/protoc-gen-go .bin/protoc-gen-go-grpc
	@cp .bin/buf .bin/protoc-gen-go .bin/protoc-gen-go-grpc tmp/generated/.bin/
	@cd tmp/generated && .bin/buf lint && .bin/buf generate
	@.bin/buf breaking sdk/proto --against host/internal/catalog/testdata/sdk-v1.0/proto # what was frozen as version 1.0
	@diff -r sdk/proto tmp/generated/sdk/proto || { echo 'generated code is stale: run "make generate" and commit the result'; exit 1; }
	@rm -rf tmp/generated
	@echo 'generated code is up to date'

.PHONY: lint
lint: .bin/staticcheck ## Check format, vet, staticcheck, module files and that everything cross-compiles, tests too
	@unformatted=$$(gofmt -l $(MODULES)); [ -z "$$unformatted" ] || { echo "not formatted: $$unformatted"; exit 1; }
	go vet work
	.bin/staticcheck $(MODULES:%=./%/...)
	@for target in linux/arm64 darwin/arm64 darwin/amd64; do echo "cross-compile for $$target"; \
	  CGO_ENABLED=0 GOOS=$${target%/*} GOARCH=$${target#*/} go build -o /dev/null ./host/cmd/decision-gate || exit 1; \
	  for p in $(PLUGINS); do CGO_ENABLED=0 GOOS=$${target%/*} GOARCH=$${target#*/} go build -o /dev/null ./plugins/$$p || exit 1; done; done
	CGO_ENABLED=0 GOOS=darwin GOARCH=arm64 go vet work

# Programs of other people that the tests run, pinned by a lock file: the conformance suite of the Model Context Protocol, its
# TypeScript SDK and a JavaScript runtime. npm leaves the file behind when it is done.
NPM_DONE := .bin/npm/node_modules/.package-lock.json
$(NPM_DONE): host/interop/npm/package-lock.json
	@mkdir -p .bin/npm && cp host/interop/npm/package.json host/interop/npm/package-lock.json .bin/npm/
	npm ci --prefix .bin/npm --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

# The Python of the plugins in Python, with their packages by version and sum, and the SDK as it is here.
PYTHON_DONE := .bin/python/done
$(PYTHON_DONE): sdk/python/requirements.txt
	rm -rf .bin/python && python3 -m venv .bin/python
	.bin/python/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r sdk/python/requirements.txt
	@echo "$$PWD/sdk/python" > "$$(.bin/python/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/decision_gate_plugin.pth"
	@touch $@

# The packages of plugins in TypeScript, pinned by the lock file of their SDK: transport, messages, bundler and compiler.
TYPESCRIPT_DONE := .bin/typescript/node_modules/.package-lock.json
$(TYPESCRIPT_DONE): sdk/typescript/package-lock.json
	@mkdir -p .bin/typescript && cp sdk/typescript/package.json sdk/typescript/package-lock.json .bin/typescript/
	npm ci --prefix .bin/typescript --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

# What the tests need beside Go: a C compiler for the race detector, strace to see what a plugin syncs, curl as the README
# uses it, openssl as docs/serving.md does, npm for the programs above, python3 for plugins in Python.
.PHONY: setup
setup: debian $(NPM_DONE) $(PYTHON_DONE) $(TYPESCRIPT_DONE) ## Install what the tests need from Debian and npm, when it is missing

.PHONY: debian
debian:
	@missing=''; command -v gcc >/dev/null || missing="$$missing gcc libc6-dev"; command -v strace >/dev/null || missing="$$missing strace"; \
	command -v git >/dev/null || missing="$$missing git"; command -v curl >/dev/null || missing="$$missing curl"; \
	command -v npm >/dev/null || missing="$$missing npm"; \
	python3 -c 'import venv, ensurepip' 2>/dev/null || missing="$$missing python3 python3-venv"; \
	[ -x /usr/lib/postgresql/15/bin/postgres ] && [ -x /usr/lib/postgresql/15/bin/pgbench ] || missing="$$missing postgresql-15"; [ -x /usr/sbin/pgbouncer ] || missing="$$missing pgbouncer"; \
	command -v openssl >/dev/null || missing="$$missing openssl"; \
	[ -z "$$missing" ] || { echo "installing$$missing"; sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	  $$sudo apt-get update -qq && $$sudo apt-get install -y -qq --no-install-recommends $$missing; }

# A path with a space and a user who is not root are what a reader has, and CI has neither.
.PHONY: check-portable
check-portable: ## Build, demo and test in a path with a space in it, as a user who is not root
	@.ci/portable

$(NPM_DONE) $(PYTHON_DONE) $(TYPESCRIPT_DONE): | debian

.PHONY: conformance
conformance: setup ## Run the official conformance suite of the Model Context Protocol, and the official SDKs, against /mcp
	go test -count=1 -run '^TestConformance$$' -v ./host/internal/mcp
	go test -count=1 ./host/interop

# Packages whose tests run programs rather than goroutines of their own: the race detector makes them several times slower, and
# what they run is watched in the tests of its own packages. check-portable has run two of them, in whole.
DRIVERS  := -e '/bench$$' -e '/host/interop$$' -e '/plugins/store-postgres$$' -e '/plugins/store-sqlite$$'
PORTABLE := -e '/cmd/decision-gate$$' -e '/examples/quickstart$$'

.PHONY: test
test: setup check-generated lint check-portable ## Run every test, with the race detector
	go test -race -count=1 -timeout 15m $$(go list work | grep -v $(DRIVERS) $(PORTABLE)) # -count=1: the cache does not see the plugins that tests build
	go test -count=1 -timeout 15m $$(go list work | grep $(DRIVERS))
	go test -count=1 -timeout 10m -tags noscopechecks -run '^Test(Postgres|Unconditional|Unheld)$$' ./host/internal/isolation # where row-level security has to hold alone
	@$(MAKE) --no-print-directory fuzz-smoke

.PHONY: test-full
test-full: test faults torments histories long isolation fuzz sandbox-vm ## Run the long forms as well

.PHONY: sandbox-vm
sandbox-vm: ## Test sandboxes of plugins in an emulated machine, with control groups and an older kernel (needs qemu-system-x86, busybox-static, cpio)
	@.ci/sandbox-vm

STEPS ?= 100000
.PHONY: long
long: ## Export and verify a run of STEPS (100000) steps within 64 MiB
	go test -count=1 -timeout 30m -run '^TestLongRecord$$' ./host -steps $(STEPS)

OPERATIONS ?= 100000
.PHONY: isolation
isolation: ## Attack one tenant from another with OPERATIONS (100000) calls, also without the host's own checks of scope
	go test -count=1 -timeout 120m -run '^Test(SQLite|Postgres|Unheld)$$' -v ./host/internal/isolation -operations $(OPERATIONS)
	go test -count=1 -timeout 120m -run '^Test(SQLite|Postgres|Unheld)$$' -v -tags noscopechecks ./host/internal/isolation -operations $(OPERATIONS)

KILLS ?= 2000
.PHONY: faults
faults: ## Kill the store plugin and the host KILLS (2000) times each while clients decide
	go test -count=1 -timeout 60m -run '^Test(Store|Host)Killed$$' ./host -kills $(KILLS)

TORMENTS ?= 1000
.PHONY: torments
torments: ## Kill, hang, restart and reload plugins TORMENTS (1000) times while clients decide, and look for what is lost or left
	go test -count=1 -timeout 60m -run '^TestPluginsTormented$$' -v ./host -torments $(TORMENTS)

HISTORIES ?= 200
.PHONY: histories
histories: setup ## Break hosts, plugins, PostgreSQL and connections in HISTORIES (200) runs, and check that each run's history is linearizable
	go test -count=1 -timeout 120m -run '^TestHistories$$' -v ./host -histories $(HISTORIES)

# The parsers of what comes from outside. By count, not by time: a deadline that falls into the work of a busy machine is
# taken for a failure.
FUZZ_SMOKE := host/canonical:FuzzParse host/gate:FuzzDecodeSpec host/internal/evidence/jsonpath:FuzzSelect \
  host/internal/evidence/yaml:FuzzParse host/internal/evidence:FuzzPluginResult \
  host/internal/evidence/remote:FuzzReadFrame host/internal/evidence/remote:FuzzReadAnswer sdk/launch:FuzzParseHandshake \
  host/internal/mcp:FuzzRouter
.PHONY: fuzz-smoke
fuzz-smoke: ## Fuzz the parsers of JSON, specs, JSONPath, YAML, answers of plugins and providers, handshakes and requests for some seconds
	@for target in $(FUZZ_SMOKE); do echo "fuzz $$target"; \
	  go test -run '^$$' -fuzz "^$${target#*:}$$" -fuzztime 20000x ./$${target%:*} || exit 1; done

FUZZTIME ?= 30s
.PHONY: fuzz
fuzz: ## Fuzz every target for FUZZTIME (30s)
	@for pkg in $$(grep -rlE '^func Fuzz' --include='*_test.go' $(MODULES) | xargs -n1 dirname | sort -u); do \
	  for target in $$(grep -hoE '^func (Fuzz[A-Za-z0-9_]+)' $$pkg/*_test.go | cut -d' ' -f2); do \
	    echo "fuzz $$pkg $$target"; go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) ./$$pkg || exit 1; done; done

.PHONY: bench
bench: debian build ## Measure host and plugins under load, beside a bare loop and pgbench; raw numbers are kept in tmp/bench.json
	@mkdir -p tmp
	@go build -o bin/bench ./bench
	@go build -o bin/linkedhost ./plugins/store-sqlite/linkedhost
	@go build -o bin/pgserver ./plugins/store-postgres/internal/pgserver
	@bin/bench -o tmp/bench.json $(BENCHFLAGS)
	@echo && echo 'the store linked into the caller, without plugin, host and HTTP'
	@go test -run '^$$' -bench 'Commit|Get' ./plugins/store-sqlite/internal/sqlite | grep ^Benchmark

.PHONY: clean
clean: ## Remove what was built
	rm -rf bin tmp .bin
