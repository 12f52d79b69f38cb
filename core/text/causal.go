package text

import (
	"fmt"
	"slices"
)

// CausalOptions shape the batches of a causal model. BOS and EOS are left out where they are negative.
type CausalOptions struct {
	Batch, MaxSeq int
	Seed          uint64
	BOS, EOS, Pad int32
}

// CausalLoader gives batches for causal training with the prompts masked: a prediction is picked only where the next token belongs to a response.
// Rows of similar length share a batch, whose length is rounded up to a multiple of 8. It is safe for concurrent use.
type CausalLoader struct {
	o       CausalOptions
	rows    []causal
	buckets *buckets
}

// causal is a row in tokens.
type causal struct {
	ids  []int32
	from int // index of the first token that is learned
}

// NewCausalLoader tokenises rows as BOS, prompt, response, EOS. A row of more than MaxSeq tokens keeps the beginnings of prompt and response in
// proportion to their lengths, and at least one token of the response.
func NewCausalLoader(tok Tokenizer, rows []CausalRow, o CausalOptions) (*CausalLoader, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	encoded := make([]causal, len(rows))
	for i, r := range rows {
		var err error
		if encoded[i], err = o.encode(tok, r); err != nil {
			return nil, fmt.Errorf("training row %d: %w", i+1, err)
		}
	}
	return o.loader(encoded), nil
}

// NewTextLoader tokenises documents as BOS, text, EOS and cuts them into rows of at most MaxSeq tokens. A row begins with the last token of the one
// before, so every token but a document's first is learned once.
func NewTextLoader(tok Tokenizer, documents []string, o CausalOptions) (*CausalLoader, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	var rows []causal
	for _, d := range documents {
		ids := tok.Encode(d)
		if o.BOS >= 0 {
			ids = slices.Insert(ids, 0, o.BOS)
		}
		if o.EOS >= 0 {
			ids = append(ids, o.EOS)
		}
		for len(ids) > 1 {
			n := min(len(ids), o.MaxSeq)
			rows = append(rows, causal{ids[:n], 1})
			ids = ids[n-1:]
		}
	}
	return o.loader(rows), nil
}

func (o CausalOptions) check() error {
	if o.Batch < 1 || o.MaxSeq < lengthStep {
		return fmt.Errorf("batches of %d rows of up to %d tokens: at least 1 and %d are needed", o.Batch, o.MaxSeq, lengthStep)
	}
	if o.Pad < 0 {
		return fmt.Errorf("padding token %d: name a token of the vocabulary, such as the end of text", o.Pad)
	}
	return nil
}

func (o CausalOptions) loader(rows []causal) *CausalLoader {
	lengths := make([]int, len(rows))
	for i, r := range rows {
		lengths[i] = len(r.ids)
	}
	return &CausalLoader{o: o, rows: rows, buckets: newBuckets(lengths, o.Batch, o.Seed)}
}

func (o CausalOptions) encode(tok Tokenizer, r CausalRow) (causal, error) {
	prompt, response := tok.Encode(r.Prompt), tok.Encode(r.Response)
	if o.BOS >= 0 && (len(prompt) == 0 || prompt[0] != o.BOS) { // chat templates spell it out
		prompt = slices.Insert(prompt, 0, o.BOS)
	}
	if o.EOS >= 0 && (len(response) == 0 || response[len(response)-1] != o.EOS) {
		response = append(response, o.EOS)
	}
	if len(prompt) == 0 || len(response) == 0 {
		return causal{}, fmt.Errorf("a prompt of %d tokens and a response of %d: at least one of each is needed", len(prompt), len(response))
	}
	if all := len(prompt) + len(response); all > o.MaxSeq {
		keep := min(max(1, o.MaxSeq*len(response)/all), o.MaxSeq-1)
		prompt, response = prompt[:o.MaxSeq-keep], response[:keep]
	}
	return causal{slices.Concat(prompt, response), len(prompt)}, nil
}

// Examples is the number of rows.
func (l *CausalLoader) Examples() int { return len(l.rows) }

// Steps is the number of batches of an epoch, the last of which may be smaller.
func (l *CausalLoader) Steps() int { return l.buckets.steps() }

// Batch is batch i of an epoch, both from 0: a pure function of the seed, the epoch and i. Picked are the positions before the learned tokens, which
// are the Labels: the shift by one is made.
func (l *CausalLoader) Batch(epoch, i int) Batch {
	rows := l.buckets.rows(epoch)[i]
	chosen := make([]causal, len(rows))
	for j, r := range rows {
		chosen[j] = l.rows[r]
	}
	return l.o.batch(chosen)
}

// batch pads rows to a common length, and the picked positions to a multiple of 8.
func (o CausalOptions) batch(rows []causal) Batch {
	longest := 0
	for _, r := range rows {
		longest = max(longest, len(r.ids))
	}
	seq := min((longest+lengthStep-1)/lengthStep*lengthStep, max(o.MaxSeq, longest))
	b := Batch{B: len(rows), T: seq, Segments: make([]int32, len(rows)*seq), Lengths: make([]int32, len(rows))}
	b.IDs = slices.Repeat([]int32{o.Pad}, len(rows)*seq)
	for i, r := range rows {
		copy(b.IDs[i*seq:], r.ids)
		b.Lengths[i] = int32(len(r.ids))
		for t := r.from; t < len(r.ids); t++ {
			b.Picked, b.Labels = append(b.Picked, int32(i*seq+t-1)), append(b.Labels, r.ids[t])
		}
	}
	b.padPicked()
	return b
}

// padPicked fills the picked positions up to a multiple of 8, so that there are few shapes.
func (b *Batch) padPicked() {
	for len(b.Picked)%lengthStep != 0 {
		b.Picked, b.Labels = append(b.Picked, -1), append(b.Labels, -1)
	}
}

// Span says which of a batch's picked positions belong to an option of a question.
type Span struct {
	Question, Option int // Option is -1 for letter logits, which answer for all options
	From, To         int // in Picked
}

// ChoiceBatch is a batch to answer questions with.
type ChoiceBatch struct {
	Batch
	Spans []Span
}

// choiceText is one text to read for an answer.
type choiceText struct {
	causal
	question, option int
}

// ChoiceBatches tokenises questions for a way of answering: by letters one row per question, whose last position is picked (labels -1); by likelihood
// one row per option, all of whose tokens but the first are to be predicted. Too long rows lose tokens from their beginning, behind BOS. Rows of
// similar length share a batch.
func ChoiceBatches(tok Tokenizer, prompts []Prompt, method ChoiceMethod, o CausalOptions) ([]ChoiceBatch, error) {
	if o.Batch < 1 || o.MaxSeq < lengthStep || o.Pad < 0 {
		return nil, fmt.Errorf("batches of %d rows of up to %d tokens, padded with %d: at least 1, %d and 0 are needed",
			o.Batch, o.MaxSeq, o.Pad, lengthStep)
	}
	var rows []choiceText
	for i, p := range prompts {
		texts, option := p.Sequences, 0
		if method == ByLetter {
			texts, option = []string{p.Asked()}, -1
		}
		for j, s := range texts {
			ids := o.encodeWhole(tok, s)
			if len(ids) < 2 {
				return nil, fmt.Errorf("question %d has a text of %d tokens: at least 2 are needed", i+1, len(ids))
			}
			rows = append(rows, choiceText{causal{ids, 1}, i, option + j})
		}
	}
	slices.SortStableFunc(rows, func(a, b choiceText) int { return len(a.ids) - len(b.ids) })
	var out []ChoiceBatch
	for part := range slices.Chunk(rows, o.Batch) {
		out = append(out, o.choiceBatch(part, method))
	}
	return out, nil
}

// encodeWhole is BOS and a text, of which the end is kept.
func (o CausalOptions) encodeWhole(tok Tokenizer, s string) []int32 {
	ids := tok.Encode(s)
	var head []int32
	if o.BOS >= 0 {
		head = []int32{o.BOS}
	}
	if room := o.MaxSeq - len(head); len(ids) > room {
		ids = ids[len(ids)-room:]
	}
	return slices.Concat(head, ids)
}

func (o CausalOptions) choiceBatch(part []choiceText, method ChoiceMethod) ChoiceBatch {
	rows := make([]causal, len(part))
	for i, r := range part {
		rows[i] = r.causal
	}
	b := ChoiceBatch{Batch: o.batch(rows)}
	if method == ByLetter {
		b.Picked, b.Labels = nil, nil
		for i, r := range rows {
			b.Picked, b.Labels = append(b.Picked, int32(i*b.T+len(r.ids)-1)), append(b.Labels, -1)
		}
		b.padPicked()
	}
	at := 0
	for _, r := range part {
		n := 1
		if method == ByLikelihood {
			n = len(r.ids) - 1
		}
		b.Spans = append(b.Spans, Span{r.question, r.option, at, at + n})
		at += n
	}
	return b
}
