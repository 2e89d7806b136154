//! What the stories are told with: a whole nectr over a real database, a GitHub in this process, people with browsers,
//! and a clock that moves when told to.
//!
//! A story begins with [`nectr`]. It fails at its end on whatever it left behind: a review nobody read, a delivery that
//! still waits, a request GitHub would have refused.

pub mod cluster;
pub mod collector;
pub mod database;
pub mod delivery;
pub mod graph;
pub mod neo4j;
pub mod person;
pub mod wall_clock;

use std::{collections::HashMap, time::Duration};

use nectr::{
    app::Handle,
    config::Config,
    domain::Clock,
    run::{self, Roles},
    sandbox::{Pr, Review, Sandbox, Sent},
    store::deliveries::{DeliveryFilter, DeliveryRow, Status},
};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

pub use person::Person;

use database::{Database, noon};

/// Answers HTTP; work is done when a story says so.
const API: Roles = Roles { api: true, worker: false };

/// The repository most stories are about.
pub const SHOP: &str = "acme/shop";

/// A running nectr and the world around it.
pub struct T {
    /// GitHub: the repository [`SHOP`], its administrators `octavia` and `ada`, its author `sam`, and the account
    /// `nectr-bot`.
    pub github: Sandbox,
    /// The app that answers at [`T::url`]. Its workers run only in [`T::settle`].
    pub app: Handle,
    /// The time, for nectr and for GitHub.
    pub clock: Clock,
    /// Root of the HTTP API.
    pub url: String,
    stop: CancellationToken,
    server: JoinHandle<anyhow::Result<()>>,
}

/// Tells a story to a fresh nectr with default settings.
pub async fn nectr(story: impl AsyncFnOnce(&T)) {
    nectr_with(&[], story).await;
}

/// Tells a story to a fresh nectr with these settings beside the usual ones.
pub async fn nectr_with(settings: &[(&str, &str)], story: impl AsyncFnOnce(&T)) {
    let database = Database::fresh().await;
    let clock = Clock::manual(noon());
    let github = Sandbox::start_on(0, clock.clone()).await.unwrap();
    populate(&github);
    let t = T::start(&github, &clock, &database.url, settings).await;
    story(&t).await;
    t.expect_nothing_left().await;
    t.shut_down().await;
    database.remove().await;
}

/// The people and places every story begins with.
pub fn populate(github: &Sandbox) {
    github.user("octavia").named("Octavia");
    github.user("ada").named("Ada");
    github.user("sam");
    github.bot("nectr-bot");
    github.repo(SHOP).private().admin("octavia").admin("ada").write("sam").write("nectr-bot");
}

/// The settings of a nectr beside that GitHub.
pub fn settings(github: &Sandbox, database_url: &str, address: &str) -> HashMap<String, String> {
    [
        ("DATABASE_URL", database_url.to_owned()),
        ("SECRET_KEY", "a key for tests, long enough to be one".to_owned()),
        ("BACKEND_URL", format!("http://{address}")),
        ("HOST", "127.0.0.1".to_owned()),
        ("PORT", address.rsplit(':').next().unwrap().to_owned()),
        ("GITHUB_API_URL", github.api_url()),
        ("GITHUB_SERVER_URL", github.server_url()),
        ("GITHUB_CLIENT_ID", nectr::sandbox::CLIENT_ID.to_owned()),
        ("GITHUB_CLIENT_SECRET", nectr::sandbox::CLIENT_SECRET.to_owned()),
        ("GITHUB_PAT", github.token_of("nectr-bot")),
        ("GITHUB_WRITES_PER_MINUTE", "0".to_owned()),
        ("GITHUB_WRITES_PER_HOUR", "0".to_owned()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

impl T {
    /// A further nectr over the same GitHub and database (PostgreSQL only), or the first one.
    pub async fn start(github: &Sandbox, clock: &Clock, database_url: &str, extra: &[(&str, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let mut settings = settings(github, database_url, &address);
        settings.extend(extra.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let mut config = Config::from_lookup(|name| settings.get(name).cloned()).unwrap();
        // A developer's own login must not leak into a story.
        config.github.ask_gh = false;
        let app = run::prepare(config, clock.clone()).await.unwrap();
        let stop = CancellationToken::new();
        let server = tokio::spawn(run::run(app.clone(), listener, API, stop.clone().cancelled_owned()));
        Self { github: github.clone(), app, clock: clock.clone(), url: format!("http://{address}"), stop, server }
    }

    /// Signs somebody in, as their browser would.
    pub async fn sign_in(&self, login: &str) -> Person {
        Person::sign_in(&self.url, &self.github, login).await
    }

    /// Signs `octavia` in, connects [`SHOP`], and has nectr learn it.
    pub async fn connected(&self) -> Person {
        let octavia = self.connected_only().await;
        self.work().await;
        octavia
    }

    /// Signs `octavia` in and connects [`SHOP`]; what is to be learned of it waits.
    pub async fn connected_only(&self) -> Person {
        let octavia = self.sign_in("octavia").await;
        octavia.connect(SHOP).await;
        octavia
    }

    /// Opens a pull request by `sam` on [`SHOP`]; its delivery waits until [`T::settle`].
    pub fn open_pull(&self, describe: impl FnOnce(nectr::sandbox::NewPull) -> nectr::sandbox::NewPull) -> Pr {
        self.github.open_pull(SHOP, |pr| describe(pr.author("sam")))
    }

    /// Sends what GitHub has to send, and nothing else.
    pub async fn deliver(&self) -> Vec<Sent> {
        self.github.deliver_all().await
    }

    /// Sends what GitHub has to send and runs the workers until nothing is due.
    pub async fn settle(&self) -> &Self {
        self.github.deliver_all().await;
        self.work().await;
        self
    }

    /// Runs the workers until nothing is due.
    pub async fn work(&self) {
        let workers = run::workers(&self.app);
        let never = CancellationToken::new();
        for _ in 0..10_000 {
            if !workers.run_one(&never).await.unwrap() {
                return;
            }
        }
        panic!("the workers do not come to rest");
    }

    /// Lets time pass.
    pub fn pass(&self, time: Duration) -> &Self {
        self.clock.advance(time);
        self
    }

    /// Does one piece of work, if any is due.
    pub async fn work_once(&self) {
        run::workers(&self.app).run_one(&CancellationToken::new()).await.unwrap();
    }

    /// All deliveries, newest first.
    pub async fn deliveries(&self) -> Vec<DeliveryRow> {
        self.app.store.list_deliveries(&DeliveryFilter::default(), 1000, None).await.unwrap().items
    }

    /// The one review that was posted to a pull request since the last look.
    #[track_caller]
    pub fn take_review(&self, pr: Pr) -> Review {
        let mut reviews = self.github.take_reviews(pr);
        assert_eq!(reviews.len(), 1, "expected one new review of {pr:?}, found {reviews:#?}");
        reviews.remove(0)
    }

    /// Asserts how many deliveries are neither finished nor dead.
    pub async fn expect_waiting(&self, count: usize) -> &Self {
        let waiting: Vec<_> = self
            .deliveries()
            .await
            .into_iter()
            .filter(|row| matches!(row.status, Status::Queued | Status::Running | Status::Failed))
            .collect();
        assert_eq!(waiting.len(), count, "waiting: {waiting:#?}");
        self
    }

    async fn expect_nothing_left(&self) {
        self.expect_waiting(0).await;
        let unread = self.github.unread_reviews();
        assert!(unread.is_empty(), "reviews nobody read: {unread:#?}");
        let undelivered = self.github.waiting_deliveries();
        assert!(undelivered.is_empty(), "deliveries nobody sent: {undelivered:#?}");
        let refused = self.github.unknown_calls();
        assert!(refused.is_empty(), "requests GitHub would not have understood: {refused:#?}");
    }

    /// Ends this nectr in order.
    pub async fn shut_down(self) {
        self.stop.cancel();
        self.server.await.unwrap().unwrap();
    }
}

/// `n` minutes.
pub const fn minutes(n: u64) -> Duration {
    Duration::from_secs(60 * n)
}

/// `n` hours.
pub const fn hours(n: u64) -> Duration {
    Duration::from_secs(3600 * n)
}
