//! The accept loop.
//!
//! Ours, because the framework's has no limit on how long a request's head may take. Connections have places,
//! heads must be short and arrive in time, and a connection that is closed early is closed gently: the caller can still read
//! why.

use std::{
    io,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use futures_util::future::poll_fn;
use http::{StatusCode, uri::Scheme};
use http_body_util::combinators::BoxBody;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioTimer;
use poem::{
    Addr, Body, Endpoint,
    web::{LocalAddr, RemoteAddr},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    edge,
    error::Problem,
    places::{Place, Places},
    wire::Wire,
};
use crate::app::Handle;

/// What is read of a connection ahead, and so the longest head of a request, in bytes. GitHub's have 2 KB, a browser's with
/// all its cookies ten times that. Thousands of connections may have so much in memory at once.
const AHEAD: usize = 32 * 1024;

/// How long a request's head may take, and how long a connection may idle between requests.
const HEAD: Duration = Duration::from_secs(20);

/// How long requests may go on after the process was asked to stop.
const GRACE: Duration = Duration::from_secs(5);

/// How long a caller has to read an answer that came before its request was complete.
const LINGER: Duration = Duration::from_secs(1);

/// Answers HTTP on `listener` until `shutdown`, then takes no more connections and returns when requests in flight are
/// answered, at the latest 5 s later.
pub async fn serve(listener: TcpListener, handle: Handle, shutdown: CancellationToken) -> io::Result<()> {
    answer(listener, Arc::new(super::app(handle)), shutdown).await
}

/// The same for a process that only works: how it is, and its numbers.
pub async fn serve_probes(listener: TcpListener, handle: Handle, shutdown: CancellationToken) -> io::Result<()> {
    answer(listener, Arc::new(super::probes(handle)), shutdown).await
}

async fn answer<E: Endpoint + 'static>(
    listener: TcpListener,
    endpoint: Arc<E>,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let local = listener.local_addr()?;
    let places = Places::new();
    let connections = TaskTracker::new();
    let cut = CancellationToken::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accept(&listener, &places) => accepted,
        };
        let (stream, remote, place) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely.
                tracing::warn!(%error, "a connection could not be accepted");
                places.cut_longest();
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let (endpoint, shutdown, cut) = (endpoint.clone(), shutdown.clone(), cut.clone());
        connections.spawn(async move {
            let addresses = (LocalAddr(Addr::SocketAddr(local)), RemoteAddr(Addr::SocketAddr(remote)));
            tokio::select! {
                () = cut.cancelled() => {}
                () = place.gives_way() => {}
                () = converse(stream, addresses, endpoint, &place, shutdown) => {}
            }
        });
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(GRACE, connections.wait()).await.is_err() {
        tracing::warn!(connections = connections.len(), "requests that would not end are cut off");
        cut.cancel();
        connections.wait().await;
    }
    Ok(())
}

async fn accept(listener: &TcpListener, places: &Places) -> io::Result<(TcpStream, std::net::SocketAddr, Arc<Place>)> {
    let (stream, remote) = listener.accept().await?;
    Ok((stream, remote, places.take().await?))
}

/// All requests of one connection.
async fn converse<E: Endpoint + 'static>(
    stream: TcpStream,
    addresses: (LocalAddr, RemoteAddr),
    endpoint: Arc<E>,
    place: &Arc<Place>,
    shutdown: CancellationToken,
) {
    // Answers are small; waiting to fill a packet only delays them.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let (endpoint, place) = (endpoint.clone(), place.clone());
        let (local, remote) = addresses.clone();
        let answer: Pin<Box<dyn Future<Output = Result<_, std::convert::Infallible>> + Send>> = Box::pin(async move {
            let mut request = poem::Request::from((request, local, remote, Scheme::HTTP));
            let body = place.watch(BoxBody::from(request.take_body()));
            request.set_body(Body::from(body));
            let answer = endpoint.get_response(request).await;
            place.waits();
            Ok(hyper::Response::from(answer))
        });
        answer
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(AHEAD)
        .serve_connection(Wire::new(stream), service);
    let mut stopping = pin!(shutdown.cancelled());
    let mut told = false;
    let ended = poll_fn(|context| {
        if !told && stopping.as_mut().poll(context).is_ready() {
            told = true;
            Pin::new(&mut connection).graceful_shutdown();
        }
        connection.poll_without_shutdown(context)
    });
    let broken = ended.await.is_err();
    let (stream, refusal) = connection.into_parts().io.into_parts();
    let _ = match refusal {
        Some(status) => tokio::time::timeout(LINGER, refuse(stream, status)).await,
        None if broken => return,
        None => tokio::time::timeout(LINGER, part(stream)).await,
    };
}

/// Answers what is no request.
async fn refuse(mut stream: TcpStream, status: StatusCode) -> io::Result<()> {
    let detail = match status {
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE | StatusCode::URI_TOO_LONG => {
            let most = AHEAD / 1024;
            format!(
                "The address and the headers of a request may have {most} KiB together, and there may be 100 headers"
            )
        }
        _ => "The request line or a header is malformed".to_owned(),
    };
    let answer = edge::refuse(&Problem::new(status, detail).closing());
    let mut text = format!("HTTP/1.1 {status}\r\n").into_bytes();
    for (name, value) in answer.headers() {
        text.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    let body = answer.into_body().into_bytes().await.map_err(io::Error::other)?;
    text.extend(format!("content-length: {}\r\n\r\n", body.len()).into_bytes());
    text.extend(body);
    stream.write_all(&text).await?;
    part(stream).await
}

/// Says goodbye and waits for the other side to hang up. Closing with something unread would reset the connection and
/// could take the answer with it.
async fn part(mut stream: TcpStream) -> io::Result<()> {
    stream.shutdown().await?;
    let mut unread = vec![0; 16 * 1024];
    while stream.read(&mut unread).await? > 0 {}
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use poem::{IntoResponse, endpoint::make};
    use tokio::sync::Notify;

    use super::*;

    async fn say(stream: &mut TcpStream, text: &str) {
        stream.write_all(text.as_bytes()).await.unwrap();
    }

    async fn all(mut stream: TcpStream) -> String {
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    }

    #[tokio::test]
    async fn a_request_in_flight_is_answered_while_new_connections_are_refused() {
        let (asked, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let endpoint = {
            let (asked, go) = (asked.clone(), go.clone());
            make(move |_| {
                let (asked, go) = (asked.clone(), go.clone());
                async move {
                    asked.notify_one();
                    go.notified().await;
                    Ok::<_, poem::Error>("done".into_response())
                }
            })
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let server = tokio::spawn(answer(listener, Arc::new(endpoint), shutdown.clone()));

        let mut idle = TcpStream::connect(address).await.unwrap();
        say(&mut idle, "GET / HTTP/1.1\r\n").await;
        let mut busy = TcpStream::connect(address).await.unwrap();
        say(&mut busy, "GET / HTTP/1.1\r\nHost: nectr\r\n\r\n").await;
        asked.notified().await;
        shutdown.cancel();
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        go.notify_one();

        let answer = all(busy).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("done"), "{answer}");
        drop(idle);
        server.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn what_is_no_request_is_answered_in_words_after_whatever_came_before_it() {
        let endpoint = make(|_| async { Ok::<_, poem::Error>("done".into_response()) });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let server = tokio::spawn(answer(listener, Arc::new(endpoint), shutdown.clone()));

        let good = "GET / HTTP/1.1\r\nHost: nectr\r\n\r\n";
        let old = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
        let long = format!("GET /{} HTTP/1.1\r\n{good}", "x".repeat(200_000));
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(200));
        let sent_and_status =
            [("nonsense\r\n\r\n", 400), ("GET / HTTP/7\r\n\r\n", 400), (&long, 431), (&many, 431), ("G\0", 400)];
        for (sent, status) in sent_and_status {
            for before in ["", good, old] {
                let mut caller = TcpStream::connect(address).await.unwrap();
                let mut answers = String::new();
                if !before.is_empty() {
                    say(&mut caller, before).await;
                    let mut first = [0; 1024];
                    let read = caller.read(&mut first).await.unwrap();
                    assert!(first[..read].ends_with(b"done"));
                }
                let (mut hear, mut speak) = caller.split();
                // It may be refused before it was said to the end.
                let (_, heard) = tokio::join!(speak.write_all(sent.as_bytes()), hear.read_to_string(&mut answers));
                heard.unwrap();
                let (head, body) = answers.split_once("\r\n\r\n").unwrap();
                assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
                assert!(head.contains("content-type: application/json") && head.contains("x-request-id: "), "{head}");
                let body: serde_json::Value = serde_json::from_str(body).unwrap();
                assert!(body["detail"].is_string(), "{body}");
            }
        }
        shutdown.cancel();
        server.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn an_answer_that_came_before_the_body_was_read_arrives() {
        let endpoint = make(|_| async { Ok::<_, poem::Error>(http::StatusCode::PAYLOAD_TOO_LARGE.into_response()) });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let server = tokio::spawn(answer(listener, Arc::new(endpoint), shutdown.clone()));

        let mut caller = TcpStream::connect(address).await.unwrap();
        let head = "POST / HTTP/1.1\r\nHost: nectr\r\nConnection: close\r\nContent-Length: 4000000\r\n\r\n";
        say(&mut caller, head).await;
        say(&mut caller, &"x".repeat(4_000_000)).await;
        let answer = all(caller).await;
        assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
        shutdown.cancel();
        server.await.unwrap().unwrap();
    }
}
