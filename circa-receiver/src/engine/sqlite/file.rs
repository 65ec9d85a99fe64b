//! The open file, and whether its path still leads to it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rusqlite::Connection;

/// A SQLite file that is open.
pub(crate) struct File {
    pub(super) connection: Connection,
    path: PathBuf,
    opened: Identity,
}

/// The device and inode of a file. Elsewhere than on Unix an open file cannot be replaced.
#[derive(Clone, Copy, Eq, PartialEq)]
struct Identity {
    #[cfg(unix)]
    device: u64,
    #[cfg(unix)]
    inode: u64,
}

impl Identity {
    fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            Ok(Self { device: metadata.dev(), inode: metadata.ino() })
        }
        #[cfg(not(unix))]
        {
            drop(metadata);
            Ok(Self {})
        }
    }
}

impl File {
    /// A file that was opened just now.
    pub(super) fn new(path: PathBuf, connection: Connection) -> io::Result<Self> {
        let opened = Identity::of(&path)?;
        Ok(Self { connection, path, opened })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the path still leads to the open file. SQLite goes on with a file that was removed
    /// or replaced, which no other process sees and which ends with this process.
    pub(super) fn is_in_place(&self) -> bool {
        Identity::of(&self.path).is_ok_and(|current| current == self.opened)
    }
}
