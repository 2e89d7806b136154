//! nectr turns GitHub webhooks into pull-request reviews.
//!
//! # The life of a delivery
//!
//! GitHub POSTs bytes. [`api`] bounds them and finds the secret that may have signed them ([`accounts::secrets`]);
//! [`webhook::verify`] proves who sent them, [`webhook::parse`] names the event, and [`inbox::Inbox::accept`] returns when it is
//! on disk: only then GitHub gets its 202.
//!
//! A worker ([`inbox::Workers`]) claims it under a lease, [`handlers`] decides what it means, and [`review`] reads the
//! change from GitHub ([`github`]), asks what the project knows ([`review::context`]), judges it ([`review::judge`]) and
//! publishes once ([`review::publish`]). What was seen on the way the code graph learns ([`knowledge`], [`graph`]).
//!
//! Before that somebody signed in and connected the repository ([`accounts`]), and its files, its history and what it is
//! made of were learned ([`knowledge`], [`scan`]); afterwards everything can be looked at
//! ([`api`], [`cli`]). [`sweep`] does what time brings, [`run`] wires it all together, and [`sandbox`] is a GitHub in one
//! process, for the demo and for every test.
//!
//! # What always holds
//!
//! * A 202 means the delivery is on disk. Nothing is parsed before its signature held.
//! * At most one piece of work per pull request runs, and a worker that lost its lease can write nothing ([`store::work`]).
//! * One review per pull request, head commit and base branch, through crashes and doubtful answers.
//! * No fact for the code graph is lost because the graph is away, and no review waits for it.
//! * Imports go downward only; `tests/it/layering.rs` has the table.

pub mod accounts;
pub mod apart;
pub mod api;
pub mod app;
pub mod cli;
pub mod config;
pub mod domain;
pub mod github;
pub mod graph;
pub mod handlers;
pub mod inbox;
pub mod knowledge;
pub mod review;
pub mod run;
pub mod sandbox;
pub mod scan;
pub mod seal;
pub mod store;
pub mod sweep;
pub mod telemetry;
pub mod web;
pub mod webhook;
