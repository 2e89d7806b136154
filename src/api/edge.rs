//! What every request passes on its way in and every answer on its way out.
//!
//! A request gets an id and a span; an answer carries the id back. Whatever goes wrong inside, a refusal by the
//! framework and a panic included, leaves as `{"detail": "..."}`. Spans hold the route's pattern, never the query:
//! sign-in codes travel there. A caller's `traceparent` is continued, but not a webhook's sender's.

use std::{
    any::Any,
    hash::{BuildHasher, RandomState},
    panic::AssertUnwindSafe,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use chrono::Utc;
use futures_util::FutureExt;
use poem::{
    Endpoint, IntoResponse, Middleware, Request, Response,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
};
use tracing::Instrument;

use super::{cors::Cors, error::Problem, paths::Paths, webhooks::RECEIVER};
use crate::telemetry::{metrics::metrics, trace};

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Wraps the whole API.
pub(super) struct Edge {
    paths: Arc<Paths>,
    cors: Arc<Cors>,
}

impl Edge {
    pub(super) fn new(paths: Paths, cors: Cors) -> Self {
        Self { paths: Arc::new(paths), cors: Arc::new(cors) }
    }
}

impl<E: Endpoint> Middleware<E> for Edge {
    type Output = Inside<E>;

    fn transform(&self, endpoint: E) -> Inside<E> {
        Inside { endpoint, paths: self.paths.clone(), cors: self.cors.clone() }
    }
}

/// An endpoint behind [`Edge`].
pub(super) struct Inside<E> {
    endpoint: E,
    paths: Arc<Paths>,
    cors: Arc<Cors>,
}

impl<E: Endpoint> Endpoint for Inside<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let started = Instant::now();
        let id = request_id(request.headers());
        let known = self.paths.find(request.uri().path());
        let receiving = known.is_some_and(|path| path.pattern() == RECEIVER);
        let span = tracing::info_span!(
            "request",
            method = %request.method(),
            route = known.map_or("unknown", |path| path.pattern()),
            request_id = id,
            trace_id = trace_id(request.headers()).filter(|_| !receiving),
        );
        // Whoever can reach the receiver could put whatever they like into a trace of ours.
        if !receiving {
            trace::continue_request(&span, request.headers());
        }
        let origin = request.headers().get(header::ORIGIN).cloned();
        let parameters = known.map(|path| path.parameters()).unwrap_or_default();

        let mut response = async {
            let answered = match self.cors.preflight(&request) {
                Some(response) => Ok(response),
                None => self.answer(request).await,
            };
            let response = answered.unwrap_or_else(|problem: poem::Error| {
                if problem.is_from_response() {
                    return problem.into_response();
                }
                let mut problem = Problem::from_framework(problem, parameters);
                if problem.status() == StatusCode::METHOD_NOT_ALLOWED
                    && let Some(allow) = known.and_then(|path| HeaderValue::from_str(&path.allow()).ok())
                {
                    problem = problem.with(header::ALLOW, allow);
                }
                note(&problem);
                problem.answer(&id)
            });
            tracing::debug!(status = response.status().as_u16(), "answered");
            trace::tell("status", i64::from(response.status().as_u16()));
            if response.status().is_server_error() {
                trace::failed();
            }
            response
        }
        .instrument(span)
        .await;

        if receiving {
            metrics().received(response.status().as_u16(), started.elapsed());
        }
        let headers = response.headers_mut();
        stamp(headers, &id);
        self.cors.allow(origin.as_ref(), headers);
        Ok(response)
    }
}

impl<E: Endpoint> Inside<E> {
    async fn answer(&self, request: Request) -> poem::Result<Response> {
        match AssertUnwindSafe(self.endpoint.call(request)).catch_unwind().await {
            Ok(answered) => answered.map(IntoResponse::into_response),
            Err(panic) => Err(Problem::internal(format!("panic: {}", words_of(&*panic))).into()),
        }
    }
}

/// The answer to what never became a request, as other refusals are, with the date that the parser adds to those.
pub(super) fn refuse(problem: &Problem) -> Response {
    let id = fresh_id();
    tracing::debug!(request_id = id, answered = %problem, "what came is no request");
    let mut response = problem.answer(&id);
    let headers = response.headers_mut();
    if let Ok(date) = HeaderValue::from_str(&Utc::now().format("%a, %d %b %Y %H:%M:%S GMT").to_string()) {
        headers.insert(header::DATE, date);
    }
    stamp(headers, &id);
    response
}

/// The one place where what a caller is not told is logged.
fn note(problem: &Problem) {
    match problem.cause() {
        Some(cause) if problem.status() == StatusCode::INTERNAL_SERVER_ERROR => {
            tracing::error!(error = %cause, "a request failed");
        }
        Some(cause) => tracing::warn!(error = %cause, answered = %problem, "a request was turned away"),
        None => {}
    }
}

/// What every answer has: the request's id; and data of one person is not kept by caches, and nobody guesses types.
fn stamp(headers: &mut HeaderMap, id: &str) {
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID.clone(), id);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

/// The caller's id for this request if it is one, else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let given = headers.get(&REQUEST_ID).and_then(|id| id.to_str().ok()).filter(|id| is_request_id(id));
    given.map_or_else(fresh_id, str::to_owned)
}

fn is_request_id(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

/// Unlikely to repeat, which is all a log needs of it.
fn fresh_id() -> String {
    static PROCESS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{:016x}{:08x}", PROCESS.hash_one(count), count & 0xffff_ffff)
}

/// The trace this request belongs to, where the caller says so (`00-<trace>-<span>-<flags>`).
fn trace_id(headers: &HeaderMap) -> Option<&str> {
    let mut parts = headers.get("traceparent")?.to_str().ok()?.split('-');
    let (_version, trace) = (parts.next()?, parts.next()?);
    (trace.len() == 32 && trace.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(trace)
}

fn words_of(panic: &(dyn Any + Send)) -> &str {
    let owned = panic.downcast_ref::<String>().map(String::as_str);
    owned.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without words")
}

/// Whether a request only looks.
pub(super) fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use poem::{EndpointExt, Route, get, handler, test::TestClient};
    use url::Url;

    use super::*;

    #[handler]
    fn fine() -> &'static str {
        "fine"
    }

    #[handler]
    fn panics() -> &'static str {
        panic!("the password is hunter2")
    }

    #[handler]
    fn fails() -> Result<&'static str, Problem> {
        Err(Problem::internal("disk full at /var/lib"))
    }

    fn api() -> TestClient<impl Endpoint> {
        let (backend, frontend) = (Url::parse("http://api.test").unwrap(), Url::parse("http://app.test").unwrap());
        let paths = Paths::new([("/fine/{name}", Method::GET), ("/panics", Method::GET), ("/fails", Method::GET)]);
        let routes = Route::new().at("/fine/:name", get(fine)).at("/panics", get(panics)).at("/fails", get(fails));
        TestClient::new(routes.with(Edge::new(paths, Cors::new(&backend, &frontend))))
    }

    #[tokio::test]
    async fn a_panic_is_a_500_that_says_nothing_but_whom_to_ask_about() {
        let answer = api().get("/panics").header("X-Request-Id", "my.id-1").send().await;
        answer.assert_status(StatusCode::INTERNAL_SERVER_ERROR);
        answer.assert_header("x-request-id", "my.id-1");
        answer.assert_content_type("application/json");
        let text = answer.0.into_body().into_string().await.unwrap();
        assert!(text.contains("my.id-1") && !text.contains("hunter2"), "{text}");
    }

    #[tokio::test]
    async fn an_error_inside_is_as_silent_as_a_panic() {
        let text = api().get("/fails").send().await.0.into_body().into_string().await.unwrap();
        assert!(text.starts_with(r#"{"detail":"Something went wrong on our side"#), "{text}");
    }

    #[tokio::test]
    async fn an_unknown_path_and_a_wrong_method_are_told_apart_in_json() {
        let answer = api().get("/nowhere").send().await;
        answer.assert_status(StatusCode::NOT_FOUND);
        answer.assert_json(serde_json::json!({"detail": "No such path: /docs lists what there is"})).await;

        let answer = api().post("/fine/one").send().await;
        answer.assert_status(StatusCode::METHOD_NOT_ALLOWED);
        answer.assert_header("allow", "GET, HEAD");
        answer.assert_json(serde_json::json!({"detail": "This path does not take this method"})).await;
    }

    #[tokio::test]
    async fn every_answer_carries_an_id_and_a_bad_one_is_replaced() {
        for bad in ["", "two words", "line\tbreak", &"x".repeat(129)] {
            let answer = api().get("/fine/one").header("X-Request-Id", bad).send().await;
            let id = answer.0.headers()["x-request-id"].to_str().unwrap().to_owned();
            assert!(is_request_id(&id) && id != bad, "{bad:?} -> {id}");
        }
        let first = api().get("/nowhere").send().await;
        let second = api().get("/nowhere").send().await;
        assert_ne!(first.0.headers()["x-request-id"], second.0.headers()["x-request-id"]);
    }

    #[tokio::test]
    async fn a_page_of_the_front_end_may_ask_with_its_cookie_and_no_other_page_may() {
        let answer = api().get("/fine/one").header("Origin", "http://app.test").send().await;
        answer.assert_header("access-control-allow-origin", "http://app.test");
        answer.assert_header("access-control-allow-credentials", "true");

        let answer = api().get("/fine/one").header("Origin", "http://evil.test").send().await;
        answer.assert_header_is_not_exist("access-control-allow-origin");
        answer.assert_header("vary", "Origin");
    }

    #[tokio::test]
    async fn a_browser_that_asks_first_is_answered_for_the_front_end_only() {
        let ask = |origin: &'static str| async move {
            let api = api();
            let asked = api.request(Method::OPTIONS, "/fine/one").header("Origin", origin);
            asked.header("Access-Control-Request-Method", "DELETE").send().await
        };
        let answer = ask("http://app.test").await;
        answer.assert_status(StatusCode::NO_CONTENT);
        answer.assert_header("access-control-allow-methods", "GET, POST, DELETE");
        ask("http://evil.test").await.assert_status(StatusCode::METHOD_NOT_ALLOWED);
    }

    #[tokio::test]
    async fn head_is_get_without_the_body() {
        let answer = api().head("/fine/one").send().await;
        answer.assert_status_is_ok();
        answer.assert_text("").await;
    }
}
