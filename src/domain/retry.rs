//! When work that failed is tried again.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// What an error asks of whoever runs the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Nothing is wrong with this piece of work; the world is not ready. Does not count as an attempt.
    Park(Duration),
    /// The other side does not answer. As parked; the longer that lasts, the longer until the next try.
    Away,
    /// It failed; try again with back-off, a bounded number of times.
    Count,
}

/// The first wait for somebody who does not answer, and the longest.
const AWAY: Duration = Duration::from_secs(30);
const LONG_AWAY: Duration = Duration::from_secs(600);

/// How long to wait for somebody who does not answer, if work has been parked for so long: 30 s in the first two minutes;
/// later up to a quarter of that time, or 10 min, with full jitter, where `random` is uniform in `0.0..1.0`. All that waits
/// would otherwise come back in one moment, again and again.
pub fn while_away(parked: Duration, random: f64) -> Duration {
    let ceiling = (parked / 4).clamp(AWAY, LONG_AWAY);
    AWAY + (ceiling - AWAY).mul_f64(random.clamp(0.0, 1.0))
}

/// Attempts before a piece of work is dead.
pub const MAX_ATTEMPTS: i32 = 8;

/// Longest time a piece of work may stay parked before it is dead after all.
pub const MAX_PARKED: Duration = Duration::from_secs(72 * 3600);

/// Lower and upper bound of the wait after a failure.
const FIRST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(3600);

/// How long to wait after failure number `attempt` (from 1): exponential from 5 s to 1 h with full jitter, where
/// `random` is uniform in `0.0..1.0`. Never less than 5 s.
///
/// Full jitter spreads work that failed together (an outage ends for everybody at once).
pub fn backoff(attempt: i32, random: f64) -> Duration {
    let triplings = u32::try_from(attempt.saturating_sub(1)).unwrap_or(0).min(16);
    // 5 s tripled each time reaches the hour at the seventh failure, the last that is retried.
    let ceiling = FIRST.saturating_mul(3u32.saturating_pow(triplings)).min(LONGEST);
    FIRST + (ceiling - FIRST).mul_f64(random.clamp(0.0, 1.0))
}

/// The wait that a `Retry-After` names, in seconds or as a date. A date that is over names one below zero.
pub fn retry_after(value: &str, now: DateTime<Utc>) -> Option<TimeDelta> {
    let date = || DateTime::parse_from_rfc2822(value).ok().map(|at| at.with_timezone(&Utc) - now);
    value.parse::<u32>().ok().map(|seconds| TimeDelta::seconds(seconds.into())).or_else(date)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_from_five_seconds_to_an_hour() {
        assert_eq!(backoff(1, 0.99), Duration::from_secs(5));
        assert_eq!(backoff(2, 1.0), Duration::from_secs(15));
        assert_eq!(backoff(7, 1.0), Duration::from_secs(3600));
        assert_eq!(backoff(30, 1.0), Duration::from_secs(3600));
    }

    #[test]
    fn whoever_is_away_for_long_is_asked_less_often_and_not_by_all_at_once() {
        let minutes = |n: u64| Duration::from_secs(60 * n);
        for parked in [Duration::ZERO, minutes(2)] {
            assert_eq!(while_away(parked, 0.99), AWAY);
        }
        assert_eq!(while_away(minutes(20), 1.0), minutes(5));
        assert_eq!(while_away(minutes(4000), 1.0), LONG_AWAY);
        assert_eq!(while_away(minutes(4000), 0.0), AWAY);
    }

    #[test]
    fn jitter_never_goes_below_five_seconds() {
        assert!((1..20).all(|attempt| backoff(attempt, 0.0) == Duration::from_secs(5)));
    }
}
