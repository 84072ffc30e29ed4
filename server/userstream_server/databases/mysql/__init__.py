"""MySQL 8+ and MariaDB: connections, queries with time limits, and rows read in C."""
