#!/usr/bin/env python3
"""LoRA training in Hugging Face PEFT: the peer of `flexi bench flexora`, for scripts/versus.py.

  scripts/peft_bench.py bench --model ../minilm --batch 32 --seq 128 --steps 5 --threads 2 [--bf16]
  scripts/peft_bench.py bench --model SHAPE --random --device cuda --bf16 --batch 8 --seq 512 --steps 5 [--recompute] [--compile]

Full steps on random tokens: forward, backward, clipping, AdamW; LoRA of rank 8 on query and value; a classifier with two labels on an encoder, the
language model's loss on a decoder. Dropout is the model's own. With --random the weights are drawn, so SHAPE is a folder with a config.json; on a GPU
with --bf16 frozen weights are bfloat16, as PEFT's users have them, and adapters float32. The median of the steps is printed as a JSON line.
"""

import argparse
import json
import statistics
import time

import torch
import transformers
from peft import LoraConfig, get_peft_model

p = argparse.ArgumentParser()
p.add_argument("command", choices=["bench"])
p.add_argument("--model", required=True)
p.add_argument("--batch", type=int, default=32)
p.add_argument("--seq", type=int, default=128)
p.add_argument("--steps", type=int, default=5)
p.add_argument("--threads", type=int, default=2)
p.add_argument("--bf16", action="store_true")
p.add_argument("--compile", action="store_true")
p.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
p.add_argument("--random", action="store_true")
p.add_argument("--recompute", action="store_true")
a = p.parse_args()
torch.set_num_threads(a.threads)
torch.manual_seed(0)
transformers.logging.set_verbosity_error()
config = transformers.AutoConfig.from_pretrained(a.model)
decoder = config.model_type in ("llama", "mistral", "qwen2")
frozen = torch.bfloat16 if a.bf16 and a.device == "cuda" else torch.float32


def made(auto, **more):
    if not a.random:
        return auto.from_pretrained(a.model, dtype=frozen, **more)
    for key, value in more.items():
        setattr(config, key, value)
    with torch.device(a.device):
        return auto.from_config(config, dtype=frozen)


if decoder:
    model = made(transformers.AutoModelForCausalLM)
    lora = LoraConfig(r=8, lora_alpha=16, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
else:
    model = made(transformers.AutoModelForSequenceClassification, num_labels=2)
    lora = LoraConfig(r=8, lora_alpha=16, target_modules=["query", "value"], modules_to_save=["pooler"], task_type="SEQ_CLS")
if a.recompute:
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    model.enable_input_require_grads()
model = get_peft_model(model, lora).to(a.device).train()
step_of = torch.compile(model) if a.compile else model
opt = torch.optim.AdamW([q for q in model.parameters() if q.requires_grad], lr=1e-4, weight_decay=0)
times = []
for n in range(3 + a.steps):
    start = time.perf_counter()
    ids = torch.randint(0, config.vocab_size, (a.batch, a.seq), device=a.device)
    labels = ids if decoder else torch.randint(0, 2, (a.batch,), device=a.device)
    with torch.autocast(a.device, torch.bfloat16, enabled=a.bf16):
        loss = step_of(input_ids=ids, attention_mask=torch.ones_like(ids), labels=labels).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_([q for q in model.parameters() if q.requires_grad], 1.0)
    opt.step()
    opt.zero_grad()
    loss.item()
    if n >= 3:
        times.append(time.perf_counter() - start)
result = {"model": a.model, "tokens_per_second": a.batch * a.seq / statistics.median(times), "step_seconds": statistics.median(times)}
if a.device == "cuda":
    result["memory_mb"] = torch.cuda.max_memory_allocated() / 1e6
print(json.dumps(result))
