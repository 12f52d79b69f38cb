#!/usr/bin/env python3
"""Load an adapter that `flexi export --format peft` wrote in the real PEFT, and print its logits for given token ids as a JSON list.

  pip install torch transformers peft
  scripts/peft_logits.py ADAPTER '[[2, 5, 7, 3], [2, 9, 3]]'        # rows may differ in length
"""

import json
import pathlib
import sys
import warnings

import torch
import transformers
from peft import PeftModel

warnings.filterwarnings("error", message=".*missing adapter keys.*")
transformers.logging.set_verbosity_error()


def main(adapter, rows):
    config = json.loads((pathlib.Path(adapter) / "adapter_config.json").read_text())
    base = config["base_model_name_or_path"]
    if config["task_type"] == "SEQ_CLS":
        from safetensors.torch import load_file

        weights = load_file(pathlib.Path(adapter) / "adapter_model.safetensors")
        head = [w for name, w in weights.items() if name.endswith(("classifier.weight", "out_proj.weight", "score.weight"))]
        model = transformers.AutoModelForSequenceClassification.from_pretrained(base, num_labels=head[0].shape[0])
    else:
        model = transformers.AutoModelForCausalLM.from_pretrained(base)
    model = PeftModel.from_pretrained(model.float(), adapter).eval()
    longest = max(map(len, rows))
    pad = model.config.pad_token_id or 0
    ids = torch.tensor([r + [pad] * (longest - len(r)) for r in rows])
    mask = torch.tensor([[1] * len(r) + [0] * (longest - len(r)) for r in rows])
    with torch.no_grad():
        print(json.dumps(model(input_ids=ids, attention_mask=mask).logits.tolist()))


main(sys.argv[1], json.loads(sys.argv[2]))
