# Decision Gate Host. "make help" lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help

MODULE  := github.com/decision-gate-host/decision-gate-host
PLUGINS := store-sqlite runpack-fs
MODULES := sdk host $(addprefix plugins/,$(PLUGINS)) examples/quickstart

BUF_VERSION                := v1.75.0
PROTOC_GEN_GO_VERSION      := v1.36.12
PROTOC_GEN_GO_GRPC_VERSION := v1.6.2
STATICCHECK_VERSION        := v0.8.2

VERSION ?= 0.1.0-dev

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

.PHONY: build
build: ## Build decision-gate and every plugin into bin/
	@mkdir -p bin
	CGO_ENABLED=0 go build -trimpath -ldflags '-X main.version=$(VERSION)' -o bin/decision-gate ./host/cmd/decision-gate
	@for p in $(PLUGINS); do \
	  echo "CGO_ENABLED=0 go build -o bin/$$p ./plugins/$$p"; \
	  CGO_ENABLED=0 go build -trimpath -ldflags '-X main.version=$(VERSION)' -o bin/$$p ./plugins/$$p || exit 1; done

# go mod tidy does not see go.work, so the in-repo modules are put in its way for the time it runs.
.PHONY: tidy
tidy: ## Bring every go.mod and go.sum up to date
	@for m in $(MODULES); do ( cd $$m && root=$$(git rev-parse --show-toplevel) && \
	  go mod edit -replace $(MODULE)/sdk=$$root/sdk -replace $(MODULE)/host=$$root/host && \
	  { GOWORK=off go mod tidy; ok=$$?; go mod edit -dropreplace $(MODULE)/sdk -dropreplace $(MODULE)/host; exit $$ok; } ) || exit 1; done

.bin/buf:
	GOBIN=$(CURDIR)/.bin go install github.com/bufbuild/buf/cmd/buf@$(BUF_VERSION)
.bin/protoc-gen-go:
	GOBIN=$(CURDIR)/.bin go install google.golang.org/protobuf/cmd/protoc-gen-go@$(PROTOC_GEN_GO_VERSION)
.bin/protoc-gen-go-grpc:
	GOBIN=$(CURDIR)/.bin go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@$(PROTOC_GEN_GO_GRPC_VERSION)
.bin/staticcheck:
	GOBIN=$(CURDIR)/.bin go install honnef.co/go/tools/cmd/staticcheck@$(STATICCHECK_VERSION)

.PHONY: generate
generate: .bin/buf .bin/protoc-gen-go .bin/protoc-gen-go-grpc ## Regenerate code from the protocol buffers
	.bin/buf lint
	.bin/buf generate
