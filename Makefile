GO ?= go

.PHONY: build test race slow fuzz lint fmt bench

build:
	CGO_ENABLED=0 $(GO) build -o flexi .

test:
	$(GO) test ./...

race:
	$(GO) test -race ./...

# Everything that takes long: more kills, larger models, tabular replays.
slow:
	$(GO) test -tags slow -timeout 60m ./...

fuzz:
	$(GO) test -fuzz FuzzRead -fuzztime 30s ./core/model/safetensors

lint:
	golangci-lint run ./...

fmt:
	gofumpt -w .

bench:
	$(GO) test -run '^$$' -bench . ./core/device/... ./tui/...
