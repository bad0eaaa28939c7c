package main

import (
	"context"
	"mime"
	"path/filepath"
	"strings"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/client"
)

type submitCommand struct {
	runFlags
	File          string `arg:"" placeholder:"FILE" help:"What is handed in, up to 2 MiB; - is standard input."`
	SubmissionID  string `name:"submission-id" placeholder:"ID" help:"Id of the submission; made up and printed when it is not given. The same again is no mistake, something else under the same id is refused."`
	ContentType   string `placeholder:"TYPE" help:"Its media type; by the name of the file when not given. JSON is kept as JSON, anything else as bytes."`
	CorrelationID string `name:"correlation-id" placeholder:"ID" help:"A mark of your own, recorded with it."`
	Time          moment `placeholder:"TIME" help:"${moment}"`
	clientFlags
}

func (c *submitCommand) Help() string {
	return help("Hands in a document to be kept with a run, for those who read its record. It decides nothing, and gates do not see it. "+clientHelp,
		"decision-gate submit deploy run-42 report.json --namespace 2")
}

type submitRequest struct {
	ScenarioID gate.ScenarioID    `member:"scenario_id"`
	Request    gate.SubmitRequest `member:"request"`
}

// maxSubmission is the size in bytes of the largest payload that a host takes (mcp contract §2.7).
const maxSubmission = 2 << 20

const (
	jsonType  = "application/json"
	bytesType = "application/octet-stream"
)

func (c *submitCommand) Run(ctx context.Context, std streams, command stdioCommand) error {
	content, err := readFile(c.File, std, maxSubmission)
	if err != nil {
		return err
	}
	if c.ContentType == "" {
		c.ContentType = bytesType
		if known := mime.TypeByExtension(filepath.Ext(c.File)); known != "" {
			c.ContentType = known
		}
	}
	payload, err := c.payload(content)
	if err != nil {
		return err
	}
	if c.SubmissionID == "" {
		c.SubmissionID = newID("s")
	}
	request := submitRequest{c.scenario(), gate.SubmitRequest{
		RunID: c.run(), TenantID: c.tenant(), NamespaceID: c.namespace(), SubmissionID: gate.SubmissionID(c.SubmissionID), Payload: payload,
		ContentType: c.ContentType, SubmittedAt: c.Time.stamp(), CorrelationID: given[gate.CorrelationID](c.CorrelationID),
	}}
	return c.with(ctx, std, command, func(s *session) error {
		var submitted struct {
			Record struct {
				SubmissionID gate.SubmissionID    `member:"submission_id"`
				ContentType  string               `member:"content_type"`
				ContentHash  canonical.HashDigest `member:"content_hash"`
			} `member:"record"`
		}
		result, err := s.call("scenario_submit", request, &submitted, client.Idempotent)
		if err != nil {
			return askAgain(err, "hand it in again with --submission-id "+printable(c.SubmissionID)+", which keeps it once")
		}
		return s.tell(result, func(out *screen) {
			r := &submitted.Record
			out.marked(green, "submitted", "  %s (%s), %s", r.SubmissionID, r.ContentType, hashText(r.ContentHash))
		})
	})
}

// payload is the content as its type says.
func (c *submitCommand) payload(content []byte) (gate.PacketPayload, error) {
	kind, _, _ := mime.ParseMediaType(c.ContentType)
	if kind != jsonType && !strings.HasSuffix(kind, "+json") {
		return gate.PacketPayload{Kind: gate.BytesPayload, Bytes: content}, nil
	}
	v, err := canonical.Parse(content)
	if err != nil {
		return gate.PacketPayload{}, atLine(c.File, err)
	}
	return gate.PacketPayload{Kind: gate.JSONPayload, Value: v}, nil
}

// hashText is a hash as text.
func hashText(h canonical.HashDigest) string { return string(h.Algorithm) + ":" + h.Value }
