// Package conformance holds the library to docs/semantics.md. The rules are in
// model_test.go, in memory; they and both databases must give the same answers
// to every row of the table (TestSemantics) and to random sequences of
// operations (TestModel).
//
// It is a module of its own, so that importers of the library do not inherit
// what draws the sequences. It knows the library as any host does.
package conformance
