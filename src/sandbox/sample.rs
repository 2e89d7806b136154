//! The small world `nectr demo` shows: one shop with a little past, three pull requests a newcomer understands at a glance.

mod history;

use super::{Pr, Sandbox};

/// The names in the sample world.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The repository.
    pub repo: &'static str,
    /// Its administrator, who is signed in in the browser.
    pub admin: &'static str,
    /// The account that posts reviews.
    pub bot: &'static str,
    /// Who opens the pull requests.
    pub author: &'static str,
    /// What was opened so far.
    pub pulls: Vec<SamplePull>,
    /// The issue that the first of them fixes.
    lost_cents: i64,
}

/// One pull request of the sample world.
#[derive(Debug, Clone)]
pub struct SamplePull {
    /// The pull request.
    pub pr: Pr,
    /// Its title.
    pub title: &'static str,
    /// What a reviewer should find, in a few words; none if there is nothing.
    pub expect: Option<&'static str>,
}

/// Fills `github` with the people of the sample world, its repository and what happened there before; no open pull
/// request yet: see [`Sample::open_pulls`].
pub fn sample(github: &Sandbox) -> Sample {
    let (admin, bot, author) = ("octavia", "nectr-bot", "sam");
    let mut sample = Sample { repo: "acme/shop", admin, bot, author, pulls: Vec::new(), lost_cents: 0 };
    github.user(sample.admin).named("Octavia Acme").email("octavia@acme.example");
    github.bot(sample.bot).named("nectr");
    github.user(sample.author).named("Sam Writer");
    github
        .repo(sample.repo)
        .private()
        .description("A very small shop")
        .admin(sample.admin)
        .write(sample.bot)
        .write(sample.author)
        .write("noor");
    github.user("noor").named("Noor Seller");
    history::tell(github, sample.repo);
    sample.lost_cents = github.open_issue(sample.repo, "noor", "Half a cent is lost on every apple");
    github.label_issue(sample.repo, sample.lost_cents, "bug");
    github.open_issue(sample.repo, sample.admin, "Customers ask for a discount");
    github.browser_user(sample.admin);
    sample
}

impl Sample {
    /// Opens the three pull requests; their deliveries are queued for whatever webhooks there are by now.
    pub fn open_pulls(&mut self, github: &Sandbox) {
        let body = format!("Half a cent was lost on every apple.\n\nFixes #{}.", self.lost_cents);
        self.open("Round prices to the cent", None, |title| {
            let new = PRICE.replace("cents / 100", "(cents + 50) / 100");
            github.open_pull("acme/shop", |pr| {
                pr.title(title).author("sam").branch("round-prices").body(&body).modifies("src/price.rs", PRICE, &new)
            })
        });
        self.open("Give a discount for ten apples", Some("a leftover dbg!, a focused test"), |title| {
            let new =
                PRICE.replace("    total", "    dbg!(total);\n    if count >= 10 { total * 9 / 10 } else { total }");
            let test = CART_TEST.replace("it('adds", "it.only('adds");
            github.open_pull("acme/shop", |pr| {
                pr.title(title).author("sam").branch("discount").modifies("src/price.rs", PRICE, &new).modifies(
                    "web/cart.test.ts",
                    CART_TEST,
                    &test,
                )
            })
        });
        self.open("Take card payments", Some("conflict markers, a secret"), |title| {
            let conflict = "# Shop\n\n<<<<<<< HEAD\nSells apples.\n=======\nSells apples and pears.\n>>>>>>> pears\n";
            // Put together at run time, so that no scanner finds a key in this file.
            let key = ["AKIA", "QX7Z", "M2PL", "T5WV", "R3KJ"].concat();
            let new = PAYMENT.replace("access_key = \"\"", &format!("access_key = \"{key}\""));
            github.open_pull("acme/shop", |pr| {
                pr.title(title).author("sam").branch("payments").modifies("README.md", README, conflict).modifies(
                    "config/payment.toml",
                    PAYMENT,
                    &new,
                )
            })
        });
    }

    fn open(&mut self, title: &'static str, expect: Option<&'static str>, open: impl FnOnce(&str) -> Pr) {
        let pr = open(title);
        self.pulls.push(SamplePull { pr, title, expect });
    }
}

const README: &str = "# Shop\n\nSells apples.\n";
const PRICE: &str = include_str!("../../fixtures/demo/price.rs");
const CART_TEST: &str = include_str!("../../fixtures/demo/cart.test.ts");
const PAYMENT: &str = include_str!("../../fixtures/demo/payment.toml");
