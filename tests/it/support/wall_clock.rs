//! A wall clock that real processes go by and a test may set.

use std::{
    os::unix::fs::FileExt,
    path::Path,
    process::Command,
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

/// For all processes that were started with [`WallClock::settings`].
pub struct WallClock {
    folder: tempfile::TempDir,
    offset: std::fs::File,
    seconds: AtomicI64,
}

impl WallClock {
    /// None where a process cannot be given another clock, which is then said.
    pub fn new() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/wall_clock.c");
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-O2", "-o"])
            .arg(folder.path().join("wall_clock.so"))
            .arg(source)
            .arg("-ldl")
            .output();
        if !cfg!(target_os = "linux") || !compiled.is_ok_and(|compiled| compiled.status.success()) {
            println!("skipped: clocks that are set: they need Linux and a C compiler (cc)");
            return None;
        }
        let offset = std::fs::File::create(folder.path().join("offset")).unwrap();
        offset.write_all_at(&0i64.to_ne_bytes(), 0).unwrap();
        Some(Self { folder, offset, seconds: AtomicI64::new(0) })
    }

    /// What a process has to be started with.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        vec![("LD_PRELOAD", path("wall_clock.so")), ("CLOCK_OFFSET", path("offset"))]
    }

    /// By how many seconds it is off.
    pub fn seconds(&self) -> i64 {
        self.seconds.load(Ordering::SeqCst)
    }

    /// Sets it forward.
    pub fn forward(&self, by: Duration) {
        self.set(self.seconds() + i64::try_from(by.as_secs()).unwrap());
    }

    /// Sets it back.
    pub fn back(&self, by: Duration) {
        self.set(self.seconds() - i64::try_from(by.as_secs()).unwrap());
    }

    fn set(&self, seconds: i64) {
        self.offset.write_all_at(&seconds.to_ne_bytes(), 0).unwrap();
        self.seconds.store(seconds, Ordering::SeqCst);
    }
}
