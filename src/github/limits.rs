//! Which tokens GitHub has told us to keep quiet, and until when.
//!
//! While a token is held, no request is made with it: asking again makes GitHub's secondary limits longer. Tokens are
//! known by their hash only.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use http::HeaderMap;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::domain::{Clock, retry};

/// GitHub's advice for a secondary limit that names no time: a minute, then exponentially longer.
const FIRST_HOLD: Duration = Duration::from_secs(60);
/// The longest hold we choose ourselves.
const LONGEST_HOLD: Duration = Duration::from_secs(15 * 60);
/// The longest hold we let GitHub choose; its own windows are an hour.
const LONGEST_TOLD: Duration = Duration::from_secs(24 * 3600);
/// Above this many remembered tokens, those whose hold is over are forgotten.
const MANY: usize = 1_000;

/// Names a token without being one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct TokenKey([u8; 32]);

impl TokenKey {
    pub(super) fn of(token: &SecretString) -> Self {
        Self(Sha256::digest(token.expose_secret().as_bytes()).into())
    }
}

/// GitHub counts requests to its two APIs apart; its secondary limits are for both together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Budget {
    Rest,
    GraphQl,
}

/// A token GitHub refused for asking too much.
struct Hold {
    /// When GitHub last said so: a clock that is set back before then ends the hold.
    told: DateTime<Utc>,
    until: DateTime<Utc>,
    /// Refusals in a row that named no time.
    strikes: u32,
}

type Holds = HashMap<(TokenKey, Budget), Hold>;

/// The tokens on hold.
pub(super) struct Limits {
    clock: Clock,
    holds: Mutex<Holds>,
}

impl Limits {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, holds: Mutex::default() }
    }

    /// How long no request may be made with this token to that API, if it is on hold.
    pub(super) fn wait(&self, token: &TokenKey, budget: Budget) -> Option<Duration> {
        let now = self.clock.now();
        let holds = self.lock();
        let hold = holds.get(&(*token, budget)).filter(|hold| hold.told <= now)?;
        (hold.until - now).to_std().ok().filter(|wait| !wait.is_zero())
    }

    /// GitHub refused this token for a limit: holds it and says for how long. A budget that is used up leaves the other
    /// API open; a secondary limit closes both.
    pub(super) fn refused(&self, token: &TokenKey, budget: Budget, headers: &HeaderMap) -> Duration {
        let now = self.clock.now();
        let mut holds = self.lock();
        if holds.len() > MANY {
            holds.retain(|_, hold| hold.until > now);
        }
        let wait = hold(&mut holds, (*token, budget), headers, now);
        if !spent(headers) {
            let other = if budget == Budget::Rest { Budget::GraphQl } else { Budget::Rest };
            hold(&mut holds, (*token, other), headers, now);
        }
        wait
    }

    /// GitHub served this token: the next refusal is a first one again. A hold in force stays, because this answer may
    /// be to a request made before it.
    pub(super) fn served(&self, token: &TokenKey, budget: Budget) {
        let now = self.clock.now();
        let mut holds = self.lock();
        if holds.get(&(*token, budget)).is_some_and(|hold| hold.until <= now) {
            holds.remove(&(*token, budget));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Holds> {
        self.holds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Holds one budget of a token as long as GitHub says, or longer each time; returns how long.
fn hold(holds: &mut Holds, whose: (TokenKey, Budget), headers: &HeaderMap, now: DateTime<Utc>) -> Duration {
    let hold = holds.entry(whose).or_insert(Hold { told: now, until: now, strikes: 0 });
    if now < hold.told {
        hold.until = now;
    }
    hold.told = now;
    let until = match told(headers, now) {
        Some(wait) => now + wait,
        // Requests that were under way together are refused together: that is one strike, not many.
        None if hold.until > now => hold.until,
        None => {
            let wait = FIRST_HOLD.saturating_mul(2u32.saturating_pow(hold.strikes)).min(LONGEST_HOLD);
            hold.strikes += 1;
            now + wait
        }
    };
    hold.until = hold.until.max(until);
    (hold.until - now).to_std().unwrap_or(FIRST_HOLD)
}

/// Whether a 403 or 429 is about how much is asked rather than what.
pub(super) fn is_limit(status: u16, headers: &HeaderMap, message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    status == 429
        || headers.contains_key("retry-after")
        || text(headers, "x-ratelimit-remaining") == Some("0")
        || message.contains("rate limit")
        || message.contains("abuse")
}

/// The wait GitHub names: `retry-after` in seconds or as a date, else `x-ratelimit-reset` when nothing remains. Times
/// that are already over say nothing.
fn told(headers: &HeaderMap, now: DateTime<Utc>) -> Option<TimeDelta> {
    let retry_after = text(headers, "retry-after").and_then(|value| retry::retry_after(value, now));
    let reset = || {
        let at: i64 = text(headers, "x-ratelimit-reset").filter(|_| spent(headers))?.parse().ok()?;
        Some(DateTime::from_timestamp(at, 0)? - now)
    };
    let longest = TimeDelta::from_std(LONGEST_TOLD).unwrap_or(TimeDelta::MAX);
    retry_after.or_else(reset).filter(|wait| *wait > TimeDelta::zero()).map(|wait| wait.min(longest))
}

fn spent(headers: &HeaderMap) -> bool {
    text(headers, "x-ratelimit-remaining") == Some("0")
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn limits() -> (Limits, Clock, TokenKey) {
        let clock = Clock::manual(DateTime::from_timestamp(1_800_000_000, 0).unwrap());
        (Limits::new(clock.clone()), clock, TokenKey::of(&SecretString::from("t")))
    }

    fn headers<const N: usize>(pairs: [(&'static str, &str); N]) -> HeaderMap {
        pairs.into_iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    const fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn retry_after_holds_the_token_for_exactly_that_long() {
        let (limits, clock, token) = limits();
        assert_eq!(limits.refused(&token, Budget::Rest, &headers([("retry-after", "17")])), seconds(17));

        clock.advance(seconds(16));
        assert_eq!(limits.wait(&token, Budget::Rest), Some(seconds(1)));
        clock.advance(seconds(1));
        assert_eq!(limits.wait(&token, Budget::Rest), None);
    }

    #[test]
    fn a_clock_that_is_set_back_ends_a_hold() {
        let (limits, clock, token) = limits();
        limits.refused(&token, Budget::Rest, &headers([("retry-after", "17")]));
        clock.set_back(seconds(3600));
        assert_eq!(limits.wait(&token, Budget::Rest), None);
        assert_eq!(limits.refused(&token, Budget::Rest, &headers([("retry-after", "20")])), seconds(20));
        assert_eq!(limits.wait(&token, Budget::Rest), Some(seconds(20)));
    }

    #[test]
    fn retry_after_may_be_a_date() {
        let (limits, clock, token) = limits();
        let date = (clock.now() + TimeDelta::seconds(90)).to_rfc2822();
        assert_eq!(limits.refused(&token, Budget::Rest, &headers([("retry-after", &date)])), seconds(90));
    }

    #[test]
    fn an_exhausted_quota_holds_until_its_reset() {
        let (limits, _, token) = limits();
        let spent = headers([("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1800000900")]);
        assert_eq!(limits.refused(&token, Budget::Rest, &spent), seconds(900));
    }

    #[test]
    fn the_reset_of_a_quota_that_is_not_used_up_means_nothing() {
        let (limits, _, token) = limits();
        let secondary = headers([("x-ratelimit-remaining", "4000"), ("x-ratelimit-reset", "1800003000")]);
        assert_eq!(limits.refused(&token, Budget::Rest, &secondary), seconds(60));
    }

    #[test]
    fn refusals_that_name_no_time_hold_longer_and_longer_up_to_a_quarter_of_an_hour() {
        let (limits, clock, token) = limits();
        let holds: Vec<u64> = (0..6)
            .map(|_| {
                let wait = limits.refused(&token, Budget::Rest, &HeaderMap::new());
                clock.advance(wait);
                wait.as_secs()
            })
            .collect();
        assert_eq!(holds, [60, 120, 240, 480, 900, 900]);
    }

    #[test]
    fn a_success_makes_the_next_refusal_a_first_one() {
        let (limits, clock, token) = limits();
        for _ in 0..3 {
            clock.advance(limits.refused(&token, Budget::Rest, &HeaderMap::new()));
        }
        limits.served(&token, Budget::Rest);
        assert_eq!(limits.refused(&token, Budget::Rest, &HeaderMap::new()), seconds(60));
    }

    #[test]
    fn requests_refused_together_are_one_strike() {
        let (limits, _, token) = limits();
        let waits: Vec<_> = (0..10).map(|_| limits.refused(&token, Budget::Rest, &HeaderMap::new())).collect();
        assert_eq!(waits, [seconds(60); 10]);
    }

    #[test]
    fn a_success_of_an_earlier_request_does_not_lift_a_hold() {
        let (limits, _, token) = limits();
        limits.refused(&token, Budget::Rest, &headers([("retry-after", "30")]));
        limits.served(&token, Budget::Rest);
        assert_eq!(limits.wait(&token, Budget::Rest), Some(seconds(30)));
    }

    #[test]
    fn a_shorter_hold_never_replaces_a_longer_one() {
        let (limits, _, token) = limits();
        limits.refused(&token, Budget::Rest, &headers([("retry-after", "600")]));
        assert_eq!(limits.refused(&token, Budget::Rest, &headers([("retry-after", "5")])), seconds(600));
    }

    #[test]
    fn an_absurd_hold_is_cut_to_a_day_and_a_past_one_is_a_minute() {
        let (limits, clock, token) = limits();
        assert_eq!(limits.refused(&token, Budget::Rest, &headers([("retry-after", "4000000000")])), seconds(86_400));
        clock.advance(seconds(86_400));
        let past = headers([("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "5")]);
        assert_eq!(limits.refused(&token, Budget::Rest, &past), seconds(60));
    }

    #[test]
    fn one_token_on_hold_does_not_hold_another() {
        let (limits, _, token) = limits();
        limits.refused(&token, Budget::Rest, &HeaderMap::new());
        assert_eq!(limits.wait(&TokenKey::of(&SecretString::from("other")), Budget::Rest), None);
    }

    #[test]
    fn a_used_up_budget_of_one_api_leaves_the_other_open_and_a_secondary_limit_closes_both() {
        for (budget, other) in [(Budget::Rest, Budget::GraphQl), (Budget::GraphQl, Budget::Rest)] {
            let (limits, _, token) = limits();
            let spent = headers([("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1800000900")]);
            limits.refused(&token, budget, &spent);
            assert_eq!((limits.wait(&token, budget), limits.wait(&token, other)), (Some(seconds(900)), None));

            limits.refused(&token, budget, &headers([("retry-after", "17")]));
            assert_eq!(
                (limits.wait(&token, budget), limits.wait(&token, other)),
                (Some(seconds(900)), Some(seconds(17)))
            );
        }
    }

    #[test]
    fn a_plain_403_is_no_limit() {
        assert!(!is_limit(403, &headers([("x-ratelimit-remaining", "4999")]), "Resource not accessible by token"));
        assert!(is_limit(403, &HeaderMap::new(), "You have exceeded a secondary rate limit."));
        assert!(is_limit(403, &HeaderMap::new(), "You have triggered an abuse detection mechanism."));
        assert!(is_limit(403, &headers([("retry-after", "1")]), ""));
        assert!(is_limit(403, &headers([("x-ratelimit-remaining", "0")]), ""));
        assert!(is_limit(429, &HeaderMap::new(), ""));
    }
}
