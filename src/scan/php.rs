//! Composer.

use serde_json::Value;

use super::{
    commands::by_name,
    draft::{Draft, Source, keys, string},
    project::{Project, file_name, outermost, within},
};

const FRAMEWORKS: &[(&str, &str)] = &[
    ("laravel/framework", "Laravel"),
    ("laravel/lumen-framework", "Lumen"),
    ("livewire/livewire", "Livewire"),
    ("symfony/framework-bundle", "Symfony"),
    ("symfony/symfony", "Symfony"),
    ("symfony/console", "Symfony Console"),
    ("slim/slim", "Slim"),
    ("cakephp/cakephp", "CakePHP"),
    ("codeigniter4/framework", "CodeIgniter"),
    ("yiisoft/yii2", "Yii"),
    ("laminas/*", "Laminas"),
    ("doctrine/orm", "Doctrine"),
    ("api-platform/*", "API Platform"),
    ("twig/twig", "Twig"),
    ("drupal/core*", "Drupal"),
    ("guzzlehttp/guzzle", "Guzzle"),
    ("monolog/monolog", "Monolog"),
    ("phpunit/phpunit", "PHPUnit"),
    ("pestphp/pest", "Pest"),
    ("behat/behat", "Behat"),
    ("phpstan/phpstan", "PHPStan"),
    ("vimeo/psalm", "Psalm"),
    ("inertiajs/inertia-laravel", "Inertia"),
];

const TOOLS: &[(&str, &str)] = &[
    ("phpunit/phpunit", "vendor/bin/phpunit"),
    ("pestphp/pest", "vendor/bin/pest"),
    ("phpstan/phpstan", "vendor/bin/phpstan analyse"),
    ("vimeo/psalm", "vendor/bin/psalm"),
    ("squizlabs/php_codesniffer", "vendor/bin/phpcs"),
    ("friendsofphp/php-cs-fixer", "vendor/bin/php-cs-fixer fix --dry-run"),
    ("laravel/pint", "vendor/bin/pint --test"),
];

pub(super) fn learn(project: &Project<'_>, draft: &mut Draft) {
    let manifests = project.named("composer.json");
    let outer: Vec<_> = outermost(&manifests).iter().map(|file| file.folder).collect();
    for file in &manifests {
        draft.managers.add("composer");
        let Some(manifest) = draft.json(file).filter(Value::is_object) else { continue };
        let dependencies: Vec<_> = keys(&manifest, &["require"]).chain(keys(&manifest, &["require-dev"])).collect();
        draft.depends_on(FRAMEWORKS, dependencies.iter().copied());
        draft.package(file.folder, string(&manifest, &["name"]), "composer");
        if let Some(version) = string(&manifest, &["require", "php"]) {
            draft.conventions.add(format!("PHP {version}"));
        }
        if !outer.contains(&file.folder) {
            continue;
        }
        for name in keys(&manifest, &["scripts"]).take(100) {
            let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":-_".contains(&byte));
            if let Some(purpose) = by_name(name).filter(|_| plain) {
                draft.command_for(purpose, Source::Named, &within(file.folder, &format!("composer {name}")));
            }
        }
        for (_, command) in TOOLS.iter().filter(|(name, _)| dependencies.contains(name)) {
            draft.command(Source::Usual, &within(file.folder, command));
        }
    }
    if manifests.is_empty() {
        return;
    }
    for path in project.paths() {
        if path.ends_with("public/index.php")
            || matches!(file_name(path), "artisan")
            || path == "index.php"
            || path == "bin/console"
        {
            draft.entries.add(path);
        }
    }
}
