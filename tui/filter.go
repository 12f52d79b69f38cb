package tui

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// A filter is read by this grammar; and binds closer than or, and may be left out:
//
//	filter  = all { "or" all }
//	all     = term { ["and"] term }
//	term    = [ "not" | "-" ] ( "(" filter ")" | field op value | text )
//	op      = ":" | "=" | "!=" | "<" | "<=" | ">" | ">="
//	value   = text { "|" text }      any of them, for : and = and !=
//
// Text stands in quotes where it holds blanks, brackets or operators. A text alone is looked for in the whole row, whatever the case; ":" looks for it
// in a field, "=" wants the whole field. Numbers may end in k, M or G.
type filter func(record) bool

// match reports whether a row is let through; the zero filter lets all of them through.
func (f filter) match(r record) bool { return f == nil || f(r) }

// filterError says what is wrong with a filter, and where.
type filterError struct {
	column int // of the first wrong character, from 1
	text   string
}

func (e *filterError) Error() string { return fmt.Sprintf("column %d: %s", e.column, e.text) }

// parseFilter reads a filter; its error is a *filterError in words for the person who typed it.
func parseFilter(s string, fields filterFields) (filter, error) {
	tokens, err := filterTokens(s)
	if err != nil {
		return nil, err
	}
	if len(tokens) == 1 { // the end
		return nil, nil
	}
	p := filterParser{tokens: tokens, fields: fields}
	f, err := p.anyOf()
	if err != nil {
		return nil, err
	}
	if t := p.peek(); t.kind != tokenEnd {
		return nil, t.wrong("there is no ( for this )")
	}
	return f, nil
}

type tokenKind uint8

const (
	tokenEnd tokenKind = iota
	tokenText
	tokenQuoted
	tokenOp
	tokenOpen
	tokenClose
)

// filterToken is a piece of a filter; column counts characters from 1.
type filterToken struct {
	kind   tokenKind
	text   string
	column int
}

func (t filterToken) wrong(format string, args ...any) error {
	return &filterError{t.column, fmt.Sprintf(format, args...)}
}

// word reports whether the token is this word of the grammar.
func (t filterToken) word(w string) bool { return t.kind == tokenText && strings.EqualFold(t.text, w) }

const filterSigns = `:<>=!()"`

// filterTokens ends with a token for the end.
func filterTokens(s string) ([]filterToken, error) {
	var out []filterToken
	in := []rune(s)
	for i := 0; i < len(in); {
		t := filterToken{column: i + 1}
		end := i + 1
		switch r := in[i]; {
		case unicode.IsSpace(r):
			i++
			continue
		case r == '(' || r == ')':
			t.kind = map[rune]tokenKind{'(': tokenOpen, ')': tokenClose}[r]
		case r == '"':
			n := slices.Index(in[end:], '"')
			if n < 0 {
				return nil, t.wrong(`the closing " is missing`)
			}
			t.kind, t.text, end = tokenQuoted, string(in[end:end+n]), end+n+1
		case strings.ContainsRune(":<>=!", r):
			t.kind = tokenOp
			if r != ':' && r != '=' && end < len(in) && in[end] == '=' {
				end++
			}
			if t.text = string(in[i:end]); t.text == "!" {
				return nil, t.wrong("! stands before = only; not, or - before a term, turns it round")
			}
		default:
			for end < len(in) && !unicode.IsSpace(in[end]) && !strings.ContainsRune(filterSigns, in[end]) {
				end++
			}
			t.kind, t.text = tokenText, string(in[i:end])
		}
		out, i = append(out, t), end
	}
	return append(out, filterToken{kind: tokenEnd, column: len(in) + 1}), nil
}

type filterParser struct {
	tokens []filterToken
	fields filterFields
}

func (p *filterParser) peek() filterToken { return p.tokens[0] }

func (p *filterParser) next() filterToken {
	t := p.tokens[0]
	if t.kind != tokenEnd {
		p.tokens = p.tokens[1:]
	}
	return t
}

func (p *filterParser) anyOf() (filter, error) {
	some, err := p.allOf()
	for err == nil && p.peek().word("or") {
		p.next()
		var other filter
		left := some
		other, err = p.allOf()
		some = func(r record) bool { return left(r) || other(r) }
	}
	return some, err
}

func (p *filterParser) allOf() (filter, error) {
	every, err := p.term()
	for err == nil {
		t := p.peek()
		if t.kind == tokenEnd || t.kind == tokenClose || t.word("or") {
			break
		}
		if t.word("and") {
			p.next()
		}
		var other filter
		left := every
		other, err = p.term()
		every = func(r record) bool { return left(r) && other(r) }
	}
	return every, err
}

func (p *filterParser) term() (filter, error) {
	t := p.next()
	switch {
	case t.kind == tokenEnd:
		return nil, t.wrong("something to look for is missing")
	case t.kind == tokenClose:
		return nil, t.wrong("nothing stands before this )")
	case t.kind == tokenOp:
		return nil, t.wrong("a field must stand before %s; text with it is written in quotes", t.text)
	case t.word("and") || t.word("or"):
		return nil, t.wrong("something to look for must stand before %q; to look for it, write it in quotes", t.text)
	case t.kind == tokenOpen:
		return p.bracket(t)
	case t.kind == tokenQuoted:
		return inText(t.text), nil
	case t.word("not"):
		return p.turned()
	case t.text[0] == '-' && (len(t.text) > 1 || p.follows(t)):
		if len(t.text) > 1 { // what stands behind the sign is a token of its own
			p.tokens = append([]filterToken{{tokenText, t.text[1:], t.column + 1}}, p.tokens...)
		}
		return p.turned()
	case p.peek().kind == tokenOp:
		return p.comparison(t)
	}
	return inText(t.text), nil
}

// follows reports whether a bracket or quotes stand right behind a lone minus sign.
func (p *filterParser) follows(minus filterToken) bool {
	t := p.peek()
	return (t.kind == tokenOpen || t.kind == tokenQuoted) && t.column == minus.column+1
}

func (p *filterParser) turned() (filter, error) {
	f, err := p.term()
	return func(r record) bool { return !f(r) }, err
}

func (p *filterParser) bracket(open filterToken) (filter, error) {
	f, err := p.anyOf()
	if err == nil && p.next().kind != tokenClose {
		return nil, open.wrong("the closing ) is missing")
	}
	return f, err
}

func (p *filterParser) comparison(name filterToken) (filter, error) {
	op, value := p.next(), p.next()
	if value.kind != tokenText && value.kind != tokenQuoted {
		return nil, value.wrong("a value is missing after %s%s", name.text, op.text)
	}
	values := []string{value.text}
	if value.kind == tokenText {
		values = strings.Split(value.text, "|")
	}
	field := strings.ToLower(name.text)
	equal := op.text == ":" || op.text == "=" || op.text == "!="
	own := p.fields.prefix != "" && strings.HasPrefix(field, p.fields.prefix)
	ranks, isRanked := p.fields.ranked[field]
	isNumber := slices.Contains(p.fields.numbers, field) || own && !equal
	switch {
	case !isRanked && !isNumber && !own && !slices.Contains(p.fields.words, field):
		return nil, name.wrong("no field %q here, but %s", name.text, p.fields)
	case !equal && len(values) > 1:
		return nil, value.wrong("%s compares with one value, not with any of %s", op.text, value.text)
	case !equal && !isNumber && !isRanked:
		return nil, op.wrong("%s is text: write %s:%s", field, field, value.text)
	case equal && !isNumber && !isRanked:
		return ofWords(field, op.text, values), nil
	}
	numbers := make([]float64, len(values))
	for i, v := range values {
		if isRanked {
			at := slices.Index(ranks, strings.ToLower(v))
			if at < 0 {
				return nil, value.wrong("%s is one of %s", field, strings.Join(ranks, ", "))
			}
			numbers[i] = float64(at)
			continue
		}
		n, err := parseNumber(v)
		if err != nil {
			return nil, value.wrong("%s%s needs a number, such as %s%s12M", field, op.text, field, op.text)
		}
		numbers[i] = n
	}
	return ofNumber(field, op.text, numbers), nil
}

// inText looks for text in the whole row.
func inText(text string) filter {
	text = strings.ToLower(text)
	return func(r record) bool { return strings.Contains(strings.ToLower(r.text()), text) }
}

func ofWords(field, op string, values []string) filter {
	return func(r record) bool {
		text, _ := r.words(field)
		found := slices.ContainsFunc(values, func(v string) bool {
			if op == ":" {
				return strings.Contains(strings.ToLower(text), strings.ToLower(v))
			}
			return strings.EqualFold(text, v)
		})
		return found != (op == "!=")
	}
}

// ofNumber never holds for a row without the number, but for !=.
func ofNumber(field, op string, values []float64) filter {
	return func(r record) bool {
		v, ok := r.number(field)
		switch op {
		case ":", "=":
			return ok && slices.Contains(values, v)
		case "!=":
			return !ok || !slices.Contains(values, v)
		case "<":
			return ok && v < values[0]
		case "<=":
			return ok && v <= values[0]
		case ">":
			return ok && v > values[0]
		}
		return ok && v >= values[0]
	}
}

// parseNumber reads 12, 0.5, 400k, 12M, 3G.
func parseNumber(s string) (float64, error) {
	unit := 1.0
	for suffix, u := range map[string]float64{"k": 1e3, "M": 1e6, "G": 1e9} {
		if strings.HasSuffix(s, suffix) {
			s, unit = strings.TrimSuffix(s, suffix), u
			break
		}
	}
	v, err := strconv.ParseFloat(s, 64)
	return v * unit, err
}
