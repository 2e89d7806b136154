//! A connection to write on byte by byte, for what no HTTP client sends.

use std::time::Duration;

use bytes::Bytes;
use nectr::sandbox::{Answer, Delivery};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use url::Url;

use crate::support::T;

/// Longest wait for anything: a test that gets here has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// An open connection.
pub struct Wire {
    stream: TcpStream,
    /// What was read and not looked at yet.
    read: Vec<u8>,
}

impl Wire {
    pub async fn open(t: &T) -> Self {
        let stream = TcpStream::connect(t.url.trim_start_matches("http://")).await.unwrap();
        Self { stream, read: Vec::new() }
    }

    /// Writes, as far as the other side listens.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = timeout(PATIENCE, self.stream.write_all(bytes.as_ref())).await.expect("the other side reads");
    }

    /// Waits until the server asks for the body.
    pub async fn wait_until_asked(&mut self) {
        let head = self.head().await.expect("the server asks for the body");
        assert!(head.starts_with("HTTP/1.1 100 "), "{head}");
    }

    /// The next answer: head and body.
    pub async fn answer(&mut self) -> (String, Answer) {
        let head = self.head().await.expect("an answer");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let length: usize = header(&head, "content-length").expect("an answer says its length").parse().unwrap();
        while self.read.len() < length {
            assert!(self.more().await, "the answer ends in the middle");
        }
        let body: Vec<u8> = self.read.drain(..length).collect();
        (head, Answer { status, body: String::from_utf8(body).unwrap() })
    }

    /// Whether the server closes the connection without another byte.
    pub async fn is_closed(&mut self) -> bool {
        self.read.is_empty() && !self.more().await
    }

    /// Whether nothing has come so far.
    pub fn is_silent(&self) -> bool {
        let nothing = self.stream.try_read(&mut [0; 1]);
        self.read.is_empty() && nothing.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    }

    async fn head(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                let head: Vec<u8> = self.read.drain(..end + 4).collect();
                return Some(String::from_utf8(head).unwrap());
            }
            if !self.more().await {
                return None;
            }
        }
    }

    /// Reads on; false at the end.
    async fn more(&mut self) -> bool {
        let mut buffer = [0; 4096];
        let read = timeout(PATIENCE, self.stream.read(&mut buffer)).await.expect("the server answers or closes");
        let read = read.unwrap_or(0);
        self.read.extend_from_slice(&buffer[..read]);
        read > 0
    }
}

/// A header of an answer.
pub fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let line =
        head.lines().find(|line| line.split(':').next().is_some_and(|known| known.eq_ignore_ascii_case(name)))?;
    Some(line.split_once(':')?.1.trim())
}

/// The head of a delivery's request, with these further header lines.
pub fn head(delivery: &Delivery, framing: &[&str]) -> String {
    let url = Url::parse(&delivery.url).unwrap();
    let mut head = format!("POST {} HTTP/1.1\r\n", &url[url::Position::BeforePath..]);
    head += &format!("Host: {}\r\n", &url[url::Position::BeforeHost..url::Position::AfterPort]);
    for (name, value) in &delivery.headers {
        head += &format!("{name}: {value}\r\n");
    }
    for line in framing {
        head += &format!("{line}\r\n");
    }
    head + "\r\n"
}

/// `Content-Length`.
pub fn length(length: usize) -> String {
    format!("Content-Length: {length}")
}

/// `Transfer-Encoding`.
pub const CHUNKED: &str = "Transfer-Encoding: chunked";

/// Lets the server say when it begins to read.
pub const ASK_FIRST: &str = "Expect: 100-continue";

/// A body in chunks of this size, without the end.
pub fn chunks(body: &Bytes, size: usize) -> Vec<u8> {
    let chunk = |bytes: &[u8]| [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
    body.chunks(size).flat_map(chunk).collect()
}

/// The end of a chunked body.
pub const END: &str = "0\r\n\r\n";
