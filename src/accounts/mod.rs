//! Who may do what with which repository: sign in, sessions, access, connect, disconnect.
//!
//! Everything a person asks of GitHub here is asked with their own [`token`]; the bot's is only asked whether it
//! [could review](bot).

pub mod access;
pub mod bot;
pub mod catch_up;
pub mod connect;
pub mod erase;
mod first_reviews;
mod hook;
mod jwt;
pub mod repos;
pub mod reseal;
pub mod rotation;
pub mod secrets;
pub mod session;
pub mod sign_in;
pub mod study;
pub mod token;
pub mod webhook;
