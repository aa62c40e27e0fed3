// Package database opens databases for the programs of this repository and for
// its tests, with the settings that make commits durable. The library itself
// opens nothing.
package database

import (
	"log/slog"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// slowQuery is the duration after which a statement is logged as slow.
const slowQuery = time.Second

// open hands a connected pool to GORM, which then neither pings nor logs to
// standard output.
func open(dialector gorm.Dialector, log *slog.Logger) (*gorm.DB, error) {
	return gorm.Open(dialector, &gorm.Config{
		DisableAutomaticPing: true, // the callers ping with a context, and return a better error
		Logger:               gormLogger(log),
	})
}

// gormLogger logs failed and slow statements without their parameters, which
// are the data of users. As of v1.31, [gorm.DB.Scan] logs parameters anyway,
// and Find does not.
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
