// Package text turns text into batches of token ids: tokenizers, corpora for masked-language pre-training, the GLUE task readers, dynamic
// masking, length-bucketed batches, and the built-in demo language.
//
// Everything that is random is a pure function of (seed, epoch or step, index), so a stream is resumed by remembering a number.
package text

// Tokenizer turns a string into token ids, as the Hugging Face tokenizer of the same files does.
type Tokenizer interface {
	// Encode gives the ids of s without special tokens.
	Encode(s string) []int32
	// Decode gives a readable string.
	Decode(ids []int32) string
	// Token is the text of one id.
	Token(id int32) string
	// Size is the vocabulary size.
	Size() int
	Special() Special
	// Name identifies the tokenizer and its vocabulary: kind and a short content hash.
	Name() string
}

// Special are the ids of special tokens, -1 for those that a decoder's tokenizer lacks.
type Special struct {
	Pad, Unknown, CLS, SEP, Mask int32
}

// Batch is B rows of T positions. core/model has a type of the same fields, so one converts to the other.
type Batch struct {
	B, T     int
	IDs      []int32   // B·T, padded
	Segments []int32   // B·T, 0 or 1
	Lengths  []int32   // B, tokens before the padding
	Picked   []int32   // masked language modelling: flat positions b·T+t, padded with -1 to a fixed count for the shape
	Labels   []int32   // per picked position (-1 where Picked is -1), or per row for classification
	Targets  []float32 // per row for regression
}

// Example is one row of a task.
type Example struct {
	A, B   string // B is empty for single-sentence tasks
	Label  int    // class index, for classification
	Target float64
}

// Task is a labelled task in the GLUE manner.
type Task struct {
	Name       string // "SST-2", or a demo task
	Pair       bool
	Labels     []string // class names in label order; nil for regression
	Regression bool
	Metrics    []string // reported metrics by name: "matthews", "f1", "accuracy", "pearson", "spearman"
	Train, Dev []Example
	// ExtraDev holds further development sets by name (MNLI has "mismatched").
	ExtraDev map[string][]Example
	// Skipped counts the malformed rows left out, where skipping was allowed.
	Skipped int
}

// Corpus is text for masked-language pre-training: documents of sentences or lines.
type Corpus struct {
	Name      string
	Documents []string
	Skipped   int
}
