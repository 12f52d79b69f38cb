package text

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// wordModel turns one word into ids and back.
type wordModel interface {
	pieces(word string) []int32
	decode(ids []int32) string
}

// steps are the parts of a tokenizer, in the order a text goes through them.
type steps struct {
	added     []addedToken                       // found in the text before anything else
	normalize func(string) string                // folds what is between them
	split     func(s string, yield func(string)) // cuts that into words
	model     wordModel
	settings  any // of the parts, for the name
}

// pipeline is a tokenizer made of steps. It is safe for concurrent use.
type pipeline struct {
	*vocabulary
	steps
	name       string
	raw        matcher // added tokens matched before normalising
	normalized matcher // and after it
	cache      wordCache
}

func newPipeline(kind string, v *vocabulary, s steps) *pipeline {
	p := &pipeline{vocabulary: v, steps: s}
	var raw, normalized []addedToken
	for _, t := range s.added {
		if t.normalized {
			t.text = s.normalize(t.text)
			normalized = append(normalized, t)
		} else {
			raw = append(raw, t)
		}
	}
	p.raw, p.normalized = newMatcher(raw), newMatcher(normalized)
	sum := sha256.New()
	fmt.Fprintf(sum, "%+v %+v\n", s.settings, s.added)
	for _, t := range v.tokens {
		fmt.Fprintf(sum, "%s\n", t)
	}
	p.name = kind + "-" + hex.EncodeToString(sum.Sum(nil))[:8]
	return p
}

// Encode gives the ids of s without special tokens around it; a special token written out in s is that token.
func (p *pipeline) Encode(s string) []int32 {
	var ids []int32
	id := func(id int32) { ids = append(ids, id) }
	word := func(w string) { ids = append(ids, p.cache.get(w, p.model.pieces)...) }
	p.raw.scan(s, id, func(between string) {
		p.normalized.scan(p.normalize(between), id, func(part string) { p.split(part, word) })
	})
	return ids
}

// Decode gives a readable string.
func (p *pipeline) Decode(ids []int32) string { return p.model.decode(ids) }

// Name is the kind and a hash of everything that decides ids.
func (p *pipeline) Name() string { return p.name }

// asIs is the normaliser that changes nothing.
func asIs(s string) string { return s }
