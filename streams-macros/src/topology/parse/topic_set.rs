//! `topics(enum Route { Orders = "orders", … })`: the topics that a sink's closure may choose, as a type.

use quote::ToTokens as _;
use syn::{Fields, Generics, Ident, ItemEnum, LitStr};

use super::literal_text;
use crate::ctxt::Ctxt;

/// An enum of topics.
#[derive(Debug)]
pub(crate) struct TopicSet {
    /// As it is emitted: without the topics' names.
    pub(crate) item: ItemEnum,
    /// The topic of each variant.
    pub(crate) topics: Vec<(Ident, LitStr)>,
}

/// Takes the names of the topics out of an enum. What is wrong with it is reported, and what is left of it can be emitted.
pub(super) fn topic_set(cx: &Ctxt, mut item: ItemEnum) -> (TopicSet, Vec<LitStr>) {
    let name = item.ident.clone();
    if !item.generics.params.is_empty() || item.generics.where_clause.is_some() {
        cx.error(
            "KS0460",
            &item.generics,
            format!("`{name}` is a set of topics, which has no parameters: remove them"),
        );
        item.generics = Generics::default();
    }
    if item.variants.is_empty() {
        cx.error(
            "KS0460",
            &name,
            format!(
                "`{name}` has no topics to choose among: `enum {name} {{ Orders = \"orders\" }}`"
            ),
        );
    }
    let (mut topics, mut names) = (Vec::new(), Vec::<LitStr>::new());
    for variant in &mut item.variants {
        let (ident, given) = (variant.ident.clone(), variant.discriminant.take());
        let topic = given.as_ref().and_then(|(_, expr)| literal_text(expr));
        if variant.fields != Fields::Unit {
            cx.error(
                "KS0460",
                std::mem::replace(&mut variant.fields, Fields::Unit),
                format!(
                    "`{name}::{ident}` is a topic, which has no fields: write `{ident} = \"…\"`"
                ),
            );
        } else if let Some(topic) = &topic {
            if let Some(first) = names.iter().find(|first| first.value() == topic.value()) {
                cx.error_with(
                    "KS0460",
                    topic,
                    format!(
                        "`{name}` has the topic `{}` twice: remove one of the two variants",
                        topic.value()
                    ),
                    [(
                        first.to_token_stream(),
                        format!("`{}` is listed here", topic.value()),
                    )],
                );
            }
            names.push(topic.clone());
        } else {
            let place = match &given {
                Some((_, other)) => other.to_token_stream(),
                None => ident.to_token_stream(),
            };
            cx.error(
                "KS0460",
                place,
                format!(
                    "the topic of `{name}::{ident}` is given by a string literal: `{ident} = \"…\"`"
                ),
            );
        }
        let nameless = || LitStr::new("", ident.span());
        topics.push((ident.clone(), topic.unwrap_or_else(nameless)));
    }
    (TopicSet { item, topics }, names)
}
