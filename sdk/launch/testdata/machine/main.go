//go:build linux

// Command machine tests sandboxes where nothing else may: it is the first program of a virtual machine, with control groups of
// version 2 that it may divide as it likes, and an older kernel. It prints PASS at the end. See .ci/sandbox-vm.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/decision-gate-host/decision-gate-host/sdk/launch"
	pb "github.com/decision-gate-host/decision-gate-host/sdk/proto/decisiongate/plugin/v1"
	"github.com/decision-gate-host/decision-gate-host/sdk/sandbox"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

const (
	groups = "/sys/fs/cgroup"
	// patience is generous: the machine is emulated.
	patience = 2 * time.Minute
)

var failed bool

func check(ok bool, format string, args ...any) {
	if !ok {
		failed = true
		fmt.Printf("FAIL "+format+"\n", args...)
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	prey := lay()
	fmt.Println("in the first group of the machine")
	all(prey, groups)
	fmt.Println("in a group of a service manager, which is not to be divided")
	own := groups + "/service/host"
	must(os.MkdirAll(own, 0o755))
	must(os.WriteFile(groups+"/cgroup.subtree_control", []byte("+memory +pids"), 0))
	must(os.WriteFile(own+"/cgroup.procs", []byte(fmt.Sprint(os.Getpid())), 0))
	all(prey, "")
	fmt.Println("in one that was delegated")
	must(unix.Setxattr(filepath.Dir(own), "trusted.delegate", []byte("1"), 0))
	all(prey, filepath.Dir(own))
	if !failed {
		fmt.Println("PASS")
	}
}

// lay lays out what a hostile plugin is after.
func lay() string {
	for _, dir := range []string{"/host", "/mine"} {
		must(os.MkdirAll(dir, 0o777))
	}
	for _, name := range []string{"/host/secret", "/host/spare", "/etc/shadow"} {
		must(os.WriteFile(name, []byte("secret"), 0o666))
	}
	text, err := json.Marshal(map[string]any{
		"Secret": "/host/secret", "Folder": "/host", "Mine": "/mine", "Host": os.Getpid(), "Victim": 1,
		"TCP": "127.0.0.1:1", "Allowed": "127.0.0.1:1", "UDP": "127.0.0.1:1", "Socket": "/none", "Spoken": "@none",
	})
	must(err)
	return string(text)
}

// all checks what sandboxes do with groups that are made below parent; empty where none can be.
func all(prey, parent string) {
	memory := &sandbox.Sandbox{Memory: 256 << 20}
	processes := &sandbox.Sandbox{Processes: 64}
	told := fmt.Sprint(memory.Shortfalls(), processes.Shortfalls())
	check(strings.Contains(told, "no control group") == (parent == ""), "parent %q, and the shortfalls are %s", parent, told)
	if parent != "" {
		_, reason := run(memory, "fill memory", parent, "")
		check(reason == "killed by the kernel: out of memory (limit 256 MiB)", "the end for lack of memory: %s", reason)
		answer, _ := run(processes, "fork bomb", parent, "")
		var n int
		_, err := fmt.Sscanf(answer, "%d", &n)
		check(err == nil && n > 0 && n < 64, "the fork bomb got %q", answer)
	}
	box := &sandbox.Sandbox{Write: []string{"/mine"}, Files: 64}
	answer, _ := run(box, "escape", parent, prey)
	report := map[string]string{}
	check(json.Unmarshal([]byte(answer), &report) == nil, "the report is %q", answer)
	var out []string
	for name, got := range report {
		if got == "ESCAPED" {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	check(slices.Equal(out, expected(box)), "got out: %q, but the shortfalls are %v", out, box.Shortfalls())
}

// expected are the ways out that the shortfalls tell of.
func expected(box *sandbox.Sandbox) []string {
	told := fmt.Sprint(box.Shortfalls())
	var out []string
	if strings.Contains(told, "can still be cut off") {
		out = append(out, "cut off a file of the host")
	}
	if strings.Contains(told, "can be sent signals") {
		out = append(out, "signal another process", "signal the host")
	}
	return out
}

// run asks a plugin in a sandbox, and returns its answer and its end.
func run(box *sandbox.Sandbox, question, parent, prey string) (answer, reason string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	p, err := launch.Start(ctx, launch.Spec{Name: "plugin", Path: "/plugin", Sandbox: box, Env: []string{"ESCAPE=" + prey}, StartTimeout: patience})
	must(err)
	_, err = pb.NewPluginClient(p.Conn()).Configure(ctx, &pb.ConfigureRequest{})
	must(err)
	if parent != "" {
		group, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", p.PID()))
		want := strings.TrimPrefix(parent, groups) + "/dg-plugin-"
		check(strings.Contains(string(group), want), "the plugin is in the group %s", group)
	}
	records, err := store.NewClient(p.Conn()).Get(ctx, []store.Key{{Collection: "runs", Path: [][]byte{[]byte(question)}}})
	if err == nil {
		answer = string(records[0].Body)
	} else {
		<-p.Exited()
	}
	p.Kill(time.Second)
	left, _ := filepath.Glob(filepath.Join(groups, "*", "dg-plugin-*"))
	more, _ := filepath.Glob(filepath.Join(groups, "dg-plugin-*"))
	check(len(left)+len(more) == 0, "groups were left: %v %v", left, more)
	return answer, p.ExitReason()
}
