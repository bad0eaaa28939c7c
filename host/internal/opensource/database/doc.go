// Package database reads the runs and data shapes of a database of the open-source Decision Gate and makes of them what this
// host keeps, so that a run exports the same runpack as before and goes on where it stood.
//
// It opens no database: a program of the SQLite plugin does, and writes what it finds as a stream of lines (stream.go). Every
// document is checked against its hash and its key before it is believed (check.go), and divided into steps (convert.go).
package database
