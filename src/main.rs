//! The binary: everything is in the library.

/// What a delivery needs is taken in one thread and given back in another, by all at once. With the C library's allocator
/// three of four waits of a thread for another were for that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    nectr::cli::main()
}
