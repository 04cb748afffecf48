//! Tokens that somebody mistyped.

use proc_macro2::{Group, TokenStream, TokenTree};

use super::draw::Random;

/// Leaves out, doubles or exchanges one token, at any depth.
pub(crate) fn mangle(random: &mut Random, tokens: TokenStream) -> TokenStream {
    let mut trees: Vec<TokenTree> = tokens.into_iter().collect();
    let groups: Vec<usize> = (0..trees.len())
        .filter(|at| matches!(&trees[*at], TokenTree::Group(group) if !group.stream().is_empty()))
        .collect();
    if let Some(at) = random.pick(&groups).copied()
        && random.chance(85)
        && let TokenTree::Group(group) = &trees[at]
    {
        let inner = mangle(random, group.stream());
        trees[at] = TokenTree::Group(Group::new(group.delimiter(), inner));
        return trees.into_iter().collect();
    }
    if trees.is_empty() {
        return TokenStream::new();
    }
    let at = random.below(trees.len());
    match random.below(3) {
        0 => drop(trees.remove(at)),
        1 => trees.insert(at, trees[at].clone()),
        _ => {
            let other = random.below(trees.len());
            trees.swap(at, other);
        }
    }
    trees.into_iter().collect()
}
