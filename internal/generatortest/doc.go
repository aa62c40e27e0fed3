// Package generatortest generates Go clients from the OpenAPI document with
// oapi-codegen and ogen, unchanged and as their users run them, compiles what
// comes out and calls every operation of a real server with it. It is a module
// of its own, so that importers of the library inherit no generator.
package generatortest

// What generated code imports. No other file names these packages, and go.mod
// must require them.
import (
	_ "github.com/go-faster/errors"
	_ "github.com/go-faster/jx"
	_ "github.com/oapi-codegen/runtime"
	_ "github.com/ogen-go/ogen/otelogen"
	_ "go.opentelemetry.io/otel"
	_ "go.opentelemetry.io/otel/metric"
	_ "go.opentelemetry.io/otel/trace"
	_ "go.yaml.in/yaml/v3"
)
