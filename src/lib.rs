//! nectr turns GitHub webhooks into pull-request reviews.

pub mod accounts;
pub mod app;
pub mod config;
pub mod domain;
pub mod github;
pub mod handlers;
pub mod inbox;
pub mod review;
pub mod sandbox;
pub mod seal;
pub mod store;
pub mod sweep;
pub mod telemetry;
pub mod webhook;
