package main

import (
	"context"
	"strings"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/client"
)

type providersCommand struct {
	Provider string `arg:"" optional:"" placeholder:"ID" help:"Show the checks of this provider."`
	Check    string `arg:"" optional:"" placeholder:"CHECK" help:"Show this check of it."`
	clientFlags
}

func (c *providersCommand) Help() string {
	return help("Lists the evidence providers of a host, what one of them can be asked, or how one question is asked and answered. "+clientHelp,
		"decision-gate providers json path")
}

func (c *providersCommand) Run(ctx context.Context, std streams, command stdioCommand) error {
	return c.with(ctx, std, command, func(s *session) error {
		switch {
		case c.Check != "":
			return c.check(s)
		case c.Provider != "":
			return c.contract(s)
		default:
			return c.list(s)
		}
	})
}

func (c *providersCommand) list(s *session) error {
	var list struct {
		Providers []struct {
			ProviderID string   `member:"provider_id"`
			Transport  string   `member:"transport"`
			Checks     []string `member:"checks"`
		} `member:"providers"`
	}
	result, err := s.call("providers_list", struct{}{}, &list, client.Idempotent)
	if err != nil {
		return err
	}
	return s.tell(result, func(out *screen) {
		for _, p := range list.Providers {
			out.marked(bold, printable(p.ProviderID), "  (%s) answers %s", p.Transport, strings.Join(p.Checks, ", "))
		}
		if len(list.Providers) == 0 {
			out.line("There are no providers: no condition can be asked.")
		}
	})
}

// check is what is shown of a check.
type check struct {
	CheckID            string            `member:"check_id"`
	Description        *string           `member:"description" presence:"O"`
	ParamsRequired     bool              `member:"params_required"`
	ParamsSchema       canonical.Value   `member:"params_schema"`
	ResultSchema       canonical.Value   `member:"result_schema"`
	AllowedComparators []gate.Comparator `member:"allowed_comparators"`
	Determinism        string            `member:"determinism"`
}

func (c *check) show(out *screen) {
	if c.Description != nil {
		out.line("  %s", *c.Description)
	}
	needed := "optional"
	if c.ParamsRequired {
		needed = "required"
	}
	out.line("  params, %s: %s", needed, jsonText(c.ParamsSchema))
	out.line("  answers (%s): %s", c.Determinism, jsonText(c.ResultSchema))
	var comparators []string
	for _, name := range c.AllowedComparators {
		comparators = append(comparators, string(name))
	}
	out.line("  comparators: %s", strings.Join(comparators, ", "))
}

func (c *providersCommand) contract(s *session) error {
	request := struct {
		ProviderID string `member:"provider_id"`
	}{c.Provider}
	var contract struct {
		ContractHash canonical.HashDigest `member:"contract_hash"`
		Source       string               `member:"source"`
		Contract     struct {
			Description *string `member:"description" presence:"O"`
			Checks      []check `member:"checks"`
		} `member:"contract"`
	}
	result, err := s.call("provider_contract_get", request, &contract, client.Idempotent)
	if err != nil {
		return err
	}
	return s.tell(result, func(out *screen) {
		out.marked(bold, printable(c.Provider), "  contract %s, %s", hashText(contract.ContractHash), contract.Source)
		if text := contract.Contract.Description; text != nil {
			out.line("  %s", *text)
		}
		for i := range contract.Contract.Checks {
			check := &contract.Contract.Checks[i]
			out.line("")
			out.marked(bold, printable(c.Provider+"."+check.CheckID), "")
			check.show(out)
		}
	})
}

func (c *providersCommand) check(s *session) error {
	request := struct {
		ProviderID string `member:"provider_id"`
		CheckID    string `member:"check_id"`
	}{c.Provider, c.Check}
	var shown check
	result, err := s.call("provider_check_schema_get", request, &shown, client.Idempotent)
	if err != nil {
		return err
	}
	return s.tell(result, func(out *screen) {
		out.marked(bold, printable(c.Provider+"."+shown.CheckID), "")
		shown.show(out)
	})
}
