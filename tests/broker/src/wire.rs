//! Asks a broker which brokers it sees or which transactions it coordinates, and gives rights: requests of Kafka's protocol
//! for which the client library is not needed, or that its Rust face does not know.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

/// Metadata, version 1, of no topic; correlation id 7, client id null.
const METADATA: [u8; 18] = [0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 7, 0xff, 0xff, 0, 0, 0, 0];
/// The same of all topics.
const TOPICS: [u8; 18] = [
    0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 7, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
];
/// For questions that are asked again where nobody answers.
const TIMEOUT: Duration = Duration::from_secs(2);
/// For those that are not: a busy machine may be slow.
const PATIENCE: Duration = Duration::from_secs(60);
const LONGEST_ANSWER: usize = 16 << 20;

/// ListTransactions, version 0, of any state and any producer; correlation id 7, client id null.
const LIST_TRANSACTIONS: [u8; 18] = [0, 0, 0, 14, 0, 66, 0, 0, 0, 0, 0, 7, 0xff, 0xff, 0, 1, 1, 0];

/// How many brokers the one at this address sees alive.
pub(crate) fn brokers_seen_by(address: &str) -> io::Result<usize> {
    let answer = ask(address, &METADATA, TIMEOUT)?;
    let mut answer = Answer(&answer);
    answer.take(4)?;
    answer.count()
}

/// Whether each partition's replicas are all in sync, as far as the broker at this address knows.
pub(crate) fn all_in_sync(address: &str) -> io::Result<bool> {
    let answer = ask(address, &TOPICS, TIMEOUT)?;
    let mut answer = Answer(&answer);
    answer.take(4)?;
    for _broker in 0..answer.count()? {
        answer.take(4)?;
        answer.long_text()?;
        answer.take(4)?;
        answer.long_text()?;
    }
    let _controller = answer.take(4)?;
    for _topic in 0..answer.count()? {
        answer.take(2)?;
        answer.long_text()?;
        answer.take(1)?;
        for _partition in 0..answer.count()? {
            answer.take(10)?;
            let replicas = answer.count()?;
            answer.take(4 * replicas)?;
            let in_sync = answer.count()?;
            answer.take(4 * in_sync)?;
            if in_sync < replicas {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// The transactions that the broker at this address coordinates: transactional id and state.
pub(crate) fn transactions(address: &str) -> io::Result<Vec<(String, String)>> {
    let answer = ask(address, &LIST_TRANSACTIONS, TIMEOUT)?;
    let mut answer = Answer(&answer);
    // Correlation id and tags; then the throttle time.
    answer.take(4)?;
    answer.tags()?;
    answer.take(4)?;
    answer.no_error()?;
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

/// An operation on all resources of a type that a user is allowed or denied, from anywhere. Types and operations are Kafka's numbers.
pub(crate) struct Permit<'a> {
    pub(crate) user: &'a str,
    pub(crate) resource: u8,
    pub(crate) operation: u8,
    pub(crate) allowed: bool,
}

impl Permit<'_> {
    /// What is asked about it, and so is what it is asked to be: the same fields in the same order. Correlation id 7, client id null.
    fn request(&self, api: u8, count: &[u8]) -> Vec<u8> {
        const LITERAL: u8 = 3;
        const DENY: u8 = 2;
        const ALLOW: u8 = 3;
        let mut body = vec![0, api, 0, 1, 0, 0, 0, 7, 0xff, 0xff];
        body.extend(count);
        body.push(self.resource);
        push_text(&mut body, "*");
        body.push(LITERAL);
        push_text(&mut body, &format!("User:{}", self.user));
        push_text(&mut body, "*");
        body.extend([self.operation, if self.allowed { ALLOW } else { DENY }]);
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
        [&length.to_be_bytes(), &body[..]].concat()
    }

    /// Has the broker at this address pass it to the controller.
    pub(crate) fn set(&self, address: &str) -> io::Result<()> {
        const CREATE_ACLS: u8 = 30;
        let answer = ask(address, &self.request(CREATE_ACLS, &[0, 0, 0, 1]), PATIENCE)?;
        let mut answer = Answer(&answer);
        // Correlation id, throttle time, and that there is one result.
        answer.take(12)?;
        answer.no_error()
    }

    /// Whether the broker at this address goes by it.
    pub(crate) fn is_set(&self, address: &str) -> io::Result<bool> {
        const DESCRIBE_ACLS: u8 = 29;
        let answer = ask(address, &self.request(DESCRIBE_ACLS, &[]), PATIENCE)?;
        let mut answer = Answer(&answer);
        // Correlation id and throttle time; then the text of an error.
        answer.take(8)?;
        answer.no_error()?;
        answer.long_text()?;
        Ok(answer.count()? > 0)
    }
}

fn push_text(body: &mut Vec<u8>, text: &str) {
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    body.extend(length.to_be_bytes());
    body.extend(&text.as_bytes()[..usize::from(length)]);
}

fn ask(address: &str, request: &[u8], within: Duration) -> io::Result<Vec<u8>> {
    let address = address
        .to_socket_addrs()?
        .next()
        .ok_or_else(|| io::Error::other("not an address of a host and a port"))?;
    let mut stream = TcpStream::connect_timeout(&address, within)?;
    stream.set_read_timeout(Some(within))?;
    stream.set_write_timeout(Some(within))?;
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

    /// Kafka's code of success.
    fn no_error(&mut self) -> io::Result<()> {
        match i16::from_be_bytes(self.array()?) {
            0 => Ok(()),
            error => Err(io::Error::other(format!(
                "error {error} of Kafka's protocol"
            ))),
        }
    }

    /// Of an array that is not compact.
    fn count(&mut self) -> io::Result<usize> {
        usize::try_from(u32::from_be_bytes(self.array()?)).map_err(io::Error::other)
    }

    /// Passes a string that is not compact, or null.
    fn long_text(&mut self) -> io::Result<()> {
        let length = i16::from_be_bytes(self.array()?);
        self.take(usize::try_from(length).unwrap_or(0)).map(drop)
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
