//! What commands are for, by tables.

use super::*;

#[test]
fn commands_are_told_apart_by_their_words() {
    for (command, expected) in [
        ("cargo test --workspace", Some(Test)),
        ("cargo +nightly nextest run", Some(Test)),
        ("RUSTFLAGS=-Dwarnings cargo clippy --all-targets", Some(Lint)),
        ("cargo fmt --check", Some(Lint)),
        ("cargo build --release", Some(Build)),
        ("cargo install cargo-nextest", None),
        ("npm ci", None),
        ("npm test", Some(Test)),
        ("npm t", Some(Test)),
        ("npm run build --workspace web", Some(Build)),
        ("npm --prefix web run lint", Some(Lint)),
        ("pnpm --filter web test", Some(Test)),
        ("pnpm -r run typecheck", Some(Lint)),
        ("pnpm install", None),
        ("yarn workspace api build", Some(Build)),
        ("yarn lint", Some(Lint)),
        ("npx vitest run", Some(Test)),
        ("npx playwright test", Some(Test)),
        ("npx playwright install", None),
        ("npx tsc --noEmit", Some(Lint)),
        ("tsc", Some(Build)),
        ("python -m pytest -q", Some(Test)),
        ("poetry run pytest", Some(Test)),
        ("uv run ruff check .", Some(Lint)),
        ("uv sync", None),
        ("pip install pytest", None),
        ("python manage.py test", Some(Test)),
        ("python setup.py sdist", None),
        ("go test ./...", Some(Test)),
        ("go vet ./...", Some(Lint)),
        ("go mod download", None),
        ("golangci-lint run", Some(Lint)),
        ("./gradlew check", Some(Test)),
        ("./gradlew :app:assembleDebug", Some(Build)),
        ("./gradlew :app:testDebugUnitTest", Some(Test)),
        ("./gradlew ktlintCheck", Some(Lint)),
        ("mvn -B verify", Some(Test)),
        ("./mvnw -B package -DskipTests", Some(Build)),
        ("mvn spotless:check", Some(Lint)),
        ("bundle exec rspec", Some(Test)),
        ("bundle exec rake test", Some(Test)),
        ("bundle install", None),
        ("bin/rails test", Some(Test)),
        ("vendor/bin/phpunit --coverage-text", Some(Test)),
        ("php vendor/bin/phpstan analyse", Some(Lint)),
        ("php artisan test", Some(Test)),
        ("composer test", Some(Test)),
        ("composer install", None),
        ("dotnet test --no-build", Some(Test)),
        ("dotnet restore", None),
        ("cmake -B build -DCMAKE_BUILD_TYPE=Release", Some(Build)),
        ("cmake --build build -j 4", Some(Build)),
        ("ctest --test-dir build", Some(Test)),
        ("make", Some(Build)),
        ("make -j 4", Some(Build)),
        ("make check", Some(Test)),
        ("make lint", Some(Lint)),
        ("make deploy", None),
        ("just test", Some(Test)),
        ("cd web && npm test", Some(Test)),
        ("cd web", None),
        ("echo test", None),
        ("sudo apt-get install clang-format", None),
        ("docker build .", None),
        ("", None),
        ("&& &&", None),
        ("npm run", None),
    ] {
        assert_eq!(purpose(command), expected, "{command}");
    }
}

#[test]
fn names_of_scripts_say_what_they_are_for() {
    for (name, expected) in [
        ("test", Some(Test)),
        ("test:unit", Some(Test)),
        ("test:watch", None),
        ("e2e", Some(Test)),
        ("lint", Some(Lint)),
        ("lint:fix", None),
        ("test:lint", Some(Lint)),
        ("type-check", Some(Lint)),
        ("build", Some(Build)),
        ("build:docker", None),
        ("dev", None),
        ("contest", None),
        ("", None),
    ] {
        assert_eq!(by_name(name), expected, "{name}");
    }
}

#[test]
fn scripts_are_read_line_by_line() {
    let script =
        "# all\ncargo build \\\n  --release\r\n\n  cargo   test\ncurl -d ${{ secrets.KEY }} x\nTOKEN=abc npm test\n";
    assert_eq!(lines(script), ["cargo build --release", "cargo test"]);
}
