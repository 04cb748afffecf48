//! Asks a broker which brokers it sees or which transactions it coordinates, and gives rights: requests of Kafka's protocol
//! for which the client library is not needed, or that its Rust face does not know.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// Metadata, version 1, of no topic; correlation id 7, client id null.
const METADATA: [u8; 18] = [0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 7, 0xff, 0xff, 0, 0, 0, 0];
const TIMEOUT: Duration = Duration::from_secs(2);
const LONGEST_ANSWER: usize = 16 << 20;

/// ListTransactions, version 0, of any state and any producer; correlation id 7, client id null.
const LIST_TRANSACTIONS: [u8; 18] = [0, 0, 0, 14, 0, 66, 0, 0, 0, 0, 0, 7, 0xff, 0xff, 0, 1, 1, 0];

/// How many brokers the one at this address sees alive.
pub(crate) fn brokers_seen_by(address: &str) -> io::Result<usize> {
    let answer = ask(address, &METADATA)?;
    let mut answer = Answer(&answer);
    answer.take(4)?;
    let brokers = u32::from_be_bytes(answer.array()?);
    usize::try_from(brokers).map_err(io::Error::other)
}

/// The transactions that the broker at this address coordinates: transactional id and state.
pub(crate) fn transactions(address: &str) -> io::Result<Vec<(String, String)>> {
    let answer = ask(address, &LIST_TRANSACTIONS)?;
    let mut answer = Answer(&answer);
    // Correlation id and tags; then the throttle time.
    answer.take(4)?;
    answer.tags()?;
    answer.take(4)?;
    let error = i16::from_be_bytes(answer.array()?);
    if error != 0 {
        return Err(io::Error::other(format!(
            "error {error} of Kafka's protocol"
        )));
    }
    for _unknown_state in 0..answer.length()? {
        answer.text()?;
    }
    let count = answer.length()?;
    let mut found = Vec::new();
    for _ in 0..count {
        let id = answer.text()?;
        let _producer = answer.take(8)?;
        found.push((id, answer.text()?));
        answer.tags()?;
    }
    Ok(found)
}

/// Allows or denies a user an operation (Kafka's number of it) on all resources of a type (Kafka's number of it), from anywhere.
pub(crate) fn permit(
    address: &str,
    user: &str,
    (resource, operation): (u8, u8),
    allowed: bool,
) -> io::Result<()> {
    const LITERAL: u8 = 3;
    const DENY: u8 = 2;
    const ALLOW: u8 = 3;
    let text = |body: &mut Vec<u8>, text: &str| {
        let length = u16::try_from(text.len()).map_err(io::Error::other)?;
        body.extend(length.to_be_bytes());
        body.extend(text.as_bytes());
        io::Result::Ok(())
    };
    // CreateAcls, version 1; correlation id 7, client id null; one to create.
    let mut body = vec![0, 30, 0, 1, 0, 0, 0, 7, 0xff, 0xff, 0, 0, 0, 1];
    body.push(resource);
    text(&mut body, "*")?;
    body.push(LITERAL);
    text(&mut body, &format!("User:{user}"))?;
    text(&mut body, "*")?;
    body.extend([operation, if allowed { ALLOW } else { DENY }]);
    let length = u32::try_from(body.len()).map_err(io::Error::other)?;
    let answer = ask(address, &[&length.to_be_bytes(), &body[..]].concat())?;
    let mut answer = Answer(&answer);
    // Correlation id, throttle time, and that there is one result.
    answer.take(12)?;
    match i16::from_be_bytes(answer.array()?) {
        0 => Ok(()),
        error => Err(io::Error::other(format!(
            "error {error} of Kafka's protocol"
        ))),
    }
}

fn ask(address: &str, request: &[u8]) -> io::Result<Vec<u8>> {
    let address = address
        .parse()
        .map_err(|_| io::Error::other("not an address of a host and a port"))?;
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    stream.write_all(request)?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = usize::try_from(u32::from_be_bytes(length)).map_err(io::Error::other)?;
    if length > LONGEST_ANSWER {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

/// What is still to be read of an answer.
struct Answer<'a>(&'a [u8]);

impl<'a> Answer<'a> {
    fn take(&mut self, count: usize) -> io::Result<&'a [u8]> {
        let (taken, rest) = self
            .0
            .split_at_checked(count)
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        self.take(N)?.try_into().map_err(io::Error::other)
    }

    fn varint(&mut self) -> io::Result<usize> {
        let mut value = 0;
        for shift in (0..28).step_by(7) {
            let [byte] = self.array()?;
            value |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(io::ErrorKind::InvalidData.into())
    }

    /// Of a compact array or string: one more than what follows, 0 for null.
    fn length(&mut self) -> io::Result<usize> {
        Ok(self.varint()?.saturating_sub(1))
    }

    fn text(&mut self) -> io::Result<String> {
        let length = self.length()?;
        Ok(String::from_utf8_lossy(self.take(length)?).into_owned())
    }

    fn tags(&mut self) -> io::Result<()> {
        for _ in 0..self.varint()? {
            self.varint()?;
            let length = self.varint()?;
            self.take(length)?;
        }
        Ok(())
    }
}
