module github.com/decision-gate-host/decision-gate-host/examples/quickstart

go 1.26.0

require golang.org/x/sys v0.49.0
