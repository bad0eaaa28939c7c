package sandbox

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// groupName is the name of the control groups of programs, for os.MkdirTemp.
const groupName = "dg-plugin-*"

// Group is a control group with a program and all that it starts, whatever that does to get away. Nil does nothing.
type Group struct {
	path string
	lock *os.File // held while the group is in use, so that nobody takes it for one of a dead process
	size int64
}

// delegate is what helps where no control group can be made.
const delegate = `under systemd, "Delegate=memory pids" and "DelegateSubgroup=host" in the unit let the host make them`

// newGroupParent is the group below which groups for a sandbox can be made, or why there is none.
func newGroupParent(s *Sandbox) (string, error) {
	mount, own, err := ownGroup()
	if err != nil {
		return "", err
	}
	var need []string
	if s.Memory > 0 {
		need = append(need, "memory")
	}
	if s.Processes > 0 {
		need = append(need, "pids")
	}
	// One that belongs to the service manager is not ours to divide, even where root may.
	candidates := []string{filepath.Join(mount, own)}
	if own != "/" {
		candidates = []string{filepath.Join(mount, own), filepath.Join(mount, filepath.Dir(own))}
		candidates = slices.DeleteFunc(candidates, func(dir string) bool { return !delegated(dir) })
	}
	err = errors.New("no control group can be made: that of the host is not delegated to it; " + delegate)
	for _, dir := range candidates {
		if err = canDivide(dir, need); err == nil {
			return dir, nil
		}
	}
	return "", err
}

// ownGroup is where the control groups (version 2) are mounted, and the path of this process's own.
func ownGroup() (mount, own string, err error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", "", err
	}
	for line := range strings.Lines(string(mounts)) {
		if before, after, ok := strings.Cut(line, " - "); ok && strings.HasPrefix(after, "cgroup2 ") {
			mount = strings.Fields(before)[4]
			break
		}
	}
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", "", err
	}
	for line := range strings.Lines(string(groups)) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			own = path
		}
	}
	if mount == "" || own == "" {
		return "", "", errors.New("no control group can be made: this machine has none of version 2")
	}
	return mount, own, nil
}

func delegated(dir string) bool {
	var value [1]byte
	for _, name := range []string{"trusted.delegate", "user.delegate"} {
		if n, err := unix.Getxattr(dir, name, value[:]); err == nil && n == 1 && value[0] == '1' {
			return true
		}
	}
	return false
}

// canDivide says what keeps a group from having others below it in which the controllers that are needed work.
func canDivide(dir string, need []string) error {
	if unix.Access(dir, unix.W_OK) != nil || unix.Access(filepath.Join(dir, "cgroup.procs"), unix.W_OK) != nil {
		return fmt.Errorf("no control group can be made in %s: this user may not write there; %s", dir, delegate)
	}
	given, there := words(dir, "cgroup.subtree_control"), words(dir, "cgroup.controllers")
	for _, controller := range need {
		switch {
		case slices.Contains(given, controller):
		case !slices.Contains(there, controller):
			return fmt.Errorf("no control group for it can be made: %s has no controller %q", dir, controller)
		case !isRoot(dir) && len(words(dir, "cgroup.procs")) > 0:
			return fmt.Errorf("no control group for it can be made: there are processes in %s itself; %s", dir, delegate)
		}
	}
	return nil
}

// isRoot says whether a group is the first of the machine, which alone may have processes beside groups with controllers.
func isRoot(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "cgroup.type"))
	return errors.Is(err, os.ErrNotExist)
}

func words(dir, file string) []string {
	text, _ := os.ReadFile(filepath.Join(dir, file))
	return strings.Fields(string(text))
}

// newGroup makes a group with the limits of a sandbox; nil where none can be made.
func newGroup(s *Sandbox) (*Group, error) {
	parent, err := newGroupParent(s)
	if err != nil {
		return nil, nil
	}
	sweepGroups(parent)
	limits := map[string]string{}
	if s.Memory > 0 {
		limits["memory.max"], limits["memory.oom.group"] = strconv.FormatInt(s.Memory, 10), "1"
		enable(parent, "+memory")
	}
	if s.Processes > 0 {
		limits["pids.max"] = strconv.FormatInt(s.Processes, 10)
		enable(parent, "+pids")
	}
	path, err := os.MkdirTemp(parent, groupName)
	if err != nil {
		return nil, fmt.Errorf("make a control group: %w", err)
	}
	g := &Group{path: path, size: s.Memory}
	if g.lock, err = os.Open(path); err == nil {
		err = unix.Flock(int(g.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	}
	for name, value := range limits {
		if err == nil {
			err = os.WriteFile(filepath.Join(path, name), []byte(value), 0)
		}
	}
	if err != nil {
		g.End()
		return nil, fmt.Errorf("set the limits of a control group: %w", err)
	}
	if s.Memory > 0 {
		// What is swapped out is not counted. A machine without swap has no such file.
		_ = os.WriteFile(filepath.Join(path, "memory.swap.max"), []byte("0"), 0)
	}
	return g, nil
}

// enable gives a controller to the groups below; setting the limit says when it could not be.
func enable(dir, controller string) {
	_ = os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte(controller), 0)
}

// sweepGroups removes the groups that killed hosts have left behind: those that nobody has locked.
func sweepGroups(parent string) {
	left, _ := filepath.Glob(filepath.Join(parent, groupName))
	for _, path := range left {
		lock, err := os.Open(path)
		if err != nil {
			continue
		}
		// A group that was made this instant is not locked yet; it is in use a moment later, and not empty for long.
		if unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil && old(lock) {
			_ = os.Remove(path)
		}
		_ = lock.Close()
	}
}

// youngGroup is the age below which a group may still be one that is being made.
const youngGroup = time.Minute

func old(dir *os.File) bool {
	info, err := dir.Stat()
	return err == nil && time.Since(info.ModTime()) > youngGroup
}

// OutOfMemory is the number of the group's processes that the kernel has killed for lack of memory.
func (g *Group) OutOfMemory() uint64 {
	if g == nil || g.size == 0 {
		return 0
	}
	text, _ := os.ReadFile(filepath.Join(g.path, "memory.events"))
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		if count, ok := strings.CutPrefix(lines.Text(), "oom_kill "); ok {
			kills, _ := strconv.ParseUint(count, 10, 64)
			return kills
		}
	}
	return 0
}

// Kill kills everything in the group.
func (g *Group) Kill() {
	if g != nil {
		_ = os.WriteFile(filepath.Join(g.path, "cgroup.kill"), []byte("1"), 0)
	}
}

// groupEnd bounds the wait for the processes of a group that were killed.
const groupEnd = 2 * time.Second

// End kills what is left in the group and removes it.
func (g *Group) End() {
	if g == nil {
		return
	}
	for deadline := time.Now().Add(groupEnd); ; time.Sleep(2 * time.Millisecond) {
		g.Kill()
		if err := os.Remove(g.path); err == nil || errors.Is(err, os.ErrNotExist) || time.Now().After(deadline) {
			break
		}
	}
	_ = g.lock.Close()
}
