package sqlite

import (
	_ "database/sql"

	_ "github.com/spillway/spillway/engine"
	_ "github.com/spillway/spillway/store/postgres" // want "store/sqlite (level 50) cannot import store/postgres (level 50)"
)
