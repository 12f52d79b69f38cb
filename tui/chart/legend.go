package chart

import "unicode/utf8"

// legend writes the names of bands and series into the image's last row, in the looks they have in the plot; false if none has a name.
func (c Chart) legend(im *Image) bool {
	inner, outer := c.Glyphs.shades()
	x, row := 0, im.H-1
	put := func(sample string, role Role, name string) {
		width := utf8.RuneCountInString(sample) + 1 + utf8.RuneCountInString(name)
		if name == "" || x+width > im.W {
			return
		}
		im.text(x, row, sample, role)
		im.text(x+utf8.RuneCountInString(sample)+1, row, name, Label)
		x += width + 2
	}
	for _, s := range c.Series {
		sample := c.Glyphs.sample(s.Dash)
		if s.Kind == Points {
			sample = string(c.Glyphs.mark(s.Marker))
		}
		put(sample, s.Role, s.Name)
	}
	for _, b := range c.Bands {
		if b.Outer {
			put(string(outer), Outer, b.Name)
		} else {
			put(string(inner), Inner, b.Name)
		}
	}
	return x > 0
}
