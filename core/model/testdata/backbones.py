"""Small random models of Hugging Face transformers with their weights, logits, losses and gradients, for TestBackbonesAgainstTransformers.

  python3 backbones.py FOLDER     writes FOLDER/NAME.safetensors: model.* weights, out.* results, grad.* gradients; the same of PEFT's LoRA and DoRA

testdata/backbones holds what torch 2.15, transformers 5.23 and peft 0.21 wrote.
"""

import sys

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    RobertaConfig,
    RobertaForSequenceClassification,
)

B, T, V = 3, 11, 29
LENGTHS = [11, 7, 4]
decoder = dict(
    vocab_size=V, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64,
    attn_implementation="eager", pad_token_id=0,
)
encoder = dict(
    vocab_size=V, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=16,
    attn_implementation="eager", num_labels=3,
)
scaled = {"rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 16}
MODELS = {
    "llama": (LlamaForCausalLM, LlamaConfig(**decoder)),
    "llama-scaled": (LlamaForCausalLM, LlamaConfig(**decoder | {"head_dim": 6}, rope_parameters=scaled, attention_bias=True, mlp_bias=True)),
    "llama-score": (LlamaForSequenceClassification, LlamaConfig(**decoder, num_labels=3)),
    "mistral": (MistralForCausalLM, MistralConfig(**decoder, sliding_window=5)),
    "qwen2": (Qwen2ForCausalLM, Qwen2Config(**decoder, tie_word_embeddings=True, use_sliding_window=False)),
    "bert": (BertForSequenceClassification, BertConfig(**encoder)),
    "bert-mlm": (BertForMaskedLM, BertConfig(**encoder)),
    "roberta": (RobertaForSequenceClassification, RobertaConfig(**encoder, type_vocab_size=1, pad_token_id=1)),
}


def batch():
    g = torch.Generator().manual_seed(7)
    ids = torch.randint(2, V, (B, T), generator=g)
    mask = torch.zeros(B, T, dtype=torch.long)
    for r, n in enumerate(LENGTHS):
        mask[r, :n] = 1
    return ids, mask


def loss_of(model, name, ids, mask):
    pad = 1 if name == "roberta" else 0
    ids = ids.masked_fill(mask == 0, pad)
    logits = model(input_ids=ids, attention_mask=mask).logits
    if "score" in name or name in ("bert", "roberta"):
        return logits, torch.nn.functional.cross_entropy(logits, torch.tensor([2, 0, 1]))
    picked, labels = [], []
    for r, n in enumerate(LENGTHS):
        for t in range(n - 1):
            picked.append(r * T + t)
            labels.append(ids[r, t + 1])
    logits = logits.reshape(B * T, -1)[torch.tensor(picked)]
    return logits, torch.nn.functional.cross_entropy(logits, torch.stack(labels))


def main(folder):
    for name, (cls, config) in MODELS.items():
        torch.manual_seed(3)
        model = cls(config).eval()
        with torch.no_grad():
            for p in model.parameters():  # away from the zeros and ones that biases and norms start with
                p.add_(0.1 * torch.randn_like(p))
        ids, mask = batch()
        out = {"in.ids": ids.float()}
        for n, p in model.named_parameters():
            out["model." + n] = p.detach().clone()
        logits, loss = loss_of(model, name, ids, mask)
        loss.backward()
        out["out.logits"], out["out.loss"] = logits.detach().clone(), loss.detach().reshape(1)
        for n, p in model.named_parameters():
            if p.grad is not None:
                out["grad." + n] = p.grad.clone()
        targets = ["query", "value", "intermediate.dense", "output.dense"] if "bert" in name else ["q_proj", "v_proj", "o_proj", "down_proj"]
        for form in ("lora", "dora"):
            torch.manual_seed(3)
            peft = LoraConfig(r=3, lora_alpha=5, target_modules=targets, layers_to_transform=[1], use_dora=form == "dora")
            fresh = cls(config)
            fresh.load_state_dict(model.state_dict())
            adapted = get_peft_model(fresh, peft).eval()
            own = {n.replace("base_model.model.", "").replace(".default", ""): p for n, p in adapted.named_parameters() if "lora_" in n}
            with torch.no_grad():
                for n, p in own.items():
                    if "lora_B" in n:
                        p.add_(0.1 * torch.randn_like(p))
                    if "magnitude" in n:
                        p.mul_(1.3)
            logits, loss = loss_of(adapted, name, ids, mask)
            loss.backward()
            out[form + "out.logits"], out[form + "out.loss"] = logits.detach().clone(), loss.detach().reshape(1)
            for n, p in own.items():
                key = n.replace("lora_magnitude_vector.weight", "lora_magnitude_vector")
                out[form + "." + key] = p.detach().clone()
                out[form + "grad." + key] = p.grad.clone()
        save_file({k: v.contiguous() for k, v in out.items()}, f"{folder}/{name}.safetensors")


main(sys.argv[1])
