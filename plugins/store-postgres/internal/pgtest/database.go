package pgtest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/decision-gate-host/decision-gate-host/plugins/store-postgres/internal/postgres"
)

// template is a database with the newest schema: copies of it are made faster than schemas.
const template = "migrated"

// deploy reads a script for operators, from the working directory or a folder above: tests run in that of their package.
func deploy(script string) (string, error) {
	for dir := "."; len(dir) < 30; dir = filepath.Join("..", dir) {
		sql, err := os.ReadFile(filepath.Join(dir, "deploy", "postgres", script))
		if err == nil {
			return string(sql), nil
		}
	}
	return "", fmt.Errorf("deploy/postgres/%s is neither in the working directory nor in a folder above", script)
}

// addUsers prepares the cluster as an operator does, and a database to copy.
func (s *Server) addUsers() error {
	roles, err := deploy("1-roles.sql")
	if err != nil {
		return err
	}
	settings, err := deploy("3-settings.sql")
	if err != nil {
		return err
	}
	login := func(user, role string) string {
		return fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD '%s' IN ROLE %s;\n", user, Password, role)
	}
	// Twice, because an operator may.
	err = s.Exec("postgres", roles+roles+login(App, "decision_gate_app")+login(Owner, "decision_gate_owner")+login(Reader, "decision_gate_reader")+settings)
	if err != nil {
		return err
	}
	if err := s.Create(template); err != nil {
		return err
	}
	_, _, err = postgres.Up(context.Background(), s.DSN(Owner, template))
	return err
}

// Create makes a database with an empty schema.
func (s *Server) Create(name string) error {
	script, err := deploy("2-database.sql")
	if err != nil {
		return err
	}
	if err := s.Exec("postgres", "CREATE DATABASE "+name); err != nil {
		return err
	}
	return s.Exec(name, script+script)
}

// Database makes a database with the newest schema and answers its name.
func (s *Server) Database() (string, error) {
	s.mu.Lock()
	s.names++
	// The process too: one that another test started may use the same server.
	name := fmt.Sprintf("test_%d_%d", os.Getpid(), s.names)
	s.mu.Unlock()
	return name, s.Exec("postgres", fmt.Sprintf("CREATE DATABASE %s TEMPLATE %s", name, template))
}
