// Package natstest tries bell/natsbell with real NATS servers. It is a module of
// its own, so that importers of the library do not depend on the server.
package natstest
