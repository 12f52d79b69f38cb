// Package tui is the workbench: it shows the runs of a workspace and sends commands to them.
//
// Everything on the screen comes from a run.Snapshot, and View is a pure function of (snapshot, view state, theme, clock). A frame is a grid of
// cells of exactly the window's size; panes draw into rectangles of it and cannot leave them. Snapshots arrive through a one-slot mailbox that a
// command waits on, so a slow terminal never holds up training. One table of key bindings (keys.go) feeds dispatch, help, palette and footer.
//
// Where there is no terminal, Plain and the *Text functions say the same in lines of text.
package tui
