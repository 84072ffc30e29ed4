-- The same table for the embedded database; without rowid, so that a scan in key order reads the file in one go.
CREATE TABLE IF NOT EXISTS user_data (
    user_id TEXT NOT NULL PRIMARY KEY,
    name    TEXT NOT NULL,
    email   TEXT NOT NULL,
    age     INTEGER NOT NULL
) STRICT, WITHOUT ROWID
