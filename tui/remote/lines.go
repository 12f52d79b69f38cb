package remote

import (
	"context"
	"io"
)

// typedLines are the lines that a person types at a terminal in raw mode: what is typed is shown, backspace takes back, ctrl+c and ctrl+d leave.
func typedLines(ctx context.Context, leave context.CancelFunc, term io.ReadWriter) io.Reader {
	out, in := io.Pipe()
	context.AfterFunc(ctx, func() { in.Close() })
	go func() {
		defer in.Close()
		defer leave()
		var line []byte
		buffer := make([]byte, 256)
		for {
			n, err := term.Read(buffer)
			for _, c := range buffer[:n] {
				var echo string
				if line, echo = typeKey(line, c); echo == "" {
					continue
				}
				if _, err := io.WriteString(term, echo); err != nil {
					return
				}
				switch {
				case echo == left:
					return
				case echo == "\n":
					if _, err := in.Write(append(line, '\n')); err != nil {
						return
					}
					line = line[:0]
				}
			}
			if err != nil {
				return
			}
		}
	}()
	return out
}

const (
	left         = "^C\n" // shown when a person leaves
	maxTypedLine = 1000
)

// typeKey is the line after a byte was typed, and what to show for it.
func typeKey(line []byte, c byte) ([]byte, string) {
	switch {
	case c == 0x03, c == 0x04 && len(line) == 0:
		return line, left
	case c == '\r', c == '\n':
		return line, "\n"
	case c == 0x7f || c == 0x08:
		if len(line) > 0 {
			return line[:len(line)-1], "\b \b"
		}
	case c >= ' ' && c < 0x7f && len(line) < maxTypedLine:
		return append(line, c), string(rune(c))
	}
	return line, ""
}
