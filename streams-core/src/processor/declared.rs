//! The stores of processors in the static description. `#[topology]` does not see a processor's fields, `#[processor]` not where
//! it is used: the compiler puts both together, in consts.

use std::marker::PhantomData;

use super::ProcessorDefinition;
use super::shared::same;
use crate::obligations::{Message, refuse};
use crate::topology::{
    Changelog, StoreBackend, StoreDescriptor, StoreFormat, StoreKind, TopicDescriptor, TopicRole,
    TypeDescriptor,
};

/// How many own stores a processor may have.
const MOST: usize = 16;

/// A store of a processor, as its field declares it.
#[derive(Debug, Clone, Copy)]
pub struct ProcessorStore {
    /// The field's name.
    pub field: &'static str,
    /// The store's name; without one it is `<node>-<field>`.
    pub name: Option<&'static str>,
    /// What it holds.
    pub kind: StoreKind,
    /// Where it holds it.
    pub backend: StoreBackend,
    /// Whether its changes are logged.
    pub changelog: bool,
    /// Settings of the changelog.
    pub changelog_config: &'static [(&'static str, &'static str)],
    /// The key's type.
    pub key: TypeDescriptor,
    /// The value's type.
    pub value: TypeDescriptor,
}

impl ProcessorStore {
    pub(super) const fn described(
        self,
        name: &'static str,
        node: &'static str,
        changelog: Changelog,
    ) -> StoreDescriptor {
        StoreDescriptor {
            name,
            node,
            kind: self.kind,
            backend: self.backend,
            format: StoreFormat::Default,
            cache: false,
            changelog,
            changelog_config: self.changelog_config,
            key: self.key,
            value: self.value,
        }
    }
}

/// A node's name, as a type has it.
pub trait Named {
    /// The name.
    const NAME: &'static str;
}

/// The stores of processor `P` in node `N`, whose first changelog is topic number `TOPIC`.
#[derive(Debug)]
pub struct Declared<N, P, const TOPIC: usize>(PhantomData<fn() -> (N, P)>);

impl<N: Named, P: ProcessorDefinition, const TOPIC: usize> Declared<N, P, TOPIC> {
    /// How many stores it has.
    pub const COUNT: usize = {
        assert!(
            P::STORES.len() <= MOST,
            "a processor has at most 16 stores of its own"
        );
        P::STORES.len()
    };

    /// How many of them are logged.
    pub const TOPIC_COUNT: usize = {
        let (mut count, mut at) = (0, 0);
        while at < P::STORES.len() {
            count += P::STORES[at].changelog as usize;
            at += 1;
        }
        count
    };

    const NAME_TEXTS: &'static [Text; MOST] = &{
        let mut out = [Text::EMPTY; MOST];
        let mut at = 0;
        while at < P::STORES.len() {
            out[at] = Text::EMPTY.and(N::NAME).and("-").and(P::STORES[at].field);
            at += 1;
        }
        out
    };

    const ALL_NAMES: &'static [&'static str; MOST] = &{
        let mut out = [""; MOST];
        let mut at = 0;
        while at < P::STORES.len() {
            out[at] = match P::STORES[at].name {
                Some(name) => name,
                None => Self::NAME_TEXTS[at].as_str(),
            };
            at += 1;
        }
        out
    };

    const TOPIC_TEXTS: &'static [Text; MOST] = &{
        let mut out = [Text::EMPTY; MOST];
        let mut at = 0;
        while at < P::STORES.len() {
            out[at] = Text::EMPTY.and(Self::ALL_NAMES[at]).and("-changelog");
            at += 1;
        }
        out
    };

    const ALL_STORES: &'static [StoreDescriptor; MOST] = &{
        let mut out = [StoreDescriptor::NONE; MOST];
        let (mut at, mut topic) = (0, TOPIC);
        while at < P::STORES.len() {
            let store = P::STORES[at];
            let changelog = if store.changelog {
                topic += 1;
                Changelog::Internal(topic - 1)
            } else {
                Changelog::None
            };
            out[at] = store.described(Self::ALL_NAMES[at], N::NAME, changelog);
            at += 1;
        }
        out
    };

    const ALL_TOPICS: &'static [TopicDescriptor; MOST] = &{
        let mut out = [TopicDescriptor::NONE; MOST];
        let (mut at, mut topic) = (0, 0);
        while at < P::STORES.len() {
            let store = P::STORES[at];
            if store.changelog {
                out[topic] = TopicDescriptor {
                    name: Self::TOPIC_TEXTS[at].as_str(),
                    role: TopicRole::Changelog,
                    partitions: None,
                    key: store.key,
                    value: store.value,
                };
                topic += 1;
            }
            at += 1;
        }
        out
    };

    /// Their names.
    pub const NAMES: &'static [&'static str] = Self::ALL_NAMES.split_at(Self::COUNT).0;
    /// The stores.
    pub const STORES: &'static [StoreDescriptor] = Self::ALL_STORES.split_at(Self::COUNT).0;
    /// Their changelogs.
    pub const TOPICS: &'static [TopicDescriptor] = Self::ALL_TOPICS.split_at(Self::TOPIC_COUNT).0;
}

/// Where the stores of a processor begin.
#[derive(Debug, Clone, Copy)]
pub struct StorePlace {
    /// Index of the first in the topology's stores.
    pub store: usize,
    /// Index of the first changelog in the topology's topics.
    pub topic: usize,
}

impl StorePlace {
    /// Where the next processor's stores begin, after those of `P`.
    #[must_use]
    pub const fn after<N: Named, P: ProcessorDefinition>(self) -> StorePlace {
        StorePlace {
            store: self.store + Declared::<N, P, 0>::COUNT,
            topic: self.topic + Declared::<N, P, 0>::TOPIC_COUNT,
        }
    }
}

/// Several lists in one. `N` is the sum of their lengths; `fill` is overwritten everywhere.
#[must_use]
pub const fn joined<T: Copy, const N: usize>(fill: T, parts: &[&[T]]) -> [T; N] {
    let mut out = [fill; N];
    let (mut part, mut to) = (0, 0);
    while part < parts.len() {
        let mut from = 0;
        while from < parts[part].len() {
            out[to] = parts[part][from];
            from += 1;
            to += 1;
        }
        part += 1;
    }
    out
}

/// Refuses, at compile time, two stores of one name, and names that no topic can have.
pub const fn stores_differ(stores: &[StoreDescriptor]) {
    let mut one = 0;
    while one < stores.len() {
        legal(stores[one].name, stores[one].node);
        let mut other = one + 1;
        while other < stores.len() {
            if same(stores[one].name, stores[other].name) {
                let message = Message::new()
                    .text("`")
                    .text(stores[one].node)
                    .text("` and `")
                    .text(stores[other].node)
                    .text("` both have a store named `")
                    .text(stores[one].name)
                    .text("`: give one of them another name, `#[store(name = \"...\")]`, or share one: a store field of the \
                           topology, and `stores(...)` at both [KS0503]");
                refuse(&message);
            }
            other += 1;
        }
        one += 1;
    }
}

const fn legal(name: &str, node: &str) {
    let bytes = name.as_bytes();
    let mut at = 0;
    let mut is_legal = !bytes.is_empty();
    while at < bytes.len() {
        let byte = bytes[at];
        is_legal = is_legal && (byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
        at += 1;
    }
    if !is_legal {
        let message = Message::new()
            .text("`")
            .text(node)
            .text("` has a store named `")
            .text(name)
            .text("`, which cannot be part of a topic's name: letters, digits, `.`, `_` and `-` can [KS0501]");
        refuse(&message);
    }
}

/// Refuses, at compile time, a processor with state behind a change of the key: records of one key would meet different tasks.
pub const fn stateful_is_partitioned(
    node: &str,
    processor: &str,
    own: usize,
    rekeyed_by: &str,
    operator: &str,
) {
    if own > 0 {
        let message = Message::new()
            .text("`")
            .text(processor)
            .text("` keeps state, and in `")
            .text(node)
            .text("` it gets records whose keys `")
            .text(rekeyed_by)
            .text("` changed: records of one key would meet in different tasks. Put `.repartition()` before `.")
            .text(operator)
            .text("(...)` [KS0256]");
        refuse(&message);
    }
}

/// The indexes of `N` stores, the first of which is `first`.
#[must_use]
pub const fn numbered<const N: usize>(first: usize) -> [usize; N] {
    let mut out = [0; N];
    let mut at = 0;
    while at < N {
        out[at] = first + at;
        at += 1;
    }
    out
}

/// The number of a processor's output by its name. Evaluated by the compiler; refuses a name that is none.
#[must_use]
pub const fn output_named(node: &str, processor: &str, outputs: &[&str], name: &str) -> usize {
    let mut at = 0;
    while at < outputs.len() {
        if same(outputs[at], name) {
            return at;
        }
        at += 1;
    }
    let mut message = Message::new()
        .text("`")
        .text(processor)
        .text("` has no output `")
        .text(name)
        .text("`, so there is no `")
        .text(node)
        .text(".")
        .text(name);
    message = if outputs.is_empty() {
        message
            .text("`: declare its outputs, `#[processor(out(")
            .text(name)
            .text(" = (K, V)))]` [KS0255]")
    } else {
        message.text("`; there is `").text(outputs[0])
    };
    let mut at = 1;
    while at < outputs.len() {
        message = message.text("`, `").text(outputs[at]);
        at += 1;
    }
    if !outputs.is_empty() {
        message = message.text("` [KS0255]");
    }
    refuse(&message);
    usize::MAX
}

/// Refuses, at compile time, outputs that nobody reads.
pub const fn outputs_are_read(node: &str, processor: &str, outputs: &[&str], read: &[&str]) {
    let mut at = 0;
    while at < outputs.len() {
        if !has(read, outputs[at]) {
            let message = Message::new()
                .text("the output `")
                .text(outputs[at])
                .text("` of `")
                .text(processor)
                .text("` is read by no node: derive one from `")
                .text(node)
                .text(".")
                .text(outputs[at])
                .text("`, or take the output out of the processor [KS0254]");
            refuse(&message);
        }
        at += 1;
    }
}

const fn has(list: &[&str], name: &str) -> bool {
    let mut at = 0;
    while at < list.len() {
        if same(list[at], name) {
            return true;
        }
        at += 1;
    }
    false
}

/// A name put together at compile time. As long as a topic's name can be; what is longer is refused.
#[derive(Debug, Clone, Copy)]
struct Text {
    bytes: [u8; 249],
    length: usize,
}

impl Text {
    const EMPTY: Text = Text {
        bytes: [0; 249],
        length: 0,
    };

    const fn and(mut self, text: &str) -> Text {
        let bytes = text.as_bytes();
        assert!(
            self.length + bytes.len() <= self.bytes.len(),
            "the name of a processor's store makes its changelog's longer than a topic's name can be: 249 characters [KS0502]"
        );
        let mut at = 0;
        while at < bytes.len() {
            self.bytes[self.length] = bytes[at];
            self.length += 1;
            at += 1;
        }
        self
    }

    const fn as_str(&self) -> &str {
        match std::str::from_utf8(self.bytes.split_at(self.length).0) {
            Ok(text) => text,
            Err(_) => "",
        }
    }
}
