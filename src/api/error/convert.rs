//! What the errors of the rooms below are in HTTP.

use poem::http::StatusCode;

use super::Problem;
use crate::{
    accounts::{
        connect::ConnectError, repos::ListError, rotation::RotateError, secrets::SecretsError, session::AuthError,
        sign_in::SignInError, webhook::RepairError,
    },
    api::body::BodyError,
    github::GitHubError,
    graph::GraphError,
    inbox::IntakeError,
    knowledge::RescanError,
    store::StoreError,
    webhook::{BadSignature, ParseError},
};

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::internal(error)
    }
}

impl From<AuthError> for Problem {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Unauthorized => Self::unauthorized(),
            AuthError::Store(error) => error.into(),
        }
    }
}

impl From<SignInError> for Problem {
    fn from(error: SignInError) -> Self {
        let detail = error.to_string();
        match error {
            SignInError::NotConfigured => Self::unavailable(detail),
            SignInError::BadState | SignInError::Exchange => Self::bad_request(detail),
            SignInError::NotAllowed => Self::forbidden(detail),
            SignInError::Unreachable => Self::new(StatusCode::BAD_GATEWAY, detail),
            SignInError::Store(error) => error.into(),
        }
    }
}

impl From<ListError> for Problem {
    fn from(error: ListError) -> Self {
        let detail = error.to_string();
        match error {
            ListError::SessionExpired => Self::new(StatusCode::UNAUTHORIZED, detail),
            ListError::GitHub => Self::new(StatusCode::BAD_GATEWAY, detail),
            ListError::Store(error) => error.into(),
        }
    }
}

impl From<ConnectError> for Problem {
    fn from(error: ConnectError) -> Self {
        let detail = error.to_string();
        match error {
            ConnectError::AlreadyConnected => Self::bad_request(detail),
            ConnectError::SessionExpired => Self::new(StatusCode::UNAUTHORIZED, detail),
            ConnectError::Failed(_) => Self::new(StatusCode::BAD_GATEWAY, detail),
            ConnectError::NotFound => Self::not_found(detail),
            ConnectError::Store(error) => error.into(),
        }
    }
}

impl From<RepairError> for Problem {
    fn from(error: RepairError) -> Self {
        let detail = error.to_string();
        match error {
            RepairError::SessionExpired => Self::new(StatusCode::UNAUTHORIZED, detail),
            RepairError::Failed(_) => Self::new(StatusCode::BAD_GATEWAY, detail),
            RepairError::Store(error) => error.into(),
        }
    }
}

impl From<RotateError> for Problem {
    fn from(error: RotateError) -> Self {
        let detail = error.to_string();
        match error {
            RotateError::SessionExpired => Self::new(StatusCode::UNAUTHORIZED, detail),
            RotateError::Busy => Self::conflict(detail),
            RotateError::Failed(_) => Self::new(StatusCode::BAD_GATEWAY, detail),
            RotateError::Store(error) => error.into(),
        }
    }
}

/// Reading a pull request on a caller's behalf: all a caller can do about most of these is wait.
impl From<&GitHubError> for Problem {
    fn from(error: &GitHubError) -> Self {
        match error {
            GitHubError::NotFound { .. } => Self::not_found("Pull request not found"),
            other => Self::new(StatusCode::BAD_GATEWAY, "GitHub is unreachable").because(other.to_string()),
        }
    }
}

impl From<GitHubError> for Problem {
    fn from(error: GitHubError) -> Self {
        Self::from(&error)
    }
}

impl From<RescanError> for Problem {
    fn from(error: RescanError) -> Self {
        let detail = error.to_string();
        match error {
            RescanError::NotConfigured | RescanError::Unreachable => Self::unavailable(detail),
            RescanError::Failed(_) => Self::failed(detail),
            RescanError::Store(error) => error.into(),
        }
    }
}

/// Whatever keeps the graph, callers know it by one name.
impl From<GraphError> for Problem {
    fn from(error: GraphError) -> Self {
        match error {
            GraphError::Unavailable(_) => RescanError::Unreachable.into(),
            GraphError::Misconfigured(_) => {
                tracing::warn!(%error, "the code graph was asked in vain");
                RescanError::Unreachable.into()
            }
            GraphError::Refused(_) | GraphError::Outdated => Self::internal(error),
        }
    }
}

impl From<BodyError> for Problem {
    fn from(error: BodyError) -> Self {
        let detail = error.to_string();
        match error {
            BodyError::TooLarge => Self::new(StatusCode::PAYLOAD_TOO_LARGE, detail).closing(),
            BodyError::Slow => Self::new(StatusCode::REQUEST_TIMEOUT, detail).closing(),
            BodyError::Crowded => Self::unavailable(detail).retry_soon().closing(),
            BodyError::Broken => Self::bad_request(detail).closing(),
        }
    }
}

impl From<BadSignature> for Problem {
    fn from(error: BadSignature) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, error.to_string())
    }
}

impl From<ParseError> for Problem {
    fn from(error: ParseError) -> Self {
        Self::bad_request(error.0)
    }
}

/// The sender may well be right: it is we who cannot tell.
impl From<SecretsError> for Problem {
    fn from(error: SecretsError) -> Self {
        Self::unavailable("The delivery cannot be checked now, send it again").retry_soon().because(error)
    }
}

impl From<IntakeError> for Problem {
    fn from(error: IntakeError) -> Self {
        Self::unavailable("The delivery cannot be stored now, send it again").retry_soon().because(error)
    }
}
