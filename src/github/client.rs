//! One request to GitHub and its answer: headers, deadline, redirects, limits, remembered answers, errors.
//!
//! A request leaves at most once (redirects aside), its token goes to the API's own origin and nowhere else, and it
//! ends within [`DEADLINE`] whatever the other side does.

use std::time::Duration;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Request, StatusCode,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LOCATION, USER_AGENT},
};
use octocrab::{AuthState, Octocrab, OctocrabBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use tracing::Instrument;
use url::{Origin, Url};

use super::{
    GitHubError,
    answer::Answer,
    call::{Call, Door},
    error::unavailable,
    etag::{Asked, Etags, Remembered},
    graphql,
    limits::{Budget, Limits, TokenKey, is_limit},
};
use crate::{
    domain::Clock,
    telemetry::{
        metrics::{Asked as How, metrics},
        trace,
    },
    web::{self, AGENT},
};

/// For one request in all: connecting, redirects, and the last byte of the answer.
pub(super) const DEADLINE: Duration = Duration::from_secs(15);
/// Idle connections are closed before GitHub closes them, or a POST could meet a dead one.
const IDLE: Duration = Duration::from_secs(20);
/// A renamed repository takes one redirect; renamed and transferred, two.
const MAX_REDIRECTS: usize = 3;
/// Rows per page, GitHub's maximum.
pub(super) const PER_PAGE: usize = 100;
/// Longer listings are an error: nobody could tell what is missing.
const MAX_PAGES: usize = 300;

const API_VERSION: &str = "2022-11-28";

/// The connections to one GitHub, and what is known about it.
pub(super) struct Client {
    octocrab: Octocrab,
    /// Origin and path prefix of the API, without a slash at the end.
    api: String,
    /// Address of the GraphQL API.
    graphql: String,
    /// The same of the site.
    site: String,
    origin: Origin,
    limits: Limits,
    etags: Etags,
}

impl Client {
    pub(super) fn new(api: &Url, site: &Url, clock: Clock) -> Result<Self, GitHubError> {
        // octocrab's own pool would send a second `User-Agent`, log each refusal as an error and repeat POSTs.
        let octocrab = OctocrabBuilder::new_empty().with_service(web::pool(IDLE)).with_auth(AuthState::None).build();
        let api_root = root(api)?;
        Ok(Self {
            octocrab: octocrab.unwrap_or_else(|never| match never {}),
            graphql: graphql_of(&api_root),
            api: api_root,
            site: root(site)?,
            origin: api.origin(),
            limits: Limits::new(clock),
            etags: Etags::new(),
        })
    }

    /// Refuses if `token` is on hold.
    pub(super) fn admit(&self, token: &SecretString, budget: Budget) -> Result<(), GitHubError> {
        match self.limits.wait(&TokenKey::of(token), budget) {
            Some(retry_after) => Err(GitHubError::RateLimited { retry_after }),
            None => Ok(()),
        }
    }

    /// Makes a request as `token`.
    pub(super) async fn call(&self, token: &SecretString, call: Call) -> Result<Answer, GitHubError> {
        self.admit(token, call.budget())?;
        let key = TokenKey::of(token);
        let bearer = bearer(token)?;
        let asked = call.conditional.then(|| Asked { token: key, path: call.path.clone(), accept: call.accept });
        let known = match &asked {
            Some(asked) => self.etags.recall(asked).await,
            None => None,
        };
        let answer = self.ask(&call, Some((&key, &bearer)), known.as_ref()).await?;
        match (known, asked, answer.headers.get(ETAG)) {
            (Some(known), ..) if answer.status == StatusCode::NOT_MODIFIED => Ok(Answer { body: known.body, ..answer }),
            (_, Some(asked), Some(etag)) if answer.status == StatusCode::OK => {
                self.etags.remember(asked, etag.clone(), answer.body.clone()).await;
                Ok(answer)
            }
            _ => Ok(answer),
        }
    }

    /// Makes a request as nobody.
    pub(super) async fn call_unsigned(&self, call: Call) -> Result<Answer, GitHubError> {
        self.ask(&call, None, None).await
    }

    /// One request, from the outside: sent, judged, seen and counted once.
    async fn ask(
        &self,
        call: &Call,
        token: Option<(&TokenKey, &HeaderValue)>,
        known: Option<&Remembered>,
    ) -> Result<Answer, GitHubError> {
        let span = tracing::info_span!("github", method = %call.method, route = call.route());
        let asking = async {
            let mut status = None;
            let bearer = token.map(|(_, bearer)| bearer);
            let judged = self.exchange(call, bearer, known, &mut status).await.and_then(|answer| {
                self.judge(call, token.map(|(key, _)| key), known.is_some(), &answer)?;
                Ok(answer)
            });
            if let Some(status) = status {
                trace::tell("status", i64::from(status));
            }
            if judged.is_err() {
                trace::failed();
            }
            metrics().asked_github(match (&judged, status) {
                (Err(GitHubError::RateLimited { .. }), _) => How::Limited,
                (_, Some(status)) => How::Answered(status),
                (_, None) => How::Unanswered,
            });
            judged
        };
        asking.instrument(span).await
    }

    /// Every row of a listing. `call` asks for one page, counted from 1.
    pub(super) async fn pages<T: DeserializeOwned>(
        &self,
        token: &SecretString,
        call: impl Fn(usize) -> Call,
    ) -> Result<Vec<T>, GitHubError> {
        let mut rows = Vec::new();
        for page in 1..=MAX_PAGES {
            let answer = self.call(token, call(page)).await?;
            let batch: Vec<T> = answer.json()?;
            let full = batch.len() >= PER_PAGE;
            rows.extend(batch);
            if !answer.has_next().unwrap_or(full) {
                return Ok(rows);
            }
        }
        Err(GitHubError::Protocol(format!("a listing of more than {MAX_PAGES} pages")))
    }

    /// Sends it, follows where it leads, and reads the answer, all within the deadline. `seen` is the status of an answer
    /// that arrived, even one that is then of no use; none if it broke off.
    async fn exchange(
        &self,
        call: &Call,
        bearer: Option<&HeaderValue>,
        known: Option<&Remembered>,
        seen: &mut Option<u16>,
    ) -> Result<Answer, GitHubError> {
        let walk = async {
            let root = match call.door {
                Door::Rest => &self.api,
                Door::GraphQl => &self.graphql,
                Door::Site => &self.site,
            };
            let mut url = Url::parse(&format!("{root}{}", call.path)).map_err(unreadable)?;
            for _ in 0..=MAX_REDIRECTS {
                let request = request(&url, call, bearer, known)?;
                let response = self.octocrab.execute(request).await.map_err(|error| unavailable(&error))?;
                let status = response.status().as_u16();
                tracing::debug!(method = %call.method, path = url.path(), status, "asked GitHub");
                if call.by_bot {
                    note_remaining(response.headers());
                }
                if !call.follows(response.status()) {
                    let read = Answer::read(response, call.limit).await;
                    let broke_off = matches!(read, Err(GitHubError::Unavailable(_)));
                    *seen = (!broke_off).then_some(status);
                    return read;
                }
                *seen = Some(status);
                url = self.target(&url, response.headers())?;
                metrics().asked_github(How::Answered(status));
                *seen = None;
            }
            Err(GitHubError::Protocol(format!("more than {MAX_REDIRECTS} redirects")))
        };
        match tokio::time::timeout(DEADLINE, walk).await {
            Ok(ended) => ended,
            Err(_) => Err(GitHubError::Unavailable(format!("no answer within {} s", DEADLINE.as_secs()).into())),
        }
    }

    /// Where a redirect leads, if that is still the API.
    fn target(&self, from: &Url, headers: &HeaderMap) -> Result<Url, GitHubError> {
        let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
        let location = location.ok_or_else(|| GitHubError::Protocol("a redirect to nowhere".to_owned()))?;
        let to = from.join(location).map_err(unreadable)?;
        if to.origin() == self.origin {
            Ok(to)
        } else {
            Err(GitHubError::Protocol(format!(
                "a redirect away from the API, to {}",
                to.origin().ascii_serialization()
            )))
        }
    }

    /// Sorts an answer into served and refused, and remembers what it says about limits. `known`: whether "not
    /// modified" means something.
    fn judge(&self, call: &Call, token: Option<&TokenKey>, known: bool, answer: &Answer) -> Result<(), GitHubError> {
        let status = answer.status.as_u16();
        let served = || {
            if let Some(token) = token {
                self.limits.served(token, call.budget());
            }
            Ok(())
        };
        let limited = || {
            let held = |token| self.limits.refused(token, call.budget(), &answer.headers);
            Err(GitHubError::RateLimited { retry_after: token.map_or(Duration::from_secs(60), held) })
        };
        match status {
            200..=299 if call.door == Door::GraphQl && graphql::is_rate_limited(answer) => limited(),
            200..=299 => served(),
            304 if known => served(),
            301 | 302 | 307 | 308 if !call.follow => served(),
            401 => Err(GitHubError::Unauthorized),
            404 | 410 => Err(GitHubError::NotFound { what: call.what.clone() }),
            403 | 429 if is_limit(status, &answer.headers, &answer.message()) => limited(),
            403 => Err(GitHubError::Forbidden { message: answer.message() }),
            408 | 500..=599 => {
                Err(GitHubError::Unavailable(format!("GitHub answered {status}: {}", answer.message()).into()))
            }
            301 | 302 | 400..=499 => Err(GitHubError::Rejected { status, message: answer.message() }),
            _ => Err(GitHubError::Protocol(format!("status {status}"))),
        }
    }
}

/// Notes what an answer says remains of the rate limit.
fn note_remaining(headers: &HeaderMap) {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let (Some(resource), Some(Ok(remaining))) =
        (text("x-ratelimit-resource"), text("x-ratelimit-remaining").map(str::parse))
    {
        metrics().remaining(resource, remaining);
    }
}

/// Origin and path of a root URL, without a slash at the end.
fn root(url: &Url) -> Result<String, GitHubError> {
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(GitHubError::Protocol(format!("{} is no http or https address", url.scheme())));
    }
    Ok(format!("{}{}", url.origin().ascii_serialization(), url.path().trim_end_matches('/')))
}

/// Where the GraphQL API of a REST API is: beside it on GitHub Enterprise Server, whose REST API ends in `/api/v3`.
fn graphql_of(api: &str) -> String {
    match api.strip_suffix("/api/v3") {
        Some(server) => format!("{server}/api/graphql"),
        None => format!("{api}/graphql"),
    }
}

fn request(
    url: &Url,
    call: &Call,
    bearer: Option<&HeaderValue>,
    known: Option<&Remembered>,
) -> Result<Request<Bytes>, GitHubError> {
    let mut request = Request::builder()
        .method(call.method.clone())
        .uri(url.as_str())
        .header(USER_AGENT, AGENT)
        .header(ACCEPT, call.accept)
        .header("x-github-api-version", API_VERSION);
    if let Some(bearer) = bearer {
        request = request.header(AUTHORIZATION, bearer);
    }
    if let Some(known) = known {
        request = request.header(IF_NONE_MATCH, &known.etag);
    }
    let body = match &call.body {
        Some((kind, body)) => {
            request = request.header(CONTENT_TYPE, *kind);
            Bytes::from(body.clone())
        }
        None => Bytes::new(),
    };
    request.body(body).map_err(unreadable)
}

/// A token that cannot even be a header is a wrong token.
fn bearer(token: &SecretString) -> Result<HeaderValue, GitHubError> {
    let value = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()));
    let mut value = value.map_err(|_| GitHubError::Unauthorized)?;
    value.set_sensitive(true);
    Ok(value)
}

fn unreadable(error: impl std::error::Error) -> GitHubError {
    GitHubError::Protocol(format!("an address that cannot be: {error}"))
}
