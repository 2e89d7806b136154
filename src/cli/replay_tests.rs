//! What replay sends, seen from the other end.

#![allow(clippy::unwrap_used)]

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;
use crate::domain::Guid;

/// Answers one request with `status` and gives back what was sent.
async fn receiver(status: u16) -> (String, tokio::task::JoinHandle<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/api/v1/webhooks/github", listener.local_addr().unwrap());
    let received = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut bytes = Vec::new();
        loop {
            stream.read_buf(&mut bytes).await.unwrap();
            let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
            let head = String::from_utf8(bytes[..end].to_vec()).unwrap().to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            if bytes.len() == end + 4 + length.parse::<usize>().unwrap() {
                let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}");
                stream.write_all(answer.as_bytes()).await.unwrap();
                return (head, bytes[end + 4..].to_vec());
            }
        }
    });
    (url, received)
}

fn replay(file: &Path, url: &str, event: Option<&str>) -> Replay {
    Replay {
        files: vec![file.to_owned()],
        url: Some(url.to_owned()),
        secret: Some("secret".into()),
        event: event.map(str::to_owned),
        settings: Settings::default(),
    }
}

#[tokio::test]
async fn a_file_is_sent_byte_for_byte_and_signed() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/webhooks/pull_request.opened.json");
    let (url, received) = receiver(202).await;
    let mut out = Vec::new();
    replay(&file, &url, None).run(&mut out).await.unwrap();
    let (head, body) = received.await.unwrap();
    let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(&format!("{name}: "))).unwrap().to_owned();
    assert_eq!(body, fs::read(&file).unwrap());
    assert_eq!(header("x-github-event"), "pull_request");
    assert!(Guid::parse(&header("x-github-delivery")).is_some());
    let signature = header("x-hub-signature-256");
    assert!(webhook::verify(&["secret"], Some(signature.as_bytes()), &body).is_ok());
    assert!(String::from_utf8(out).unwrap().ends_with("pull_request.opened.json: 202 {}\n"));
}

#[tokio::test]
async fn a_refused_delivery_is_a_failure_and_its_answer_is_shown() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/webhooks/ping.json");
    let (url, _received) = receiver(401).await;
    let mut out = Vec::new();
    assert!(replay(&file, &url, None).run(&mut out).await.unwrap_err().is::<Failed>());
    assert!(String::from_utf8(out).unwrap().contains("ping.json: 401 {}"));
}

#[test]
fn the_event_comes_from_the_name_unless_given() {
    let named = |file: &str| event(None, Path::new(file)).ok();
    assert_eq!(named("x/pull_request.opened.json").as_deref(), Some("pull_request"));
    assert_eq!(named("ping.json").as_deref(), Some("ping"));
    assert_eq!(named("Payload 1.json"), None);
    assert_eq!(event(Some("push"), Path::new("Payload 1.json")).ok().as_deref(), Some("push"));
    assert!(event(Some("two words"), Path::new("ping.json")).is_err());
}
