package text

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// parseNormalizer makes a text folding function of a normaliser's description.
func parseNormalizer(raw json.RawMessage) (func(string) string, error) {
	kind, err := typeOf(raw)
	if err != nil {
		return nil, fmt.Errorf("normalizer: %w", err)
	}
	switch kind {
	case "":
		return asIs, nil
	case "BertNormalizer":
		return parseBertNormalizer(raw)
	case "Lowercase":
		return lower, nil
	case "NFC":
		return norm.NFC.String, nil
	case "NFD":
		return norm.NFD.String, nil
	case "NFKC":
		return norm.NFKC.String, nil
	case "NFKD":
		return norm.NFKD.String, nil
	case "Sequence":
		return parseNormalizers(raw)
	}
	return nil, fmt.Errorf("normalizer %q is not supported; BertNormalizer, Lowercase, NFC, NFD, NFKC, NFKD and Sequence are", kind)
}

func parseBertNormalizer(raw json.RawMessage) (func(string) string, error) {
	n := struct {
		CleanText    bool  `json:"clean_text"`
		ChineseChars bool  `json:"handle_chinese_chars"`
		StripAccents *bool `json:"strip_accents"`
		Lowercase    bool  `json:"lowercase"`
	}{CleanText: true, ChineseChars: true, Lowercase: true}
	if err := json.Unmarshal(raw, &n); err != nil {
		return nil, fmt.Errorf("normalizer: %w", err)
	}
	strip := n.Lowercase // what null means
	if n.StripAccents != nil {
		strip = *n.StripAccents
	}
	return bertNormalizer{n.CleanText, n.ChineseChars, strip, n.Lowercase}.normalize, nil
}

func parseNormalizers(raw json.RawMessage) (func(string) string, error) {
	var list struct {
		Normalizers []json.RawMessage `json:"normalizers"`
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("normalizer: %w", err)
	}
	var all []func(string) string
	for _, n := range list.Normalizers {
		f, err := parseNormalizer(n)
		if err != nil {
			return nil, err
		}
		all = append(all, f)
	}
	return func(s string) string {
		for _, f := range all {
			s = f(s)
		}
		return s
	}, nil
}

// splitter makes a word splitting function of the pre-tokeniser's description.
func (j tokenizerJSON) splitter() (func(string, func(string)), error) {
	kind, err := typeOf(j.PreTokenizer)
	if err != nil {
		return nil, fmt.Errorf("pre-tokenizer: %w", err)
	}
	switch kind {
	case "":
		return wholeText, nil
	case "BertPreTokenizer":
		return bertWords, nil
	case "WhitespaceSplit":
		return fields, nil
	case "Whitespace":
		return wordsAndSymbols, nil
	case "ByteLevel":
		return j.byteLevel()
	}
	return nil, fmt.Errorf("pre-tokenizer %q is not supported; BertPreTokenizer, Whitespace, WhitespaceSplit and ByteLevel are", kind)
}

func (j tokenizerJSON) byteLevel() (func(string, func(string)), error) {
	p := struct {
		PrefixSpace bool `json:"add_prefix_space"`
		UseRegex    bool `json:"use_regex"`
	}{UseRegex: true}
	if err := json.Unmarshal(j.PreTokenizer, &p); err != nil {
		return nil, fmt.Errorf("pre-tokenizer: %w", err)
	}
	switch {
	case j.Model.Type != "BPE":
		return nil, fmt.Errorf("pre-tokenizer ByteLevel with a %s model is not supported; with BPE it is", j.Model.Type)
	case !p.UseRegex:
		return nil, errors.New("pre-tokenizer ByteLevel with use_regex false is not supported")
	case p.PrefixSpace:
		return spacedGPTWords, nil
	}
	return gptWords, nil
}

// wholeText is no splitting at all.
func wholeText(s string, yield func(string)) {
	if s != "" {
		yield(s)
	}
}

// fields splits at white space.
func fields(s string, yield func(string)) {
	for w := range strings.FieldsSeq(s) {
		yield(w)
	}
}

// wordsAndSymbols splits into runs of word characters and runs of other characters, leaving white space out.
func wordsAndSymbols(s string, yield func(string)) {
	for w := range strings.FieldsSeq(s) {
		start, inside := 0, false
		for i, r := range w {
			if c := wordCharacter(r); i == 0 || c != inside {
				if i > start {
					yield(w[start:i])
				}
				start, inside = i, c
			}
		}
		yield(w[start:])
	}
}
