//! `nectr demo`: the whole product in one process, with no account anywhere.
//!
//! Nothing in it is pretended: a GitHub of our own (`sandbox`) listens on a port, nectr listens on another with a
//! real database, and between them everything goes over HTTP as it would between the two for real.

use std::{fmt::Display, pin::pin, time::Duration};

use anyhow::{Context, Result, anyhow, bail, ensure};
use http::Method;
use tokio::{net::TcpListener, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    config::Config,
    domain::Clock,
    run::{self, Roles},
    sandbox::{
        self, CLIENT_ID, CLIENT_SECRET, Review, ReviewState, Sample, Sandbox, Sent,
        http::{Request, Response},
    },
    seal,
};

/// Secret of webhooks made by hand: whoever reads the demo's last lines may send deliveries of their own.
const BY_HAND: &str = "demo";
/// How long the reviews may take to appear.
const PATIENCE: Duration = Duration::from_secs(30);

/// Tells the story; without `once` it then stays up until it is told to end. Fails unless every expected review was posted.
pub async fn run(once: bool) -> Result<()> {
    // Before there is anything to leave behind.
    let mut told_to_end = pin!(run::terminated());
    let folder = Folder::new()?;
    let github = Sandbox::start().await.context("cannot start the GitHub of this demo")?;
    let mut sample = sandbox::sample(&github);
    let listener = listen(once).await?;
    let address = listener.local_addr()?;
    let url = format!("http://localhost:{}", address.port());

    headline("nectr demo");
    say(format_args!("A GitHub of our own is up at {}, with one repository: {}.", github.url(), sample.repo));
    let app = run::prepare(config(&github, &folder, &sample, &url, address.port())?, Clock::system()).await?;
    let stop = CancellationToken::new();
    let serving = tokio::spawn(run::run(app, listener, Roles::ALL, stop.clone().cancelled_owned()));
    say(format_args!("nectr is up at {url}, with a new SQLite database."));

    let told = tokio::select! {
        told = story(&github, &mut sample, &url) => told,
        () = &mut told_to_end => Err(anyhow!("told to end before the story did")),
    };
    if told.is_ok() && !once {
        headline("Now look around; Ctrl-C ends it");
        say(format_args!("Dashboard   {url}/dashboard   (Sign in: you are {} here)", sample.admin));
        say(format_args!("Swagger UI  {url}/docs"));
        say(format_args!("Health      {url}/health"));
        say(format_args!(
            "Receiver    {url}/api/v1/webhooks/github   (the secret of webhooks made by hand is {BY_HAND})"
        ));
        told_to_end.await;
    }
    stop.cancel();
    serving.await??;
    told
}

async fn story(github: &Sandbox, sample: &mut Sample, url: &str) -> Result<()> {
    headline("1. Sign in");
    let cookie = sign_in(url).await?;
    say(format_args!("{} went through GitHub's authorize page and is signed in.", sample.admin));

    headline("2. Connect the repository, with one call");
    let path = format!("/api/v1/repos/{}/install", sample.repo);
    let answer = Request::new(Method::POST, format!("{url}{path}"))
        .header("Cookie", &cookie)
        .header("Sec-Fetch-Site", "same-origin")
        .send()
        .await?;
    say(format_args!("POST {path} -> {} {}", answer.status, answer.text()));
    ensure!(answer.status == 200, "the repository could not be connected");
    for hook in github.hooks_of(sample.repo) {
        say(format_args!("GitHub now has webhook {} to {}, with a secret of its own.", hook.id, hook.url));
    }
    show(&github.deliver_all().await);

    headline("3. Somebody opens three pull requests");
    sample.open_pulls(github);
    for pull in &sample.pulls {
        say(format_args!("#{} {} ({})", pull.pr.number, pull.title, pull.expect.unwrap_or("nothing wrong with it")));
    }
    say("GitHub signs a delivery for each and POSTs it. A 202 means: it is on disk.");
    let sent = github.deliver_all().await;
    show(&sent);

    headline("4. nectr reads each change, judges it, and posts one review");
    timeout(PATIENCE, wait_for_reviews(github, sample)).await.context("not every review was posted within 30 s")?;
    for pull in &sample.pulls {
        for review in github.take_reviews(pull.pr) {
            print_review(pull.pr.number, pull.title, &review);
        }
    }

    headline("5. GitHub sends a delivery again, as it does when somebody presses Redeliver");
    if let Some(first) = sent.first() {
        show(&github.redeliver(&first.delivery.guid).await);
    }
    let expected: Vec<_> = sample.pulls.iter().map(|pull| github.reviews(pull.pr)).collect();
    for (pull, reviews) in sample.pulls.iter().zip(expected) {
        let [review] = reviews.as_slice() else {
            bail!("#{} has {} reviews, not one", pull.pr.number, reviews.len());
        };
        let found = review.state == ReviewState::ChangesRequested;
        ensure!(found == pull.expect.is_some(), "#{} got {}", pull.pr.number, review.state.as_str());
    }
    say("Still one review on each: 3 pull requests, 3 reviews.");
    Ok(())
}

/// Follows the redirects a browser would follow; returns the cookie of the session.
async fn sign_in(url: &str) -> Result<String> {
    let begun = Request::get(format!("{url}/auth/github")).send().await?;
    let page = Request::get(location(&begun)?).send().await?;
    let done = Request::get(location(&page)?).header("Cookie", &cookies(&begun)).send().await?;
    location(&done)?;
    Ok(cookies(&done))
}

fn location(answer: &Response) -> Result<&str> {
    answer.header("location").with_context(|| format!("signing in failed: {} {}", answer.status, answer.text()))
}

fn cookies(answer: &Response) -> String {
    let set = answer.headers.get_all("set-cookie").into_iter().filter_map(|cookie| cookie.to_str().ok());
    set.filter_map(|cookie| cookie.split(';').next()).collect::<Vec<_>>().join("; ")
}

async fn wait_for_reviews(github: &Sandbox, sample: &Sample) {
    let mut beat = tokio::time::interval(Duration::from_millis(20));
    while sample.pulls.iter().any(|pull| github.reviews(pull.pr).is_empty()) {
        beat.tick().await;
    }
}

/// The usual port, or any free one if it is taken or nobody is going to look.
async fn listen(once: bool) -> Result<TcpListener> {
    if !once && let Ok(listener) = TcpListener::bind("127.0.0.1:8000").await {
        return Ok(listener);
    }
    TcpListener::bind("127.0.0.1:0").await.context("cannot listen on 127.0.0.1")
}

fn config(github: &Sandbox, folder: &Folder, sample: &Sample, url: &str, port: u16) -> Result<Config> {
    let database = format!("sqlite://{}", folder.0.join("nectr.db").display());
    let more = [
        ("SECRET_KEY", seal::random_hex(32)),
        ("BACKEND_URL", url.to_owned()),
        ("PORT", port.to_string()),
        ("GITHUB_CLIENT_ID", CLIENT_ID.to_owned()),
        ("GITHUB_CLIENT_SECRET", CLIENT_SECRET.to_owned()),
        ("GITHUB_PAT", github.token_of(sample.bot)),
        ("GITHUB_WEBHOOK_SECRET", BY_HAND.to_owned()),
        ("GITHUB_WRITES_PER_MINUTE", "0".to_owned()),
    ];
    let more: Vec<_> = more.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Ok(Config::for_sandbox(&github.api_url(), &github.server_url(), &database, &more)?)
}

fn headline(text: &str) {
    println!("\n{text}\n{}", "-".repeat(text.chars().count()));
}

fn say(text: impl Display) {
    println!("  {text}");
}

fn show(sent: &[Sent]) {
    for Sent { delivery, answer } in sent {
        let action = delivery.action.as_deref().map(|action| format!(".{action}")).unwrap_or_default();
        let status = answer.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
        say(format_args!("{}{action} -> {status} {}", delivery.event, answer.body));
    }
}

fn print_review(number: i64, title: &str, review: &Review) {
    println!("\n  ┌ {} by {} on #{number} {title}", review.state.as_str(), review.author);
    quote("  │ ", &visible(&review.body));
    for comment in &review.comments {
        println!("  ├ {}:{}", comment.path, comment.line);
        quote("  │ ", &comment.body);
    }
    println!("  └");
}

fn quote(margin: &str, text: &str) {
    for line in text.lines() {
        println!("{margin}{line}");
    }
}

/// Without the hidden marker, as a person sees it on GitHub.
fn visible(body: &str) -> String {
    let lines: Vec<_> = body.lines().filter(|line| !line.starts_with("<!--")).collect();
    lines.join("\n").trim_end().to_owned()
}

/// A temporary folder that goes with the demo.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("nectr-demo-{}", seal::random_hex(8)));
        std::fs::create_dir(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
