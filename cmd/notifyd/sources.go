package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/near"
)

// environmentPrefix begins the name of every variable for notifyd.
const environmentPrefix = "NOTIFYD_"

// source holds the settings that one place gives, by name.
type source map[string]given

// given is the value of a setting in one place.
type given struct {
	values []string
	place  string // the name of the place in errors
}

// loadConfig reads all settings. Flags override the environment, and the
// environment overrides the file. An invalid value is an error even if it is
// overridden. flags may already have flags that are not settings.
//
// It does not check the settings together; see [config.check]. operands are as
// in [parseFlags].
func loadConfig(flags *flag.FlagSet, args, environ []string, operands ...*string) (*config, error) {
	c := &config{places: map[string]string{}}
	table := c.settings()
	fromFlags, err := readFlags(flags, table, args, operands)
	if errors.Is(err, flag.ErrHelp) {
		return nil, err
	}
	faults := []error{err}
	fromEnvironment, err := readEnvironment(table, environ)
	faults = append(faults, err)
	var fromFile source
	file, ok := fromFlags["config"]
	if !ok {
		file, ok = fromEnvironment["config"]
	}
	if ok {
		fromFile, c.policy, err = readFile(table, file.values[0])
		faults = append(faults, err)
	}
	for _, s := range table {
		if s.def != "" {
			faults = append(faults, s.set([]string{s.def}))
		}
		for _, from := range []source{fromFile, fromEnvironment, fromFlags} { // the last one counts
			g, ok := from[s.name]
			if !ok {
				continue
			}
			c.places[s.name] = g.place
			if err := s.set(g.values); err != nil {
				faults = append(faults, fmt.Errorf("%s: %w", g.place, err))
			}
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, usageError{err}
	}
	return c, nil
}

// readFlags parses the command line. It stops at the first unknown flag,
// because the next word may or may not be its value.
func readFlags(flags *flag.FlagSet, table []setting, args []string, operands []*string) (source, error) {
	from := source{}
	for _, s := range table {
		add := func(value string) error {
			g := from[s.name]
			from[s.name] = given{append(g.values, value), "--" + s.name}
			return nil
		}
		if s.arg == "" {
			flags.BoolFunc(s.name, s.help, add)
		} else {
			flags.Func(s.name, s.help, add)
		}
	}
	return from, parseFlags(flags, args, operands...)
}

// parseFlags parses the command line and prints nothing. Arguments that are not
// flags go to the operands in turn, also between flags. More arguments than
// operands are an error; fewer are not.
func parseFlags(flags *flag.FlagSet, args []string, operands ...*string) error {
	flags.SetOutput(io.Discard)
	for {
		err := flags.Parse(args) // up to the first argument that is not a flag
		switch args = flags.Args(); {
		case errors.Is(err, flag.ErrHelp):
			return err
		case err != nil:
			return usageError{withNearFlag(flags, err)}
		case len(args) == 0:
			return nil
		case len(operands) == 0:
			return usageError{fmt.Errorf("unexpected argument %q", args[0])}
		}
		*operands[0] = args[0]
		args, operands = args[1:], operands[1:]
	}
}

// withNearFlag adds to the error of an unknown flag the one that was probably
// meant.
func withNearFlag(flags *flag.FlagSet, err error) error {
	unknown, ok := strings.CutPrefix(err.Error(), "flag provided but not defined: -")
	if !ok {
		return err
	}
	var names []string
	flags.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
	return fmt.Errorf("%w%s", err, suggestion("--", unknown, names))
}

// suggestion ends an error about an unknown word, and is empty if no known one
// is near. prefix stands before the word that it suggests.
func suggestion(prefix, unknown string, known []string) string {
	meant := near.Word(unknown, known)
	if meant == "" {
		return ""
	}
	return ", did you mean " + prefix + meant + "?"
}

// readEnvironment returns the settings among the variables. It splits lists at
// commas.
func readEnvironment(table []setting, environ []string) (source, error) {
	variables := map[string]string{}
	for _, line := range environ {
		if name, value, _ := strings.Cut(line, "="); strings.HasPrefix(name, environmentPrefix) {
			variables[name] = value
		}
	}
	from := source{}
	var known []string
	for _, s := range table {
		name := s.environment()
		known = append(known, strings.TrimPrefix(name, environmentPrefix))
		value, ok := variables[name]
		if !ok {
			continue
		}
		delete(variables, name)
		values := []string{value}
		if s.many {
			values = strings.Split(value, ",")
		}
		from[s.name] = given{values, name}
	}
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		meant := suggestion(environmentPrefix, strings.TrimPrefix(name, environmentPrefix), known)
		faults = append(faults, fmt.Errorf("%s: there is no such setting%s", name, meant))
	}
	return from, errors.Join(faults...)
}

// readFile reads the settings and the policy from a YAML file.
func readFile(table []setting, path string) (source, []notifications.Rule, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, fmt.Errorf("--config: %w", err)
	}
	file, err := parser.ParseBytes(bytes.TrimPrefix(data, []byte("\uFEFF")), 0)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %s", path, plain(err))
	}
	if len(file.Docs) > 1 {
		return nil, nil, fmt.Errorf("%s: holds several documents, it must hold one", path)
	}
	if len(file.Docs) == 0 || file.Docs[0].Body == nil {
		return nil, nil, nil
	}
	root, ok := file.Docs[0].Body.(ast.MapNode)
	if !ok {
		return nil, nil, fmt.Errorf("%s: does not consist of settings", path)
	}
	r := fileReader{path: path, table: table, from: source{}}
	for it := root.MapRange(); it.Next(); {
		r.read(it.Key(), it.Value())
	}
	return r.from, r.policy, errors.Join(r.faults...)
}

// plain returns an error of the YAML library without the quoted lines, which
// may contain a password.
func plain(err error) string {
	return strings.TrimSpace(yaml.FormatError(err, false, false))
}

// fileReader collects the settings and the faults of a configuration file.
type fileReader struct {
	path   string
	table  []setting
	from   source
	policy []notifications.Rule
	faults []error
}

// policyKey is the only key of the file that is not a setting.
const policyKey = "policy"

func (r *fileReader) read(key ast.Node, value ast.Node) {
	name := key.GetToken().Value
	place := r.path + ":" + strconv.Itoa(key.GetToken().Position.Line) + ": " + name
	var names []string
	for _, s := range r.table {
		names = append(names, s.name)
	}
	var err error
	switch {
	case name == policyKey:
		r.policy, err = rulesOf(value)
	case name == "config":
		err = errors.New("cannot be given in the file itself")
	case slices.Contains(names, name):
		var values []string
		values, err = valuesOf(value)
		r.from[name] = given{values, place}
	default:
		err = fmt.Errorf("there is no such setting%s", suggestion("", name, names))
	}
	if err != nil {
		delete(r.from, name)
		r.faults = append(r.faults, fmt.Errorf("%s: %w", place, err))
	}
}

// valuesOf returns the values of a setting, as text.
func valuesOf(n ast.Node) ([]string, error) {
	switch n := n.(type) {
	case *ast.SequenceNode:
		var values []string
		for _, item := range n.Values {
			value, err := valueOf(item)
			if err != nil {
				return nil, err
			}
			values = append(values, value)
		}
		return values, nil
	default:
		value, err := valueOf(n)
		return []string{value}, err
	}
}

func valueOf(n ast.Node) (string, error) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, nil
	case *ast.LiteralNode: // a block of text
		return n.Value.Value, nil
	case *ast.BoolNode, *ast.IntegerNode, *ast.FloatNode:
		return n.GetToken().Value, nil
	case *ast.NullNode:
		return "", errors.New("has no value")
	}
	return "", errors.New("must be a plain value, or a list of them")
}

// rulesOf returns the rules of the policy.
func rulesOf(n ast.Node) ([]notifications.Rule, error) {
	rules := []struct {
		Allow    []notifications.Permission `yaml:"allow"`
		Users    []string                   `yaml:"users"`
		Groups   []string                   `yaml:"groups"`
		Services []string                   `yaml:"services"`
	}{}
	if err := yaml.NodeToValue(n, &rules, yaml.Strict()); err != nil {
		return nil, errors.New(plain(err))
	}
	list := make([]notifications.Rule, len(rules))
	for i, rule := range rules {
		list[i] = notifications.Rule(rule)
	}
	return list, nil
}
