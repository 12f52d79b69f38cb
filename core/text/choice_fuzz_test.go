package text

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// FuzzChoices reads any bytes as any task's rows: what is good can be asked and answered, what is not has a line and a reason.
func FuzzChoices(f *testing.F) {
	for i, r := range goodRows {
		f.Add([]byte(r.row), uint8(i))
	}
	for i, b := range badChoices {
		f.Add([]byte(b.content), uint8(i))
	}
	f.Fuzz(func(t *testing.T, b []byte, task uint8) {
		l := choiceLayouts[int(task)%len(choiceLayouts)]
		rows, bad := l.readLines("file", b, "", nil)
		if l.plain != nil {
			more, worse := l.plain("file", b)
			rows, bad = append(rows, more...), append(bad, worse...)
		}
		prompts, err := ChoiceTask{Name: l.name}.Prompts(rows)
		require.NoError(t, err)
		for i, c := range rows {
			require.Empty(t, c.wrong())
			require.True(t, utf8.ValidString(c.Passage+c.Stem+strings.Join(c.Options, "")))
			require.Len(t, prompts[i].Letters, len(c.Options))
			require.Len(t, prompts[i].Sequences, len(c.Options))
		}
		for _, r := range bad {
			require.NotEmpty(t, r.Reason)
			require.True(t, r.Line >= 1 && r.Line <= strings.Count(string(b), "\n")+1, "%+v", r)
		}
	})
}
