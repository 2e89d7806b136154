//! One HTTP/1.1 exchange over a fresh connection: what sends deliveries, and what tests and tools talk with.
//!
//! Plain `http://` only: every partner is on this machine or behind a proxy that speaks TLS. Nothing is added to a
//! request but `Host` and `Content-Length`, nothing is retried, no redirect is followed.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use url::{Host, Url};

/// How long an exchange may take in all, unless [`Request::timeout`] says otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// A request being put together.
#[derive(Debug, Clone)]
pub struct Request {
    method: Method,
    url: String,
    headers: Vec<(String, String)>,
    body: Bytes,
    timeout: Duration,
}

/// An answer, read completely.
#[derive(Debug, Clone)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request cannot be written: bad URL, scheme, header or method.
    #[error("cannot send this request: {0}")]
    Invalid(String),
    /// Nobody listens there.
    #[error("cannot connect: {0}")]
    Connect(#[source] std::io::Error),
    /// The connection broke, or what came was not HTTP.
    #[error("no answer: {0}")]
    Broken(#[source] hyper::Error),
    /// No complete answer in time.
    #[error("no answer within {} s", .0.as_secs())]
    Timeout(Duration),
}

impl Request {
    /// A request with any method. The URL is checked when it is sent.
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Self { method, url: url.into(), headers: Vec::new(), body: Bytes::new(), timeout: DEFAULT_TIMEOUT }
    }

    /// A GET.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new(Method::GET, url)
    }

    /// A POST.
    pub fn post(url: impl Into<String>) -> Self {
        Self::new(Method::POST, url)
    }

    /// A PUT.
    pub fn put(url: impl Into<String>) -> Self {
        Self::new(Method::PUT, url)
    }

    /// A PATCH.
    pub fn patch(url: impl Into<String>) -> Self {
        Self::new(Method::PATCH, url)
    }

    /// A DELETE.
    pub fn delete(url: impl Into<String>) -> Self {
        Self::new(Method::DELETE, url)
    }

    /// One more header; the same name twice is sent twice.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// `Authorization: Bearer`.
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// These bytes as the body.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// A JSON body with its content type.
    pub fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json").body(body.to_string())
    }

    /// A form body with its content type.
    pub fn form(self, fields: &[(&str, &str)]) -> Self {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.header("content-type", "application/x-www-form-urlencoded").body(body)
    }

    /// How long connecting, sending and receiving may take together.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// Sends it and reads the whole answer.
    pub async fn send(self) -> Result<Response, Error> {
        let limit = self.timeout;
        tokio::time::timeout(limit, self.exchange()).await.unwrap_or(Err(Error::Timeout(limit)))
    }

    async fn exchange(self) -> Result<Response, Error> {
        let url = Url::parse(&self.url).map_err(|error| Error::Invalid(error.to_string()))?;
        if url.scheme() != "http" {
            return Err(Error::Invalid(format!("{} is not spoken here, only http", url.scheme())));
        }
        let request = self.write(&url)?;
        let port = url.port_or_known_default().unwrap_or(80);
        let stream = match url.host() {
            Some(Host::Domain(name)) => TcpStream::connect((name, port)).await,
            Some(Host::Ipv4(address)) => TcpStream::connect((address, port)).await,
            Some(Host::Ipv6(address)) => TcpStream::connect((address, port)).await,
            None => return Err(Error::Invalid("the URL names no host".to_owned())),
        };
        let stream = TokioIo::new(stream.map_err(Error::Connect)?);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.map_err(Error::Broken)?;
        // Ends by itself when `sender` is dropped; its errors come out of `send_request`.
        tokio::spawn(connection);
        let (head, body) = sender.send_request(request).await.map_err(Error::Broken)?.into_parts();
        let body = body.collect().await.map_err(Error::Broken)?.to_bytes();
        Ok(Response { status: head.status.as_u16(), headers: head.headers, body })
    }

    fn write(self, url: &Url) -> Result<http::Request<Full<Bytes>>, Error> {
        let invalid = |error: &dyn std::fmt::Display| Error::Invalid(error.to_string());
        let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
        let mut request = http::Request::new(Full::new(self.body));
        *request.method_mut() = self.method;
        *request.uri_mut() = target.parse().map_err(|e| invalid(&e))?;
        let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
        let headers = request.headers_mut();
        for (name, value) in &self.headers {
            let name = HeaderName::try_from(name).map_err(|e| invalid(&e))?;
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).map_err(|e| invalid(&e))?);
        }
        if !headers.contains_key(http::header::HOST) {
            headers.insert(http::header::HOST, host.parse().map_err(|e| invalid(&e))?);
        }
        Ok(request)
    }
}

impl Response {
    /// The body as JSON; null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The body as text, broken UTF-8 replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The first value of a header, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}
