-- The same table for the embedded database; without rowid, so that a scan in key order reads the file in one go.
-- Text compares byte by byte (BINARY), as ascii_bin does; the CHECKs are the bounds MySQL's types set.
CREATE TABLE IF NOT EXISTS user_data (
    user_id TEXT NOT NULL PRIMARY KEY CHECK (length(user_id) <= 36),
    name    TEXT NOT NULL CHECK (length(name) <= 255),
    email   TEXT NOT NULL CHECK (length(email) <= 255),
    age     INTEGER NOT NULL CHECK (age BETWEEN -9999999999 AND 9999999999)
) STRICT, WITHOUT ROWID
