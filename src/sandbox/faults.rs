//! Bad days at GitHub, on demand: for one request, for a share of them, or for all.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{
    Sandbox,
    ask::Ask,
    graphql,
    reply::{Reply, problem},
    rest::{API_PREFIX, short_path},
};

/// How a request goes wrong.
#[derive(Debug, Clone)]
pub enum Failure {
    /// Answered with this status and body; nothing happens.
    Status(u16, String),
    /// It happens, and is answered with this status and body all the same.
    StatusAfterWork(u16, String),
    /// 429 with `Retry-After`; nothing happens.
    RateLimited {
        /// The header's value.
        retry_after: Duration,
    },
    /// 403 of the secondary limit without any header that says for how long.
    Secondary,
    /// It happens, later.
    Delay(Duration),
    /// It happens when the test lets it: see [`Sandbox::hold_next`].
    Held(Hold),
    /// No answer, ever; nothing happens.
    Hang,
    /// It happens, then the connection closes without an answer.
    CutAfterWork,
    /// The connection closes; nothing happens.
    CutBefore,
}

/// A request that waits for a test.
#[derive(Debug, Clone, Default)]
pub struct Hold {
    arrived: CancellationToken,
    released: CancellationToken,
}

impl Hold {
    /// Resolves when the request is here.
    pub async fn arrived(&self) {
        self.arrived.cancelled().await;
    }

    /// Lets it happen.
    pub fn release(&self) {
        self.released.cancel();
    }

    /// What the request does.
    pub(super) async fn wait(&self) {
        self.arrived.cancel();
        self.released.cancelled().await;
    }
}

#[derive(Default)]
pub struct Faults {
    outage: bool,
    pub latency: Duration,
    planned: Vec<Plan>,
    chaos: Option<Chaos>,
}

struct Plan {
    pattern: String,
    times: usize,
    failure: Failure,
}

struct Chaos {
    percent: u64,
    state: u64,
}

impl Sandbox {
    /// While true, every request is answered with 502 and does nothing.
    pub fn outage(&self, on: bool) {
        self.lock().faults.outage = on;
    }

    /// The next request that matches goes wrong. `pattern` is a method and a path below the API root, `*` standing for
    /// one segment and a final `**` for any rest: `"POST /repos/*/*/pulls/*/reviews"`, `"* /user"`, `"GET /**"`. Questions in GraphQL are `"POST /graphql"`. The
    /// site's paths count from its root: `"POST /login/oauth/access_token"`.
    pub fn fail_next(&self, pattern: &str, failure: Failure) {
        self.fail_times(1, pattern, failure);
    }

    /// The next request that matches waits until it is released: what a test does in between happens while it is on its way.
    pub fn hold_next(&self, pattern: &str) -> Hold {
        let hold = Hold::default();
        self.fail_next(pattern, Failure::Held(hold.clone()));
        hold
    }

    /// The next `times` requests that match go wrong.
    pub fn fail_times(&self, times: usize, pattern: &str, failure: Failure) {
        self.lock().faults.planned.push(Plan { pattern: pattern.to_owned(), times, failure });
    }

    /// This share of all API requests goes wrong, in a way `seed` decides: 502 before or after the work, the connection
    /// cut before or after it, or a rate limit of one second. 0 ends it.
    pub fn fail_share(&self, percent: u8, seed: u64) {
        let chaos = Chaos { percent: percent.into(), state: seed | 1 };
        self.lock().faults.chaos = (percent > 0).then_some(chaos);
    }

    /// Forgets planned failures, chaos, latency and outage.
    pub fn recover(&self) {
        self.lock().faults = Faults::default();
    }

    /// Every request takes at least this long.
    pub fn latency(&self, latency: Duration) {
        self.lock().faults.latency = latency;
    }
}

impl Faults {
    /// What happens to this request, if anything bad does.
    pub fn pick(&mut self, ask: &Ask) -> Option<Failure> {
        if self.outage {
            return Some(Failure::Status(502, "<html>Unicorn!</html>".to_owned()));
        }
        let planned = self.planned.iter().position(|plan| matches(&plan.pattern, ask.method.as_str(), &ask.path));
        if let Some(at) = planned {
            self.planned[at].times -= 1;
            let failure = self.planned[at].failure.clone();
            self.planned.retain(|plan| plan.times > 0);
            return Some(failure);
        }
        let chaos = self.chaos.as_mut().filter(|_| ask.path.starts_with(API_PREFIX) || ask.path == graphql::PATH)?;
        if chaos.draw() % 100 >= chaos.percent {
            return None;
        }
        Some(match chaos.draw() % 5 {
            0 => Failure::Status(502, "bad gateway".to_owned()),
            1 => Failure::StatusAfterWork(502, "bad gateway".to_owned()),
            2 => Failure::CutBefore,
            3 => Failure::CutAfterWork,
            _ => Failure::RateLimited { retry_after: Duration::from_secs(1) },
        })
    }
}

impl Chaos {
    /// xorshift64*: the same seed, the same bad day.
    fn draw(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33
    }
}

impl Failure {
    /// The answer of a failure that does no work; none for those that only delay or cut.
    pub fn refusal(&self) -> Option<Reply> {
        match self {
            Self::Status(status, body) | Self::StatusAfterWork(status, body) => {
                let media = if body.starts_with('{') { "application/json" } else { "text/html" };
                Some(Reply::text(*status, media, body.clone()))
            }
            Self::RateLimited { retry_after } => {
                let reply = problem(429, "API rate limit exceeded");
                Some(reply.with("retry-after", retry_after.as_secs().to_string()))
            }
            Self::Secondary => Some(problem(
                403,
                "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
            )),
            Self::Delay(_) | Self::Held(_) | Self::Hang | Self::CutAfterWork | Self::CutBefore => None,
        }
    }
}

/// Whether a request is one that `pattern` means. Paths of the API count from its root.
pub fn matches(pattern: &str, method: &str, path: &str) -> bool {
    let (wanted, route) = pattern.split_once(' ').unwrap_or(("*", pattern));
    if wanted != "*" && !wanted.eq_ignore_ascii_case(method) {
        return false;
    }
    let mut have = short_path(path).split('/');
    for want in route.split('/') {
        match (want, have.next()) {
            ("**", Some(_)) => return true,
            ("*", Some(_)) => {}
            (want, Some(have)) if want.eq_ignore_ascii_case(have) => {}
            _ => return false,
        }
    }
    have.next().is_none()
}
