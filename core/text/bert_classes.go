package text

import "unicode"

// control reports what clean-up removes: control, format and private-use characters.
func control(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co) && !unicode.Is(laterCharacters, r)
}

// mark reports nonspacing marks. U+1734 was one when the tables of the tokenizers package were made.
func mark(r rune) bool {
	return unicode.Is(unicode.Mn, r) && !unicode.Is(laterCharacters, r) || r == 0x1734
}

// punctuation is Unicode punctuation, and every ASCII character that is neither letter, digit nor blank. U+166D and U+111C9 have changed their category since.
func punctuation(r rune) bool {
	if r < 128 {
		return r >= '!' && r <= '/' || r >= ':' && r <= '@' || r >= '[' && r <= '`' || r >= '{' && r <= '~'
	}
	return unicode.IsPunct(r) && !unicode.Is(laterCharacters, r) || r == 0x166D || r == 0x111C9
}

// ideograph reports the CJK blocks that BERT separates.
func ideograph(r rune) bool {
	return r >= 0x4E00 && r <= 0x9FFF || r >= 0x3400 && r <= 0x4DBF || r >= 0x20000 && r <= 0x2A6DF || r >= 0x2A700 && r <= 0x2B73F ||
		r >= 0x2B740 && r <= 0x2B81F || r >= 0x2B920 && r <= 0x2CEAF || r >= 0xF900 && r <= 0xFAFF || r >= 0x2F800 && r <= 0x2FA1F
}

// laterCharacters are marks, format characters and punctuation that Unicode got after version 8, the one the Hugging Face tokenizers package still classifies
// by: to it they are ordinary letters. TestEveryCharacter compares all of Unicode. (Ranges run over characters of other kinds, for which it does not matter.)
var laterCharacters = &unicode.RangeTable{
	R16: []unicode.Range16{
		{0x61D, 0x61D, 1},
		{0x7FD, 0x7FD, 1},
		{0x890, 0x8E2, 1},
		{0x9FD, 0x9FE, 1},
		{0xA76, 0xA76, 1},
		{0xAFA, 0xAFF, 1},
		{0xB55, 0xB55, 1},
		{0xC04, 0xC3C, 1},
		{0xC77, 0xC77, 1},
		{0xC84, 0xC84, 1},
		{0xD00, 0xD00, 1},
		{0xD3B, 0xD3C, 1},
		{0xD81, 0xD81, 1},
		{0xEBA, 0xEBA, 1},
		{0xECE, 0xECE, 1},
		{0x180F, 0x1886, 1},
		{0x1ABF, 0x1ACE, 1},
		{0x1B7D, 0x1B7E, 1},
		{0x1DF6, 0x1DFB, 1},
		{0x2E43, 0x2E5D, 1},
		{0xA82C, 0xA82C, 1},
		{0xA8C5, 0xA8C5, 1},
		{0xA8FF, 0xA8FF, 1},
		{0xA9BD, 0xA9BD, 1},
	},
	R32: []unicode.Range32{
		{0x10D24, 0x10F89, 1},
		{0x11070, 0x11074, 1},
		{0x110C2, 0x110CD, 1},
		{0x111C9, 0x111C9, 1},
		{0x111CF, 0x111CF, 1},
		{0x1123E, 0x11241, 1},
		{0x1133B, 0x1133B, 1},
		{0x11438, 0x1145E, 1},
		{0x11660, 0x1166C, 1},
		{0x116B9, 0x116B9, 1},
		{0x1182F, 0x11FFF, 1},
		{0x12FF1, 0x13455, 1},
		{0x16E97, 0x16F4F, 1},
		{0x16FE2, 0x16FE4, 1},
		{0x1CF00, 0x1CF46, 1},
		{0x1E000, 0x1E4EF, 1},
		{0x1E944, 0x1E95F, 1},
	},
}
