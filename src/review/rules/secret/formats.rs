//! What secrets look like. Prefixes, lengths and alphabets are the providers' public ones.
//!
//! Left out on purpose: keys that are meant to be public (`AIza…` web keys, publishable keys), test-mode keys, and
//! formats without a fixed shape.

use std::sync::LazyLock;

use regex::Regex;

use crate::review::rules::pattern;

/// One provider's secret.
pub(super) struct Format {
    /// With its article, to follow "This looks like".
    pub(super) name: &'static str,
    /// Fixed texts, one of which is in every value; searched first, because that is cheap.
    pub(super) hints: &'static [&'static str],
    /// The least entropy of what follows the fixed text, in bits per character.
    pub(super) floor: f64,
    /// The whole value. What stands next to it is checked apart: no letter, digit or underscore.
    pub(super) pattern: LazyLock<Regex>,
}

macro_rules! formats {
    ($($name:literal, [$($hint:literal),+], $floor:literal, $pattern:literal;)+) => {
        /// Every format, compiled when first needed.
        pub(super) static FORMATS: [Format; [$($name),+].len()] = [$(Format {
            name: $name,
            hints: &[$($hint),+],
            floor: $floor,
            pattern: LazyLock::new(|| pattern($pattern)),
        }),+];
    };
}

formats! {
    "an AWS access key", ["AKIA", "ASIA", "ABIA", "ACCA"], 2.5, "(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}";
    "a GitHub token", ["ghp_", "gho_", "ghu_", "ghs_", "ghr_"], 3.0, "gh[pousr]_[A-Za-z0-9]{36}";
    "a fine-grained GitHub token", ["github_pat_"], 3.0, "github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}";
    "a GitLab token", ["glpat-"], 3.0,
        r"glpat-(?:[A-Za-z0-9_-]{27,300}\.[0-9a-z]{2}(?:\.[0-9a-z]{2})?[0-9a-z]{7}|[A-Za-z0-9_-]{20})";
    "a Slack token", ["xoxa-", "xoxb-", "xoxp-", "xoxr-", "xoxs-"], 2.5,
        "xox[abprs]-(?:[0-9]{1,13}-){1,3}[A-Za-z0-9]{24,64}";
    "a Slack app token", ["xapp-"], 2.5, "xapp-[0-9]-[A-Z0-9]{9,13}-[0-9]{10,15}-[a-z0-9]{60,70}";
    "a Slack webhook URL", ["hooks.slack.com/services/"], 2.5,
        r"hooks\.slack\.com/services/T[A-Z0-9]{8,12}/B[A-Z0-9]{8,12}/[A-Za-z0-9]{24}";
    "a Stripe live key", ["sk_live_", "rk_live_"], 3.0, "[sr]k_live_[A-Za-z0-9]{24,247}";
    "a Google OAuth client secret", ["GOCSPX-"], 3.0, "GOCSPX-[A-Za-z0-9_-]{28}";
    "an OpenAI key", ["sk-"], 3.5,
        "sk-(?:(?:proj|svcacct|admin)-[A-Za-z0-9_-]{40,200}|[A-Za-z0-9]{48})";
    "an Anthropic key", ["sk-ant-"], 3.5, "sk-ant-[a-z]{3,6}[0-9]{2}-[A-Za-z0-9_-]{80,120}";
    "an npm token", ["npm_"], 3.0, "npm_[A-Za-z0-9]{36}";
    "a PyPI token", ["pypi-AgEI"], 3.0, "pypi-AgEI[A-Za-z0-9_-]{50,1000}";
    "a crates.io token", ["cio"], 3.8, "cio[A-Za-z0-9]{32}";
    "a RubyGems key", ["rubygems_"], 2.8, "rubygems_[0-9a-f]{48}";
    "a SendGrid key", ["SG."], 3.5, r"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}";
    "a Twilio API key", ["SK"], 2.8, "SK[0-9a-f]{32}";
    "a Shopify token", ["shpat_", "shpca_", "shppa_", "shpss_"], 2.8, "shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}";
    "a DigitalOcean token", ["dop_v1_", "doo_v1_", "dor_v1_"], 2.8, "do[opr]_v1_[0-9a-f]{64}";
    "a Hugging Face token", ["hf_"], 3.5, "hf_[A-Za-z0-9]{34}";
    "a Telegram bot token", [":AA"], 3.5, "[0-9]{8,10}:AA[A-Za-z0-9_-]{33}";
    "an Azure storage key", ["AccountKey="], 3.5, "AccountKey=[A-Za-z0-9+/]{86}==";
    "a Heroku key", ["HRKU-"], 2.8, "HRKU-(?:AA[A-Za-z0-9_-]{58}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})";
    "a Vault token", ["hvs.", "hvb."], 3.0, r"hv[sb]\.[A-Za-z0-9_-]{24,300}";
    "a Docker Hub token", ["dckr_pat_", "dckr_oat_"], 3.0, "dckr_[po]at_[A-Za-z0-9_-]{27,64}";
    "a Linear key", ["lin_api_"], 3.0, "lin_api_[A-Za-z0-9]{40}";
    "a Databricks token", ["dapi"], 2.8, "dapi[0-9a-f]{32}(?:-[0-9])?";
    "a Grafana token", ["glsa_"], 3.0, "glsa_[A-Za-z0-9]{32}_[0-9a-fA-F]{8}";
    "an age secret key", ["AGE-SECRET-KEY-1"], 3.0, "AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}";
    "a Discord webhook URL", ["/api/webhooks/"], 3.0,
        r"discord(?:app)?\.com/api/webhooks/[0-9]{17,20}/[A-Za-z0-9_-]{60,80}";
    "a Postman key", ["PMAK-"], 2.8, "PMAK-[0-9a-f]{24}-[0-9a-f]{34}";
    "a Notion token", ["ntn_"], 3.5, "ntn_[A-Za-z0-9]{46}";
    "a New Relic key", ["NRAK-"], 2.8, "NRAK-[A-Z0-9]{27}";
    "a Doppler token", ["dp.pt."], 3.0, r"dp\.pt\.[A-Za-z0-9]{40,44}";
    "a Pulumi token", ["pul-"], 2.8, "pul-[0-9a-f]{40}";
    "a Figma token", ["figd_"], 3.5, "figd_[A-Za-z0-9_-]{40,200}";
}

/// How a private key begins.
pub(super) static KEY_HEADER: LazyLock<Regex> =
    LazyLock::new(|| pattern("-----BEGIN (?:[A-Z0-9]+ )?PRIVATE KEY(?: BLOCK)?-----"));

/// What follows it: base64.
pub(super) static KEY_MATERIAL: LazyLock<Regex> = LazyLock::new(|| pattern("[A-Za-z0-9+/]{40,}"));

/// A private key from header to footer, or to the end of the text.
pub(super) static KEY_BLOCK: LazyLock<Regex> = LazyLock::new(|| {
    pattern("(?s)-----BEGIN (?:[A-Z0-9]+ )?PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z0-9 ]*-----|$)")
});
