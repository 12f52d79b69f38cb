// Package chart draws small charts into a grid of terminal cells: lines, steps and points over filled uncertainty bands, with linear or
// logarithmic axes. One chart has four forms: braille dots, block quadrants, ASCII, and a table of its numbers.
//
// The package knows no colours. Each cell carries a Role, and whoever shows the Image decides what a role looks like; series also differ by
// dash pattern and mark, so a chart says the same without colour. Drawing never fails: whatever does not fit is left out, and values that are
// not finite (or not positive on a logarithmic axis) are skipped.
package chart
