//! A request to GitHub as a value, before anybody's token is on it.

use http::{Method, StatusCode};

/// Longest answer read, in bytes.
const MAX_BODY: usize = 32 * 1024 * 1024;
const JSON: &str = "application/vnd.github+json";

/// A request before anybody's token is on it.
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) what: String,
    pub(super) accept: &'static str,
    pub(super) body: Option<(&'static str, Vec<u8>)>,
    pub(super) limit: usize,
    pub(super) conditional: bool,
    pub(super) follow: bool,
    pub(super) site: bool,
}

impl Call {
    /// `path` starts with `/` and includes the query; `what` names the thing for people if it is not there.
    fn new(method: Method, path: String, what: impl Into<String>) -> Self {
        let what = what.into();
        Self {
            method,
            path,
            what,
            accept: JSON,
            body: None,
            limit: MAX_BODY,
            conditional: false,
            follow: true,
            site: false,
        }
    }

    pub(super) fn get(path: String, what: impl Into<String>) -> Self {
        Self::new(Method::GET, path, what)
    }

    pub(super) fn post(path: String, what: impl Into<String>, body: &serde_json::Value) -> Self {
        Self::new(Method::POST, path, what).body("application/json", body.to_string())
    }

    pub(super) fn put(path: String, what: impl Into<String>, body: &serde_json::Value) -> Self {
        Self::new(Method::PUT, path, what).body("application/json", body.to_string())
    }

    pub(super) fn patch(path: String, what: impl Into<String>, body: &serde_json::Value) -> Self {
        Self::new(Method::PATCH, path, what).body("application/json", body.to_string())
    }

    pub(super) fn delete(path: String, what: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path, what)
    }

    /// A form for the site (OAuth) rather than the API; answered in plain JSON.
    pub(super) fn site_form(path: &str, what: &str, form: String) -> Self {
        let call = Self::new(Method::POST, path.to_owned(), what).accept("application/json");
        Self { site: true, follow: false, ..call }.body("application/x-www-form-urlencoded", form)
    }

    fn body(mut self, kind: &'static str, body: String) -> Self {
        self.body = Some((kind, body.into_bytes()));
        self
    }

    /// Asks for another form than JSON.
    pub(super) fn accept(mut self, accept: &'static str) -> Self {
        self.accept = accept;
        self
    }

    /// Bounds the answer to less than [`MAX_BODY`].
    pub(super) fn limit(mut self, limit: usize) -> Self {
        self.limit = limit.min(MAX_BODY);
        self
    }

    /// Asks only for what changed since the last time.
    pub(super) fn conditional(mut self) -> Self {
        self.conditional = true;
        self
    }

    /// Takes a redirect for an answer.
    pub(super) fn unfollowed(mut self) -> Self {
        self.follow = false;
        self
    }

    /// Whether an answer with this status leads on to another place.
    pub(super) fn follows(&self, status: StatusCode) -> bool {
        // What a 301 or 302 means for anything but a GET is a matter of opinion; 307 and 308 leave no doubt.
        let clear = matches!(status.as_u16(), 307 | 308);
        self.follow && (clear || (self.method == Method::GET && matches!(status.as_u16(), 301 | 302)))
    }
}

/// One path segment that cannot break out: everything but unreserved characters percent-encoded.
pub(super) fn escape(segment: &str) -> String {
    use std::fmt::Write;
    segment.bytes().fold(String::with_capacity(segment.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}
