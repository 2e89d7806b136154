//! A GitHub in one process, for `nectr demo` and for every test: state first, served strictly.
//!
//! The story of a test is told in three kinds of words. *People and places* ([`Sandbox::user`], [`Sandbox::repo`]) put
//! plain data into a world. *Verbs* ([`Sandbox::open_pull`], [`Sandbox::push`], [`Sandbox::merge`]) change that world
//! as somebody on GitHub would and queue the signed webhook deliveries that follow, until [`Sandbox::deliver_all`]
//! sends them. *Books* ([`Sandbox::calls`], [`Sandbox::take_reviews`], [`Sandbox::unknown_calls`]) tell afterwards what
//! was asked and what came of it.
//!
//! Two things always hold: every answer is computed from the world under one lock, so a request either happened
//! completely or not at all; and a request that GitHub would refuse is refused here in GitHub's words, while one GitHub
//! would merely tolerate is answered and entered in [`Sandbox::unknown_calls`].
//!
//! It can also be a bad day at GitHub: see [`Failure`]. Names that do not exist in the world panic in the verbs, with
//! the name: they are mistakes in a test, not conditions to handle.

mod anchor;
mod ask;
mod books;
mod change;
mod closing;
mod delivery;
mod diff_media;
mod faults;
mod files;
mod folders;
mod graphql;
pub mod http;
mod limits;
mod lookup;
mod patch;
mod people;
mod record;
mod reply;
mod rest;
mod sample;
mod server;
mod show;
mod sign_in;
mod site;
mod verbs;
mod verbs_issue;
mod verbs_repo;
mod world;

#[cfg(test)]
mod tests;

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::domain::Clock;
use world::World;

pub use books::{Call, Comment, IssueComment, Review, ReviewState};
pub use change::{Files, NewPull};
pub use delivery::{Answer, Delivery, Pings, Sent};
pub use faults::{Failure, Hold};
pub use patch::patch;
pub use people::{AccountBuilder, OrgBuilder, RepoBuilder};
pub use sample::{Sample, SamplePull, sample};
pub use sign_in::{CLIENT_ID, CLIENT_SECRET};
pub use world::{HookInfo, Pr};

/// A running GitHub. Cheap to clone; the last clone to go stops the server.
#[derive(Clone)]
pub struct Sandbox {
    world: Arc<Mutex<World>>,
    site: Arc<Site>,
}

/// Where the server listens, and the way to stop it.
struct Site {
    url: String,
    stop: CancellationToken,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Sandbox {
    /// An empty GitHub on a free port of 127.0.0.1, on the system's clock.
    pub async fn start() -> io::Result<Self> {
        Self::start_on(0, Clock::system()).await
    }

    /// An empty GitHub on `port` (0: any free one) of 127.0.0.1. `clock` decides what `updated_at`, rate-limit windows
    /// and the life of OAuth codes are measured by.
    pub async fn start_on(port: u16, clock: Clock) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let world = Arc::new(Mutex::new(World::new(clock, &url)));
        let stop = CancellationToken::new();
        tokio::spawn(server::serve(listener, world.clone(), stop.clone()));
        Ok(Self { world, site: Arc::new(Site { url, stop }) })
    }

    /// Scheme, host and port, without a final slash.
    pub fn url(&self) -> &str {
        &self.site.url
    }

    /// Root of the REST API, with the GraphQL API beside it at `/api/graphql`. It has a path, as on GitHub Enterprise Server, so that nobody gets away with dropping it.
    pub fn api_url(&self) -> String {
        format!("{}{}", self.site.url, rest::API_PREFIX)
    }

    /// Root of the site people see, where `/login/oauth/...` is.
    pub fn server_url(&self) -> String {
        self.site.url.clone()
    }

    /// Stops answering: open connections are closed, new ones refused. The world and its books stay readable.
    pub fn stop(&self) {
        self.site.stop.cancel();
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        lock(&self.world)
    }
}

/// A panic in a handler must not hide the state a test wants to look at.
fn lock(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}
