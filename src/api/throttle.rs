//! How often one client may begin or end a sign-in.
//!
//! Each is a write to the database and a call to GitHub, and needs no account. A client has [`BURST`] of them, and gets one
//! back every [`PACE`]. Clients are told apart by address, IPv6 ones by their network of 64 bits, because everybody has as
//! many addresses as they like within one. Memory is bounded: of more clients than [`CLIENTS`] those are forgotten that
//! have not been seen for long.

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use moka::{future::Cache, policy::EvictionPolicy};
use poem::{
    Request,
    http::{HeaderValue, StatusCode, header},
};

use super::{client::client, error::Problem};
use crate::app::App;

/// What a client may do at once: signing in takes two, and a whole office may be one client.
const BURST: i32 = 300;

/// Time after which it may do one more.
const PACE: TimeDelta = TimeDelta::milliseconds(200);

/// Clients that are remembered.
const CLIENTS: u64 = 10_000;

/// Clients and what they have left. Cheap to clone.
#[derive(Clone)]
pub(super) struct Throttle {
    /// For each, in microseconds, when it would have everything back.
    clients: Cache<IpAddr, Arc<AtomicI64>>,
}

impl Default for Throttle {
    fn default() -> Self {
        let idle = (PACE * BURST).to_std().unwrap_or(Duration::MAX);
        let clients = Cache::builder().max_capacity(CLIENTS).eviction_policy(EvictionPolicy::lru()).time_to_idle(idle);
        Self { clients: clients.build() }
    }
}

impl Throttle {
    /// Lets the request in, or says when to come back.
    pub(super) async fn admit(&self, app: &App, request: &Request) -> Result<(), Problem> {
        let Some(client) = client(request, &app.config.trusted_proxies) else { return Ok(()) };
        match self.take(network(client), app.clock.now()).await {
            None => Ok(()),
            Some(wait) => {
                let seconds = wait.num_seconds() + 1;
                let detail = format!("Too many attempts to sign in from your network: try again in {seconds} s");
                Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, detail)
                    .with(header::RETRY_AFTER, HeaderValue::from(seconds)))
            }
        }
    }

    /// Takes one, or says how long until there is one.
    async fn take(&self, client: IpAddr, now: DateTime<Utc>) -> Option<TimeDelta> {
        let full = self.clients.get_with(client, async { Arc::default() }).await;
        let now = now.timestamp_micros();
        let (pace, most) = (micros(PACE), micros(PACE * BURST));
        let taken = full.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full| {
            // Fuller than it can be: the clock was set back.
            let full = if full > now + most + pace { now } else { full.max(now) } + pace;
            (full - now <= most).then_some(full)
        });
        taken.err().map(|full| TimeDelta::microseconds(full + pace - now - most))
    }
}

fn micros(time: TimeDelta) -> i64 {
    time.num_microseconds().unwrap_or(i64::MAX)
}

/// What belongs to one client.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use futures_util::future::join_all;

    use super::*;

    fn ip(address: &str) -> IpAddr {
        network(address.parse().unwrap())
    }

    #[tokio::test]
    async fn a_client_has_its_burst_then_its_pace_and_keeps_nobody_else_out() {
        let (throttle, now) = (Throttle::default(), Utc::now());
        let all = join_all((0..400).map(|_| throttle.take(ip("192.0.2.1"), now))).await;
        assert_eq!(all.iter().filter(|wait| wait.is_none()).count(), 300);
        assert_eq!(throttle.take(ip("192.0.2.1"), now).await, Some(PACE));
        assert_eq!(throttle.take(ip("192.0.2.2"), now).await, None);
        let later = now + PACE * 3;
        let again = join_all((0..10).map(|_| throttle.take(ip("192.0.2.1"), later))).await;
        assert_eq!(again.iter().filter(|wait| wait.is_none()).count(), 3);
        assert_eq!(throttle.take(ip("192.0.2.1"), now + PACE * 5000).await, None);
        assert_eq!(throttle.take(ip("192.0.2.1"), now).await, None, "a clock that is set back keeps nobody out");
    }

    #[tokio::test]
    async fn an_ipv6_client_is_its_network() {
        let (throttle, now) = (Throttle::default(), Utc::now());
        for n in 0..300 {
            assert_eq!(throttle.take(ip(&format!("2001:db8::{n}")), now).await, None);
        }
        assert!(throttle.take(ip("2001:db8::ffff"), now).await.is_some());
        assert_eq!(throttle.take(ip("2001:db8:0:1::1"), now).await, None);
    }

    #[tokio::test]
    async fn a_crowd_does_not_fill_the_memory() {
        let (throttle, now) = (Throttle::default(), Utc::now());
        for n in 0..20_000_u32 {
            throttle.take(IpAddr::from(n.to_be_bytes()), now).await;
        }
        throttle.clients.run_pending_tasks().await;
        assert!(throttle.clients.entry_count() <= CLIENTS, "{}", throttle.clients.entry_count());
    }
}
