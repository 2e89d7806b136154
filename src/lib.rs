//! nectr turns GitHub webhooks into pull-request reviews.

pub mod domain;
pub mod inbox;
pub mod seal;
pub mod store;
pub mod webhook;
