//! The binary: everything is in the library.

/// A delivery is a few hundred small pieces of memory, taken on one thread and given back on another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    nectr::cli::main()
}
