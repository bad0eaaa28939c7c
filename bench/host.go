package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// configuration is that of the quick start: one provider, as few settings as it needs.
const configuration = `
plugin_dir = %q
server {
  http { listen = "127.0.0.1:0" }
}
%s
evidence "time" {}
trust { min_lane = "asserted" }
namespace {
  allow_default   = true
  default_tenants = [%s]
}
schemas {
  acl { allow_local = true }
}
`

// sqliteStore keeps everything beside the configuration.
const sqliteStore = `plugin "store" "sqlite" {
  command = "store-sqlite"
  config { path = "gate.db" }
}`

// runningHost is "decision-gate serve" with its data in a folder of its own.
type runningHost struct {
	cmd *exec.Cmd
	url string
	dir string
	// pids are those of the host and of its store plugin.
	pids map[string]int
	// server is the database server whose time counts as well, nil for a store that needs none.
	server *database
}

var (
	hostsMu sync.Mutex
	hosts   = map[*runningHost]bool{}
)

// endHosts kills what an interrupted run leaves.
func endHosts() {
	hostsMu.Lock()
	defer hostsMu.Unlock()
	for h := range hosts {
		_ = h.cmd.Process.Kill()
		_ = os.RemoveAll(h.dir)
	}
}

// startHost starts decision-gate as startProgram does.
func startHost(bin, store string, tenants int) (*runningHost, error) {
	return startProgram(bin, "decision-gate", store, tenants)
}

// startProgram starts a host with a store, given as its block in the configuration, for tenants from 1 on.
func startProgram(bin, program, store string, tenants int) (*runningHost, error) {
	bin, err := filepath.Abs(bin)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return nil, err
	}
	h := &runningHost{dir: dir}
	if err := os.WriteFile(h.path("host.hcl"), fmt.Appendf(nil, configuration, bin, store, list(tenants)), 0o600); err != nil {
		return nil, err
	}
	log, err := os.Create(h.path("host.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	h.cmd = exec.Command(filepath.Join(bin, program), "serve", "--json", "--config", h.path("host.hcl"))
	h.cmd.Stderr = log
	out, err := h.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := h.cmd.Start(); err != nil {
		return nil, fmt.Errorf("%w; \"make build\" makes it", err)
	}
	hostsMu.Lock()
	hosts[h] = true
	hostsMu.Unlock()
	var announced struct{ RPC string }
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &announced)
	}
	if err != nil {
		text, _ := os.ReadFile(h.path("host.log"))
		return nil, errors.Join(fmt.Errorf("the host did not start: %w\n%s", err, text), h.end())
	}
	h.url = announced.RPC
	return h, h.findPlugin()
}

// list is "1, 2, 3" up to a number.
func list(last int) string {
	var words []string
	for n := 1; n <= last; n++ {
		words = append(words, strconv.Itoa(n))
	}
	return strings.Join(words, ", ")
}

func (h *runningHost) path(name string) string { return filepath.Join(h.dir, name) }

// logged are the attributes of the log's last line with this message.
func (h *runningHost) logged(message string, attributes any) error {
	text, err := os.ReadFile(h.path("host.log"))
	if err != nil {
		return err
	}
	lines := strings.Split(string(text), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		if strings.Contains(lines[i], `"msg":"`+message+`"`) {
			return json.Unmarshal([]byte(lines[i]), attributes)
		}
	}
	return fmt.Errorf("the host has not logged %q", message)
}

func (h *runningHost) findPlugin() error {
	var running struct{ PID int }
	if filepath.Base(h.cmd.Path) == "linkedhost" {
		h.pids = map[string]int{"host": h.cmd.Process.Pid}
		return nil
	}
	if err := h.logged("plugin is running", &running); err != nil {
		return err
	}
	h.pids = map[string]int{"host": h.cmd.Process.Pid, "store": running.PID}
	return nil
}

// cpu is the time that each process has run, user and system together; that of a database server with all of its processes.
func (h *runningHost) cpu() (map[string]time.Duration, error) {
	spent := map[string]time.Duration{}
	for name, pid := range h.pids {
		stat, err := readStat(pid)
		if err != nil {
			return nil, err
		}
		spent[name] = stat.ran
	}
	if h.server == nil {
		return spent, nil
	}
	var err error
	spent["postgres"], err = h.server.cpu()
	return spent, err
}

// written is how many bytes host and store plugin have handed to the file system.
func (h *runningHost) written() (total int64, err error) {
	for _, pid := range h.pids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
		if err != nil {
			return 0, err
		}
		n, err := procNumber(text, "\nwrite_bytes:")
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

// procNumber is the number behind a name in a file of /proc.
func procNumber(text []byte, name string) (int64, error) {
	_, rest, found := strings.Cut(string(text), name)
	if !found {
		return 0, fmt.Errorf("/proc tells no %s", strings.TrimSpace(name))
	}
	return strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
}

// peakRSS is the most memory that each process has had, in bytes.
func (h *runningHost) peakRSS() (map[string]int64, error) {
	peak := map[string]int64{}
	for name, pid := range h.pids {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			return nil, err
		}
		kib, err := procNumber(status, "VmHWM:")
		if err != nil {
			return nil, err
		}
		peak[name] = kib << 10
	}
	return peak, nil
}

// end stops the host in order.
func (h *runningHost) end() error {
	hostsMu.Lock()
	delete(hosts, h)
	hostsMu.Unlock()
	_ = h.cmd.Process.Signal(syscall.SIGTERM)
	force := time.AfterFunc(30*time.Second, func() { _ = h.cmd.Process.Kill() })
	defer force.Stop()
	return h.cmd.Wait()
}

func (h *runningHost) remove() error { return os.RemoveAll(h.dir) }
