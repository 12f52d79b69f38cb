package tui

import "flexi/core/run"

// Messages of the workbench, beside Bubble Tea's own.
type (
	// snapshotMsg is the newest picture from the controller.
	snapshotMsg struct{ snapshot *run.Snapshot }
	// feedClosedMsg says that no snapshots will come any more.
	feedClosedMsg struct{}
	// tickMsg moves the clock while something is under way.
	tickMsg struct{}
	// replyMsg is what became of a command.
	replyMsg struct {
		verb  run.Verb
		reply run.Reply
		err   error
	}
	// inspectionMsg describes the trial in the inspector.
	inspectionMsg struct {
		of         subject
		inspection run.Inspection
		err        error
	}
	// pointsMsg brings learning curves.
	pointsMsg struct {
		of     subject
		points []run.Point
		err    error
	}
)

// subject names a trial.
type subject struct {
	run   string
	trial int
}
