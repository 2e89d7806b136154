//! How the shop came to be: who changed what before nectr was connected, so that there is something to know.

use std::collections::BTreeMap;

use super::{CART_TEST, PAYMENT, PRICE, README};
use crate::sandbox::Sandbox;

/// A pull request that was merged: author, title, what it left in which files.
type Step = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

const MANIFEST: &str = "[package]\nname = \"shop\"\nversion = \"0.1.0\"\nedition = \"2024\"\n";
const MANIFEST_WITH_LINTS: &str =
    "[package]\nname = \"shop\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[lints.clippy]\ndbg_macro = \"warn\"\n";
const LIB: &str = "//! A very small shop.\n\npub mod price;\n";
const LIB_WITH_CART: &str = "//! A very small shop.\n\npub mod cart;\npub mod price;\n";
const PACKAGE: &str = r#"{
  "name": "shop-web",
  "private": true,
  "scripts": { "test": "vitest run", "lint": "eslint ." },
  "devDependencies": { "eslint": "9.39.1", "typescript": "5.9.3", "vitest": "4.0.8" }
}
"#;
const CI: &str = "name: ci\non: [push, pull_request]\njobs:\n  rust:\n    runs-on: ubuntu-latest\n    steps:\n      \
                  - uses: actions/checkout@v5\n      - run: cargo test\n";
const CI_WITH_WEB: &str = "name: ci\non: [push, pull_request]\njobs:\n  rust:\n    runs-on: ubuntu-latest\n    steps:\n      \
                           - uses: actions/checkout@v5\n      - run: cargo clippy -- -D warnings\n      - run: cargo test\n  \
                           web:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v5\n      \
                           - run: npm ci\n      - run: npm run lint\n      - run: npm test\n";
const PRICE_OF_APPLES: &str = "pub fn apples(count: u32, cents: u32) -> u32 {\n    count * cents\n}\n";
const PRICE_NAMED: &str = "//! What things cost.\n\n/// Price of `count` apples, in cents.\npub fn apples(count: u32, cents: u32) -> u32 {\n    \
     let total = count * cents;\n    total\n}\n";
const CART: &str = "export class Cart {\n  count = 0;\n\n  add(_what: string): this {\n    this.count += 1;\n    return this;\n  }\n}\n";
const CART_RS: &str = "//! What somebody wants to buy.\n\n/// How many of what.\npub struct Line {\n    pub what: String,\n    pub count: u32,\n}\n";
const CART_TEST_FIRST: &str = "import { Cart } from './cart';\n\ndescribe('the cart', () => {\n  it('adds apples', () => {\n    \
     expect(new Cart().add('apple').count).toBe(1);\n  });\n});\n";
const PAYMENT_FIRST: &str = "[payment]\nprovider = \"bank\"\n";
const PAYMENT_CURRENCY: &str = "[payment]\nprovider = \"bank\"\ncurrency = \"EUR\"\n";

const STEPS: [Step; 15] = [
    ("octavia", "Sell apples", &[("src/lib.rs", LIB), ("src/price.rs", PRICE_OF_APPLES)]),
    ("octavia", "Let CI run the tests", &[(".github/workflows/ci.yml", CI)]),
    ("noor", "A cart for the browser", &[("web/cart.ts", CART), ("web/package.json", PACKAGE)]),
    ("noor", "Test the cart", &[("web/cart.test.ts", CART_TEST_FIRST)]),
    ("octavia", "Say what a price is in", &[("src/price.rs", PRICE_NAMED)]),
    ("sam", "Pay by bank", &[("config/payment.toml", PAYMENT_FIRST)]),
    ("noor", "Prices in whole euros", &[("src/price.rs", PRICE)]),
    (
        "octavia",
        "Say who looks after what",
        &[("CODEOWNERS", "* @octavia\n/web/ @noor\n/src/price.rs @octavia @noor\n")],
    ),
    ("sam", "A cart on the server, too", &[("src/cart.rs", CART_RS), ("src/lib.rs", LIB_WITH_CART)]),
    ("octavia", "Pay in euros", &[("config/payment.toml", PAYMENT_CURRENCY)]),
    ("noor", "Test that a cart starts empty", &[("web/cart.test.ts", CART_TEST)]),
    ("octavia", "Lint as strictly as the rest", &[("Cargo.toml", MANIFEST_WITH_LINTS)]),
    ("noor", "Let CI look at the web part", &[(".github/workflows/ci.yml", CI_WITH_WEB)]),
    ("octavia", "Room for the key of the bank", &[("config/payment.toml", PAYMENT)]),
    ("sam", "Ignore what is built", &[(".gitignore", "target/\nnode_modules/\n")]),
];

/// Fills `repo` with its first commit and what was merged since. Nobody listens yet: nothing is delivered.
pub fn tell(github: &Sandbox, repo: &str) {
    github.push_to_default(repo, "octavia", |files| files.adds("Cargo.toml", MANIFEST).adds("README.md", README));
    let mut texts = BTreeMap::from([("Cargo.toml", MANIFEST)]);
    for (author, title, files) in STEPS {
        let merged = github.open_pull(repo, |pr| {
            files.iter().fold(pr.title(title).author(author), |pr, (path, new)| match texts.insert(path, new) {
                Some(old) => pr.modifies(path, old, new),
                None => pr.adds(path, new),
            })
        });
        github.merge(merged);
    }
}
