//! What GitHub said: reading a bounded answer, and turning a refusal into a [`GitHubError`].

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use serde::{Deserialize, de::DeserializeOwned};

use super::{GitHubError, error::unavailable};

/// Refusals are read this far; a longer one is an error page nobody reads.
const LONGEST_REFUSAL: usize = 64 * 1024;
/// GitHub's words are kept up to this many characters.
const LONGEST_MESSAGE: usize = 500;

/// One answer, read completely.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    /// Reads an answer of at most `limit` bytes; refusals are cut short instead.
    pub(super) async fn read<B>(response: http::Response<B>, limit: usize) -> Result<Self, GitHubError>
    where
        B: hyper::body::Body<Data = Bytes> + Unpin,
        B::Error: std::error::Error,
    {
        let (parts, mut body) = response.into_parts();
        let refusal = !parts.status.is_success();
        let limit = if refusal { LONGEST_REFUSAL } else { limit };
        let mut bytes = Vec::new();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|error| unavailable(&error))?.into_data() else { continue };
            if bytes.len() + data.len() > limit {
                if refusal {
                    break;
                }
                return Err(GitHubError::Protocol(format!("an answer of more than {limit} bytes")));
            }
            bytes.extend_from_slice(&data);
        }
        Ok(Self { status: parts.status, headers: parts.headers, body: bytes.into() })
    }

    /// The body as JSON.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, GitHubError> {
        self.json_borrowed()
    }

    /// The body as JSON, its strings left where they are: for bodies with a hundred thousand of them.
    pub(super) fn json_borrowed<'a, T: Deserialize<'a>>(&'a self) -> Result<T, GitHubError> {
        serde_json::from_slice(&self.body).map_err(|error| GitHubError::Protocol(shorten(&error.to_string())))
    }

    /// GitHub's words: its `message`, then what its `errors` say.
    pub(super) fn message(&self) -> String {
        let fallback = || self.status.canonical_reason().unwrap_or("no reason given").to_owned();
        let Ok(refusal) = serde_json::from_slice::<Refusal>(&self.body) else { return fallback() };
        let said: Vec<String> = refusal.message.into_iter().chain(refusal.errors.0).collect();
        if said.is_empty() { fallback() } else { shorten(&said.join("; ")) }
    }

    /// Whether GitHub says that another page follows; none if it says nothing about pages.
    pub(super) fn has_next(&self) -> Option<bool> {
        let mut links = self.headers.get_all(http::header::LINK).iter().peekable();
        links.peek()?;
        Some(links.any(|link| link.to_str().is_ok_and(|link| link.contains(r#"rel="next""#))))
    }
}

/// The body of a refusal.
#[derive(Deserialize)]
struct Refusal {
    message: Option<String>,
    #[serde(default)]
    errors: Reasons,
}

/// `errors`: usually a list of objects, sometimes of strings, sometimes one string.
#[derive(Default)]
struct Reasons(Vec<String>);

impl<'de> Deserialize<'de> for Reasons {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let reasons = match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::Array(items) => items,
            serde_json::Value::Null => Vec::new(),
            one => vec![one],
        };
        Ok(Self(reasons.iter().filter_map(reason).collect()))
    }
}

/// What one entry of `errors` says: its message, or which field has which problem.
fn reason(entry: &serde_json::Value) -> Option<String> {
    let field = |name| entry.get(name).and_then(serde_json::Value::as_str);
    let problem = || match (field("field"), field("code")) {
        (Some(field), Some(code)) => Some(format!("{field}: {code}")),
        (field, code) => field.or(code).map(str::to_owned),
    };
    entry.as_str().or_else(|| field("message")).map(str::to_owned).or_else(problem)
}

/// Text of GitHub's, cut to what a log line can bear.
pub(super) fn shorten(text: &str) -> String {
    match text.char_indices().nth(LONGEST_MESSAGE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn said(body: &str) -> String {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Answer { status, headers: HeaderMap::new(), body: Bytes::copy_from_slice(body.as_bytes()) }.message()
    }

    #[test]
    fn the_message_and_every_kind_of_reason_are_joined() {
        assert_eq!(
            said(
                r#"{"message": "Validation Failed", "errors": [
                    "Path could not be resolved",
                    {"resource": "Hook", "code": "custom", "message": "Hook already exists on this repository"},
                    {"resource": "Hook", "code": "missing_field", "field": "url"},
                    {"code": "invalid"}, 7, null, {}
                ]}"#
            ),
            "Validation Failed; Path could not be resolved; Hook already exists on this repository; \
             url: missing_field; invalid"
        );
    }

    #[test]
    fn a_single_string_of_reasons_is_taken_too() {
        assert_eq!(said(r#"{"message": "No", "errors": "because"}"#), "No; because");
    }

    #[test]
    fn a_refusal_without_words_is_named_by_its_status() {
        for body in ["<html>502</html>", "{}", "", r#"{"message": null, "errors": null}"#] {
            assert_eq!(said(body), "Unprocessable Entity", "{body}");
        }
    }

    #[test]
    fn long_words_are_cut_at_a_character() {
        let words = said(&format!(r#"{{"message": "{}"}}"#, "ä".repeat(10_000)));
        assert_eq!(words.chars().count(), LONGEST_MESSAGE + 1);
    }
}
