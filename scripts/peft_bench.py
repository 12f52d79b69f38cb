#!/usr/bin/env python3
"""LoRA training in Hugging Face PEFT: the peer of `flexi bench flexora`, for scripts/versus.py.

  scripts/peft_bench.py bench --model ../minilm --batch 32 --seq 128 --steps 5 --threads 2 [--bf16]

Full steps on random tokens: forward, backward, clipping, AdamW; LoRA of rank 8 on query and value; a classifier with two labels on an encoder, the language model's loss on a
decoder. Dropout is the model's own. The median of the steps is printed as a JSON line.
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
a = p.parse_args()
torch.set_num_threads(a.threads)
torch.manual_seed(0)
transformers.logging.set_verbosity_error()
config = transformers.AutoConfig.from_pretrained(a.model)
decoder = config.model_type in ("llama", "mistral", "qwen2")
if decoder:
    model = transformers.AutoModelForCausalLM.from_pretrained(a.model)
    lora = LoraConfig(r=8, lora_alpha=16, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
else:
    model = transformers.AutoModelForSequenceClassification.from_pretrained(a.model, num_labels=2)
    lora = LoraConfig(r=8, lora_alpha=16, target_modules=["query", "value"], modules_to_save=["pooler"], task_type="SEQ_CLS")
model = get_peft_model(model.float(), lora).train()
step_of = torch.compile(model) if a.compile else model
opt = torch.optim.AdamW([q for q in model.parameters() if q.requires_grad], lr=1e-4, weight_decay=0)
times = []
for n in range(3 + a.steps):
    start = time.perf_counter()
    ids = torch.randint(0, config.vocab_size, (a.batch, a.seq))
    labels = ids if decoder else torch.randint(0, 2, (a.batch,))
    with torch.autocast("cpu", torch.bfloat16, enabled=a.bf16):
        loss = step_of(input_ids=ids, attention_mask=torch.ones_like(ids), labels=labels).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_([q for q in model.parameters() if q.requires_grad], 1.0)
    opt.step()
    opt.zero_grad()
    loss.item()
    if n >= 3:
        times.append(time.perf_counter() - start)
print(json.dumps({"model": a.model, "tokens_per_second": a.batch * a.seq / statistics.median(times), "step_seconds": statistics.median(times)}))
