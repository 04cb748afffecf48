//! The rules of a topology's graph, one function each. A rule explains itself in prose above its function and skips what is
//! poisoned or unclear, so that one mistake gives one error. Each code has a section in `docs/errors.md`.

mod branches;
mod copartition;
mod fields;
mod inputs;
pub(crate) mod names;
mod operators;
mod processors;
mod shared;
mod stores;
mod stream_joins;
mod suppression;
mod versioned;
mod windows;

#[cfg(test)]
mod documented;
#[cfg(test)]
pub(crate) mod tests;

use proc_macro2::TokenStream;
use syn::Type;

use super::model::{Chain, Node, Topology};
use crate::ctxt::Ctxt;

/// Every rule. The order is that of the messages: what is wired first, then what flows, then what it is called.
pub(crate) fn all(cx: &Ctxt, topology: &Topology) {
    inputs::inputs_exist(cx, topology);
    inputs::graph_has_no_cycle(cx, topology);
    inputs::streams_are_read(cx, topology);
    inputs::topics_are_read_once(cx, topology);
    inputs::something_is_read(cx, topology);

    operators::operators_exist(cx, topology);
    operators::operators_fit_what_they_are_called_on(cx, topology);
    operators::operators_fit_the_other_node(cx, topology);
    operators::groupings_are_aggregated(cx, topology);
    operators::arguments_fit(cx, topology);
    operators::options_fit(cx, topology);
    operators::closures_take_what_they_are_given(cx, topology);

    stream_joins::joins_of_streams_say_how_far_apart(cx, topology);
    stream_joins::join_windows_are_possible(cx, topology);
    stream_joins::joins_with_tables_have_no_time_difference(cx, topology);

    processors::processors_are_made_by_their_type(cx, topology);
    processors::given_stores_exist(cx, topology);
    processors::store_fields_say_their_times(cx, topology);
    processors::shared_stores_are_partitioned(cx, topology);
    processors::shared_stores_are_on_one_side(cx, topology);
    processors::outputs_are_of_processors(cx, topology);

    branches::branches_come_first(cx, topology);
    branches::otherwise_comes_last(cx, topology);
    branches::predicates_differ(cx, topology);

    fields::fields_declare_what_chains_yield(cx, topology);
    fields::fields_declare_what_is_read(cx, topology);
    fields::closures_touch_no_nodes(cx, topology);
    fields::sinks_are_on_what_can_be_written(cx, topology);
    fields::sinks_write_a_topic_once(cx, topology);
    fields::source_options_say_something(cx, topology);
    fields::tables_have_keys(cx, topology);

    copartition::topics_have_one_count(cx, topology);
    copartition::meetings_are_copartitioned(cx, topology);
    copartition::foreign_keys_find_their_rows(cx, topology);
    shared::shared_stores_are_copartitioned(cx, topology);

    stores::stores_are_on_tables(cx, topology);
    stores::stores_belong_to_fields(cx, topology);
    stores::joins_of_tables_and_of_streams_are_apart(cx, topology);
    stores::store_fields_are_used(cx, topology);
    versioned::versioned_stores_can_be(cx, topology);
    versioned::grace_needs_a_versioned_table(cx, topology);
    suppression::suppressions_fit_their_tables(cx, topology);

    windows::windows_have_a_size(cx, topology);
    windows::windows_advance_by_less_than_their_size(cx, topology);
    windows::grace_is_not_negative(cx, topology);
    windows::windows_are_kept_long_enough(cx, topology);
    windows::windows_that_close_are_emitted(cx, topology);
    windows::sessions_are_merged(cx, topology);

    names::names_are_legal(cx, topology);
    names::names_are_short_enough(cx, topology);
    names::stores_and_internal_topics_differ(cx, topology);
    names::fields_do_not_collide_with_generated_code(cx, topology);
}

/// The derived nodes with their chains.
fn chains(topology: &Topology) -> impl Iterator<Item = (&Node, &Chain)> {
    topology
        .nodes
        .iter()
        .filter_map(|node| node.chain().map(|chain| (node, chain)))
}

/// Whether all operators of a chain mean something.
fn is_clear(chain: &Chain) -> bool {
    chain.ops.iter().all(|op| op.known().is_some())
}

/// `KStream<String, i64>` as a person writes it: `quote` puts blanks around every token.
fn type_text(ty: &Type) -> String {
    compact(&quote::ToTokens::to_token_stream(ty).to_string())
}

/// Tokens without the blanks that `to_string` puts where nobody writes them.
fn compact(tokens: &str) -> String {
    let mut text = tokens.to_owned();
    for (from, to) in [
        (" < ", "<"),
        (" <", "<"),
        ("< ", "<"),
        (" >", ">"),
        (" ,", ","),
        (" :: ", "::"),
        (":: ", "::"),
        ("& ", "&"),
        ("( ", "("),
        (" )", ")"),
        ("[ ", "["),
        (" ]", "]"),
        (" ;", ";"),
    ] {
        text = text.replace(from, to);
    }
    text
}

/// "`a`, `b` or `c`".
fn either(names: &[String]) -> String {
    match names {
        [] => "nothing".to_owned(),
        [one] => one.clone(),
        [rest @ .., last] => format!("{} or {last}", rest.join(", ")),
    }
}

/// The tokens of something, as the other end of an error.
fn at(tokens: impl quote::ToTokens) -> TokenStream {
    tokens.into_token_stream()
}
