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
	case "Prepend", "Replace":
		return parseReplacement(raw, kind)
	case "Sequence":
		return parseNormalizers(raw)
	}
	return nil, fmt.Errorf("normalizer %q is not supported; BertNormalizer, Lowercase, NFC, NFD, NFKC, NFKD, Prepend, Replace and Sequence are", kind)
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

// parseReplacement reads what puts a text before another, or one text in place of another.
func parseReplacement(raw json.RawMessage, kind string) (func(string) string, error) {
	var n struct {
		Prepend string `json:"prepend"`
		Pattern struct {
			String *string `json:"String"`
		} `json:"pattern"`
		Content string `json:"content"`
	}
	if err := json.Unmarshal(raw, &n); err != nil {
		return nil, fmt.Errorf("normalizer: %w", err)
	}
	if kind == "Prepend" {
		return func(s string) string {
			if s == "" {
				return s
			}
			return n.Prepend + s
		}, nil
	}
	if n.Pattern.String == nil || *n.Pattern.String == "" {
		return nil, errors.New("normalizer Replace by a regular expression is not supported; by a text it is")
	}
	return func(s string) string { return strings.ReplaceAll(s, *n.Pattern.String, n.Content) }, nil
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
	case "Metaspace":
		return parseMetaspace(j.PreTokenizer)
	case "Sequence":
		return j.splitThenBytes()
	}
	return nil, fmt.Errorf("pre-tokenizer %q is not supported; BertPreTokenizer, Whitespace, WhitespaceSplit, ByteLevel, Metaspace, and Split before ByteLevel are", kind)
}

// ofBytes reports whether a BPE model's symbols stand for bytes.
func (j tokenizerJSON) ofBytes() (bool, error) {
	kind, err := typeOf(j.PreTokenizer)
	switch {
	case err != nil:
		return false, err
	case kind == "ByteLevel" || kind == "Sequence":
		return true, nil
	case kind == "" || kind == "Metaspace":
		return false, nil
	}
	return false, fmt.Errorf("a BPE model with pre-tokenizer %q is not supported; with ByteLevel, Metaspace or none it is", kind)
}

// splitThenBytes is what Llama 3 and Qwen2 have: a split by one of two known patterns, and bytes without a pattern of their own.
func (j tokenizerJSON) splitThenBytes() (func(string, func(string)), error) {
	var p struct {
		List []struct {
			Type    string `json:"type"`
			Pattern struct {
				Regex string `json:"Regex"`
			} `json:"pattern"`
			Behavior    string `json:"behavior"`
			Invert      bool   `json:"invert"`
			PrefixSpace bool   `json:"add_prefix_space"`
			UseRegex    *bool  `json:"use_regex"`
		} `json:"pretokenizers"`
	}
	if err := json.Unmarshal(j.PreTokenizer, &p); err != nil {
		return nil, fmt.Errorf("pre-tokenizer: %w", err)
	}
	digits := map[string]int{llamaPattern: 3, qwenPattern: 1}
	if len(p.List) == 2 && p.List[0].Type == "Split" && p.List[1].Type == "ByteLevel" {
		split, bytes := p.List[0], p.List[1]
		n, known := digits[split.Pattern.Regex]
		if known && split.Behavior == "Isolated" && !split.Invert && !bytes.PrefixSpace && bytes.UseRegex != nil && !*bytes.UseRegex {
			return llamaWords(n), nil
		}
	}
	return nil, errors.New("this sequence of pre-tokenizers is not supported; Llama 3's and Qwen2's are: Split by their patterns, then ByteLevel without one")
}

// parseMetaspace reads what turns blanks into marks, and may split before them.
func parseMetaspace(raw json.RawMessage) (func(string, func(string)), error) {
	p := struct {
		Replacement string `json:"replacement"`
		Scheme      string `json:"prepend_scheme"`
		Split       *bool  `json:"split"`
		AddPrefix   *bool  `json:"add_prefix_space"` // of older files
	}{Replacement: metaspace}
	if err := json.Unmarshal(raw, &p); err != nil {
		return nil, fmt.Errorf("pre-tokenizer: %w", err)
	}
	prepend := p.Scheme == "always" || p.Scheme == "" && (p.AddPrefix == nil || *p.AddPrefix)
	if p.Scheme == "first" {
		return nil, errors.New("pre-tokenizer Metaspace with prepend_scheme first is not supported; always and never are")
	}
	split := p.Split == nil || *p.Split
	return func(s string, yield func(string)) {
		s = strings.ReplaceAll(s, " ", p.Replacement)
		if prepend && s != "" && !strings.HasPrefix(s, p.Replacement) {
			s = p.Replacement + s
		}
		if !split {
			wholeText(s, yield)
			return
		}
		for s != "" {
			n := len(s)
			if at := strings.Index(s[min(len(s), len(p.Replacement)):], p.Replacement); at >= 0 {
				n = at + len(p.Replacement)
			}
			yield(s[:n])
			s = s[n:]
		}
	}, nil
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
