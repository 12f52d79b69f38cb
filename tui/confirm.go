package tui

import (
	"fmt"
	"strings"

	"flexi/core/run"
)

// ConfirmationsText ranks the retrained trials by mean, and says what weight transfer changes; "" without retrainings.
func ConfirmationsText(r run.RunView) string {
	c := run.ConfirmationsOf(r.Trials, r.Objective)
	if c == nil || len(c.Ranking) == 0 {
		return ""
	}
	lines := []string{"rank\ttrial\tmean of retrainings\t95% interval\ttrainings\tscore when chosen\twith transfer\tparameters"}
	for i, k := range c.Ranking {
		transfer := "-"
		if k.Transfer.N > 0 {
			transfer = fmt.Sprintf("%s (%d)", scoreText(k.Transfer.Mean), k.Transfer.N)
		}
		lines = append(lines, strings.Join([]string{
			fmt.Sprint(i + 1), fmt.Sprintf("#%d", k.Trial), scoreText(k.Scratch.Mean), intervalText(k.Scratch), fmt.Sprint(k.Scratch.N), scoreText(k.First), transfer,
			paramsText(r.Trials[k.Trial].Params),
		}, "\t"))
	}
	out := "\nconfirmed, by " + objectiveText(r.Objective) + " of retrainings (the score when chosen is not in the mean):\n" + rows(lines...)
	out += fmt.Sprintf("scores when chosen exceed these means by %s\n", effectText(c.Excess))
	if l := c.Lead; l.Low != nil {
		out += "the first leads the second by " + effectText(l)
		if *l.Low <= 0 {
			out += ": no difference above the noise"
		}
		out += "\n"
	}
	if e := c.Transfer; e != nil {
		out += fmt.Sprintf("weight transfer, %s of the same seed: score %s, time %s s (%.0f%% of the time without)", plural(e.Pairs, "pair"), effectText(e.Score), effectText(e.Seconds), 100*e.TimeShare)
		if loss, ok := e.Parts[run.ValidationLoss]; ok {
			out += ", " + run.ValidationLoss + " " + effectText(loss)
		}
		out += "\n"
	}
	return out
}

func intervalText(s run.Sample) string {
	if s.Low == nil {
		return "-"
	}
	return scoreText(*s.Low) + " to " + scoreText(*s.High)
}

// effectText is a difference with its sign and interval.
func effectText(s run.Sample) string {
	if s.Low == nil {
		return fmt.Sprintf("%+.2f (one measurement)", s.Mean)
	}
	return fmt.Sprintf("%+.2f (95%% interval %+.2f to %+.2f)", s.Mean, *s.Low, *s.High)
}

// confirmedLines are the first of the ranking, for the run's facts.
func confirmedLines(c *run.Confirmations, w int) []textLine {
	if c == nil || len(c.Ranking) == 0 {
		return nil
	}
	k := c.Ranking[0]
	text := fmt.Sprintf("#%d, mean %s of %s", k.Trial, scoreText(k.Scratch.Mean), plural(k.Scratch.N, "retraining"))
	if k.Scratch.Low != nil {
		text += " (" + intervalText(k.Scratch) + ")"
	}
	if t := c.Transfer; t != nil {
		text += fmt.Sprintf("; transfer: score %s, %.0f%% of the time", scoreText(t.Score.Mean), 100*t.TimeShare)
	}
	return wrapped("confirmed", text, strong, w)
}
