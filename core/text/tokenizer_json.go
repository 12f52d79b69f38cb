package text

import (
	"encoding/json"
	"errors"
	"fmt"
)

// tokenizerJSON is the part of a Hugging Face tokenizer.json that decides ids. Truncation, padding, post-processor and decoder do not: batches cut, pad and frame
// rows themselves.
type tokenizerJSON struct {
	Normalizer   json.RawMessage `json:"normalizer"`
	PreTokenizer json.RawMessage `json:"pre_tokenizer"`
	Model        modelJSON       `json:"model"`
	Added        []addedJSON     `json:"added_tokens"`
}

// addedJSON is an added token.
type addedJSON struct {
	ID         int32  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
}

// modelJSON is the vocabulary and what cuts words by it, for both kinds of models.
type modelJSON struct {
	Type    string           `json:"type"`
	Vocab   map[string]int32 `json:"vocab"`
	Unknown *string          `json:"unk_token"`
	Prefix  *string          `json:"continuing_subword_prefix"`
	// WordPiece:
	MaxWord *int `json:"max_input_chars_per_word"`
	// BPE:
	Merges       []mergeJSON `json:"merges"`
	Dropout      float64     `json:"dropout"`
	EndOfWord    *string     `json:"end_of_word_suffix"`
	FuseUnknown  bool        `json:"fuse_unk"`
	ByteFallback bool        `json:"byte_fallback"`
	IgnoreMerges bool        `json:"ignore_merges"`
}

// mergeJSON is "left right", or a pair in newer files.
type mergeJSON string

// UnmarshalJSON reads either form.
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

// parseTokenizerJSON makes the tokenizer that a tokenizer.json describes, or names the part that is not supported.
func parseTokenizerJSON(file string, b []byte) (Tokenizer, error) {
	var j tokenizerJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return nil, fmt.Errorf("tokenizer %s: %w", file, err)
	}
	v, err := j.vocabulary(file)
	if err != nil {
		return nil, err
	}
	s := steps{added: j.addedTokens()}
	if s.normalize, err = parseNormalizer(j.Normalizer); err == nil {
		s.split, err = j.splitter()
	}
	if err == nil {
		s.model, err = j.model(file, v)
	}
	if err != nil {
		return nil, fmt.Errorf("tokenizer %s: %w", file, err)
	}
	j.Model.Vocab = nil // the name has the tokens already
	settings, err := json.Marshal(j)
	if err != nil {
		return nil, fmt.Errorf("tokenizer %s: %w", file, err)
	}
	s.settings = string(settings)
	return newPipeline(map[string]string{"WordPiece": "wordpiece", "BPE": "bpe"}[j.Model.Type], v, s), nil
}

// vocabulary is the model's tokens and the added ones.
func (j tokenizerJSON) vocabulary(file string) (*vocabulary, error) {
	if len(j.Model.Vocab) == 0 {
		return nil, fmt.Errorf("tokenizer %s: the model has no vocabulary", file)
	}
	for _, a := range j.Added {
		if id, ok := j.Model.Vocab[a.Content]; ok && id != a.ID {
			return nil, fmt.Errorf("tokenizer %s: added token %q has the id %d, in the vocabulary it is %d", file, a.Content, a.ID, id)
		}
		j.Model.Vocab[a.Content] = a.ID
	}
	tokens, err := byID(file, j.Model.Vocab)
	if err != nil {
		return nil, err
	}
	return newVocabulary(file, tokens, bertSpecials, robertaSpecials, gptSpecials, noSpecials)
}

func (j tokenizerJSON) addedTokens() []addedToken {
	out := make([]addedToken, len(j.Added))
	for i, a := range j.Added {
		out[i] = addedToken{a.Content, a.ID, a.Normalized, a.SingleWord, a.LStrip, a.RStrip}
	}
	return out
}

func (j tokenizerJSON) model(file string, v *vocabulary) (wordModel, error) {
	m := j.Model
	if m.Unknown != nil {
		id, ok := v.ids[*m.Unknown]
		if !ok {
			return nil, fmt.Errorf("the vocabulary lacks the unknown token %q", *m.Unknown)
		}
		v.special.Unknown = id
	}
	switch m.Type {
	case "WordPiece":
		w := &wordPiece{v, continuation, maxWord}
		if m.Prefix != nil {
			w.prefix = *m.Prefix
		}
		if m.MaxWord != nil {
			w.longest = *m.MaxWord
		}
		return w, nil
	case "BPE":
		return j.bpe(file, v)
	}
	return nil, fmt.Errorf("model type %q is not supported; WordPiece and BPE are", m.Type)
}

// bpe is a model of bytes or of characters, as the pre-tokeniser has it.
func (j tokenizerJSON) bpe(file string, v *vocabulary) (wordModel, error) {
	m := j.Model
	for name, set := range map[string]bool{
		"dropout": m.Dropout != 0, "end_of_word_suffix": m.EndOfWord != nil && *m.EndOfWord != "",
		"continuing_subword_prefix": m.Prefix != nil && *m.Prefix != "",
	} {
		if set {
			return nil, fmt.Errorf("a BPE model with %s is not supported", name)
		}
	}
	merges := make([]string, len(m.Merges))
	for i, merge := range m.Merges {
		merges[i] = string(merge)
	}
	bytes, err := j.ofBytes()
	if err != nil {
		return nil, err
	}
	if !bytes {
		ranks, err := v.mergeRanks(file, merges)
		if err != nil {
			return nil, err
		}
		c := &charBPE{vocabulary: v, ranks: ranks, byteFallback: m.ByteFallback, fuseUnknown: m.FuseUnknown, whole: m.IgnoreMerges}
		if m.Unknown != nil {
			c.unknown = *m.Unknown
		}
		return c, nil
	}
	if m.ByteFallback || m.FuseUnknown && m.Unknown != nil {
		return nil, errors.New("a BPE model of bytes with byte_fallback or fuse_unk is not supported")
	}
	b, err := newByteBPE(file, v, merges)
	if err != nil {
		return nil, err
	}
	b.dropUnknown, b.whole = m.Unknown == nil, m.IgnoreMerges
	return b, nil
}

// typeOf is the type of a component, "" for none.
func typeOf(raw json.RawMessage) (string, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return "", nil
	}
	var c struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		return "", err
	}
	if c.Type == "" {
		return "", fmt.Errorf("a component without a type: %.80s", raw)
	}
	return c.Type, nil
}
