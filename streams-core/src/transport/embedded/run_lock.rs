//! Layer 2. The file that keeps a second process from running the same application on the same directory.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::time::Duration;

use crate::time::Clock;
use crate::transport::TransportError;

/// Held while this process runs an application. The system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct RunLock {
    _file: File,
}

impl RunLock {
    /// Which process has the lock now; nothing is locked or made.
    pub(super) fn holder(dir: &Path, application: &str) -> Result<Option<String>, TransportError> {
        let path = dir.join(file_name(application));
        let fatal = |e: std::io::Error| TransportError::Fatal(format!("{}: {e}", path.display()));
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(fatal(e)),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(None),
            Err(TryLockError::Error(e)) => Err(fatal(e)),
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                file.read_to_string(&mut holder).map_err(fatal)?;
                Ok(Some(holder.trim().to_owned()))
            }
        }
    }

    pub(super) fn acquire(
        dir: &Path,
        application: &str,
        clock: &dyn Clock,
    ) -> Result<RunLock, TransportError> {
        let path = dir.join(file_name(application));
        let fatal = |what: String| TransportError::Fatal(format!("{}: {what}", path.display()));
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|e| {
                fatal(format!(
                    "cannot make the lock file: {e}. Check the rights on the directory."
                ))
            })?;
        let own = std::process::id().to_string();
        for attempt in 0.. {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(e)) => return Err(fatal(format!("cannot lock it: {e}"))),
                Err(TryLockError::WouldBlock) => {
                    let mut holder = String::new();
                    let _ = file
                        .rewind()
                        .and_then(|()| file.read_to_string(&mut holder));
                    let holder = holder.trim();
                    // The last member of this very process may be on its way out.
                    if holder == own && attempt < 100 {
                        clock.sleep(Duration::from_millis(1));
                        continue;
                    }
                    return Err(fatal(format!(
                        "`{application}` is already running here{}. Stop it first; `produce`, `consume` and `query` work beside it.",
                        if holder.is_empty() {
                            String::new()
                        } else {
                            format!(" (process {holder})")
                        }
                    )));
                }
            }
        }
        // Only for the message above.
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(own.as_bytes()));
        Ok(RunLock { _file: file })
    }
}

/// Application ids are checked elsewhere; here they only may not leave the directory.
fn file_name(application: &str) -> String {
    let safe: String = application
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') {
                c
            } else {
                '_'
            }
        })
        .collect();
    format!("run-{safe}.lock")
}
