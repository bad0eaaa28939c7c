package catalog

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// maxLinks is the most symbolic links that a path leads through, as on Linux.
const maxLinks = 40

// safeToExecute refuses a program that other users of the machine can replace: whoever can write a plugin, or rename a
// folder above it, becomes the host's user at its next start (as in CVE-2025-6000). It looks at every folder and symbolic
// link on the way.
func safeToExecute(path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	const root = string(filepath.Separator)
	current, rest := root, components(path)
	if err := safeEntry(root, len(rest)); err != nil {
		return err
	}
	for links := 0; len(rest) > 0; {
		next := filepath.Join(current, rest[0])
		rest = rest[1:]
		if err := safeEntry(next, len(rest)); err != nil {
			return err
		}
		target, err := os.Readlink(next)
		if err != nil {
			current = next // not a link
			continue
		}
		if links++; links > maxLinks {
			return fmt.Errorf("%s leads through more than %d symbolic links", path, maxLinks)
		}
		if filepath.IsAbs(target) {
			current = root
		}
		rest = append(components(target), rest...)
	}
	return nil
}

func components(path string) []string {
	return slices.DeleteFunc(strings.Split(filepath.Clean(path), string(filepath.Separator)), func(c string) bool { return c == "" })
}

// safeEntry refuses a file, folder or link that is another user's to change. Below is how far it is above the program: 0
// is the program, 1 its folder.
func safeEntry(name string, below int) error {
	info, err := os.Lstat(name)
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return errors.New("the owner of " + name + " is not known on this system")
	}
	if !trustedOwner(stat.Uid) {
		return fmt.Errorf("%s belongs to %s, who could replace the plugin: chown %s %s", name, userName(stat.Uid), userName(uint32(os.Geteuid())), name)
	}
	mode := info.Mode()
	switch {
	case mode&fs.ModeSymlink != 0 || mode.Perm()&0o022 == 0:
		return nil // the mode of a link means nothing
	case below > 0 && mode&fs.ModeSticky != 0:
		return nil // such as /tmp, in which nobody can rename what is another's
	case below > 1 && mode.Perm()&0o002 == 0 && stat.Gid == privateGroup():
		return nil // of a user who is alone in a group of that name, as some systems make them
	}
	return fmt.Errorf("%s can be written by other users, who could replace the plugin: chmod go-w %s", name, name)
}

// trustedOwner says whether a user can do what the host's user can already.
func trustedOwner(uid uint32) bool {
	return uid == 0 || int(uid) == os.Geteuid() || uid == unmappedOwner()
}

// noOwner is no user's id.
const noOwner = ^uint32(0)

// unmappedOwner is the owner that files of users show who do not exist in the host's namespace, as in a container without
// root. None of them can be another user of it. noOwner outside of such a namespace.
var unmappedOwner = sync.OnceValue(func() uint32 {
	mapped, err := os.ReadFile("/proc/self/uid_map")
	if fields := strings.Fields(string(mapped)); err != nil || len(fields) == 3 && fields[2] == strconv.FormatUint(1<<32-1, 10) {
		return noOwner
	}
	text, err := os.ReadFile("/proc/sys/kernel/overflowuid")
	uid, numberErr := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 32)
	if errors.Join(err, numberErr) != nil {
		return noOwner
	}
	return uint32(uid)
})

// privateGroup is the group of the host's user when it has the same name; noOwner otherwise.
var privateGroup = sync.OnceValue(func() uint32 {
	own, err := user.Current()
	if err != nil {
		return noOwner
	}
	group, err := user.LookupGroupId(own.Gid)
	gid, numberErr := strconv.ParseUint(own.Gid, 10, 32)
	if errors.Join(err, numberErr) != nil || group.Name != own.Username {
		return noOwner
	}
	return uint32(gid)
})

func userName(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if found, err := user.LookupId(id); err == nil {
		return found.Username
	}
	return id
}
