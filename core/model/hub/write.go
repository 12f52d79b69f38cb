package hub

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"flexi/core/model"
)

// Head is the class of a model with a task's head, without the family's name, and the number of its labels where it has some.
type Head struct {
	Class  string
	Labels int
}

// classes are the names that transformers gives the families.
var classes = map[model.Family]string{
	model.Llama: "Llama", model.Mistral: "Mistral", model.Qwen2: "Qwen2", model.BERT: "Bert", model.RoBERTa: "Roberta",
}

// tokenizerFiles are copied beside a model.
var tokenizerFiles = []string{
	"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt", "vocab.json", "merges.txt", "tokenizer.model", "generation_config.json",
}

// CopyFolder writes config.json, with the class of a head, and the tokenizer's files into a folder for a model of the same shape.
func (m *Model) CopyFolder(dir string, h Head) error {
	if m.llama2c {
		return fmt.Errorf("%s is a file of llama2.c, which has no config.json to copy", m.Path)
	}
	text, err := read(filepath.Join(m.Path, "config.json"))
	if err != nil {
		return err
	}
	var config map[string]any
	if err := json.Unmarshal(text, &config); err != nil {
		return fmt.Errorf("config.json: %w", err)
	}
	if b := m.Model.Backbone; b != nil {
		config["architectures"] = []string{classes[b.Family] + h.Class}
	} else {
		config["architectures"] = []string{"FlexiBert" + h.Class}
	}
	if h.Labels > 0 {
		names, ids := map[string]string{}, map[string]int{}
		for i := range h.Labels {
			name := "LABEL_" + strconv.Itoa(i)
			names[strconv.Itoa(i)], ids[name] = name, i
		}
		config["id2label"], config["label2id"] = names, ids
		if h.Labels == 1 {
			config["problem_type"] = "regression"
		}
	}
	delete(config, "torch_dtype")
	delete(config, "dtype")
	if text, err = json.MarshalIndent(config, "", "  "); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), append(text, '\n'), 0o644); err != nil {
		return err
	}
	for _, name := range tokenizerFiles {
		if from := filepath.Join(m.Path, name); exists(from) {
			b, err := read(from)
			if err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}
