//! Every answer that is not a success: one status, one sentence, `{"detail": "..."}`.
//!
//! Rooms below speak in their own errors; here, and only here, they become HTTP. What went wrong inside stays in the
//! log: a caller who gets a 500 is told which request to ask about, nothing more.

mod convert;
mod fails;

use std::{borrow::Cow, error::Error as StdError, fmt};

use poem::{
    IntoResponse, Response,
    error::{MethodNotAllowedError, NotFoundError, ResponseError},
    http::{HeaderName, HeaderValue, StatusCode, header},
};
use poem_openapi::{
    Object,
    error::{AuthorizationError, ParseParamError, ParsePathError},
    types::ToJSON,
};

pub(super) use fails::{documented, fails, register};

use crate::github::BoxError;

/// What every answer but a success looks like.
#[derive(Debug, Object)]
#[oai(rename = "Error", example)]
pub(super) struct ErrorBody {
    /// One sentence a person can act on.
    detail: String,
}

impl poem_openapi::types::Example for ErrorBody {
    fn example() -> Self {
        Self { detail: "Repo not connected".to_owned() }
    }
}

/// An answer that is not a success.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    detail: Cow<'static, str>,
    headers: Vec<(HeaderName, HeaderValue)>,
    cause: Option<BoxError>,
    /// Whether the caller is told which request to quote rather than what happened.
    unsaid: bool,
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { status, detail: detail.into(), headers: Vec::new(), cause: None, unsaid: false }
    }

    /// 400: what was sent makes no sense.
    pub(super) fn bad_request(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 401, as every route that needs a user answers without one.
    pub(super) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized")
            .with(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }

    /// 403.
    pub(super) fn forbidden(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    /// 404.
    pub(super) fn not_found(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// 409.
    pub(super) fn conflict(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    /// 422: a name, number or filter that cannot be one.
    pub(super) fn unprocessable(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }

    /// 500. The cause is logged once, where the request ends; the caller gets the request's id instead.
    pub(super) fn internal(cause: impl Into<BoxError>) -> Self {
        Self { unsaid: true, ..Self::failed("Internal error").because(cause) }
    }

    /// 500: what was asked for was tried and did not work, for a reason that callers may know.
    pub(super) fn failed(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
    }

    /// 503.
    pub(super) fn unavailable(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    }

    /// The same with one more header.
    #[must_use]
    pub(super) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The same, asking the sender to come back in a few seconds.
    #[must_use]
    fn retry_soon(self) -> Self {
        self.with(header::RETRY_AFTER, HeaderValue::from_static("5"))
    }

    /// The same, ending the connection: the rest of the request is not going to be read.
    #[must_use]
    pub(super) fn closing(self) -> Self {
        self.with(header::CONNECTION, HeaderValue::from_static("close"))
    }

    #[must_use]
    fn because(mut self, cause: impl Into<BoxError>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    /// What is behind it, for the log.
    pub(super) fn cause(&self) -> Option<&BoxError> {
        self.cause.as_ref()
    }

    /// Reads whatever a route or the framework answered instead of a success.
    ///
    /// `parameters` are the names in the matched path: the framework only counts them.
    pub(super) fn from_framework(error: poem::Error, parameters: &[String]) -> Self {
        let error = match error.downcast::<Self>() {
            Ok(problem) => return problem,
            Err(error) => error,
        };
        if let Some(ParseParamError { name, reason }) = error.downcast_ref() {
            return Self::unprocessable(sentence(name, reason));
        }
        if let Some(ParsePathError { name, reason }) = error.downcast_ref() {
            let position: Option<usize> = name.strip_prefix("param").and_then(|n| n.parse().ok());
            let name = position.and_then(|at| parameters.get(at)).map_or(*name, String::as_str);
            return Self::unprocessable(sentence(name, reason));
        }
        if error.is::<NotFoundError>() {
            return Self::not_found("No such path: /docs lists what there is");
        }
        if error.is::<MethodNotAllowedError>() {
            return Self::new(StatusCode::METHOD_NOT_ALLOWED, "This path does not take this method");
        }
        if error.is::<AuthorizationError>() {
            return Self::unauthorized();
        }
        match error.status() {
            status if status.is_client_error() => Self::new(status, status.canonical_reason().unwrap_or("Bad request")),
            _ => Self::internal(error.to_string()),
        }
    }

    /// The answer. `request` is the id to quote when it is our fault.
    pub(super) fn answer(&self, request: &str) -> Response {
        let detail = match self.unsaid {
            true => format!("Something went wrong on our side: quote request {request} when you report it"),
            false => self.detail.clone().into_owned(),
        };
        let body = ErrorBody { detail }.to_json_string();
        let mut response = Response::builder().status(self.status).content_type("application/json").body(body);
        for (name, value) in &self.headers {
            response.headers_mut().append(name, value.clone());
        }
        response
    }
}

/// The framework wraps our words in its own; callers want ours, with the parameter's name in front.
fn sentence(name: &str, reason: &str) -> String {
    let reason = reason.split(" (occurred while parsing").next().unwrap_or(reason);
    match reason.split_once("\": ") {
        Some((_, ours)) => format!("`{name}` {ours}"),
        None => format!("`{name}` is missing or cannot be read"),
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status.as_u16(), self.detail)
    }
}

impl StdError for Problem {}

impl ResponseError for Problem {
    fn status(&self) -> StatusCode {
        self.status
    }

    fn as_response(&self) -> Response {
        self.answer("-").into_response()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::{
        accounts::{secrets::SecretsError, session::AuthError},
        store::StoreError,
    };

    async fn body(response: Response) -> String {
        response.into_body().into_string().await.unwrap()
    }

    #[tokio::test]
    async fn a_database_error_is_told_to_nobody_but_the_log() {
        let problem = Problem::from(StoreError::Corrupt("row 7 of users holds hunter2".into()));
        assert!(problem.cause().unwrap().to_string().contains("hunter2"));
        let answer = body(problem.answer("req-1")).await;
        assert!(answer.contains("req-1") && !answer.contains("hunter2"), "{answer}");
    }

    #[tokio::test]
    async fn our_words_about_a_parameter_reach_the_caller_without_the_frameworks() {
        let raw =
            "failed to parse \"limit\": must be a number from 1 to 100 (occurred while parsing \"optional_limit\")";
        let error = ParseParamError { name: "limit", reason: raw.into() };
        let problem = Problem::from_framework(error.into(), &[]);
        assert_eq!(problem.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(body(problem.answer("-")).await, r#"{"detail":"`limit` must be a number from 1 to 100"}"#);
    }

    #[test]
    fn a_path_parameter_is_called_by_its_name() {
        let error = ParsePathError { name: "param1", reason: "failed to parse \"number\": must be 1 or more".into() };
        let problem = Problem::from_framework(error.into(), &["owner".into(), "number".into()]);
        assert_eq!(problem.to_string(), "422: `number` must be 1 or more");
    }

    #[test]
    fn a_secret_that_cannot_be_opened_is_our_trouble_and_not_the_senders() {
        let problem = Problem::from(SecretsError::Sealed);
        assert_eq!(problem.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(problem.answer("-").headers()[header::RETRY_AFTER], "5");
    }

    #[test]
    fn every_401_for_want_of_a_user_says_how_to_be_one() {
        let answer = Problem::from(AuthError::Unauthorized).answer("-");
        assert_eq!(answer.headers()[header::WWW_AUTHENTICATE], "Bearer");
    }
}
