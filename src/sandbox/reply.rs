//! Answers, in GitHub's form and words.

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::ask::Ask;

/// Where GitHub sends people for help; part of every error.
const DOCS: &str = "https://docs.github.com/rest";

/// An answer, not yet on the wire.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Bytes,
}

/// What a route returns: the error half is a refusal.
pub type Outcome = Result<Reply, Reply>;

impl Reply {
    pub fn json(status: u16, body: &Value) -> Self {
        let json = "application/json; charset=utf-8".to_owned();
        Self { status, headers: vec![("content-type", json)], body: body.to_string().into() }
    }

    pub fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new() }
    }

    pub fn text(status: u16, media: &str, body: impl Into<Bytes>) -> Self {
        Self { status, headers: vec![("content-type", media.to_owned())], body: body.into() }
    }

    pub fn redirect(status: u16, location: String) -> Self {
        let body = json!({"message": "Moved Permanently", "url": location, "documentation_url": DOCS});
        Self::json(status, &body).with("location", location)
    }

    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Names this answer by its content, and leaves the content out if the asker has it already.
    pub fn with_etag(self, ask: &Ask) -> Self {
        let mut hash = Sha256::new();
        hash.update(ask.header("accept").unwrap_or_default());
        hash.update([0]);
        hash.update(ask.token.as_deref().unwrap_or_default());
        hash.update([0]);
        hash.update(&self.body);
        let etag = format!("W/\"{}\"", hex::encode(hash.finalize()));
        let opaque = etag.trim_start_matches("W/");
        let known = ask.header("if-none-match").is_some_and(|list| {
            list.split(',').any(|tag| tag.trim() == "*" || tag.trim().trim_start_matches("W/") == opaque)
        });
        let reply = self.with("etag", etag.clone()).with("cache-control", "private, max-age=60, s-maxage=60");
        if !known {
            return reply;
        }
        let headers = reply.headers.into_iter().filter(|(name, _)| *name != "content-type").collect();
        Self { status: 304, headers, body: Bytes::new() }
    }

    pub fn into_http(self) -> http::Response<Full<Bytes>> {
        let mut response = http::Response::new(Full::new(self.body));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().append(name, value);
            }
        }
        response
    }
}

/// An error with a message only.
pub fn problem(status: u16, message: &str) -> Reply {
    let body = json!({"message": message, "documentation_url": DOCS, "status": status.to_string()});
    Reply::json(status, &body)
}

pub fn not_found() -> Reply {
    problem(404, "Not Found")
}

/// The request does not fit GitHub's description of it.
pub fn invalid(what: &str) -> Reply {
    problem(422, &format!("Invalid request.\n\n{what}"))
}

/// 422 with plain sentences, as reviews answer.
pub fn unprocessable(errors: &[&str]) -> Reply {
    let body = json!({"message": "Unprocessable Entity", "errors": errors, "documentation_url": DOCS, "status": "422"});
    Reply::json(422, &body)
}

/// 422 with a structured reason, as most of the API answers.
pub fn validation(resource: &str, field: &str, message: &str) -> Reply {
    let error = json!({"resource": resource, "code": "custom", "field": field, "message": message});
    let body = json!({"message": "Validation Failed", "errors": [error], "documentation_url": DOCS, "status": "422"});
    Reply::json(422, &body)
}

/// One page of a list, with the `Link` header that leads to the others.
pub fn page_of<T>(ask: &mut Ask, base: &str, all: &[T], show: impl FnMut(&T) -> Value) -> Reply {
    let (page, size) = ask.page();
    let last = all.len().div_ceil(size).max(1);
    let items: Vec<Value> = all.iter().skip((page - 1) * size).take(size).map(show).collect();
    let link = |page: usize, rel: &str| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(ask.query.iter().filter(|(name, _)| name != "page"));
        query.append_pair("page", &page.to_string());
        format!("<{base}{}?{}>; rel=\"{rel}\"", ask.canonical, query.finish())
    };
    let mut links = Vec::new();
    if page > 1 {
        links.push(link((page - 1).min(last), "prev"));
    }
    if page < last {
        links.extend([link(page + 1, "next"), link(last, "last")]);
    }
    if page > 1 {
        links.push(link(1, "first"));
    }
    let reply = Reply::json(200, &Value::Array(items));
    if links.is_empty() { reply } else { reply.with("link", links.join(", ")) }
}
