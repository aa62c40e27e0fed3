// Package database opens the databases the library runs on, each with the
// settings it needs to keep what it acknowledged. The library itself opens
// nothing; this is for the programs of this repository and for its tests.
package database

import (
	"log/slog"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// slowQuery is how long a statement takes before it is worth a line.
const slowQuery = time.Second

// open hands a connected pool to GORM, which then neither pings nor logs to
// standard output.
func open(dialector gorm.Dialector, log *slog.Logger) (*gorm.DB, error) {
	return gorm.Open(dialector, &gorm.Config{
		DisableAutomaticPing: true, // done by the callers, with a context and a better error
		Logger:               gormLogger(log),
	})
}

// gormLogger reports failed and slow statements without their parameters,
// which are what users wrote. As of v1.31, [gorm.DB.Scan] logs them all the
// same, and Find does not.
func gormLogger(log *slog.Logger) logger.Interface {
	if log == nil {
		return logger.Discard
	}
	return logger.NewSlogLogger(log, logger.Config{
		LogLevel:                  logger.Warn,
		SlowThreshold:             slowQuery,
		ParameterizedQueries:      true,
		IgnoreRecordNotFoundError: true,
	})
}
