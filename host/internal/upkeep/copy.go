package upkeep

import (
	"context"

	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// Progress is how far a command is.
type Progress struct {
	// Doing is what it does now, such as "copying".
	Doing string
	// Records and Bytes are done in this session.
	Records, Bytes uint64
	// Position of End: revisions, bytes or runs; End is 0 where it is not known.
	Position, End uint64
}

// CopyOptions say how to copy.
type CopyOptions struct {
	// Follow goes on after the copy is verified, with what changes in the source, until Stop is closed; then it is verified
	// once more.
	Follow bool
	Stop   <-chan struct{}
	// Following is called when a copy that follows is verified for the first time; nil calls nobody.
	Following func(*CopyReport)
	// Progress is told every now and then; nil tells nobody.
	Progress func(Progress)
}

// CopyReport is what a copy came to.
type CopyReport struct {
	// Announced is the newest revision of the source when the copy began, or went on: at least that is in the target.
	Announced uint64 `json:"announced"`
	// Revision is the one of the source that the target is.
	Revision uint64 `json:"revision"`
	// Resumed is the revision from which it went on; 0 when it began.
	Resumed uint64 `json:"resumed_from"`
	// Records, Removed and Bytes were written, also by sessions that were cut off.
	Records uint64 `json:"records_written"`
	Removed uint64 `json:"records_removed"`
	Bytes   uint64 `json:"bytes_written"`
	Comparison
	// Runs and Steps have chains that were verified in the target.
	Runs  uint64 `json:"runs"`
	Steps uint64 `json:"steps"`
	// Findings are of runs, in the target.
	Findings []Finding `json:"findings"`
}

// OK says that the target is the source.
func (r *CopyReport) OK() bool { return r.Different == 0 && len(r.Findings) == 0 }

// copier is a copy under way.
type copier struct {
	from    store.Store
	target  *target
	feed    *feed
	options CopyOptions
	report  CopyReport
	done    Progress
}

// Copy fills one store with what another holds, which may be served and written to by hosts meanwhile, and verifies that it
// is the same: every body by its sum, and the chain of every run. A copy that was cut off goes on where it was when it is
// begun again with the same stores. The error is a *RefusedError when the target holds anything else.
func Copy(ctx context.Context, from, to store.Store, options CopyOptions) (*CopyReport, error) {
	from, to = steadily(from), steadily(to)
	c := &copier{from: from, options: options}
	if err := c.open(ctx, to); err != nil {
		return nil, err
	}
	if err := c.feed.reach(ctx, c.report.Announced, c.take(ctx)); err != nil {
		return nil, err
	}
	if err := c.verify(ctx); err != nil || !options.Follow || !c.report.OK() {
		return &c.report, err
	}
	if options.Following != nil {
		options.Following(&c.report)
	}
	if err := c.follow(ctx); err != nil {
		return nil, err
	}
	return &c.report, c.verify(ctx)
}

func (c *copier) open(ctx context.Context, to store.Store) error {
	description, err := describe(ctx, c.from)
	if err != nil {
		return err
	}
	identity, err := identify(ctx, c.from)
	if err != nil {
		return err
	}
	if c.target, err = openTarget(ctx, to, storeSource(identity)); err != nil {
		return err
	}
	if description.Revision < c.target.Position {
		return refuse("the source is at revision %d, and the target holds what it had up to revision %d: the source was set back; copy it into an empty store", description.Revision, c.target.Position)
	}
	c.feed = newFeed(c.from, c.target.Position, c.target.Ahead)
	c.report.Announced, c.report.Resumed = description.Revision, c.target.Position
	c.done = Progress{Doing: "copying", Position: c.target.Position, End: description.Revision}
	c.tell()
	return nil
}

func (c *copier) tell() {
	if c.options.Progress != nil {
		c.options.Progress(c.done)
	}
}

// take commits batches to the target, and tells.
func (c *copier) take(ctx context.Context) func(batch) error {
	return func(b batch) error {
		if err := c.target.take(ctx, b); err != nil {
			return err
		}
		c.done.Records += uint64(len(b.ops))
		c.done.Bytes += b.bytes
		c.done.Position = b.position
		c.tell()
		return nil
	}
}

// follow copies what changes until it is stopped, and then up to the newest revision.
func (c *copier) follow(ctx context.Context) error {
	c.done.Doing, c.done.End = "following", 0
	stopped, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		select {
		case <-c.options.Stop:
			stop()
		case <-stopped.Done():
		}
	}()
	// A batch that is under way when it is stopped is committed: only the feed ends.
	err := c.feed.follow(stopped, c.take(ctx), func() bool { return false })
	if err != nil && (stopped.Err() == nil || ctx.Err() != nil) {
		return err
	}
	c.done.Doing = "catching up"
	return c.feed.catchUp(ctx, c.take(ctx))
}

// verify compares the target with the source, and checks the runs that it holds. It leaves the target whole.
func (c *copier) verify(ctx context.Context) error {
	r := &c.report
	var err error
	if r.Comparison, err = c.compare(ctx); err != nil {
		return err
	}
	if err := c.feed.catchUp(ctx, c.take(ctx)); err != nil {
		return err
	}
	if err := c.settle(ctx); err != nil {
		return err
	}
	r.Findings = []Finding{}
	verified, err := verifyRuns(ctx, c.target, collect(&r.Findings), func(p Progress) {
		c.done = p
		c.tell()
	})
	if err != nil {
		return err
	}
	r.Runs, r.Steps = verified.Runs, verified.Steps
	r.Revision, r.Records, r.Removed, r.Bytes = c.feed.position, c.target.Records, c.target.Removed, c.target.Bytes
	return nil
}

// settle brings the checkpoint to the position of the feed: changes that are not copied move that alone.
func (c *copier) settle(ctx context.Context) error {
	if c.target.Position == c.feed.position && c.target.version > 0 {
		return nil
	}
	return c.target.take(ctx, batch{position: c.feed.position, ahead: c.feed.ahead})
}
