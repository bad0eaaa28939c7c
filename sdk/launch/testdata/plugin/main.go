// Command plugin is a store plugin for the tests of package launch. Its first argument says how it misbehaves.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc/credentials/insecure"

	sdk "github.com/decision-gate-host/decision-gate-host/sdk"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/handshake"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

func main() {
	mode := ""
	if len(os.Args) > 1 {
		mode = os.Args[1]
	}
	if misbehave, ok := before[mode]; ok {
		misbehave()
	}
	sdk.Serve(sdk.Plugin{
		Name: "store-test", Version: "1.2.3", Capabilities: []string{"changes"},
		Config: sdk.ConfigSchema{Attributes: []sdk.Attribute{
			{Name: "greeting", Type: sdk.String, Default: `"hello"`},
			{Name: "secret", Type: sdk.String, Secret: true},
		}},
		OpenStore: func(_ context.Context, config json.RawMessage) (store.Store, error) {
			sdk.Logger().Info("opened", "config", string(config))
			return &backend{config: config}, nil
		},
	})
}

// before is what a mode does instead of serving, or before it.
var before = map[string]func(){
	"garbage": func() { fmt.Println("hello \x1b[31mworld"); time.Sleep(time.Hour) },
	"garbage-exit": func() {
		fmt.Println("usage: plugin [flags]")
		os.Exit(2)
	},
	"exit": func() {
		fmt.Fprintln(os.Stderr, "cannot find my licence")
		os.Exit(3)
	},
	"panic": func() { panic("no such luck") },
	"memory": func() {
		// Bounded here, so that the test cannot harm the machine.
		if err := syscall.Setrlimit(syscall.RLIMIT_DATA, &syscall.Rlimit{Cur: 64 << 20, Max: 64 << 20}); err != nil {
			panic(err)
		}
		debug.SetGCPercent(-1) // the collector may be the one that is refused, and then dies in other ways
		var all [][]byte
		for {
			all = append(all, bytes.Repeat([]byte("x"), 1<<20))
		}
	},
	"abort": func() {
		debug.SetTraceback("crash")
		panic("no such luck")
	},
	"segfault":       func() { _ = syscall.Kill(os.Getpid(), syscall.SIGSEGV); time.Sleep(time.Hour) },
	"other-protocol": func() { serveHandshake("1|7|unix|", certificate(), insecure.NewCredentials()) },
	"deaf":           deaf,
	"hang":           func() { time.Sleep(time.Hour) },
	"no-certificate": func() { fmt.Println("1|1|tcp|127.0.0.1:1|grpc|"); time.Sleep(time.Hour) },
	"flood": func() {
		block := strings.Repeat("x", 1<<16)
		for {
			fmt.Print(block)
		}
	},
	"impostor":  impostor,
	"plaintext": plaintext,
	"child": func() {
		// A child that keeps stderr and outlives its parent, unless the group is killed.
		cmd := exec.Command("/bin/sleep", "1000")
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			panic(err)
		}
		fmt.Fprintln(os.Stderr, "child", cmd.Process.Pid)
	},
	"daemon": func() {
		// A child that has left the group and keeps stderr: nothing but the host's own deadline ends the reading.
		cmd := exec.Command("/bin/sleep", "1000")
		cmd.Stderr = os.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := cmd.Start(); err != nil {
			panic(err)
		}
		fmt.Fprintln(os.Stderr, "child", cmd.Process.Pid)
	},
	// With the control descriptor forgotten only Pdeathsig ends the process with its parent, and the other way round.
	"ignore-control": func() { os.Unsetenv(handshake.ControlEnv) },
}

// maxFill is how many MiB a plugin takes that fills the memory, so that the test cannot harm the machine.
const maxFill = 2048

// backend answers about its own process: the body of each record is what its path's first segment asks for.
type backend struct {
	store.Store
	config []byte
}

func (b *backend) Describe(context.Context) (store.Description, error) {
	return store.Description{MaxKeys: store.MaxKeys}, nil
}

func (b *backend) Close() error {
	sdk.Logger().Info("closed")
	return nil
}

func (b *backend) Get(ctx context.Context, keys []store.Key) ([]store.Record, error) {
	records := make([]store.Record, len(keys))
	for i, key := range keys {
		question := string(key.Path[0])
		sdk.Logger().Info(question + " begins")
		switch question {
		case "environment":
			records[i] = record(key, strings.Join(os.Environ(), "\n"))
		case "config":
			records[i] = record(key, string(b.config))
		case "panic":
			panic("secret detail")
		case "crash":
			go panic("crashed in a goroutine")
			time.Sleep(time.Hour)
		case "print":
			fmt.Println(strings.Repeat("printed ", 1<<15))
			fmt.Println("the end of printing")
			records[i] = record(key, "done")
		case "long line":
			// 100 MB without an end of line.
			block := bytes.Repeat([]byte("x"), 1<<20)
			for range 100 {
				os.Stderr.Write(block)
			}
			os.Stderr.WriteString("\nthe end of the long line\n")
			records[i] = record(key, "done")
		case "escape":
			records[i] = record(key, escape(os.Getenv("ESCAPE")))
		case "fork bomb":
			records[i] = record(key, forkBomb())
		case "identity":
			records[i] = record(key, fmt.Sprint(os.Getuid(), os.Getgid(), os.Getenv("TMPDIR"), " ", len(os.Environ())))
		case "fill memory":
			debug.SetGCPercent(-1)
			var all [][]byte
			for range maxFill {
				all = append(all, bytes.Repeat([]byte("x"), 1<<20))
			}
			records[i] = record(key, fmt.Sprint(len(all)))
		case "wait":
			<-ctx.Done()
			return nil, fault.New(fault.Unavailable, "waited")
		case "slow":
			time.Sleep(100 * time.Millisecond)
			records[i] = record(key, "slow")
		}
	}
	return records, nil
}

func (b *backend) Changes(ctx context.Context, _ uint64, yield func(store.ChangeSet) error) error {
	if err := yield(store.ChangeSet{Complete: 1}); err != nil {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}

func record(key store.Key, body string) store.Record {
	return store.Record{Key: key, Version: 1, Revision: 1, Body: []byte(body), SHA256: sha256.Sum256([]byte(body))}
}
