package text

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// encodeScript answers JSON strings on stdin with the ids of the real tokenizers package.
const encodeScript = `
import gzip, json, os, sys, tempfile
from tokenizers import Tokenizer, AddedToken, BertWordPieceTokenizer, ByteLevelBPETokenizer
kind, path = sys.argv[1], sys.argv[2]
tmp = tempfile.mkdtemp()
def unpack(name):
    out = os.path.join(tmp, name)
    with gzip.open(os.path.join(path, name + '.gz')) as f, open(out, 'wb') as g: g.write(f.read())
    return out
if kind == 'json':
    tok = Tokenizer.from_file(unpack('tokenizer.json'))
    tok.no_padding(); tok.no_truncation()
elif kind == 'wordpiece': tok = BertWordPieceTokenizer(unpack('vocab.txt'), lowercase=True)
else:
    tok = ByteLevelBPETokenizer(unpack('vocab.json'), unpack('merges.txt'))
    tok.add_special_tokens(['<s>', '</s>', '<pad>', '<unk>', '<mask>'])
lines = json.load(sys.stdin)
json.dump([tok.encode(l, add_special_tokens=False).ids for l in lines], sys.stdout)
`

// nastyStrings are what tokenizers stumble over.
var nastyStrings = []string{
	"", " ", "  two  blanks ", "\t\ttabs\nand\r\nlines ", "naïve café Ångström", "İstanbul ıssız I", "Straße GROẞ", "日本語のテスト", "한국어", "a\u0301e\u0300",
	"zero\u200bwidth\u200djoiner", "soft\u00adhyphen", "nb\u00a0space\u2003em", "emoji 😀🥰🫠 👩‍👩‍👧", "control\x01\x02\x7f\u0085", "\ufffd", "don't we'll I'm they've he'd it's I'M",
	"$9.99 + 100% = #1 @home <tag> ~^`|", "“quotes” — dashes… ‘x’", strings.Repeat("long", 60), strings.Repeat("x", 101), strings.Repeat("é", 100),
	"[CLS] inside [MASK]ed [SEP]", "<s>roberta</s><mask>", "tail  ", "   head", "1234567890 12,345.67", "ﬁ ligature ½ ² Ⅷ", "\u202eright to left\u202c", "ǅ Ǆ ß ŉ", "٣٤٥ १२३", "a\u3000b",
	"\ue000private", "\U0001F9D1\u200d\U0001F4BB", "ᾼ ΑΣ Σ", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢", "\u0378unassigned", "中a文b字", "x\u0300\u0301\u0302y", "it's'll 's", "  \n \n x", "\u00a0x", "_under_score_",
}

// corpusLines are lines of real text in all its variety.
func corpusLines(t *testing.T, n int) []string {
	t.Helper()
	var out []string
	for _, name := range []string{"lm/wikipedia/part-3.txt.gz", "lm/wikitext-2/wiki.valid.raw.gz", "lm/tinyshakespeare/input.txt.gz", "glue/QQP/dev.json.gz"} {
		b, err := readFile(filepath.Join(sharedData(t), filepath.FromSlash(name)))
		require.NoError(t, err)
		all := lines(b)
		step := max(1, len(all)/n)
		for i := 0; i < len(all); i += step {
			out = append(out, all[i])
		}
	}
	return out
}

func TestTokenizersMatchHuggingFace(t *testing.T) {
	if out, err := exec.Command("python3", "-c", "import tokenizers").CombinedOutput(); err != nil {
		t.Skipf("needs Python with the tokenizers package: %s", out)
	}
	texts := append(append([]string{}, nastyStrings...), corpusLines(t, 1500)...)
	for i, s := range texts {
		texts[i] = strings.ToValidUTF8(s, "?")
	}
	input, err := json.Marshal(texts)
	require.NoError(t, err)
	for _, c := range []struct{ kind, folder, file string }{
		{"wordpiece", "bert-base-uncased", "vocab.txt.gz"},
		{"json", "bert-base-uncased", "tokenizer.json.gz"},
		{"bpe", "roberta", ""},
	} {
		t.Run(c.kind, func(t *testing.T) {
			path := sharedData(t, "tokenizers", c.folder)
			cmd := exec.Command("python3", "-c", encodeScript, c.kind, path)
			cmd.Stdin = strings.NewReader(string(input))
			out, err := cmd.Output()
			require.NoError(t, err)
			var want [][]int32
			require.NoError(t, json.Unmarshal(out, &want))
			tok, err := LoadTokenizer(filepath.Join(path, c.file))
			require.NoError(t, err)
			wrong := 0
			for i, s := range texts {
				if got := tok.Encode(s); !equalIDs(got, want[i]) {
					if wrong++; wrong <= 10 {
						t.Errorf("%q:\n got %v\nwant %v", s, names(tok, got), names(tok, want[i]))
					}
				}
			}
			if wrong > 0 {
				t.Errorf("%d of %d texts differ", wrong, len(texts))
			}
		})
	}
}

func equalIDs(a, b []int32) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func names(tok Tokenizer, ids []int32) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = tok.Token(id)
	}
	return out
}
