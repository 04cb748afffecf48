//! A certificate authority of a cluster's own and a certificate for its brokers, made with openssl.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::Error;

/// A key that is quick to make.
const KEY: &[&str] = &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];

/// Files of an authority and of what it has signed.
#[derive(Debug)]
pub(crate) struct Certificates {
    /// The authority's certificate, which clients trust.
    pub(crate) authority: PathBuf,
    /// The brokers' key and certificate, in one file.
    pub(crate) broker: PathBuf,
}

impl Certificates {
    /// For brokers at an IP address.
    pub(crate) fn make(dir: &Path, host: &str) -> Result<Self, Error> {
        let name = format!("subjectAltName=IP:{host}");
        openssl(
            dir,
            &[
                &[
                    "req",
                    "-x509",
                    "-nodes",
                    "-days",
                    "2",
                    "-subj",
                    "/CN=authority of a test",
                ],
                KEY,
                &["-keyout", "authority.key", "-out", "authority.pem"],
            ],
        )?;
        openssl(
            dir,
            &[
                &[
                    "req",
                    "-nodes",
                    "-subj",
                    "/CN=broker of a test",
                    "-addext",
                    &name,
                ],
                KEY,
                &["-keyout", "broker.key", "-out", "broker.csr"],
            ],
        )?;
        openssl(
            dir,
            &[
                &[
                    "x509",
                    "-req",
                    "-days",
                    "2",
                    "-copy_extensions",
                    "copy",
                    "-in",
                    "broker.csr",
                ],
                &[
                    "-CA",
                    "authority.pem",
                    "-CAkey",
                    "authority.key",
                    "-CAcreateserial",
                ],
                &["-out", "broker.crt"],
            ],
        )?;
        let read = |name: &str| {
            let file = dir.join(name);
            fs::read_to_string(&file)
                .map_err(Error::io(format!("{} cannot be read", file.display())))
        };
        let broker = dir.join("broker.pem");
        let both = read("broker.key")? + &read("broker.crt")?;
        fs::write(&broker, both)
            .map_err(Error::io(format!("{} cannot be written", broker.display())))?;
        Ok(Certificates {
            authority: dir.join("authority.pem"),
            broker,
        })
    }
}

fn openssl(dir: &Path, args: &[&[&str]]) -> Result<(), Error> {
    let args = args.concat();
    let made = Command::new("openssl")
        .args(&args)
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .map_err(Error::io("`openssl` cannot be started"))?;
    if made.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&made.stderr).into_owned();
    Err(Error::io(format!("`openssl {}`", args.join(" ")))(
        std::io::Error::other(said),
    ))
}
