//! GitHub's two rate limits: requests per hour and token, and content created per minute and account.

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
    primary: BTreeMap<String, Primary>,
    content_per_minute: Option<usize>,
    content: BTreeMap<i64, VecDeque<DateTime<Utc>>>,
}

struct Primary {
    remaining: i64,
    reset: DateTime<Utc>,
}

impl Sandbox {
    /// `token` has this many requests left until `reset`, when it gets 5,000 again. Answers 304 cost nothing.
    pub fn rate_limit(&self, token: &str, remaining: u32, reset: DateTime<Utc>) {
        let primary = Primary { remaining: remaining.into(), reset };
        self.lock().limits.primary.insert(token.to_owned(), primary);
    }

    /// At most this many reviews and comments a minute for each account (GitHub's limit is about 80); more are answered
    /// with the secondary limit's 403 and `Retry-After: 60`. None: no limit, as at the start.
    pub fn content_limit(&self, per_minute: Option<usize>) {
        self.lock().limits.content_per_minute = per_minute;
    }
}

impl World {
    /// Refuses a token that has used up its hour.
    pub fn check_rate(&mut self, ask: &Ask) -> Result<(), Reply> {
        let now = self.clock.now();
        let Some(primary) = ask.token.as_ref().and_then(|token| self.limits.primary.get_mut(token)) else {
            return Ok(());
        };
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
    pub fn charge(&mut self, ask: &Ask, reply: Reply) -> Reply {
        let default_reset = self.clock.now() + TimeDelta::hours(1);
        let (limit, remaining, reset) = match ask.token.as_ref().map(|token| self.limits.primary.get_mut(token)) {
            Some(Some(primary)) => {
                if reply.status != 304 {
                    primary.remaining = (primary.remaining - 1).max(0);
                }
                (HOURLY, primary.remaining, primary.reset)
            }
            Some(None) => (HOURLY, HOURLY - 1, default_reset),
            None => (60, 59, default_reset),
        };
        reply
            .with("x-ratelimit-limit", limit.to_string())
            .with("x-ratelimit-remaining", remaining.to_string())
            .with("x-ratelimit-used", (limit - remaining).to_string())
            .with("x-ratelimit-reset", reset.timestamp().to_string())
            .with("x-ratelimit-resource", "core")
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
