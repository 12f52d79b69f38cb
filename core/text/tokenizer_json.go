package text

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// tokenizerJSON is the part of a Hugging Face tokenizer.json that decides ids. Truncation, padding, post-processor and decoder do not.
type tokenizerJSON struct {
	Normalizer   json.RawMessage `json:"normalizer"`
	PreTokenizer json.RawMessage `json:"pre_tokenizer"`
	Model        struct {
		Type       string           `json:"type"`
		Vocab      map[string]int32 `json:"vocab"`
		Unknown    string           `json:"unk_token"`
		Prefix     *string          `json:"continuing_subword_prefix"`
		MaxWord    int              `json:"max_input_chars_per_word"`
		Merges     []mergeJSON      `json:"merges"`
		Dropout    *float64         `json:"dropout"`
		EndOfWord  string           `json:"end_of_word_suffix"`
		FuseUnk    bool             `json:"fuse_unk"`
		ByteFall   bool             `json:"byte_fallback"`
		IgnoreMrgs bool             `json:"ignore_merges"`
	} `json:"model"`
	Added []struct {
		ID      int32  `json:"id"`
		Content string `json:"content"`
		Special bool   `json:"special"`
		LStrip  bool   `json:"lstrip"`
		RStrip  bool   `json:"rstrip"`
		Single  bool   `json:"single_word"`
	} `json:"added_tokens"`
}

// mergeJSON is "left right", or a pair in newer files.
type mergeJSON string

func (m *mergeJSON) UnmarshalJSON(b []byte) error {
	var pair []string
	if json.Unmarshal(b, &pair) == nil {
		if len(pair) != 2 {
			return fmt.Errorf("merge %s has %d parts", b, len(pair))
		}
		*m = mergeJSON(pair[0] + " " + pair[1])
		return nil
	}
	return json.Unmarshal(b, (*string)(m))
}

func parseTokenizerJSON(file string, b []byte) (Tokenizer, error) {
	var j tokenizerJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return nil, fmt.Errorf("tokenizer %s: %w", file, err)
	}
	ids := j.Model.Vocab
	if ids == nil {
		return nil, fmt.Errorf("tokenizer %s: the model has no vocabulary", file)
	}
	for _, a := range j.Added {
		ids[a.Content] = a.ID
	}
	tokens, err := byID(file, ids)
	if err != nil {
		return nil, err
	}
	var t Tokenizer
	switch j.Model.Type {
	case "WordPiece":
		t, err = j.wordPiece(file, tokens)
	case "BPE":
		t, err = j.byteBPE(file, tokens)
	default:
		err = fmt.Errorf("model type %q is not supported (WordPiece and byte-level BPE are)", j.Model.Type)
	}
	if err != nil {
		return nil, fmt.Errorf("tokenizer %s: %w", file, err)
	}
	return t, nil
}

func (j tokenizerJSON) wordPiece(file string, tokens []string) (Tokenizer, error) {
	n, err := parseNormalizer(j.Normalizer)
	if err != nil {
		return nil, err
	}
	if kind, err := typeOf(j.PreTokenizer); err != nil || kind != "BertPreTokenizer" {
		return nil, errors.Join(err, fmt.Errorf("pre-tokenizer %q is not supported with WordPiece (BertPreTokenizer is)", kind))
	}
	prefix, longest := continuation, maxWord
	if j.Model.Prefix != nil {
		prefix = *j.Model.Prefix
	}
	if j.Model.MaxWord > 0 {
		longest = j.Model.MaxWord
	}
	specials := bertSpecials
	if j.Model.Unknown != "" {
		specials.unknown = j.Model.Unknown
	}
	w, err := newWordPiece(file, tokens, n, prefix, longest, specials)
	if err != nil {
		return nil, err
	}
	return w, j.registerAdded(&w.vocabulary)
}

func (j tokenizerJSON) byteBPE(file string, tokens []string) (Tokenizer, error) {
	if kind, err := typeOf(j.Normalizer); err != nil || kind != "" {
		return nil, errors.Join(err, fmt.Errorf("normalizer %q is not supported with byte-level BPE (none is)", kind))
	}
	if j.Model.Dropout != nil || j.Model.EndOfWord != "" || j.Model.ByteFall || j.Model.IgnoreMrgs || j.Model.Prefix != nil && *j.Model.Prefix != "" {
		return nil, errors.New("BPE with dropout, affixes, byte fallback or ignored merges is not supported")
	}
	var pre struct {
		Type        string `json:"type"`
		PrefixSpace bool   `json:"add_prefix_space"`
		UseRegex    *bool  `json:"use_regex"`
	}
	if err := json.Unmarshal(j.PreTokenizer, &pre); err != nil || pre.Type != "ByteLevel" || pre.UseRegex != nil && !*pre.UseRegex {
		return nil, fmt.Errorf("pre-tokenizer %q is not supported with BPE (ByteLevel with its own pattern is)", pre.Type)
	}
	merges := make([]string, len(j.Model.Merges))
	for i, m := range j.Model.Merges {
		merges[i] = string(m)
	}
	b, err := NewByteBPE(file, tokens, merges)
	if err != nil {
		return nil, err
	}
	b.prefixSpace = pre.PrefixSpace
	return b, j.registerAdded(&b.vocabulary)
}

// registerAdded makes the file's added tokens known; flags that change how they match are refused, except the white space a mask token may swallow, which
// text of ours never has before it.
func (j tokenizerJSON) registerAdded(v *vocabulary) error {
	for _, a := range j.Added {
		if a.Single || a.RStrip || a.LStrip && !strings.Contains(strings.ToLower(a.Content), "mask") {
			return fmt.Errorf("added token %q: single_word, lstrip and rstrip are not supported", a.Content)
		}
		v.addedTokens(a.Content)
	}
	return nil
}

// typeOf is the type of a component, "" for none.
func typeOf(raw json.RawMessage) (string, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return "", nil
	}
	var c struct {
		Type string `json:"type"`
	}
	err := json.Unmarshal(raw, &c)
	return c.Type, err
}

func parseNormalizer(raw json.RawMessage) (bertNormalizer, error) {
	kind, err := typeOf(raw)
	if err != nil || kind == "" {
		return bertNormalizer{}, err
	}
	switch kind {
	case "BertNormalizer":
		n := struct {
			CleanText    bool  `json:"clean_text"`
			ChineseChars bool  `json:"handle_chinese_chars"`
			StripAccents *bool `json:"strip_accents"`
			Lowercase    bool  `json:"lowercase"`
		}{}
		if err := json.Unmarshal(raw, &n); err != nil {
			return bertNormalizer{}, err
		}
		strip := n.Lowercase
		if n.StripAccents != nil {
			strip = *n.StripAccents
		}
		return bertNormalizer{n.CleanText, n.ChineseChars, strip, n.Lowercase}, nil
	case "Lowercase":
		return bertNormalizer{Lowercase: true}, nil
	}
	return bertNormalizer{}, fmt.Errorf("normalizer %q is not supported with WordPiece (BertNormalizer and Lowercase are)", kind)
}
