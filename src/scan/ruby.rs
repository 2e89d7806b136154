//! Bundler.

use super::{
    draft::{Draft, Source},
    project::{Project, file_name, outermost, within},
};

const FRAMEWORKS: &[(&str, &str)] = &[
    ("rails", "Rails"),
    ("sinatra", "Sinatra"),
    ("hanami", "Hanami"),
    ("grape", "Grape"),
    ("roda", "Roda"),
    ("rack", "Rack"),
    ("puma", "Puma"),
    ("rspec", "RSpec"),
    ("rspec-rails", "RSpec"),
    ("minitest", "Minitest"),
    ("capybara", "Capybara"),
    ("cucumber", "Cucumber"),
    ("sidekiq", "Sidekiq"),
    ("resque", "Resque"),
    ("sequel", "Sequel"),
    ("activerecord", "Active Record"),
    ("devise", "Devise"),
    ("graphql", "GraphQL Ruby"),
    ("jekyll", "Jekyll"),
    ("factory_bot*", "factory_bot"),
    ("turbo-rails", "Hotwire"),
    ("sorbet*", "Sorbet"),
];

pub(super) fn learn(project: &Project<'_>, draft: &mut Draft) {
    let manifests = project.files(|name| name == "Gemfile" || name.ends_with(".gemspec"));
    let mut gems: Vec<(&str, &str)> = Vec::new();
    for file in &manifests {
        draft.managers.add("bundler");
        for line in file.text.lines().map(str::trim).take(5_000) {
            let gem = ["gem ", "gem(", ".add_dependency", ".add_development_dependency", ".add_runtime_dependency"];
            let is_gem =
                line.starts_with(gem[0]) || line.starts_with(gem[1]) || gem[2..].iter().any(|call| line.contains(call));
            if let Some(name) = quoted(line).filter(|_| is_gem) {
                gems.push((file.folder, name));
                draft.depends_on(FRAMEWORKS, [name]);
            } else if let Some(version) = line.strip_prefix("ruby ").and_then(quoted) {
                draft.conventions.add(format!("Ruby {version}"));
            }
        }
        let stem = file_name(file.path).strip_suffix(".gemspec");
        if stem.is_some() || project.has_in(file.folder, "config/application.rb") {
            draft.package(file.folder, stem, "bundler");
        }
    }
    for path in project.paths() {
        if file_name(path) == "config.ru" || path.starts_with("exe/") && !path[4..].contains('/') || path == "bin/rails"
        {
            draft.entries.add(path);
        }
    }
    for file in outermost(&manifests) {
        let uses = |name: &str| gems.iter().any(|(folder, gem)| *folder == file.folder && gem.starts_with(name));
        let mut add = |command: &str| draft.command(Source::Usual, &within(file.folder, command));
        if uses("rspec") {
            add("bundle exec rspec");
        } else if uses("rails") {
            add("bin/rails test");
        } else if project.has_in(file.folder, "Rakefile") {
            add("bundle exec rake test");
        }
        if uses("rubocop") || project.has_in(file.folder, ".rubocop.yml") {
            add("bundle exec rubocop");
        }
    }
}

/// The first thing in quotes.
fn quoted(line: &str) -> Option<&str> {
    line.split(['"', '\'']).nth(1).filter(|word| (1..=100).contains(&word.len()))
}
