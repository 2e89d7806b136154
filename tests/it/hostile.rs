//! Everything strangers can do to a port at once, against the real binary: who has something to say is heard all the while,
//! and memory has a bound.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt, future::join_all, stream};
use nectr::{
    domain::Clock,
    sandbox::{Delivery, Sandbox},
    store::{Store, deliveries::DeliveryFilter},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{interval, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    crash::Process,
    intake::wire::{CHUNKED, END, chunks, head, length},
    support::{self, Person, SHOP, database::Database},
};

const MIB: usize = 1024 * 1024;

/// The largest delivery GitHub sends.
const LARGEST: usize = 25 * MIB;

/// What nectr may have taken of memory at its worst. Bodies may have 192 MiB, connections 128; the rest is its own.
const MEMORY: usize = 400 * MIB;

/// Connections that say nothing, where so many files may be open.
const IDLE: usize = 10_000;

/// Longest wait for anything: a story that gets here has failed.
const PATIENCE: Duration = Duration::from_secs(180);

/// What became of many requests: how many got which status, or no answer.
type Tally = BTreeMap<Option<u16>, usize>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_strangers_send_deliveries_are_accepted_and_memory_is_bounded() {
    let database = Database::fresh().await;
    let github = Sandbox::start().await.unwrap();
    support::populate(&github);
    let idle = idle_connections();
    let process = Process::new(&github, &database).with(&[("WORKERS", "0"), ("RUST_LOG", "error")]);
    let mut running = process.start().await;
    let pid = running.id().unwrap();
    Person::sign_in(&process.url, &github, "octavia").await.connect(SHOP).await;
    github.drop_deliveries();
    github.open_pull(SHOP, |pr| pr.author("sam").adds("src/lib.rs", "pub fn one() -> u32 {\n    1\n}\n"));
    let target = Target { delivery: github.drop_deliveries().remove(0) };

    let over = CancellationToken::new();
    let good = tokio::spawn(speak(target.delivery.clone(), over.clone()));
    let attacks = async {
        tokio::join!(
            target.idle(idle),
            target.slow_heads(300),
            target.slow_bodies(300),
            target.long_heads(200),
            target.deep_bodies(60),
            target.large_bodies(120),
            target.wrong_signatures(4_000),
            target.unknown_hooks(4_000),
        )
    };
    let attacks = timeout(PATIENCE, attacks).await.expect("every connection is answered or closed");
    over.cancel();
    let (accepted, refused) = timeout(PATIENCE, good).await.unwrap().unwrap();
    let memory = peak(pid);

    let ((), slow_heads, slow_bodies, long_heads, deep, large, wrong, unknown) = attacks;
    println!("{idle} idle connections were closed; slow heads {slow_heads:?}; slow bodies {slow_bodies:?}");
    println!("long heads {long_heads:?}; deep bodies {deep:?}; large bodies {large:?}; forged {wrong:?}, {unknown:?}");
    println!("{} deliveries accepted, {refused} times not at once; {} MiB at most", accepted.len(), memory / MIB);
    assert!(running.try_wait().unwrap().is_none(), "nectr ended");
    only(&slow_heads, &[None]);
    only(&slow_bodies, &[Some(408), Some(503), None]);
    only(&long_heads, &[Some(431), None]);
    only(&deep, &[Some(200), Some(202), Some(400), Some(401), Some(503), None]);
    only(&large, &[Some(202), Some(400), Some(401), Some(408), Some(413), Some(503), None]);
    only(&wrong, &[Some(401), Some(503)]);
    only(&unknown, &[Some(401), Some(503)]);
    assert!(memory <= MEMORY, "{} MiB", memory / MIB);

    process.end(running).await;
    let store = Store::open_beside(&database.url, Clock::system()).await.unwrap();
    let rows = store.list_deliveries(&DeliveryFilter::default(), 1_000_000, None).await.unwrap().items;
    let stored: BTreeSet<_> = rows.into_iter().map(|row| row.guid).collect();
    assert!(!accepted.is_empty());
    assert!(accepted.is_subset(&stored), "accepted and not stored: {:?}", accepted.difference(&stored));
    drop(store);
    database.remove().await;
}

/// Sends one good delivery after the other, each until it is accepted. Returns them, and how often one was not.
async fn speak(delivery: Delivery, over: CancellationToken) -> (BTreeSet<String>, usize) {
    let (mut accepted, mut refused) = (BTreeSet::new(), 0);
    let mut beat = interval(Duration::from_millis(10));
    for n in 0.. {
        beat.tick().await;
        if over.is_cancelled() {
            break;
        }
        let delivery = delivery.clone().with_guid(&guid(0, n));
        // One that was stored although nobody could say so is a duplicate when it comes again.
        while !matches!(delivery.send().await.status, Some(202 | 200)) {
            refused += 1;
        }
        accepted.insert(delivery.guid);
    }
    (accepted, refused)
}

/// Whom they do it to.
struct Target {
    delivery: Delivery,
}

impl Target {
    /// Connections that say nothing, a thousand more each second, until they are closed.
    async fn idle(&self, count: usize) {
        let beat = stream::unfold(interval(Duration::from_millis(1)), |mut beat| async move {
            beat.tick().await;
            Some(((), beat))
        });
        beat.take(count).for_each_concurrent(None, |()| async { closed(self.connect().await).await }).await;
    }

    /// Heads that never end.
    async fn slow_heads(&self, count: usize) -> Tally {
        let begun = Bytes::from_static(b"POST /api/v1/webhooks/github HTTP/1.1\r\nHost: nectr\r\n");
        tally((0..count).map(|_| self.trickle(begun.clone(), b"X-Slow: 1\r\n"))).await
    }

    /// Bodies that take their time.
    async fn slow_bodies(&self, count: usize) -> Tally {
        let begun = Bytes::from(head(&self.delivery, &[&length(50_000)]));
        tally((0..count).map(|_| self.trickle(begun.clone(), b"{"))).await
    }

    /// A thousand headers, or one of 1 MB.
    async fn long_heads(&self, count: usize) -> Tally {
        let many = "X-Flood: 1\r\n".repeat(1_000);
        let one = format!("X-Flood: {}\r\n", "x".repeat(1_000_000));
        let heads = [many, one].map(|flood| Bytes::from(format!("GET / HTTP/1.1\r\nHost: nectr\r\n{flood}\r\n")));
        tally((0..count).map(|n| self.say(vec![heads[n % 2].clone()]))).await
    }

    /// JSON of 100,000 levels: instead of a delivery, in it, and where something else is expected; signed or not, and from
    /// somebody who does not say which webhook it is.
    async fn deep_bodies(&self, count: usize) -> Tally {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let rest = std::str::from_utf8(&self.delivery.body[1..]).unwrap();
        let bodies = [deep.clone(), format!("{{\"pad\":{deep},{rest}"), format!("{{\"repository\":{deep}}}")];
        let said = (0..count).map(|n| {
            let body = Bytes::from(bodies[n % 3].clone());
            let mut delivery = self.delivery.clone().with_guid(&guid(1, n)).with_body(body);
            if n % 2 == 0 {
                delivery.headers.retain(|(name, _)| name != "X-GitHub-Hook-ID");
            }
            self.say(whole(&if n % 4 < 2 { forged(delivery) } else { delivery }))
        });
        tally(said).await
    }

    /// As large as GitHub's largest and larger, with lengths that are true, missing and false.
    async fn large_bodies(&self, count: usize) -> Tally {
        let rest = &self.delivery.body[1..];
        let mut body = b"{\"pad\":\"".to_vec();
        body.resize(LARGEST - rest.len() - 2, b'x');
        body.extend_from_slice(b"\",");
        body.extend_from_slice(rest);
        let good = self.delivery.clone().with_body(body);
        let body = good.body.clone();
        let chunked = Bytes::from(chunks(&body, MIB));
        let said = (0..count).map(|n| {
            let good = good.clone().with_guid(&guid(2, n));
            let head = |delivery: &Delivery, framing: &str| Bytes::from(head(delivery, &[framing]));
            let end = Bytes::from_static(END.as_bytes());
            self.say(match n % 6 {
                0 => whole(&good),
                1 => whole(&forged(good)),
                2 => vec![head(&good, CHUNKED), chunked.clone(), end],
                3 => vec![head(&good, CHUNKED), chunked.clone(), chunked.slice(..2 * MIB), end],
                4 => vec![head(&good, &length(LARGEST)), body.slice(..2 * MIB)],
                _ => vec![head(&good, &length(10)), body.clone()],
            })
        });
        tally(said).await
    }

    async fn wrong_signatures(&self, count: usize) -> Tally {
        self.flood(whole(&forged(self.delivery.clone())).concat(), count).await
    }

    async fn unknown_hooks(&self, count: usize) -> Tally {
        let unknown = self.delivery.clone().with_header("X-GitHub-Hook-ID", "987654321");
        self.flood(whole(&unknown).concat(), count).await
    }

    /// The same request as fast as it is answered, over eight connections that are kept.
    async fn flood(&self, request: Vec<u8>, count: usize) -> Tally {
        let connection = async |_| {
            let mut tally = Tally::new();
            let mut stream = None;
            while tally.values().sum::<usize>() < count / 8 {
                let mut open = match stream.take() {
                    Some(open) => open,
                    None => self.connect().await,
                };
                // Who is cut off to make room comes again.
                let _ = open.write_all(&request).await;
                if let Some(status) = answer(&mut open).await {
                    *tally.entry(Some(status)).or_default() += 1;
                    stream = Some(open);
                }
            }
            tally
        };
        let mut all = Tally::new();
        for (status, times) in join_all((0..8).map(connection)).await.into_iter().flatten() {
            *all.entry(status).or_default() += times;
        }
        all
    }

    async fn connect(&self) -> TcpStream {
        let url = url::Url::parse(&self.delivery.url).unwrap();
        let address = (url.host_str().unwrap(), url.port().unwrap());
        loop {
            if let Ok(stream) = TcpStream::connect(address).await {
                return stream;
            }
        }
    }

    /// Says all of that, listening all the while; returns the status of the first answer.
    async fn say(&self, parts: Vec<Bytes>) -> Option<u16> {
        let (mut from, mut to) = self.connect().await.into_split();
        let saying = async {
            for part in parts {
                if to.write_all(&part).await.is_err() {
                    break;
                }
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            status = answer(&mut from) => status,
            () = saying => unreachable!(),
        }
    }

    /// Begins, and goes on a little ten times a second.
    async fn trickle(&self, begun: Bytes, more: &[u8]) -> Option<u16> {
        let (mut from, mut to) = self.connect().await.into_split();
        let saying = async {
            let mut said = to.write_all(&begun).await;
            let mut beat = interval(Duration::from_millis(100));
            while said.is_ok() {
                beat.tick().await;
                said = to.write_all(more).await;
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            status = answer(&mut from) => status,
            () = saying => unreachable!(),
        }
    }
}

/// The status of the next answer, read in all; none if the connection ends before.
async fn answer(from: &mut (impl AsyncReadExt + Unpin)) -> Option<u16> {
    let mut read = Vec::new();
    loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&read[..end]).into_owned();
            let length = crate::intake::wire::header(&head, "content-length")?.parse::<usize>().ok()?;
            let mut body = vec![0; (end + 4 + length).saturating_sub(read.len())];
            from.read_exact(&mut body).await.ok()?;
            return head.split(' ').nth(1)?.parse().ok();
        }
        if from.read_buf(&mut read).await.ok()? == 0 {
            return None;
        }
    }
}

/// Waits until it is closed. An empty line now and then says nothing, but finds out about a connection that the other side's
/// kernel gave up.
async fn closed(stream: TcpStream) {
    let (mut from, mut to) = stream.into_split();
    let nudging = async {
        let mut beat = interval(Duration::from_secs(3));
        while to.write_all(b"\r\n").await.is_ok() {
            beat.tick().await;
        }
    };
    let mut said = [0; 16];
    tokio::select! {
        said = from.read(&mut said) => {
            assert!(said.as_ref().map_or(true, |said| *said == 0), "an idle connection was told something: {said:?}");
        }
        () = nudging => {}
    }
}

async fn tally(requests: impl Iterator<Item = impl Future<Output = Option<u16>>>) -> Tally {
    let mut tally = Tally::new();
    for status in join_all(requests).await {
        *tally.entry(status).or_default() += 1;
    }
    tally
}

#[track_caller]
fn only(tally: &Tally, expected: &[Option<u16>]) {
    assert!(tally.keys().all(|status| expected.contains(status)), "{tally:?}, expected {expected:?}");
}

/// Head and body.
fn whole(delivery: &Delivery) -> Vec<Bytes> {
    vec![head(delivery, &[&length(delivery.body.len())]).into(), delivery.body.clone()]
}

/// With a signature that is none.
fn forged(delivery: Delivery) -> Delivery {
    delivery.with_header("X-Hub-Signature-256", &format!("sha256={}", "0".repeat(64)))
}

/// A GUID nobody else has.
fn guid(kind: usize, n: usize) -> String {
    format!("{kind:08}-0000-4000-8000-{n:012}")
}

/// The most memory a process has had, in bytes; 0 where that is not told.
fn peak(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.and_then(|peak| peak.trim().trim_end_matches(" kB").parse::<usize>().ok()).map_or(0, |kib| kib * 1024)
}

/// As many as this process may have files for, once it has asked for all it may have.
fn idle_connections() -> usize {
    let me = std::process::id().to_string();
    let limits = || std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let files = |column: usize| {
        let limits = limits();
        let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
        line.and_then(|line| line.split_whitespace().nth(column)?.parse::<usize>().ok())
    };
    if let Some(hard) = files(1) {
        let _ = Command::new("prlimit").args(["--pid", &me, &format!("--nofile={hard}:{hard}")]).status();
    }
    let idle = files(0).map_or(500, |files| files.saturating_sub(3_000)).min(IDLE);
    if idle < IDLE {
        println!("{idle} idle connections instead of {IDLE}: no more files may be open");
    }
    idle
}
