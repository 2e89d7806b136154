//! What lies outside this machine: GitHub and the bot's rights there, the way from GitHub to here, collectors of telemetry.
//! None of it is a failure: the server starts without, and work waits until it is there.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use http::{Request, header};
use url::{Host, Url};

use super::{
    Finding::{self, Ok as Fine, Warn},
    PATIENCE, slashed,
};
use crate::{
    cli::text::time,
    config::Config,
    domain::Clock,
    github::{BoxError, GitHub, GitHubError, GitHubOptions, Quota, RateGate, Standing},
    telemetry,
    web::{AGENT, Web, WebError},
};

/// How far our clock may be from GitHub's: sessions, rate limits and leases are told by it.
const SKEW: TimeDelta = TimeDelta::seconds(10);

/// Below this part of GitHub's limit something else may be using the bot's token.
const LOW: i64 = 10;

/// Whether GitHub can reach the receiver, as far as can be told from here.
pub(super) async fn webhooks(config: &Config, serving: bool) -> Finding {
    let receiver = format!("{}api/v1/webhooks/github", slashed(config));
    if is_near(&config.backend_url) {
        return Warn(format!("GitHub cannot reach {receiver}: set BACKEND_URL to a public address (or a tunnel's)"));
    }
    reach(&format!("{}health/live", slashed(config)), &receiver, serving).await
}

fn is_near(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback() || address.is_private(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => true,
    }
}

/// Asks at our own public address whether a nectr is there. While none runs, a proxy without one is all there can be.
pub(super) async fn reach(live: &str, receiver: &str, serving: bool) -> Finding {
    match get(live).await {
        Ok((200, true)) => Fine(format!("{receiver}: a nectr answers there")),
        Ok((502..=504, _)) if !serving => Fine(format!("{receiver}: a proxy is there; ask again while nectr runs")),
        Ok((status, _)) => Warn(format!(
            "{live} answers {status}, which is not nectr: check BACKEND_URL and where the proxy in front sends to"
        )),
        Err(error) if serving => Warn(format!(
            "{live} cannot be reached from here: {error}; check BACKEND_URL, DNS, the proxy and its certificate"
        )),
        Err(error) => Warn(format!("nothing is at {live} yet: {error}; ask again while nectr and its proxy run")),
    }
}

/// The status at an address, and whether it is how nectr says that it lives.
async fn get(url: &str) -> Result<(u16, bool), WebError> {
    let request = Request::get(url).header(header::USER_AGENT, AGENT).body(Bytes::new());
    let request = request.map_err(|error| WebError::Connection(error.to_string()))?;
    let answer = Web::new().send(request, PATIENCE).await?;
    let json: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    Ok((answer.status.as_u16(), json["status"] == "ok"))
}

/// Whether each collector takes what it is going to be sent.
pub(super) async fn collectors(config: &Config) -> Vec<(&'static str, Finding)> {
    let Some(otlp) = &config.otlp else { return Vec::new() };
    let tried = telemetry::try_collectors(otlp).await;
    let finding = |(signal, url, taken): (&'static str, Url, Result<(), String>)| {
        let finding = match taken {
            Ok(()) => Fine(format!("{url} takes them")),
            Err(error) => Warn(format!(
                "{url}: {error}; check the collector, OTEL_EXPORTER_OTLP_ENDPOINT and OTEL_EXPORTER_OTLP_HEADERS"
            )),
        };
        (signal, finding)
    };
    tried.into_iter().map(finding).collect()
}

/// Whether GitHub knows the bot, what it may do and how much is left of that, and whether our clocks agree.
pub(super) async fn github(config: &Config) -> Vec<(&'static str, Finding)> {
    let asked = async {
        let options = GitHubOptions {
            api_url: config.github.api_url.clone(),
            server_url: config.github.server_url.clone(),
            oauth: None,
            pat: config.github.pat.clone(),
            ask_gh: config.github.ask_gh,
            gate: Arc::new(ReadsOnly),
            clock: Clock::system(),
        };
        GitHub::new(options)?.bot().standing().await
    };
    let api = &config.github.api_url;
    let trouble = match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok(standing)) => return told(&standing, api, Utc::now()),
        Ok(Err(error @ GitHubError::Unauthorized)) => format!("{error}: make a new token and set GITHUB_PAT"),
        Ok(Err(GitHubError::Unavailable(cause))) => format!("nothing answers rightly at {api}: {cause}"),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("{api} did not answer within {} s", PATIENCE.as_secs()),
    };
    vec![("github", Warn(trouble))]
}

fn told(standing: &Standing, api: &Url, now: DateTime<Utc>) -> Vec<(&'static str, Finding)> {
    let mut lines = vec![
        ("github", Fine(format!("the bot is {} on {api}", standing.account.login))),
        ("github rights", rights(standing.scopes.as_deref())),
        ("github limit", limit(standing.quota)),
    ];
    lines.extend(standing.clock.map(|theirs| ("clock", clock(now, theirs))));
    lines
}

/// What the token may do, as far as GitHub says so for all repositories at once.
fn rights(scopes: Option<&[String]>) -> Finding {
    let has = |scope: &str| scopes.is_some_and(|scopes| scopes.iter().any(|known| known == scope));
    match scopes {
        None => Fine("a fine-grained token: what it may do shows at each repository that is connected".to_owned()),
        Some(_) if has("repo") => Fine("a classic token with the scope repo".to_owned()),
        Some(_) if has("public_repo") => {
            Warn("a classic token with public_repo: private repositories need one with the scope repo".to_owned())
        }
        Some(_) => {
            Warn("a classic token without the scope repo, which reviews need: set GITHUB_PAT to another".to_owned())
        }
    }
}

fn limit(quota: Option<Quota>) -> Finding {
    let Some(Quota { limit, remaining, reset }) = quota else {
        return Fine("this GitHub sets none".to_owned());
    };
    let text = format!("{remaining} of {limit} requests are left until {}", time(reset));
    match remaining.saturating_mul(LOW) < limit {
        true => Warn(format!("{text}: reviews wait when none is; does something else use the bot's token?")),
        false => Fine(text),
    }
}

fn clock(ours: DateTime<Utc>, theirs: DateTime<Utc>) -> Finding {
    let ahead = ours - theirs;
    match ahead.abs() > SKEW {
        true => Warn(format!(
            "this machine's clock is {} s {} GitHub's: set it (NTP does)",
            ahead.abs().num_seconds(),
            if ahead > TimeDelta::zero() { "ahead of" } else { "behind" }
        )),
        false => Fine(format!("agrees with GitHub's to {} s", SKEW.num_seconds())),
    }
}

/// Doctor writes nothing, so there is nothing to admit.
struct ReadsOnly;

impl RateGate for ReadsOnly {
    fn admit(&self) -> Pin<Box<dyn Future<Output = Result<Option<Duration>, BoxError>> + Send + '_>> {
        Box::pin(async { Ok(None) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(finding: &Finding) -> String {
        match finding {
            Fine(text) => format!("ok {text}"),
            Warn(text) => format!("warn {text}"),
            Finding::Fail(text) => format!("fail {text}"),
        }
    }

    #[test]
    fn a_token_that_cannot_review_is_told_from_one_that_can() {
        let of = |scopes: &[&str]| said(&rights(Some(&scopes.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>())));
        assert!(of(&["read:user", "repo"]).starts_with("ok "));
        assert!(of(&["public_repo"]).starts_with("warn ") && of(&["public_repo"]).contains("private"));
        assert!(of(&["read:user"]).contains("GITHUB_PAT") && of(&[]).starts_with("warn "));
        assert!(said(&rights(None)).starts_with("ok a fine-grained"));
    }

    #[test]
    fn a_limit_that_is_nearly_used_up_is_said_with_its_end() {
        let reset = DateTime::from_timestamp(1_767_268_800, 0).unwrap_or_default();
        let left = |remaining| said(&limit(Some(Quota { limit: 5000, remaining, reset })));
        assert_eq!(left(4321), "ok 4321 of 5000 requests are left until 2026-01-01T12:00:00Z");
        assert!(left(499).starts_with("warn 499 of 5000"));
        assert!(left(500).starts_with("ok "));
    }

    #[test]
    fn a_clock_that_is_off_is_said_either_way() {
        let noon = DateTime::from_timestamp(1_767_268_800, 0).unwrap_or_default();
        assert!(said(&clock(noon, noon + TimeDelta::seconds(9))).starts_with("ok "));
        assert!(
            said(&clock(noon, noon + TimeDelta::seconds(95))).starts_with("warn this machine's clock is 95 s behind")
        );
        assert!(said(&clock(noon + TimeDelta::hours(1), noon)).contains("3600 s ahead of GitHub's"));
    }
}
