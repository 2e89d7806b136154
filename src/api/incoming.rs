//! What a delivery's headers say, checked before its body is read.
//!
//! Nothing here proves anything: headers are not signed. They decide which secrets to try and how to read the body, and
//! they must be bounded, because some of them are stored.

use poem::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde_json::{Map, Value};

use super::error::Problem;
use crate::{
    domain::{Guid, HookId},
    webhook,
};

/// Longest header value that is kept, in bytes.
const LONGEST_KEPT: usize = 512;

/// Most headers that are kept.
const MOST_KEPT: usize = 32;

/// The headers of a delivery.
#[derive(Debug)]
pub(super) struct Incoming {
    /// `X-GitHub-Event`.
    pub(super) event: String,
    /// `X-GitHub-Delivery`.
    pub(super) guid: Guid,
    /// `X-GitHub-Hook-ID`.
    pub(super) hook: Hook,
    /// `X-Hub-Signature-256`; none if absent or sent twice.
    pub(super) signature: Option<HeaderValue>,
    /// Whether the body is a form around the JSON.
    pub(super) form: bool,
    /// What is stored of the headers.
    pub(super) kept: Value,
}

/// Which webhook a delivery says it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hook {
    /// It does not say.
    Unsaid,
    /// This one.
    Id(HookId),
    /// One that cannot be: treated as one that is not known.
    Nonsense,
}

impl Incoming {
    /// 415 for bodies we do not read, 400 for a delivery without an event or an id.
    pub(super) fn read(headers: &HeaderMap) -> Result<Self, Problem> {
        let form = check_encoding(headers)?;
        let event = only(headers, "x-github-event")
            .filter(|event| webhook::is_event_name(event))
            .ok_or_else(|| Problem::bad_request("X-GitHub-Event must name one event, in lower case"))?;
        let guid = only(headers, "x-github-delivery")
            .and_then(Guid::parse)
            .ok_or_else(|| Problem::bad_request("X-GitHub-Delivery must be one GUID"))?;
        Ok(Self {
            event: event.to_owned(),
            guid,
            hook: hook(headers),
            signature: single(headers, "x-hub-signature-256").cloned(),
            form,
            kept: kept(headers),
        })
    }
}

/// Whether the body is a form (else JSON); 415 for anything else, and for any encoding: what was signed is read as it is.
fn check_encoding(headers: &HeaderMap) -> Result<bool, Problem> {
    let refuse = |detail| Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    if headers.contains_key(header::CONTENT_ENCODING) {
        return refuse("Send the body without Content-Encoding");
    }
    let essence =
        only(headers, "content-type").map(|value| value.split(';').next().unwrap_or(value).trim().to_ascii_lowercase());
    match essence.as_deref() {
        Some("application/json") => Ok(false),
        Some("application/x-www-form-urlencoded") => Ok(true),
        _ => refuse("Content-Type must be application/json or application/x-www-form-urlencoded"),
    }
}

fn hook(headers: &HeaderMap) -> Hook {
    if !headers.contains_key("x-github-hook-id") {
        return Hook::Unsaid;
    }
    let id = only(headers, "x-github-hook-id").filter(|id| id.bytes().all(|byte| byte.is_ascii_digit()));
    match id.and_then(|id| id.parse().ok()) {
        Some(id) => Hook::Id(HookId(id)),
        None => Hook::Nonsense,
    }
}

/// What is kept: never a signature, nothing that could hold a credential.
fn kept(headers: &HeaderMap) -> Value {
    let keep = |name: &HeaderName| {
        let name = name.as_str();
        name.starts_with("x-github-") || matches!(name, "content-type" | "user-agent" | "traceparent")
    };
    let kept = headers.iter().filter(|(name, _)| keep(name)).take(MOST_KEPT);
    let text = |value: &HeaderValue| {
        let bytes = value.as_bytes();
        String::from_utf8_lossy(&bytes[..bytes.len().min(LONGEST_KEPT)]).into_owned()
    };
    Value::Object(kept.map(|(name, value)| (name.as_str().to_owned(), text(value).into())).collect::<Map<_, _>>())
}

/// A header that was sent exactly once, as text.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    single(headers, name)?.to_str().ok()
}

fn single<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a HeaderValue> {
    let mut all = headers.get_all(name).iter();
    let first = all.next()?;
    all.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const GUID: &str = "72d3162e-cc78-11e3-81ab-4c9367dc0958";

    /// The usual headers, with these instead (an empty value removes one).
    fn headers(changes: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("content-type", "application/json"),
            ("x-github-event", "pull_request"),
            ("x-github-delivery", GUID),
            ("x-github-hook-id", "372189"),
            ("x-hub-signature-256", "sha256=00"),
            ("x-hub-signature", "sha1=00"),
            ("authorization", "Bearer hunter2"),
            ("cookie", "access_token=hunter2"),
            ("user-agent", "GitHub-Hookshot/044aadd"),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        for (name, value) in changes {
            headers.remove(*name);
            if !value.is_empty() {
                headers.insert(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
            }
        }
        headers
    }

    fn status(changes: &[(&'static str, &str)]) -> u16 {
        Incoming::read(&headers(changes)).map_or_else(|problem| problem.status().as_u16(), |_| 200)
    }

    #[test]
    fn json_and_forms_are_read_however_their_type_is_written() {
        for json in
            ["application/json", "application/json; charset=utf-8", "APPLICATION/JSON", " application/json ;x=y"]
        {
            assert!(!Incoming::read(&headers(&[("content-type", json)])).unwrap().form, "{json}");
        }
        let form = headers(&[("content-type", "application/x-www-form-urlencoded")]);
        assert!(Incoming::read(&form).unwrap().form);
        for other in ["text/plain", "application/jsonx", "application/vnd.api+json", "json", "", "\u{e4}"] {
            assert_eq!(status(&[("content-type", other)]), 415, "{other}");
        }
    }

    #[test]
    fn nothing_is_ever_decompressed() {
        for encoding in ["gzip", "br", "identity", "identity, gzip", "x"] {
            assert_eq!(status(&[("content-encoding", encoding)]), 415, "{encoding}");
        }
    }

    #[test]
    fn a_delivery_names_one_event_and_one_guid() {
        for event in ["", "Pull_Request", "pull-request", "a b", "pull_request\u{e9}", &"a".repeat(65)] {
            assert_eq!(status(&[("x-github-event", event)]), 400, "{event}");
        }
        assert_eq!(status(&[("x-github-event", "projects_v2_item")]), 200);
        for guid in ["", "1", "72d3162e-cc78-11e3-81ab-4c9367dc095g", "72d3162ecc7811e381ab4c9367dc0958"] {
            assert_eq!(status(&[("x-github-delivery", guid)]), 400, "{guid}");
        }
        let mut twice = headers(&[]);
        twice.append("x-github-delivery", HeaderValue::from_static(GUID));
        assert_eq!(Incoming::read(&twice).unwrap_err().status().as_u16(), 400);
    }

    #[test]
    fn a_hook_id_that_is_no_number_is_like_one_that_is_not_known() {
        let read = |id| Incoming::read(&headers(&[("x-github-hook-id", id)])).unwrap().hook;
        assert_eq!(read("372189"), Hook::Id(HookId(372_189)));
        assert_eq!(read(""), Hook::Unsaid);
        for nonsense in ["abc", "-1", "+1", "1.0", "99999999999999999999"] {
            assert_eq!(read(nonsense), Hook::Nonsense, "{nonsense}");
        }
    }

    #[test]
    fn two_signatures_are_as_good_as_none() {
        let mut twice = headers(&[]);
        twice.append("x-hub-signature-256", HeaderValue::from_static("sha256=11"));
        assert_eq!(Incoming::read(&twice).unwrap().signature, None);
    }

    #[test]
    fn signatures_cookies_and_tokens_are_not_kept_and_the_rest_is_bounded() {
        let long = "x".repeat(5000);
        let kept = Incoming::read(&headers(&[("x-github-enterprise-host", &long)])).unwrap().kept;
        let names: Vec<_> = kept.as_object().unwrap().keys().map(String::as_str).collect();
        assert!(!kept.to_string().contains("hunter2") && !kept.to_string().contains("sha"), "{kept}");
        for name in ["content-type", "user-agent", "x-github-delivery", "x-github-event", "x-github-hook-id"] {
            assert!(names.contains(&name), "{name}");
        }
        assert_eq!(kept["x-github-enterprise-host"].as_str().unwrap().len(), LONGEST_KEPT);
    }
}
