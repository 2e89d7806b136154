//! One request, read strictly: what GitHub's description of its API does not list is either refused or complained of.

use bytes::Bytes;
use http::{HeaderMap, Method};
use serde_json::{Map, Value};

use super::reply::{Reply, invalid, problem};

/// Versions of the REST API that `X-GitHub-Api-Version` may name.
const API_VERSIONS: [&str; 2] = ["2022-11-28", "2026-03-10"];
/// Headers that make no sense twice.
const ONCE: [&str; 7] =
    ["accept", "authorization", "content-type", "if-none-match", "user-agent", "x-github-api-version", "host"];

/// A request.
pub struct Ask {
    pub method: Method,
    /// Path as it came, and its decoded segments.
    pub path: String,
    pub segments: Vec<String>,
    pub query: Vec<(String, String)>,
    pub raw_query: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Whose token it carries.
    pub user: Option<i64>,
    pub token: Option<String>,
    /// The path by which links refer to the same thing after a rename.
    pub canonical: String,
    /// What GitHub would tolerate and a careful client would not do.
    pub complaints: Vec<String>,
    query_read: bool,
    body_read: bool,
}

/// JSON types of body fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Is {
    Text,
    Flag,
    Whole,
    List,
    Object,
    TextOrNumber,
}

/// A body object whose fields were checked.
pub struct Fields(Map<String, Value>);

impl Ask {
    pub fn new(head: http::request::Parts, body: Bytes) -> Self {
        let path = head.uri.path().to_owned();
        let raw_query = head.uri.query().unwrap_or_default().to_owned();
        let decode = |part: &str| {
            // A `+` is itself in a path, and a blank in a form.
            let escaped = part.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
            let decoded = url::form_urlencoded::parse(escaped.as_bytes()).next();
            decoded.map(|(text, _)| text.into_owned()).unwrap_or_default()
        };
        Self {
            method: head.method,
            segments: path.split('/').skip(1).map(decode).collect(),
            canonical: path.clone(),
            path,
            query: url::form_urlencoded::parse(raw_query.as_bytes()).into_owned().collect(),
            raw_query,
            headers: head.headers,
            body,
            user: None,
            token: None,
            complaints: Vec::new(),
            query_read: false,
            body_read: false,
        }
    }

    pub fn complain(&mut self, what: impl Into<String>) {
        self.complaints.push(what.into());
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub fn accepts(&self, media: &str) -> bool {
        self.header("accept").is_some_and(|accept| accept.split(',').any(|part| part.trim().starts_with(media)))
    }

    /// What every REST request must carry.
    pub fn check_manners(&mut self) -> Result<(), Reply> {
        for name in ONCE {
            if self.headers.get_all(name).iter().count() > 1 {
                self.complain(format!("header {name} sent more than once"));
            }
        }
        match self.header("x-github-api-version").map(str::to_owned) {
            None => self.complain("no X-GitHub-Api-Version"),
            Some(version) if !API_VERSIONS.contains(&version.as_str()) => {
                return Err(problem(400, &format!("\"{version}\" is not a supported version of the REST API")));
            }
            Some(_) => {}
        }
        match self.header("accept").map(str::to_owned) {
            None => self.complain("no Accept"),
            Some(accept) if !accept.split(',').any(|a| a.trim().starts_with("application/vnd.github")) => {
                self.complain(format!("Accept {accept} names no GitHub media type"));
            }
            Some(_) => {}
        }
        let content = self.header("content-type").map(str::to_ascii_lowercase);
        if !self.body.is_empty() && !content.is_some_and(|c| c.starts_with("application/json")) {
            self.complain("a body whose Content-Type is not application/json");
        }
        Ok(())
    }

    /// Complains of query parameters that are not documented or come twice.
    pub fn allow_query(&mut self, names: &[&str]) {
        self.query_read = true;
        let mut seen: Vec<String> = Vec::new();
        for (name, _) in self.query.clone() {
            if !names.contains(&name.as_str()) {
                self.complain(format!("query parameter {name} is not documented"));
            } else if seen.contains(&name) {
                self.complain(format!("query parameter {name} sent twice"));
            }
            seen.push(name);
        }
    }

    pub fn param(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A query parameter that is one of a few words.
    pub fn choice(&self, name: &str, allowed: &[&'static str], default: &'static str) -> Result<&'static str, Reply> {
        let Some(value) = self.param(name) else { return Ok(default) };
        let found = allowed.iter().find(|word| **word == value).copied();
        found.ok_or_else(|| invalid(&format!("For '{name}', \"{value}\" is not one of {}.", allowed.join(", "))))
    }

    /// Page number (from 1) and page size.
    pub fn page(&mut self) -> (usize, usize) {
        let mut number = |name: &str, default: usize, most: usize| {
            let Some(text) = self.param(name).map(str::to_owned) else { return default };
            match text.parse::<usize>() {
                Ok(n) if (1..=most).contains(&n) => n,
                Ok(n) if n > most => {
                    self.complain(format!("{name}={text} is over {most}"));
                    most
                }
                _ => {
                    self.complain(format!("{name}={text} is not a number from 1"));
                    default
                }
            }
        };
        (number("page", 1, 1_000_000), number("per_page", 30, 100))
    }

    /// The body as an object with no other fields than these, each of its type. An empty body is an empty object.
    pub fn fields(&mut self, allowed: &[(&str, Is)]) -> Result<Fields, Reply> {
        self.body_read = true;
        if self.body.is_empty() {
            return Ok(Fields(Map::new()));
        }
        match serde_json::from_slice(&self.body) {
            Ok(Value::Object(map)) => Fields::check(map, allowed),
            Ok(_) => Err(problem(400, "Body should be a JSON object")),
            Err(_) => Err(problem(400, "Problems parsing JSON")),
        }
    }

    /// Complains of what no handler asked for: a query or a body where none is documented.
    pub fn complain_of_leftovers(&mut self) {
        if !self.query_read {
            self.allow_query(&[]);
        }
        if !self.body_read && !self.body.is_empty() {
            self.complain("a body where none is documented");
        }
    }
}

impl Fields {
    pub fn check(map: Map<String, Value>, allowed: &[(&str, Is)]) -> Result<Self, Reply> {
        for (name, value) in &map {
            let Some((_, is)) = allowed.iter().find(|(field, _)| field == name) else {
                return Err(invalid(&format!("\"{name}\" is not a permitted key.")));
            };
            let (fits, word) = match is {
                Is::Text => (value.is_string(), "a string"),
                Is::Flag => (value.is_boolean(), "a boolean"),
                Is::Whole => (value.is_i64(), "an integer"),
                Is::List => (value.is_array(), "an array"),
                Is::Object => (value.is_object(), "an object"),
                Is::TextOrNumber => (value.is_string() || value.is_number(), "a string or a number"),
            };
            if !fits {
                let shown = if value.is_null() { "nil".to_owned() } else { value.to_string() };
                return Err(invalid(&format!("For 'properties/{name}', {shown} is not {word}.")));
            }
        }
        Ok(Self(map))
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    pub fn flag(&self, name: &str) -> Option<bool> {
        self.0.get(name)?.as_bool()
    }

    pub fn whole(&self, name: &str) -> Option<i64> {
        self.0.get(name)?.as_i64()
    }

    pub fn list(&self, name: &str) -> Option<&[Value]> {
        self.0.get(name)?.as_array().map(Vec::as_slice)
    }

    pub fn object(&self, name: &str) -> Option<&Map<String, Value>> {
        self.0.get(name)?.as_object()
    }

    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    pub fn need(&self, name: &str) -> Result<&str, Reply> {
        self.text(name).ok_or_else(|| invalid(&format!("\"{name}\" wasn't supplied.")))
    }

    /// A list of strings.
    pub fn words(&self, name: &str) -> Result<Option<Vec<String>>, Reply> {
        let Some(list) = self.list(name) else { return Ok(None) };
        let word = |value: &Value| {
            let wrong = || invalid(&format!("For 'properties/{name}/items', {value} is not a string."));
            value.as_str().map(str::to_owned).ok_or_else(wrong)
        };
        list.iter().map(word).collect::<Result<Vec<_>, _>>().map(Some)
    }
}
