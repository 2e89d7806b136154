//! From the bytes GitHub sent to an [`Event`](crate::domain::event::Event): prove who sent them, and only then read them.
//!
//! The order is fixed by types: [`parse`] takes a [`Signed`], and only [`verify`] makes one. The one exception is
//! [`full_name_hint`], which reads `repository.full_name` from unproven bytes to find out *which secret to try*.
//!
//! No database and no HTTP here.

mod form;
mod loose;
mod parse;
mod signature;

pub use parse::{ParseError, full_name_hint, is_event_name, parse, reread};
pub use signature::{BadSignature, Signed, sign, verify};
