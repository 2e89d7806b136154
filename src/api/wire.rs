//! A connection's bytes, without the refusals that the HTTP parser writes by itself.
//!
//! Of a head that is too long, or no HTTP, no request comes to be, so nobody is asked what to answer: the parser says a
//! status and no word. Here that answer is held back, and whoever owns the connection gives one that says why.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use http::StatusCode;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// A connection under the parser.
pub(super) struct Wire {
    stream: TokioIo<TcpStream>,
    held_back: Option<StatusCode>,
}

impl Wire {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream: TokioIo::new(stream), held_back: None }
    }

    /// The connection itself, and what the parser would have answered by itself, which has not been sent.
    pub(super) fn into_parts(self) -> (TcpStream, Option<StatusCode>) {
        (self.stream.into_inner(), self.held_back)
    }

    /// Takes a refusal without words instead of sending it.
    fn hold_back(&mut self, bytes: &[u8]) -> bool {
        let refusal = refusal(bytes);
        if refusal.is_some() {
            self.held_back = refusal;
        }
        refusal.is_some()
    }
}

/// The status, if this is one answer, and of the parser's own. Every refusal of ours has a body.
fn refusal(bytes: &[u8]) -> Option<StatusCode> {
    let head = bytes.strip_suffix(b"\r\n\r\n").filter(|_| bytes.starts_with(b"HTTP/1."))?;
    let status = StatusCode::from_bytes(head.get(9..12)?).ok().filter(StatusCode::is_client_error)?;
    let mut lines = head.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
    let one = !lines.clone().any(<[u8]>::is_empty);
    (one && lines.any(|line| line == b"content-length: 0")).then_some(status)
}

impl Read for Wire {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl Write for Wire {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.hold_back(bytes) {
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [only] = pieces
            && self.hold_back(only)
        {
            return Poll::Ready(Ok(only.len()));
        }
        Pin::new(&mut self.stream).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_refusal_without_words_is_known_from_every_other_answer() {
        for version in ["1.0", "1.1"] {
            let bare = format!("HTTP/{version} 431 Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
            assert_eq!(refusal(bare.as_bytes()).unwrap(), 431);
            assert_eq!(refusal(bare.repeat(2).as_bytes()), None);
        }
        for other in [
            "HTTP/1.1 404 Not Found\r\ncontent-length: 25\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\nx",
            "HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 302 Found\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 4\r\n\r\n",
            "{\"detail\":\"HTTP/1.1 400\"}",
            "",
        ] {
            assert_eq!(refusal(other.as_bytes()), None, "{other}");
        }
    }
}
