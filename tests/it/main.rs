//! nectr from the outside: one binary, one file per story.
//!
//! `TEST_DATABASE_URL=postgres://...` runs the same stories on PostgreSQL; without it they run on SQLite.
#![allow(missing_docs, clippy::unwrap_used)]

mod claims;
mod support;
mod workers;
