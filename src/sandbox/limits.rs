//! GitHub's rate limits: requests per hour and token, for each API its own, and content created per minute and account.

use std::collections::{BTreeMap, VecDeque};

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    Sandbox,
    ask::Ask,
    reply::{Reply, problem},
    world::World,
};

/// Requests an hour with a token.
const HOURLY: i64 = 5_000;

#[derive(Default)]
pub struct Limits {
    primary: BTreeMap<(Purse, String), Primary>,
    content_per_minute: Option<usize>,
    content: BTreeMap<i64, VecDeque<DateTime<Utc>>>,
}

/// Which API a request is paid to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purse {
    Rest,
    GraphQl,
}

struct Primary {
    remaining: i64,
    reset: DateTime<Utc>,
}

impl Sandbox {
    /// `token` has this many requests to the REST API left until `reset`, when it gets 5,000 again. Answers 304 cost nothing.
    pub fn rate_limit(&self, token: &str, remaining: u32, reset: DateTime<Utc>) {
        self.lock().limits.set(Purse::Rest, token, remaining, reset);
    }

    /// At most this many reviews and comments a minute for each account (GitHub's limit is about 80); more are answered
    /// with the secondary limit's 403 and `Retry-After: 60`. None: no limit, as at the start.
    pub fn content_limit(&self, per_minute: Option<usize>) {
        self.lock().limits.content_per_minute = per_minute;
    }
}

impl Limits {
    pub fn set(&mut self, purse: Purse, token: &str, remaining: u32, reset: DateTime<Utc>) {
        self.primary.insert((purse, token.to_owned()), Primary { remaining: remaining.into(), reset });
    }

    fn of(&mut self, purse: Purse, ask: &Ask) -> Option<&mut Primary> {
        self.primary.get_mut(&(purse, ask.token.clone()?))
    }
}

impl World {
    /// Refuses a token that has used up its hour.
    pub fn check_rate(&mut self, purse: Purse, ask: &Ask) -> Result<(), Reply> {
        let now = self.clock.now();
        let Some(primary) = self.limits.of(purse, ask) else { return Ok(()) };
        if now >= primary.reset {
            *primary = Primary { remaining: HOURLY, reset: now + TimeDelta::hours(1) };
        }
        if primary.remaining > 0 {
            return Ok(());
        }
        let who = ask.user.unwrap_or_default();
        Err(problem(403, &format!("API rate limit exceeded for user ID {who}.")))
    }

    /// Counts an answered request and says in its headers what is left.
    pub fn charge(&mut self, purse: Purse, ask: &Ask, reply: Reply) -> Reply {
        let default_reset = self.clock.now() + TimeDelta::hours(1);
        let (limit, remaining, reset) = match self.limits.of(purse, ask) {
            Some(primary) => {
                if reply.status != 304 {
                    primary.remaining = (primary.remaining - 1).max(0);
                }
                (HOURLY, primary.remaining, primary.reset)
            }
            None if ask.token.is_some() => (HOURLY, HOURLY - 1, default_reset),
            None => (60, 59, default_reset),
        };
        reply
            .with("x-ratelimit-limit", limit.to_string())
            .with("x-ratelimit-remaining", remaining.to_string())
            .with("x-ratelimit-used", (limit - remaining).to_string())
            .with("x-ratelimit-reset", reset.timestamp().to_string())
            .with("x-ratelimit-resource", if purse == Purse::GraphQl { "graphql" } else { "core" })
    }

    /// Takes a place for one review or comment, or refuses.
    pub fn admit_content(&mut self, user: i64) -> Result<(), Reply> {
        let Some(most) = self.limits.content_per_minute else { return Ok(()) };
        let now = self.clock.now();
        let made = self.limits.content.entry(user).or_default();
        while made.front().is_some_and(|at| *at + TimeDelta::minutes(1) <= now) {
            made.pop_front();
        }
        if made.len() >= most {
            let message = "You have exceeded a secondary rate limit and have been temporarily blocked from content \
                           creation. Please retry your request again later.";
            return Err(problem(403, message).with("retry-after", "60"));
        }
        made.push_back(now);
        Ok(())
    }
}
