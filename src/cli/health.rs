//! `nectr health`: asks a running nectr whether it is well, where there is no other program that could.
//!
//! For health checks of containers: it reads no secret, opens nothing, and answers within what such a check waits.

use std::{io::Write, time::Duration};

use anyhow::bail;
use clap::Args;
use url::Url;

use super::{Settings, Usage, text::clip};
use crate::{config, sandbox::http::Request};

/// Health checks are commonly given 5 s; the server takes 2 s to find that its database does not answer.
const PATIENCE: Duration = Duration::from_secs(4);

/// Arguments of `nectr health`.
#[derive(Debug, Args)]
pub(super) struct Health {
    /// Whom to ask, over http; without a path /health/ready is asked for [default: this machine, at PORT]
    #[arg(long)]
    url: Option<Url>,
    #[command(flatten)]
    settings: Settings,
}

impl Health {
    pub async fn run(self, out: &mut dyn Write) -> anyhow::Result<()> {
        let mut url = match self.url {
            Some(url) if url.scheme() == "http" => url,
            Some(url) => return Err(Usage(format!("--url: {} is not spoken here, only http", url.scheme())).into()),
            None => Url::parse(&format!("http://{}", config::nearby(&self.settings.0)?))?,
        };
        if url.path() == "/" {
            url.set_path("/health/ready");
        }
        match Request::get(url.as_str()).timeout(PATIENCE).send().await {
            Ok(answer) if answer.status == 200 => Ok(writeln!(out, "ok  {url}")?),
            Ok(answer) => bail!("{url} answers {}: {}", answer.status, said(&answer.json(), &answer.text())),
            Err(error) => bail!("{url}: {error}"),
        }
    }
}

/// The sentence in an answer that is not a success, or whatever else is in it.
fn said(json: &serde_json::Value, text: &str) -> String {
    clip(json["detail"].as_str().unwrap_or(text), 200)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use clap::Parser;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::super::{Cli, Command};

    async fn run(line: &[&str]) -> Result<String, String> {
        let line = ["nectr", "health"].iter().chain(line);
        let Some(Command::Health(health)) = Cli::try_parse_from(line).unwrap().command else { panic!() };
        let mut out = Vec::new();
        let ran = health.run(&mut out).await;
        ran.map(|()| String::from_utf8(out).unwrap()).map_err(|error| format!("{error:#}"))
    }

    /// Answers one request; returns the port, and later what was asked for.
    async fn once(answer: &'static str) -> (String, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        let asked = tokio::spawn(async move {
            let mut stream = listener.accept().await.unwrap().0;
            let mut head = vec![0; 4096];
            let read = stream.read(&mut head).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8_lossy(&head[..read]).lines().next().unwrap().to_owned()
        });
        (port, asked)
    }

    const WELL: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    const ILL: &str =
        "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 34\r\n\r\n{\"detail\":\"The database is away.\"}";

    #[tokio::test]
    async fn the_server_of_this_machine_is_asked_whether_it_is_ready() {
        let (port, asked) = once(WELL).await;
        let said = run(&["--host", "0.0.0.0", "--port", &port]).await.unwrap();
        assert_eq!(said, format!("ok  http://127.0.0.1:{port}/health/ready\n"));
        assert_eq!(asked.await.unwrap(), "GET /health/ready HTTP/1.1");
    }

    #[tokio::test]
    async fn what_is_wrong_is_one_line() {
        let (port, asked) = once(ILL).await;
        let url = format!("http://127.0.0.1:{port}");
        assert_eq!(
            run(&["--url", &url]).await.unwrap_err(),
            format!("{url}/health/ready answers 503: The database is away.")
        );
        asked.await.unwrap();
        let gone = run(&["--url", &url]).await.unwrap_err();
        assert!(gone.contains("cannot connect") && !gone.contains('\n'), "{gone}");
    }

    #[tokio::test]
    async fn any_other_question_can_be_asked_over_http() {
        let (port, asked) = once(WELL).await;
        run(&["--url", &format!("http://127.0.0.1:{port}/health/live")]).await.unwrap();
        assert_eq!(asked.await.unwrap(), "GET /health/live HTTP/1.1");
        let refused = run(&["--url", "https://nectr.example.org"]).await.unwrap_err();
        assert!(refused.contains("only http"), "{refused}");
        let wrong = run(&["--port", "http"]).await.unwrap_err();
        assert!(wrong.contains("PORT must be"), "{wrong}");
    }
}
