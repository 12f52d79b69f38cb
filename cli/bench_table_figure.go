package cli

import (
	"fmt"
	"image/color"
	"path/filepath"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"flexi/core/search/table"
)

// figureColours are those of Okabe and Ito, black first.
var figureColours = []color.RGBA{
	{0, 0, 0, 255}, {230, 159, 0, 255}, {86, 180, 233, 255}, {0, 158, 115, 255},
	{213, 94, 0, 255}, {0, 114, 178, 255}, {204, 121, 167, 255}, {150, 150, 150, 255},
}

// figureFormat is a file name's ending, in lower case and without the dot.
func figureFormat(path string) string {
	return strings.ToLower(strings.TrimPrefix(filepath.Ext(path), "."))
}

// drawFigure writes the medians of the best so far, over bands from the lower to the upper quartile.
func drawFigure(path string, t *table.Table, results []table.Result) error {
	p := plot.New()
	p.Title.Text = fmt.Sprintf("%s, %d seeds", t.Name, results[0].Seeds)
	p.X.Label.Text, p.Y.Label.Text = "queries", t.Objective+", best so far"
	p.Legend.Left, p.Legend.Top = false, !t.Maximize
	p.Add(plotter.NewGrid())
	for n, r := range results {
		if err := addCurve(p, curveFrom(t, r), r.Policy, n); err != nil {
			return fmt.Errorf("draw %s of %s: %w", r.Policy, t.Name, err)
		}
	}
	if err := p.Save(22*vg.Centimeter, 14*vg.Centimeter, path); err != nil {
		return fmt.Errorf("write the figure: %w", err)
	}
	return nil
}

// addCurve adds a policy, the n-th; colours repeat with dashes.
func addCurve(p *plot.Plot, c curve, name string, n int) error {
	colour := figureColours[n%len(figureColours)]
	var outline, median plotter.XYs
	for i, x := range c.queries {
		outline = append(outline, plotter.XY{X: x, Y: c.low[i]})
		median = append(median, plotter.XY{X: x, Y: c.median[i]})
	}
	for i := len(c.queries) - 1; i >= 0; i-- {
		outline = append(outline, plotter.XY{X: c.queries[i], Y: c.high[i]})
	}
	band, err := plotter.NewPolygon(outline)
	if err != nil {
		return err
	}
	band.Color = color.NRGBA{colour.R, colour.G, colour.B, 28}
	band.LineStyle.Width = 0
	line, err := plotter.NewLine(median)
	if err != nil {
		return err
	}
	line.Color, line.Width, line.StepStyle = colour, vg.Points(1.5), plotter.PostStep
	if n >= len(figureColours) {
		line.Dashes = []vg.Length{vg.Points(4), vg.Points(2)}
	}
	p.Add(band, line)
	p.Legend.Add(name, line)
	return nil
}
