#!/usr/bin/env python3
"""Hold flexi's adapter files against the real PEFT (pip install torch transformers peft).

    peft_check.py make DIR    tiny base models of every family, with adapters that PEFT wrote
    peft_check.py check DIR   every adapter: DIR/FAMILY/ADAPTER beside flexi's merged weights, DIR/FAMILY/ADAPTER.merged.safetensors

`check` loads each adapter with PeftModel.from_pretrained and compares its logits with those of the base model that has the merged weights. It prints one line
per adapter and fails if they differ by more than 1e-4, if a module of the file did not load, or if the adapter changes nothing.
"""
import json
import pathlib
import sys
import warnings

import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file

transformers.logging.set_verbosity_error()
DECODER = dict(vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=12, num_attention_heads=4, num_key_value_heads=2)
ENCODER = dict(vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=12, num_attention_heads=4, max_position_embeddings=40)
FAMILIES = {
    "llama": (transformers.LlamaForCausalLM, transformers.LlamaConfig(**DECODER), "CAUSAL_LM", ["q_proj", "v_proj"]),
    "mistral": (transformers.MistralForCausalLM, transformers.MistralConfig(**DECODER), "CAUSAL_LM", ["q_proj", "v_proj"]),
    "qwen2": (transformers.Qwen2ForCausalLM, transformers.Qwen2Config(**DECODER), "CAUSAL_LM", ["q_proj", "v_proj"]),
    "bert": (transformers.BertForSequenceClassification, transformers.BertConfig(**ENCODER), "SEQ_CLS", ["query", "value"]),
    "roberta": (transformers.RobertaForSequenceClassification, transformers.RobertaConfig(**ENCODER), "SEQ_CLS", ["query", "value"]),
    "llama-backbone": (transformers.LlamaModel, transformers.LlamaConfig(**DECODER), "FEATURE_EXTRACTION", ["q_proj", "v_proj"]),
}
VARIANTS = {
    "plain": {},
    "rslora": dict(use_rslora=True),
    "dora": dict(use_dora=True),
    "patterns": dict(rank_pattern={r"1\..*(q_proj|query)": 3}, alpha_pattern={r"1\..*(q_proj|query)": 7}),
}


def base(family):
    kind, config, _, _ = FAMILIES[family]
    torch.manual_seed(0)
    model = kind(config).eval()
    for name, p in model.named_parameters():  # the default initialisation is too small for an adapter to show
        if p.dim() == 2:
            torch.nn.init.normal_(p, std=0.3)
    return model


def output(model):
    ids = torch.arange(5, 21).reshape(2, 8)
    with torch.no_grad():
        out = model(input_ids=ids)
    return out.logits if hasattr(out, "logits") else out.last_hidden_state


def make(folder):
    for family, (_, _, task, targets) in FAMILIES.items():
        here = folder / family
        model = base(family)
        model.save_pretrained(here / "base")
        linears = [dict(name=n, out=m.out_features, into=m.in_features) for n, m in model.named_modules() if isinstance(m, torch.nn.Linear)]
        (here / "linears.json").write_text(json.dumps(linears))
        for variant, options in VARIANTS.items():
            layers = None if family == "llama-backbone" else [1, 11]
            pattern = None if layers is None else "layer" if task == "SEQ_CLS" else "layers"
            config = LoraConfig(r=4, lora_alpha=8, target_modules=targets, task_type=task, layers_to_transform=layers,
                                layers_pattern=pattern, **options)
            adapted = get_peft_model(base(family), config)
            torch.manual_seed(1)
            for name, p in adapted.named_parameters():
                if "lora_" in name:
                    p.data += 0.1 * torch.randn_like(p)
            adapted.save_pretrained(here / f"peft-{variant}")


def loaded(family, adapter):
    """The logits with the adapter, and how many of its file's tensors arrived unchanged."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # missing adapter keys are a UserWarning
        warnings.simplefilter("ignore", FutureWarning)
        model = PeftModel.from_pretrained(base(family), adapter).eval()
    have = {k.replace(".default", "").replace(".modules_to_save", ""): v for k, v in model.state_dict().items()}
    missing = []
    for key, value in load_file(adapter / "adapter_model.safetensors").items():
        found = have.get(key, have.get(key + ".weight"))
        if found is None or not torch.equal(found, value):
            missing.append(key)
    adapted = {k for k in have if ".lora_A." in k}
    unknown = adapted - set(load_file(adapter / "adapter_model.safetensors"))
    return output(model), missing + sorted(unknown)


def merged(family, weights):
    model = base(family)
    left = model.load_state_dict(load_file(weights), strict=False)
    assert not left.unexpected_keys, left.unexpected_keys
    return output(model)


def check(folder):
    bad = 0
    for weights in sorted(folder.glob("*/*.merged.safetensors")):
        family, adapter = weights.parent.name, weights.with_name(weights.name.removesuffix(".merged.safetensors"))
        logits, lost = loaded(family, adapter)
        difference = (logits - merged(family, weights)).abs().max().item()
        effect = (logits - output(base(family))).abs().max().item()
        fine = not lost and difference < 1e-4 and effect > 1e-2
        bad += not fine
        print(f"{'ok  ' if fine else 'FAIL'} {family}/{adapter.name}: logits differ by {difference:.1e}, "
              f"adapter changes them by {effect:.1e} {lost[:3]}")
    return bad


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in ("make", "check"):
        sys.exit(__doc__)
    sys.exit(bool({"make": make, "check": check}[sys.argv[1]](pathlib.Path(sys.argv[2]))))
