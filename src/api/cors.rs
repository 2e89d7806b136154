//! Whose pages may use a visitor's cookie.
//!
//! Two origins are ours: where the API lives and where the front end lives. A page of any other origin may neither read
//! an answer (no CORS headers for it) nor change anything ([`Cors::may_change`]).

use poem::{
    Request, Response,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
};
use url::Url;

/// The origins of `BACKEND_URL` and `FRONTEND_URL`.
#[derive(Debug, Clone)]
pub(super) struct Cors {
    backend: HeaderValue,
    /// Only when it is not the backend's: only then a browser needs to be told.
    frontend: Option<HeaderValue>,
}

impl Cors {
    pub(super) fn new(backend: &Url, frontend: &Url) -> Self {
        let origin = |url: &Url| HeaderValue::from_str(&url.origin().ascii_serialization());
        let backend = origin(backend).unwrap_or(HeaderValue::from_static("null"));
        let frontend = origin(frontend).ok().filter(|frontend| *frontend != backend);
        Self { backend, frontend }
    }

    /// Answers a browser that asks before it sends something from the front end.
    pub(super) fn preflight(&self, request: &Request) -> Option<Response> {
        let asks = *request.method() == Method::OPTIONS
            && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        let origin = request.headers().get(header::ORIGIN)?;
        (asks && Some(origin) == self.frontend.as_ref()).then(|| {
            Response::builder()
                .status(StatusCode::NO_CONTENT)
                .header(header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, DELETE")
                .header(header::ACCESS_CONTROL_ALLOW_HEADERS, "Authorization, Content-Type, X-Request-Id")
                .header(header::ACCESS_CONTROL_MAX_AGE, "600")
                .finish()
        })
    }

    /// Lets a page of the front end read this answer.
    pub(super) fn allow(&self, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
        let Some(frontend) = &self.frontend else { return };
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        if origin == Some(frontend) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, frontend.clone());
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("X-Request-Id"));
        }
    }

    /// Whether a request that rides on the cookie was made by one of our own pages. A browser cannot be made to lie in
    /// either header, and sends at least one of them with every such request.
    pub(super) fn may_change(&self, headers: &HeaderMap) -> bool {
        let same_origin = headers.get("sec-fetch-site").is_some_and(|site| site == "same-origin");
        let ours = headers
            .get(header::ORIGIN)
            .is_some_and(|origin| *origin == self.backend || Some(origin) == self.frontend.as_ref());
        same_origin || ours
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn may_change(name: &'static str, value: &'static str) -> bool {
        let (backend, frontend) =
            (Url::parse("https://nectr.test/base").unwrap(), Url::parse("http://localhost:5173").unwrap());
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_static(value));
        Cors::new(&backend, &frontend).may_change(&headers)
    }

    #[test]
    fn only_our_own_pages_may_change_anything_with_the_cookie() {
        assert!(may_change("sec-fetch-site", "same-origin"));
        assert!(may_change("origin", "https://nectr.test"));
        assert!(may_change("origin", "http://localhost:5173"));
        for site in ["cross-site", "same-site", "none", ""] {
            assert!(!may_change("sec-fetch-site", site), "{site}");
        }
        for origin in ["null", "https://nectr.test.evil.test", "http://nectr.test", "https://nectr.test:444", ""] {
            assert!(!may_change("origin", origin), "{origin}");
        }
        assert!(!may_change("referer", "https://nectr.test/dashboard"));
    }
}
