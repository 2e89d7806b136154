//! Deliveries as GitHub sends them, over connections that are kept: as fast as they are answered, or so many a second.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::LocalSet,
    time::{sleep_until, timeout},
};

/// Whom to send what.
#[derive(Clone)]
pub struct Target {
    pub address: SocketAddr,
    pub path: String,
    pub hook: i64,
    pub body: Vec<u8>,
    /// The value of `X-Hub-Signature-256`.
    pub signature: String,
}

/// How long, by how many at once, and how often.
#[derive(Clone, Copy)]
pub struct Load {
    pub connections: usize,
    pub time: Duration,
    /// Deliveries a second; none: each connection sends when it was answered.
    pub rate: Option<f64>,
    /// No more than these.
    pub most: u64,
}

/// What came back.
pub struct Seen {
    pub statuses: BTreeMap<u16, u64>,
    /// Connections that broke, or could not be made.
    pub broken: u64,
    pub took: Vec<Duration>,
    pub time: Duration,
}

impl Seen {
    pub fn rate(&self) -> f64 {
        self.took.len() as f64 / self.time.as_secs_f64()
    }

    /// In milliseconds. With a fixed rate from when it was due, so that what waits for a slow answer counts as waiting.
    pub fn percentile(&self, percent: f64) -> f64 {
        let at = (self.took.len() as f64 * percent / 100.0) as usize;
        self.took.get(at.min(self.took.len().saturating_sub(1))).copied().unwrap_or_default().as_secs_f64() * 1000.0
    }

    pub fn only(&self, status: u16) -> anyhow::Result<()> {
        if self.broken > 0 || self.statuses.keys().any(|seen| *seen != status) {
            bail!("not only {status}: {:?}, {} connections broke", self.statuses, self.broken);
        }
        Ok(())
    }
}

struct Shared {
    request: Vec<u8>,
    guid_at: usize,
    next: Cell<u64>,
    seen: RefCell<Seen>,
    started: Instant,
    load: Load,
}

/// Sends until the time is over or all are sent, and waits for the answers.
pub async fn send(target: &Target, load: Load) -> Seen {
    let (request, guid_at) = request(target);
    let seen = Seen { statuses: BTreeMap::new(), broken: 0, took: Vec::new(), time: Duration::ZERO };
    let started = Instant::now();
    let shared = Rc::new(Shared { request, guid_at, next: Cell::new(0), seen: RefCell::new(seen), started, load });
    let local = LocalSet::new();
    for _ in 0..load.connections {
        let (shared, address) = (shared.clone(), target.address);
        local.spawn_local(async move {
            // One that broke is made anew, as GitHub would for the next delivery.
            while let Err(error) = converse(&shared, address).await {
                shared.seen.borrow_mut().broken += 1;
                if shared.started.elapsed() > shared.load.time {
                    eprintln!("a connection: {error:#}");
                    break;
                }
            }
        });
    }
    local.await;
    let mut seen = Rc::try_unwrap(shared).map(|shared| shared.seen.into_inner()).unwrap_or_else(|_| unreachable!());
    seen.time = started.elapsed();
    seen.took.sort_unstable();
    seen
}

async fn converse(shared: &Shared, address: SocketAddr) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(address).await.context("connecting")?;
    stream.set_nodelay(true)?;
    let mut request = shared.request.clone();
    let mut answer = Vec::with_capacity(4096);
    loop {
        let number = shared.next.get();
        let due = match shared.load.rate {
            Some(rate) => shared.started + Duration::from_secs_f64(number as f64 / rate),
            None => Instant::now(),
        };
        if number >= shared.load.most || due.duration_since(shared.started) > shared.load.time {
            return Ok(());
        }
        shared.next.set(number + 1);
        request[shared.guid_at..shared.guid_at + 36].copy_from_slice(guid().as_bytes());
        if shared.load.rate.is_some() {
            sleep_until(due.into()).await;
        }
        let status = timeout(Duration::from_secs(15), exchange(&mut stream, &request, &mut answer)).await??;
        let mut seen = shared.seen.borrow_mut();
        seen.took.push(due.elapsed());
        *seen.statuses.entry(status).or_default() += 1;
    }
}

/// Sends one request and reads its whole answer.
pub async fn exchange(stream: &mut TcpStream, request: &[u8], answer: &mut Vec<u8>) -> anyhow::Result<u16> {
    stream.write_all(request).await?;
    answer.clear();
    let (head, length) = loop {
        if stream.read_buf(answer).await? == 0 {
            bail!("the server hung up");
        }
        if let Some(end) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            break (end + 4, content_length(&answer[..end]).context("no Content-Length")?);
        }
    };
    while answer.len() < head + length {
        if stream.read_buf(answer).await? == 0 {
            bail!("the server hung up");
        }
    }
    std::str::from_utf8(answer.get(9..12).context("no status")?)?.parse().context("no status")
}

fn content_length(head: &[u8]) -> Option<usize> {
    let head = std::str::from_utf8(head).ok()?;
    let line =
        head.lines().find(|line| line.get(..15).is_some_and(|name| name.eq_ignore_ascii_case("content-length:")))?;
    line[15..].trim().parse().ok()
}

/// The request, and where in it the delivery's id stands.
pub fn request(target: &Target) -> (Vec<u8>, usize) {
    let mut request = format!(
        "POST {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: GitHub-Hookshot/0f1e2d3\r\nAccept: */*\r\n\
         Content-Type: application/json\r\nX-GitHub-Event: pull_request\r\nX-GitHub-Hook-ID: {}\r\n\
         X-GitHub-Hook-Installation-Target-ID: 79929171\r\nX-GitHub-Hook-Installation-Target-Type: repository\r\n\
         X-Hub-Signature-256: {}\r\nContent-Length: {}\r\nX-GitHub-Delivery: ",
        target.path,
        target.address,
        target.hook,
        target.signature,
        target.body.len(),
    )
    .into_bytes();
    let guid_at = request.len();
    request.extend_from_slice(guid().as_bytes());
    request.extend_from_slice(b"\r\n\r\n");
    request.extend_from_slice(&target.body);
    (request, guid_at)
}

/// Ids that repeat neither in a run nor across runs, in no order, as GitHub's.
pub fn guid() -> String {
    thread_local! {
        static START: u64 = rand_start();
        static COUNT: Cell<u64> = const { Cell::new(0) };
    }
    let count = COUNT.get();
    COUNT.set(count + 1);
    let start = START.with(|start| *start);
    let mixed = start.wrapping_add(count).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        mixed >> 32,
        mixed >> 16 & 0xffff,
        mixed & 0xfff,
        start & 0xfff,
        count ^ start >> 16
    )
}

fn rand_start() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(Instant::now())
}
