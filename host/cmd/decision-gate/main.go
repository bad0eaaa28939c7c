// Command decision-gate runs and tends a Decision Gate host. "decision-gate --help" lists what it can do.
//
// It holds no logic of its own: each file is one command, which reads its flags, calls the package that does the work, and
// says what came of it, to people or, with --json, to programs.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/alecthomas/kong"
)

// version is set by the build.
var version = "0.1.0-dev"

// Exit codes, the same for every command.
const (
	exitOK = 0
	// exitNo: the command did its work and the answer is no: invalid, failed, refused.
	exitNo = 1
	// exitUsage: the command line is wrong.
	exitUsage = 2
	// exitFailed: the command could not do its work.
	exitFailed = 3
)

const exitCodes = "Exit codes: 0 yes, or done; 1 the answer is no; 2 the command line is wrong; 3 the command could not do its work."

const description = "Decision Gate Host: may this run advance? Decided from evidence, recorded so that anyone can check it.\n\n" + exitCodes

// help is the long help of a command. Every one has the same parts.
func help(about, example string) string {
	return about + "\n\n" + exitCodes + "\n\nExample:\n\n    " + example
}

// cli is the command line.
type cli struct {
	ShowVersion kong.VersionFlag `name:"version" help:"Show the version."`

	Serve    serveCommand    `cmd:"" help:"Run a host."`
	Reload   reloadCommand   `cmd:"" help:"Have a running host take over changed plugins, without a call that fails."`
	Validate validateCommand `cmd:"" help:"Check a configuration without starting anything."`
	Doctor   doctorCommand   `cmd:"" help:"List what a configuration opens that is closed by default."`
	Version  versionCommand  `cmd:"" help:"Show the version."`
	Config   struct {
		Import configImportCommand `cmd:"" help:"Make a configuration from one of the open-source Decision Gate."`
	} `cmd:"" help:"Make configurations."`
	Plugin struct {
		Pin     pinCommand           `cmd:"" help:"Write the sum and the manifest of every plugin into the lock file."`
		Doctor  pluginDoctorCommand  `cmd:"" help:"Start each plugin for a moment, and say what is wrong or worth knowing."`
		List    pluginListCommand    `cmd:"" help:"Show the plugins of a running host: state, calls, errors, times."`
		Show    pluginShowCommand    `cmd:"" help:"Show everything of one plugin of a running host."`
		Logs    pluginLogsCommand    `cmd:"" help:"Show the last lines of a plugin of a running host."`
		Restart pluginRestartCommand `cmd:"" help:"Replace the process of a plugin of a running host, without a call that fails."`
		New     pluginNewCommand     `cmd:"" help:"Write a new plugin, which passes its kit."`
		Test    pluginTestCommand    `cmd:"" help:"Run the conformance kit of its kind against a plugin."`
	} `cmd:"" help:"Tend the plugins of a configuration."`
	Store struct {
		Copy    storeCopyCommand    `cmd:"" help:"Copy a store into another, of whatever kind."`
		Backup  storeBackupCommand  `cmd:"" help:"Write a store to a file, while hosts serve it."`
		Restore storeRestoreCommand `cmd:"" help:"Fill an empty store from a backup."`
		Verify  storeVerifyCommand  `cmd:"" help:"Check every run of a store."`
		Stats   storeStatsCommand   `cmd:"" help:"Say what takes the space of a store."`
		Retain  storeRetainCommand  `cmd:"" help:"Remove finished runs of an age, each once its runpack is written."`

		ImportDecisionGate storeImportCommand `cmd:"" help:"Take over the runs and data shapes of the open-source Decision Gate."`
	} `cmd:"" help:"Tend stores."`

	Define    defineCommand    `cmd:"" help:"Define a scenario on a host."`
	Start     startCommand     `cmd:"" help:"Start a run."`
	Next      nextCommand      `cmd:"" help:"Ask whether a run may advance."`
	Trigger   triggerCommand   `cmd:"" help:"Bring an event to a run."`
	Status    statusCommand    `cmd:"" help:"Show where a run stands."`
	Submit    submitCommand    `cmd:"" help:"Hand in a document to be kept with a run."`
	Precheck  precheckCommand  `cmd:"" help:"Try a stage on values that you hand in."`
	Providers providersCommand `cmd:"" help:"Show what a host can be asked for."`
	Schemas   struct {
		List     schemasListCommand     `cmd:"" help:"List data shapes."`
		Get      schemasGetCommand      `cmd:"" help:"Show a data shape."`
		Register schemasRegisterCommand `cmd:"" help:"Register a data shape."`
	} `cmd:"" help:"Tend the data shapes of a host."`
	Scenario struct {
		Lint    lintCommand         `cmd:"" help:"Check a scenario file before it is defined."`
		Explain explainCommand      `cmd:"" help:"Say why a run holds, and what would open it."`
		Graph   graphCommand        `cmd:"" help:"Draw a scenario, as SVG or Mermaid."`
		List    scenarioListCommand `cmd:"" help:"List the scenarios of a host."`
	} `cmd:"" help:"Tend scenarios."`
	Runpack struct {
		Export  exportCommand  `cmd:"" help:"Have a host write the record of a run."`
		Verify  verifyCommand  `cmd:"" help:"Verify a runpack, offline."`
		Inspect inspectCommand `cmd:"" help:"Show what a runpack holds: stages, decisions and evidence."`
	} `cmd:"" help:"Write, check and read runpacks."`

	IsolationFuzz isolationFuzzCommand `cmd:"" help:"Attack a host from two tenants, to show that neither learns anything of the other."`
}

// streams are where a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// exitError is a command's end with another code than 0; a nil err has been told already.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

// no is the end of a command whose answer is no, and that has said why.
func no() error { return &exitError{code: exitNo} }

func main() {
	os.Exit(run(os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr}))
}

// run is main with its surroundings given, and its exit code returned.
func run(args []string, std streams) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	// The second signal ends the process at once, whatever it waits for. Plugins end with their host.
	context.AfterFunc(ctx, stop)

	args, command := cutCommand(args)
	var commands cli
	done := -1
	parser, err := kong.New(&commands,
		kong.Name("decision-gate"),
		kong.Description(description),
		kong.Writers(std.out, std.err),
		kong.Exit(func(code int) { done = code }), // after --help and --version
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Vars{"version": versionLine(), "moment": momentHelp},
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(std),
		kong.Bind(command),
	)
	if err != nil {
		fmt.Fprintln(std.err, err)
		return exitFailed
	}
	bare := len(args) == 0
	switch {
	case bare:
		args = []string{"--help"}
	case args[0] == "help":
		args = append(slices.Clone(args[1:]), "--help")
	}
	parsed, err := parser.Parse(args)
	switch {
	case bare:
		// Not a yes: a pipeline whose variable with the command is empty must not go on.
		return exitUsage
	case done >= 0:
		return done
	case err != nil:
		tellUsage(err, std)
		return exitUsage
	}
	return exitCode(parsed.Run(), std)
}

// tellUsage says what is wrong with the command line, and whose help to read.
func tellUsage(err error, std streams) {
	command := "decision-gate"
	var wrong *kong.ParseError
	if errors.As(err, &wrong) {
		for _, step := range wrong.Context.Path {
			if step.Command != nil {
				command += " " + step.Command.Name
			}
		}
	}
	fmt.Fprintf(std.err, "decision-gate: %s\nTry \"%s --help\".\n", printable(err.Error()), command)
}

func exitCode(err error, std streams) int {
	if err == nil {
		return exitOK
	}
	code := exitFailed
	var exit *exitError
	if errors.As(err, &exit) {
		code, err = exit.code, exit.err
	}
	if errors.Is(err, context.Canceled) {
		err = errors.New("interrupted")
	}
	if err != nil {
		fmt.Fprintf(std.err, "decision-gate: %v\n", err)
	}
	return code
}
