package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
)

// Check finds settings that cannot be honoured, as a *SettingError each.
func (s *Sandbox) Check() error {
	var errs []error
	for _, list := range []struct {
		setting string
		paths   []string
	}{{"read", s.Read}, {"write", s.Write}} {
		for _, path := range list.paths {
			switch _, err := os.Stat(path); {
			case !filepath.IsAbs(path):
				errs = append(errs, wrong(list.setting, "%s is not absolute", path))
			case errors.Is(err, fs.ErrNotExist):
				errs = append(errs, wrong(list.setting, "%s is not there: make it, since a program can only be let into what exists", path))
			case err != nil:
				errs = append(errs, wrong(list.setting, "%v", err))
			}
		}
	}
	if !slices.Contains([]string{"", None, Any}, s.Network) {
		errs = append(errs, wrong("network", "%q is neither %q nor %q", s.Network, None, Any))
	}
	if s.Connect != nil && s.Network != Any {
		errs = append(errs, wrong("connect", "it lists ports, but network is not %q", Any))
	}
	if s.User != "" {
		_, err := s.credentials()
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// credentials of a process; nil is those of this one.
type credentials struct {
	UID, GID int
	Groups   []int
}

func (s *Sandbox) credentials() (*credentials, error) {
	if s.User == "" {
		return nil, nil
	}
	found, err := user.Lookup(s.User)
	if err != nil {
		return nil, wrong("user", "there is no user %q on this machine", s.User)
	}
	ids, err := found.GroupIds()
	if err != nil {
		return nil, wrong("user", "the groups of %s are not known: %w", s.User, err)
	}
	out := &credentials{}
	for _, id := range append([]string{found.Uid, found.Gid}, ids...) {
		n, err := strconv.Atoi(id)
		if err != nil {
			return nil, wrong("user", "%s has the id %q", s.User, id)
		}
		out.Groups = append(out.Groups, n)
	}
	out.UID, out.GID, out.Groups = out.Groups[0], out.Groups[1], out.Groups[2:]
	switch {
	case out.UID == 0:
		return nil, wrong("user", "root may do everything: name a user who may do little")
	case out.UID == os.Geteuid():
		return nil, nil
	case os.Geteuid() != 0:
		return nil, wrong("user", "the host runs as user id %d, and only root can start a program as %s: start the host as root, or as that user and leave the setting out", os.Geteuid(), s.User)
	}
	return out, nil
}

// Shortfalls is what this machine does not enforce of the sandbox.
func (s *Sandbox) Shortfalls() []Shortfall {
	out := landlockShortfalls(s)
	if auditArch == 0 {
		out = append(out, Shortfall{"", "system calls are not filtered: there is no list of them for this processor"})
		if s.Network != Any {
			out = append(out, Shortfall{"network", "the network is open but for TCP: only a filter of system calls closes it"})
		}
		if s.Connect != nil {
			out = append(out, Shortfall{"connect", "other protocols than TCP are open: only a filter of system calls closes them"})
		}
	}
	_, why := newGroupParent(s)
	if s.Memory > 0 && why != nil {
		out = append(out, Shortfall{"memory", fmt.Sprintf("%v; so each process is bounded by itself, and what it shares with others is not counted", why)})
	}
	if creds, _ := s.credentials(); s.Processes > 0 && why != nil && creds == nil {
		out = append(out, Shortfall{"processes", fmt.Sprintf("%v; without one, set user: the kernel counts the processes of a user, and not those of root", why)})
	}
	return out
}
