//! A request to GitHub as a value, before anybody's token is on it.

use http::{Method, StatusCode};

use super::limits::Budget;

/// Longest answer read, in bytes, unless [`Call::limit`] says otherwise.
const MAX_BODY: usize = 32 * 1024 * 1024;
/// Longest answer that may be asked for: a tree of 100,000 files with the longest paths GitHub is known to send.
const LARGEST_BODY: usize = 64 * 1024 * 1024;
/// The parts of GitHub's addresses that are always the same.
const WORDS: [&str; 24] = [
    "access_token",
    "attempts",
    "collaborators",
    "comments",
    "contents",
    "contributors",
    "deliveries",
    "dismissals",
    "events",
    "files",
    "git",
    "hooks",
    "issues",
    "login",
    "members",
    "memberships",
    "oauth",
    "orgs",
    "pings",
    "pulls",
    "repos",
    "reviews",
    "trees",
    "user",
];
const JSON: &str = "application/vnd.github+json";

/// Which of GitHub's doors a request goes to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    /// The REST API.
    Rest,
    /// The GraphQL API: one address, and a budget of requests of its own.
    GraphQl,
    /// The pages for people, for OAuth.
    Site,
}

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
    pub(super) door: Door,
    /// Whether the bot asks, rather than somebody who signed in.
    pub(super) by_bot: bool,
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
            door: Door::Rest,
            by_bot: false,
        }
    }

    pub(super) fn get(path: String, what: impl Into<String>) -> Self {
        Self::new(Method::GET, path, what)
    }

    pub(super) fn post(path: String, what: impl Into<String>, body: &serde_json::Value) -> Self {
        Self::new(Method::POST, path, what).body("application/json", body.to_string())
    }

    /// A POST that says everything with its path.
    pub(super) fn act(path: String, what: impl Into<String>) -> Self {
        Self::new(Method::POST, path, what)
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

    /// A question in GraphQL. It reads, though it is a POST.
    pub(super) fn graphql(query: &str, variables: &serde_json::Value, what: impl Into<String>) -> Self {
        let question = serde_json::json!({ "query": query, "variables": variables });
        Self { door: Door::GraphQl, ..Self::post(String::new(), what, &question) }
    }

    /// A form for the site (OAuth) rather than the API; answered in plain JSON.
    pub(super) fn site_form(path: &str, what: &str, form: String) -> Self {
        let call = Self::new(Method::POST, path.to_owned(), what).accept("application/json");
        Self { door: Door::Site, follow: false, ..call }.body("application/x-www-form-urlencoded", form)
    }

    /// What GitHub counts it under.
    pub(super) fn budget(&self) -> Budget {
        if self.door == Door::GraphQl { Budget::GraphQl } else { Budget::Rest }
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

    /// Bounds the answer to `limit` bytes, [`LARGEST_BODY`] at most.
    pub(super) fn limit(mut self, limit: usize) -> Self {
        self.limit = limit.min(LARGEST_BODY);
        self
    }

    /// Asks as the bot.
    pub(super) fn by_bot(mut self) -> Self {
        self.by_bot = true;
        self
    }

    /// The pattern of its address: `/repos/{owner}/{repo}/pulls/{}`. Holds no name and no number.
    pub(super) fn route(&self) -> String {
        if self.door == Door::GraphQl {
            return "/graphql".to_owned();
        }
        let path = self.path.split('?').next().unwrap_or_default();
        let mut segments = path.split('/').skip(1).peekable();
        let mut route = String::new();
        while let Some(segment) = segments.next() {
            let known = WORDS.contains(&segment);
            route.push('/');
            route.push_str(if known { segment } else { "{}" });
            if segment == "repos" && route == "/repos" && segments.peek().is_some() {
                route.push_str("/{owner}/{repo}");
                segments.nth(1);
            }
            // What follows is whatever the repository's people called it.
            if matches!(segment, "contents" | "trees") {
                route.push_str("/{}");
                break;
            }
        }
        route
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_holds_no_name_and_no_number() {
        for (path, route) in [
            ("/repos/acme/pulls/pulls/7/files?per_page=100", "/repos/{owner}/{repo}/pulls/{}/files"),
            ("/repos/acme/shop", "/repos/{owner}/{repo}"),
            ("/repos/acme/shop/contents/src/issues/a.rs?ref=main", "/repos/{owner}/{repo}/contents/{}"),
            ("/repos/acme/shop/git/trees/feature", "/repos/{owner}/{repo}/git/trees/{}"),
            ("/user/repos?page=2", "/user/repos"),
            ("/orgs/acme/members/octavia", "/orgs/{}/members/{}"),
        ] {
            assert_eq!(Call::get(path.to_owned(), "it").route(), route);
        }
        let question = Call::graphql("query { x }", &serde_json::json!({}), "it");
        assert_eq!(question.route(), "/graphql");
    }
}
