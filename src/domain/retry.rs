//! When work that failed is tried again.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// What an error asks of whoever runs the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Nothing is wrong with this piece of work; the world is not ready. Does not count as an attempt.
    Park(Duration),
    /// It failed; try again with back-off, a bounded number of times.
    Count,
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
    fn jitter_never_goes_below_five_seconds() {
        assert!((1..20).all(|attempt| backoff(attempt, 0.0) == Duration::from_secs(5)));
    }
}
