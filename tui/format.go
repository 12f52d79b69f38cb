package tui

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// scoreText writes a score with about four digits: scores are fractions (0.7312), percentages (73.12) or losses (2.134).
func scoreText(v float64) string {
	switch a := math.Abs(v); {
	case math.IsNaN(v):
		return "not a number"
	case a >= 1000:
		return strconv.FormatFloat(v, 'g', 4, 64)
	case a >= 10:
		return strconv.FormatFloat(v, 'f', 2, 64)
	case a >= 1:
		return strconv.FormatFloat(v, 'f', 3, 64)
	default:
		return strconv.FormatFloat(v, 'f', 4, 64)
	}
}

// countText writes a count with a unit: 11.36 M, 412 k.
func countText(n float64) string {
	for _, u := range []struct {
		size float64
		name string
	}{{1e9, " G"}, {1e6, " M"}, {1e3, " k"}} {
		if math.Abs(n) >= u.size*0.9995 {
			return digits(n/u.size) + u.name
		}
	}
	return strconv.FormatFloat(n, 'f', 0, 64)
}

func digits(v float64) string {
	switch {
	case v >= 99.95:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 9.995:
		return strconv.FormatFloat(v, 'f', 1, 64)
	default:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
}

func paramsText(n int64) string { return countText(float64(n)) }

// axisCount is countText for tick labels: 2M, 500k.
func axisCount(v float64) string {
	switch {
	case v >= 1e9:
		return strconv.FormatFloat(v/1e9, 'g', 3, 64) + "G"
	case v >= 1e6:
		return strconv.FormatFloat(v/1e6, 'g', 3, 64) + "M"
	case v >= 1e3:
		return strconv.FormatFloat(v/1e3, 'g', 3, 64) + "k"
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// bytesText writes a size in binary units: 38.1 MiB.
func bytesText(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	v, names := float64(n)/unit, []string{"KiB", "MiB", "GiB", "TiB"}
	i := 0
	for v >= unit && i < len(names)-1 {
		v, i = v/unit, i+1
	}
	return digits(v) + " " + names[i]
}

// spanText writes a duration in two units at most: 41s, 2m08s, 47m, 1h12m, 3d04h.
func spanText(d time.Duration) string {
	s := int64(d.Round(time.Second) / time.Second)
	switch {
	case s < 0:
		return "0s"
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 600:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	case s < 3600:
		return fmt.Sprintf("%dm", s/60)
	case s < 86400:
		return fmt.Sprintf("%dh%02dm", s/3600, s/60%60)
	default:
		return fmt.Sprintf("%dd%02dh", s/86400, s/3600%24)
	}
}

func secondsText(s float64) string {
	if math.IsNaN(s) || math.Abs(s) > 1e9 {
		return "?"
	}
	return spanText(time.Duration(s * float64(time.Second)))
}

// ageText says how long ago t was.
func ageText(now, t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return spanText(now.Sub(t))
}

func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + one + "s"
}

// percentText writes a fraction as whole percent; 100% only when it is all done.
func percentText(f float64) string {
	if math.IsNaN(f) {
		return ""
	}
	return strconv.Itoa(int(min(max(f, 0), 1)*100)) + "%"
}

func shortHash(h string) string {
	if len(h) > 7 {
		return h[:7]
	}
	return h
}
