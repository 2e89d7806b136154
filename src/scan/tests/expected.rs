//! The profiles of the projects in `fixtures/scan`, as they are expected.

use super::told;

#[test]
fn a_web_service_in_rust() {
    let expected = "\
languages: Rust 94%; CSS 5%; Dockerfile 1%
frameworks: Axum; PostgreSQL; Redis; SQLx; Serde; Tokio; Tower; proptest
managers: cargo
build: cargo build
test: cargo test --all-features
lint: cargo fmt --all -- --check; cargo clippy --all-targets -- -D warnings
ci: GitHub Actions: ci.yml
entries: src/bin/backfill.rs; src/main.rs; src/main.rs: parcels
layout:
  src (3 files)
  .github (2 files)
  migrations (1 file)
  target (1 file)
  tests (1 file)
  web (1 file)
conventions:
  Rust at least 1.85
  Rust edition 2024
  Rust toolchain 1.88
  container on gcr.io/distroless/cc-debian12
  line width 110
  rustfmt
  unsafe Rust is forbidden
packages: parcels (cargo)
owners: * @acme/parcels
";
    assert_eq!(told("rust"), expected);
}

#[test]
fn a_django_service_with_poetry() {
    let expected = "\
languages: Python 89%; HTML 10%; Makefile 1%
frameworks: Celery; Django; Django REST framework; pytest
managers: poetry
test: poetry run pytest -q --cov; make test
lint: poetry run ruff check .; make lint; poetry run mypy .; pre-commit run --all-files
ci: GitLab CI: .gitlab-ci.yml
entries: ledger/__main__.py; manage.py; pyproject.toml: ledger
layout: ledger (4 files); docs (1 file); tests (1 file)
conventions:
  Conventional Commits
  Python 3.12.7
  Python ^3.12
  Ruff
  line width 100
  mypy
  mypy in strict mode
  pre-commit
packages: ledger (python)
";
    assert_eq!(told("python"), expected);
}

#[test]
fn a_next_js_application_with_npm() {
    let expected = "\
languages: TypeScript 87%; SCSS 10%; JavaScript 4%
frameworks: Next.js; Playwright; Prisma; React; Vitest
managers: npm
build: npm run build
test: npm test; npx playwright test; npm run test:e2e
lint: npm run lint; npm run typecheck
ci: CircleCI: .circleci/config.yml
entries: bin/shop.js: shop
layout: app (2 files); src (2 files); .circleci (1 file); public (1 file); styles (1 file)
conventions:
  ESLint
  EditorConfig
  Husky
  JavaScript as ES modules
  JavaScript in single quotes
  JavaScript without semicolons
  Node.js 22.12.0
  Node.js >=22
  Prettier
  TypeScript in strict mode
  indented by 2 spaces
  line width 100
packages: @acme/shop (npm)
";
    assert_eq!(told("javascript"), expected);
}

#[test]
fn a_go_service() {
    let expected = "\
languages: Go 100%
frameworks: Chi; Cobra; Testify; pgx
managers: go modules
build: go build ./...
test: go test -race ./...; task test
lint: golangci-lint run
ci: Azure Pipelines: azure-pipelines.yml
entries: cmd/courier/main.go
layout: internal (3 files); cmd (1 file)
conventions: Go 1.23.4; golangci-lint
packages: github.com/acme/courier (go)
";
    assert_eq!(told("go"), expected);
}

#[test]
fn a_maven_service_beside_a_gradle_application() {
    let expected = "\
languages: Java 68%; Kotlin 30%; Groovy 2%
frameworks: Android; JUnit; Jetpack Compose; Ktor; Lombok; MockK; Spring Boot
managers: gradle; maven
build: cd server && ./mvnw package; cd android && ./gradlew build
test: ./mvnw -B verify; cd android && ./gradlew test
lint: cd android && ./gradlew lint; cd server && ./mvnw spotless:check
ci: Jenkins: Jenkinsfile
entries: android/app/src/main/kotlin/Main.kt; server/src/main/java/com/acme/BookingApplication.java
layout: android (6 files); server (5 files)
conventions: Java 17; Java 21; Spotless
packages:
  android BookingApp (gradle)
  android/app app (gradle)
  android/feature/search feature:search (gradle)
  server booking (maven)
  server/core booking-core (maven)
";
    assert_eq!(told("jvm"), expected);
}

#[test]
fn a_rails_application() {
    let expected = "\
languages: Ruby 81%; HTML 19%
frameworks: RSpec; Rails; Sidekiq
managers: bundler
test: bundle exec rspec
lint: bundle exec rubocop --parallel
ci: Travis CI: .travis.yml
entries: bin/rails; config.ru
layout: app (2 files); bin (1 file); config (1 file)
conventions: RuboCop; Ruby 3.3.6
packages: ? (bundler)
";
    assert_eq!(told("ruby"), expected);
}

#[test]
fn a_laravel_application_with_a_broken_workflow() {
    let expected = "\
languages: PHP 82%; Blade 18%
frameworks: Laravel; PHPStan; PHPUnit
managers: composer
test: php artisan test; composer test; vendor/bin/phpunit
lint: vendor/bin/phpstan analyse --memory-limit=1G; composer lint; vendor/bin/pint --test
ci: GitHub Actions: broken.yml; GitHub Actions: tests.yaml
entries: artisan; public/index.php
layout: .github (2 files); app (1 file); public (1 file); resources (1 file)
conventions: PHP ^8.3; PHPStan; PHPStan level 8
packages: acme/desk (composer)
troubles: .github/workflows/broken.yml: not valid YAML, or too complex (line 1)
";
    assert_eq!(told("php"), expected);
}

#[test]
fn an_asp_net_service_with_its_tests() {
    let expected = "\
languages: C# 50%; F# 50%
frameworks: ASP.NET Core; Entity Framework Core; Serilog; xUnit
managers: nuget
build: dotnet build --no-restore -c Release
test: dotnet test --no-build -c Release
lint: dotnet format --verify-no-changes
ci: GitHub Actions: build.yml
entries: src/Depot.Api/Program.cs
layout: src (5 files); .github (1 file); tests (1 file)
conventions: .NET SDK 9.0.100; nullable reference types; target framework net9.0; warnings are errors
packages:
  src/Depot.Api Depot.Api (nuget)
  src/Depot.Rules Depot.Rules (nuget)
  tests/Depot.Tests Depot.Tests (nuget)
";
    assert_eq!(told("dotnet"), expected);
}

#[test]
fn a_library_with_cmake_and_a_tool_with_meson() {
    let expected = "\
languages: C++ 75%; C 19%; CMake 5%; Meson 1%
frameworks: Boost; Catch2; GoogleTest; OpenSSL; Qt; fmt; spdlog
managers: conan; vcpkg
build:
  cmake -S . -B build -DCMAKE_BUILD_TYPE=Release
  cmake --build build
  cd tools && meson setup build
  cd tools && meson compile -C build
test: ctest --test-dir build --output-on-failure; cd tools && meson test -C build
ci: GitHub Actions: ci.yml
entries: CMakeLists.txt: lantern; tools/meson.build: wick
layout:
  src (2 files)
  tools (2 files)
  .github (1 file)
  include (1 file)
  tests (1 file)
  third_party (1 file)
conventions: C++20; c17; clang-format; clang-format based on LLVM; line width 100
packages: lantern (cmake); tools lantern-tools (meson)
";
    assert_eq!(told("cpp"), expected);
}

#[test]
fn a_monorepo_of_pnpm_cargo_and_uv() {
    let expected = "\
languages: Rust 40%; TypeScript 28%; Vue 20%; Python 12%; Just 0%
frameworks: Angular; FastAPI; Poem; PyTorch; SeaORM; Svelte; SvelteKit; Tokio; Turborepo; pytest
managers: cargo; pnpm; uv
build: pnpm build; cargo build
test:
  pnpm -r test
  cargo test --workspace
  just test
  pnpm test
  cd jobs/forecast && uv run pytest
lint: just lint; pnpm lint; cargo clippy; cargo fmt --check
ci: GitHub Actions: ci.yml
entries: apps/web/src/main.ts; crates/api/src/main.rs; packages/ui/src/index.ts
layout:
  apps (4 files)
  crates (4 files)
  jobs (3 files)
  examples (2 files)
  packages (2 files)
  .github (1 file)
conventions: Biome; Python >=3.12; Rust edition 2021; pnpm@9.15.0
packages:
  harbour (npm)
  apps/admin admin (npm)
  apps/web web (npm)
  crates/api harbour-api (cargo)
  crates/core harbour-core (cargo)
  examples/hello hello (npm)
  jobs/forecast forecast (python)
  packages/ui @harbour/ui (npm)
";
    assert_eq!(told("monorepo"), expected);
}
