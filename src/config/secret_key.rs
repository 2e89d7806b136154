//! The `SECRET_KEY` of a development server that was given none: made once, kept in a file only its owner can read.
//!
//! However many processes start at the same moment, they all end up with the same key: the file appears with its
//! content, by a link that only the first can make.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use ring::rand::{SecureRandom, SystemRandom};

/// Reads the key in `path`, making it first if there is none.
pub(super) fn read_or_create(path: &Path) -> io::Result<String> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(path)?,
        Err(error) => return Err(error),
        Ok(_) => {}
    }
    let key = fs::read_to_string(path)?.trim().to_owned();
    if key.len() < super::MIN_SECRET_KEY {
        return Err(io::Error::other("it holds no key; delete it to have one made"));
    }
    Ok(key)
}

fn create(path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::create_dir_all(parent)?;
    }
    let draft = PathBuf::from(format!("{}.{}", path.display(), random_hex::<8>()?));
    let linked = write_private(&draft, &random_hex::<32>()?).and_then(|()| fs::hard_link(&draft, path));
    let _ = fs::remove_file(&draft);
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    writeln!(file, "{text}")?;
    file.sync_all()
}

fn random_hex<const N: usize>() -> io::Result<String> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| io::Error::other("no random bytes to be had"))?;
    Ok(hex::encode(bytes))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_key_is_made_once_and_only_its_owner_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data/nectr.db.secret");
        let key = read_or_create(&path).unwrap();
        assert_eq!(key.len(), 64);
        assert_eq!(read_or_create(&path).unwrap(), key);
        #[cfg(unix)]
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions()) & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing else is left behind");
    }

    #[test]
    fn racing_processes_agree_on_one_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nectr.secret");
        let barrier = std::sync::Barrier::new(16);
        let keys: Vec<String> = std::thread::scope(|scope| {
            let racer = || {
                barrier.wait();
                read_or_create(&path).unwrap()
            };
            let racers: Vec<_> = (0..16).map(|_| scope.spawn(racer)).collect();
            racers.into_iter().map(|racer| racer.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    }

    #[test]
    fn a_file_without_a_key_in_it_is_refused_rather_than_used() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nectr.secret");
        fs::write(&path, "\n").unwrap();
        assert!(read_or_create(&path).is_err());
    }
}
