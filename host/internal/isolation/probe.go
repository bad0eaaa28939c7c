package isolation

import (
	"context"
	"math/rand/v2"
	"strings"
)

// probe asks for something that the other tenant has, and for something that nobody has: whoever asks must not be able to
// tell the one from the other.
func (c *client) probe(ctx context.Context, of *tool) error {
	there, nowhere := c.other.only, c.unused()
	how := []aim{theirs, borrowed}[c.rng.IntN(2)]
	if !of.scoped {
		return c.probeRunpack(ctx, of)
	}
	tenant := c.own.tenant
	if how == theirs {
		tenant = c.other.tenant
	}
	seed := c.rng.Uint64() // the same choices for both
	var calls [2]*call
	for i, id := range []string{there, nowhere} {
		twin := *c
		twin.rng = rand.New(rand.NewPCG(seed, 0))
		w := &target{aim: how, probe: true, tenant: tenant, version: "1"}
		w.aimAt(id)
		if of.makes {
			// In its own name these succeed, once; what they answer is compared in another's only.
			w.tenant = c.other.tenant
		}
		arguments, _ := of.arguments(&twin, w)
		calls[i] = twin.call(of, arguments)
	}
	return c.compare(ctx, of, calls, there, nowhere)
}

// differing is the number of characters in which an unused id differs: enough that nobody has it.
const differing = 8

// unused is an id like the other tenant's own, that nobody has.
func (c *client) unused() string {
	letters := []byte(c.other.only)
	for i := len(letters) - differing; i < len(letters); i++ { // the last ones: in a list it has the same place
		letters[i] = "abcdefghijklmnopqrstuvwxyz234567"[c.rng.IntN(32)]
	}
	return string(letters)
}

// probeRunpack is probe for what is named by a folder or a URI.
func (c *client) probeRunpack(ctx context.Context, of *tool) error {
	there := []string{c.other.onlyURI, c.other.onlyDir, c.other.onlyDir + "/artifacts"}[c.rng.IntN(3)]
	if there == "" {
		there = c.other.onlyDir
	}
	// The last letters of a URI are those of a hash.
	nowhere := there[:len(there)-8] + strings.Map(func(r rune) rune { return rune('0' + (r+1)%10) }, there[len(there)-8:])
	manifest := []string{"manifest.json", "artifacts/decision_log.json", "nothing.json"}[c.rng.IntN(3)]
	var calls [2]*call
	seed := c.rng.Uint64()
	for i, name := range []string{there, nowhere} {
		twin := *c
		twin.rng = rand.New(rand.NewPCG(seed, 0))
		calls[i] = twin.call(of, object{"runpack_dir": name, "manifest_path": manifest})
	}
	return c.compare(ctx, of, calls, there, nowhere)
}

func (c *client) compare(ctx context.Context, of *tool, calls [2]*call, ids ...string) error {
	var answers [2]*answer
	for i, made := range calls {
		a, err := c.send(ctx, made)
		if err != nil {
			return err
		}
		c.trial.count.add(of.name, made.surface, probing, a)
		if c.scan(ctx, made, a, probing) {
			return nil
		}
		if a.retryable {
			return nil // a busy host, which says nothing of the ids
		}
		answers[i] = a
	}
	if one, two := answers[0].alike(ids...), answers[1].alike(ids...); one != two {
		c.trial.found(Finding{
			What: "an answer tells what another tenant has from what nobody has", Tool: of.name, Surface: calls[0].surface, Aim: aimNames[probing],
			Request: string(calls[0].body()), Response: clip(answers[0].body),
			OtherRequest: string(calls[1].body()), OtherResponse: clip(answers[1].body),
		})
	}
	return nil
}
