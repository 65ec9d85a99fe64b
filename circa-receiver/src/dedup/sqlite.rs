//! Claims in a SQLite file.
