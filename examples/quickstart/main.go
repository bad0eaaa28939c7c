// Command quickstart shows Decision Gate Host at work: it gates this repository's own change. Everything it defines lies
// beside it to be changed: host.hcl, scenario.json, reviews and the sample module under test.
//
// It is a client like any other: it runs the program decision-gate, speaks JSON-RPC to it, and uses no package of the host.
// Each step says what must happen and fails when something else does, so that it is a test as well.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

// Exit codes beside 0: exitHeld is a step that did not go as it says, exitInterrupted what shells expect after Ctrl-C.
const (
	exitHeld        = 1
	exitInterrupted = 130
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout *os.File, stderr io.Writer) int {
	flags := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	flags.SetOutput(stderr)
	var d demo
	flags.StringVar(&d.bin, "bin", "bin", "folder of decision-gate and its plugins")
	flags.StringVar(&d.files, "files", filepath.Join("examples", "quickstart"), "folder of host.hcl, scenario.json, reviews and sample")
	flags.StringVar(&d.repo, "repo", ".", "root of the repository that is gated")
	flags.BoolVar(&d.keep, "keep", false, "keep the folder with the evidence, the database and the runpack")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	d.screen = newScreen(stdout)
	err := d.prepare()
	if err == nil {
		err = d.play(ctx)
	}
	interrupted := ctx.Err() != nil
	err = errors.Join(err, d.tidyUp())
	switch {
	case interrupted:
		fmt.Fprintln(stderr, "\nInterrupted. What the demo had started has ended.")
		return exitInterrupted
	case err != nil:
		fmt.Fprintf(stderr, "\nThe demo stopped: %v\n", err)
		return exitHeld
	}
	return 0
}
