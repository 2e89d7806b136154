//! A PostgreSQL server of one test's own, which it may stop.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Stopped and gone when dropped.
pub struct Cluster {
    programs: PathBuf,
    folder: tempfile::TempDir,
    /// PostgreSQL refuses to run as root.
    user: Option<&'static str>,
}

/// How a server is stopped.
#[derive(Debug, Clone, Copy)]
pub enum Stop {
    /// Connections are cut, what was committed is written out.
    Fast,
    /// As if it had crashed: the next start recovers.
    Immediate,
}

impl Cluster {
    /// None without PostgreSQL's programs, which is then said.
    pub fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            println!("skipped: a restart of PostgreSQL: initdb and pg_ctl are not on this machine");
            return None;
        };
        let folder = tempfile::Builder::new().prefix("nectr-cluster").tempdir_in("/tmp").unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let user = said("id", &["-u"]).eq("0").then(|| {
            let user = if said("id", &["-u", "postgres"]).is_empty() { "nobody" } else { "postgres" };
            assert!(Command::new("chown").arg(user).arg(folder.path()).status().unwrap().success());
            user
        });
        let cluster = Self { programs, folder, user };
        cluster.run("initdb", &["-D", "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale"]);
        cluster.begin();
        Some(cluster)
    }

    /// Where its databases are.
    pub fn url(&self) -> String {
        format!("postgres://postgres@localhost/postgres?host={}", self.folder.path().display())
    }

    /// Stops it and starts it again; returns when it answers.
    pub fn restart(&self, how: Stop) {
        let mode = match how {
            Stop::Fast => "fast",
            Stop::Immediate => "immediate",
        };
        self.run("pg_ctl", &["-D", "data", "-m", mode, "-w", "-s", "stop"]);
        self.begin();
    }

    fn begin(&self) {
        let settings = format!("-k {} -c listen_addresses= -c max_connections=100", self.folder.path().display());
        self.run("pg_ctl", &["-D", "data", "-l", "server.log", "-w", "-s", "-t", "60", "-o", &settings, "start"]);
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let path = self.programs.join(program);
        let mut command = match self.user {
            Some(user) => {
                let mut command = Command::new("runuser");
                command.args(["-u", user, "--"]).arg(path);
                command
            }
            None => Command::new(path),
        };
        let ran = command.args(arguments).current_dir(self.folder.path()).stdout(Stdio::null()).status().unwrap();
        assert!(ran.success(), "{program} {arguments:?}");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.folder.path().join("data/postmaster.pid").exists() {
            self.run("pg_ctl", &["-D", "data", "-m", "immediate", "-s", "stop"]);
        }
    }
}

/// Where the newest PostgreSQL on this machine has its programs.
fn programs() -> Option<PathBuf> {
    let named = said("sh", &["-c", "readlink -f \"$(command -v pg_ctl)\""]);
    let mut folders: Vec<PathBuf> = Path::new(&named).parent().map(Into::into).into_iter().collect();
    let mut installed: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|version| version.path().join("bin"))
        .collect();
    installed.sort();
    folders.extend(installed.into_iter().rev());
    folders.into_iter().find(|folder| folder.join("initdb").exists())
}

fn said(program: &str, arguments: &[&str]) -> String {
    let said = Command::new(program).args(arguments).stderr(Stdio::null()).output();
    said.map(|said| String::from_utf8_lossy(&said.stdout).trim().to_owned()).unwrap_or_default()
}
