package run

import (
	"context"
	"encoding/json"
	"errors"
	"io"
)

// ErrPaused is returned by Job.Train when it stopped at a step boundary because the worker asked, after saving a checkpoint.
var ErrPaused = errors.New("paused at a step boundary")

// ErrWait is returned by Job.Next when nothing can be proposed before a running trial finishes.
var ErrWait = errors.New("waiting for results")

// ErrDone is returned by Job.Next when the run is finished although its budget is not used up (converged, space exhausted).
var ErrDone = errors.New("nothing left to propose")

// Final marks an error of Job.Train that a second attempt would meet again, because a training depends on its trial and seed alone: it is not tried again.
func Final(err error) error { return finalError{err} }

// IsFinal reports whether an error was marked by Final.
func IsFinal(err error) bool {
	_, ok := errors.AsType[finalError](err)
	return ok
}

type finalError struct{ error }

func (e finalError) Unwrap() error { return e.error }

// Kind makes jobs of one sort of run.
type Kind interface {
	// Name is what Run.Kind holds.
	Name() string
	// Open prepares a run for work. state is what Job.State last returned and the store kept, nil for a new run. r.Config is complete and valid.
	Open(ctx context.Context, r Run, trials []Trial, state []byte) (Job, error)
}

// Describer is a Kind that can describe a trial of a run that is not open, from the trial alone.
type Describer interface {
	Describe(r Run, t Trial) (Inspection, error)
}

// Freezer is a Kind whose trainings look at Worker.Frozen.
type Freezer interface {
	// FreezeRule checks the rule that a layer search of the run would end with, "" its own, and returns it written out.
	FreezeRule(r Run, t Trial, rule string) (string, error)
}

// Job is an open run. Next, State, View and Inspect are called by one goroutine at a time; Train by several workers at once, beside them.
type Job interface {
	// Next proposes the next trial from everything proposed so far (finished, running and failed), in the order of proposal.
	// It returns ErrWait or ErrDone where there is nothing to propose. It may take seconds; ctx ends it.
	Next(ctx context.Context, trials []Trial) (Trial, error)
	// State is what Open needs to go on as if nothing had happened; stored together with each proposal.
	State() ([]byte, error)
	// Train trains a trial, from its checkpoint if it has one, until it is done, fails, is not worth going on with (Enough), or must pause (ErrPaused).
	Train(ctx context.Context, t Trial, w Worker) (Result, error)
	// View is what the surrogate thinks now, for the workbench; nil if the policy has no surrogate.
	View() *Surrogate
	// Inspect describes a trial's architecture and its surroundings.
	Inspect(t Trial, trials []Trial) (Inspection, error)
	// Close frees what the job holds.
	Close() error
}

// Worker is what Train may ask of the slot it runs in. All methods are safe from the training goroutine and never block on viewers.
type Worker interface {
	// Slot is the worker's number from 0; Slots how many there are. Each slot owns Threads processor threads.
	Slot() int
	Slots() int
	Threads() int
	// ShouldPause is asked at step boundaries; when true, Train saves a checkpoint with Save and returns ErrPaused.
	ShouldPause() bool
	// Frozen is the rule by which a person wants the layer search to end with what it has found; "" lets it go on.
	Frozen() string
	// Progress replaces the slot's progress line.
	Progress(Progress)
	// Points appends to the trial's learning curves.
	Points(...Point)
	// Event adds a line to the run's history.
	Event(kind, text string)
	// Save makes a checkpoint of the half-trained trial durable and returns when it is.
	Save(ctx context.Context, write func(io.Writer) error) error
	// Measured makes what was measured of the training, by the names of criteria, durable.
	Measured(ctx context.Context, measures map[string]float64) error
	// Reached makes the trial's arrival at a rung durable, with judge's decision over all trials of the run. Coming there again gives the same decision.
	Reached(ctx context.Context, name string, value float64, judge func(trials []Trial) Rung) (Rung, error)
	// Open reads a blob: a checkpoint, or another trial's weights.
	Open(blob string) (io.ReadCloser, error)
}

// Result is a finished training.
type Result struct {
	Score   float64
	Scores  map[string]float64
	Parent  int
	Overlap float64
	Params  int64           // replaces Trial.Params unless 0
	Detail  json.RawMessage // Trial.Detail
	// Weights writes the trained weights; nil if they are not kept.
	Weights func(io.Writer) error
}

// Surrogate is the policy's model of the objective over the architectures it considers, sorted by acquisition (best first), for charts.
type Surrogate struct {
	Fitted     int     // trials it has seen
	Loss       float64 // its negative log-likelihood
	FitSeconds float64
	Candidates []Candidate // at most a few hundred, spread over the ranking, the best always included
	Queue      []Candidate // what it would pick next
}

// Candidate is one architecture in the surrogate's eyes.
type Candidate struct {
	Hash    string
	Title   string
	Params  int64
	Predict Prediction
	Trial   int // trial id if it was proposed already, else -1
	Why     string
}

// Inspection is everything about one architecture.
type Inspection struct {
	Hash       string
	Title      string
	Arch       json.RawMessage
	Layers     []LayerRow
	Params     int64
	Parts      []Part
	Graph      []string // the computational graph, drawn in lines of text
	Neighbours []Neighbour
	Map        []Place      // the embedding around it, seen in two dimensions; none if there is no embedding
	Choice     *LayerChoice `json:",omitempty"`
}

// LayerChoice is how a trial chooses the layers that get adapters, beside the learning curves of the search (package selection names them).
type LayerChoice struct {
	Steps   int    // outer steps of the layer search; 0 if the layers are not searched for
	Rule    string // that turns alphas into layers
	Average int    // how many of the last alphas the rule is given the mean of
	Mode    string // of the outer gradient
	// InnerSteps are the updates of the adapters before each one of alpha; the learning rates are those of adapters and alpha.
	InnerSteps           int
	InnerRate, AlphaRate float64
	Chosen               []int  // layers with adapters, ascending; nil until they are chosen
	Warning              string // what is odd about the choice
}

// Place is an architecture on a map of the embedding: its coordinates along the two directions in which the library spreads most.
type Place struct {
	Hash  string
	Trial int // -1 if never proposed
	X, Y  float64
}

// Part is a share of the parameters.
type Part struct {
	Name   string
	Params int64
}

// Neighbour is an architecture near another.
type Neighbour struct {
	Hash     string
	Title    string
	Distance float64 // in the embedding
	Overlap  float64 // of weights that would be transferred
	Edit     string  // "layer 2: wma→sdp"
	Trial    int     // -1 if never proposed
	Score    *float64
}
