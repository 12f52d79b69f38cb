package text

import (
	"fmt"
	"strings"
)

// BadRow is a row that cannot be used.
type BadRow struct {
	File   string
	Line   int // from 1; 0 if the file cannot be read at all, which the reason names
	Reason string
}

// String is the row as file:line: reason, which editors and terminals can jump to.
func (b BadRow) String() string {
	if b.Line == 0 {
		return b.Reason
	}
	return fmt.Sprintf("%s:%d: %s", b.File, b.Line, b.Reason)
}

// MalformedError refuses a file because of its bad rows.
type MalformedError struct{ Rows []BadRow }

// shownRows is how many bad rows an error lists.
const shownRows = 5

func (e *MalformedError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d malformed rows:", len(e.Rows))
	for _, r := range e.Rows[:min(shownRows, len(e.Rows))] {
		fmt.Fprintf(&b, "\n  %s", r)
	}
	if more := len(e.Rows) - shownRows; more > 0 {
		fmt.Fprintf(&b, "\n  and %d more (`flexi data check` lists all)", more)
	}
	b.WriteString("\nrepair them, or train without them: --skip-bad-rows")
	return b.String()
}

// ReadOptions says how strict reading is.
type ReadOptions struct {
	SkipBad  bool  // leave malformed rows out and count them
	MaxBytes int64 // of a corpus; 0 reads all
}

// refuse is the error for bad rows that may not be skipped.
func (o ReadOptions) refuse(bad []BadRow) error {
	if len(bad) == 0 || o.SkipBad {
		return nil
	}
	return &MalformedError{bad}
}
