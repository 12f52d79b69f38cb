GO ?= go

.PHONY: build test race slow fuzz lint fmt bench gpu-bench

build:
	CGO_ENABLED=0 $(GO) build -o flexi .

test:
	$(GO) test ./...

race:
	$(GO) test -race ./...

# Everything that takes long: more kills, larger models, tabular replays.
slow:
	$(GO) test -tags slow -timeout 60m ./...

# Every reader of a format, and the matrix product; FUZZTIME is for each.
FUZZTIME ?= 10m
READERS = core/device/cpu/kern:FuzzGemm db:FuzzWalk db:FuzzJournal db:FuzzUnseal db:FuzzFilesNamed db:FuzzDecodePoints core/model:FuzzArch core/model/safetensors:FuzzRead \
	core/model/hub:FuzzLlama2c core/model/hub:FuzzConfiguration core/finetune:FuzzAdapterConfig core/finetune:FuzzSidecar \
	core/search:FuzzSpace core/search:FuzzConfig core/search:FuzzPolicyState core/search/table:FuzzRead core/text:FuzzTokenizerJSON core/text:FuzzTokenizers \
	core/text:FuzzWordPiece core/text:FuzzByteBPE core/text:FuzzTSV core/text:FuzzJSONRows core/text:FuzzChoices core/text:FuzzCorpus tui:FuzzFilter cli:FuzzCommandsOverSSH

fuzz:
	set -e; for t in $(READERS); do $(GO) test ./$${t%:*} -run '^$$' -fuzz "^$${t#*:}$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 2s; done

lint:
	golangci-lint run ./...

fmt:
	gofumpt -w .

bench:
	$(GO) test -run '^$$' -bench . ./core/device/... ./tui/...

# What a GPU is measured with. The machine with the GPU needs only .gpu (and python3 with torch, transformers and peft): python3 .gpu/gpu-bench.py
TORCH_PEER ?= ../shared/bench/torch_flexibert.py

gpu-bench:
	mkdir -p .gpu
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o .gpu/flexi .
	CGO_ENABLED=0 $(GO) test -c -trimpath -ldflags '-s -w' -o .gpu/cuda.test ./core/device/cuda
	cp -f scripts/gpu-bench.py scripts/peft_bench.py $(TORCH_PEER) .gpu
	if command -v nvidia-smi >/dev/null; then python3 .gpu/gpu-bench.py; else echo "no GPU here: carry .gpu to one and run python3 .gpu/gpu-bench.py there"; fi
