package jsonpath

import "github.com/decision-gate-host/decision-gate-host/host/canonical"

// step maps the matches of what stands before it to its own.
type step interface {
	apply(r *run, nodes []*canonical.Value) []*canonical.Value
}

// members is `.name`, `['name']` and `['a','b']`: members of objects, in the listed order. Arrays have none.
type members struct{ names []string }

func (s members) apply(r *run, nodes []*canonical.Value) (out []*canonical.Value) {
	for _, node := range nodes {
		for _, name := range s.names {
			if !r.spend(1) {
				return nil
			}
			if v := r.member(node, name); v != nil {
				out = r.add(out, v)
			}
		}
	}
	return out
}

// index is `[n]`: an element of an array and, of an object, that element of each array among its members.
type index struct{ at int }

func (s index) apply(r *run, nodes []*canonical.Value) (out []*canonical.Value) {
	for _, node := range nodes {
		if !r.spend(1 + len(node.Members())) {
			return nil
		}
		out = s.element(r, out, node)
		members := node.Members()
		for i := range members {
			out = s.element(r, out, &members[i].Value)
		}
	}
	return out
}

func (s index) element(r *run, out []*canonical.Value, v *canonical.Value) []*canonical.Value {
	items := v.Items()
	if at := clamp(s.at, len(items)); at < len(items) {
		return r.add(out, &items[at])
	}
	return out
}

// clamp turns an index from the end into one from the start; what lies before the start is the start.
func clamp(at, length int) int {
	if at < 0 {
		return max(at+length, 0)
	}
	return min(at, length)
}

// indexes is `[n,m]`: elements of arrays in the listed order.
type indexes struct{ at []int }

func (s indexes) apply(r *run, nodes []*canonical.Value) (out []*canonical.Value) {
	for _, node := range nodes {
		for _, at := range s.at {
			if !r.spend(1) {
				return nil
			}
			out = index{at}.element(r, out, node)
		}
	}
	return out
}

// slice is `[from:to:step]` on arrays.
type slice struct {
	from int
	to   *int
	step int
}

func (s slice) apply(r *run, nodes []*canonical.Value) (out []*canonical.Value) {
	for _, node := range nodes {
		items := node.Items()
		to := len(items)
		if s.to != nil {
			to = clamp(*s.to, len(items))
		}
		// The step is added to what is left, so that a huge one cannot overflow the index.
		for at := clamp(s.from, len(items)); at < to; at += min(s.step, len(items)) {
			if !r.spend(1) {
				return nil
			}
			out = r.add(out, &items[at])
		}
	}
	return out
}

// wildcard is `.*` and `[*]`.
type wildcard struct{}

func (wildcard) apply(r *run, nodes []*canonical.Value) (out []*canonical.Value) {
	for _, node := range nodes {
		if !r.spend(1 + len(node.Items()) + len(node.Members())) {
			return nil
		}
		children(node, func(child *canonical.Value) { out = r.add(out, child) })
	}
	return out
}

// deepMember is `..name`: the member of every object in a value, outermost first.
type deepMember struct{ name string }

func (s deepMember) apply(r *run, nodes []*canonical.Value) (out []*canonical.Value) {
	return deep(r, nodes, func(v *canonical.Value) {
		if found := r.member(v, s.name); found != nil {
			out = r.add(out, found)
		}
	}, &out)
}

// deepIndex is `..[n]`: the element of every array in a value; n below 0 is 0, unlike anywhere else.
type deepIndex struct{ at int }

func (s deepIndex) apply(r *run, nodes []*canonical.Value) (out []*canonical.Value) {
	at := max(s.at, 0)
	return deep(r, nodes, func(v *canonical.Value) {
		if items := v.Items(); at < len(items) {
			out = r.add(out, &items[at])
		}
	}, &out)
}

// deepWildcard is `..*` and `..[*]`: all children of a container, then those of each child.
type deepWildcard struct{}

func (deepWildcard) apply(r *run, nodes []*canonical.Value) (out []*canonical.Value) {
	return deep(r, nodes, func(v *canonical.Value) {
		children(v, func(child *canonical.Value) { out = r.add(out, child) })
	}, &out)
}

func deep(r *run, nodes []*canonical.Value, visit func(*canonical.Value), out *[]*canonical.Value) []*canonical.Value {
	for _, node := range nodes {
		if r.descend(node, visit); r.err != nil {
			return nil
		}
	}
	return *out
}
