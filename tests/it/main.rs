//! nectr from the outside: one binary, one file per story.
//!
//! `TEST_DATABASE_URL=postgres://...` runs the same stories on PostgreSQL; without it they run on SQLite.
#![allow(missing_docs, clippy::unwrap_used)]

mod access;
mod catch_up;
mod claims;
mod context;
mod crash;
mod demo;
mod doctor;
mod effects;
mod erasure;
mod graph_contract;
mod hostile;
mod intake;
mod keys;
mod knowledge;
mod layering;
mod limits;
mod looking;
mod metrics;
mod neo4j;
mod openapi;
mod ops;
mod plans;
mod probes;
mod publishing;
mod repos;
mod review;
mod rotation;
mod schema;
mod sign_in;
mod support;
mod tasks;
mod telemetry;
mod throttle;
mod workers;
